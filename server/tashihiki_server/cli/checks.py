"""What `tashihiki doctor` looks at where the server is installed."""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tashihiki.cli.doctor.check import Check, Finding, Target
from tashihiki.cli.doctor.trial import TrialFailedError, try_python
from tashihiki.cli.output import size_text
from tashihiki_server.data_folder import COLLECTIONS, FORMAT, FORMAT_FILE, read_format

# Libraries of machine code: the package, what is imported of it, and what helps where it fails.
_NATIVE = (
    (
        "openvino",
        "openvino",
        "Install it again: pip install --force-reinstall openvino. It needs glibc, not musl.",
    ),
    (
        "ngtpy",
        "tashihiki_server.index.ngt",
        "Install libgomp1 where that is missing; for a processor without AVX2 build it:"
        " pip install --no-binary ngt ngt.",
    ),
    (
        "skia",
        "skia",
        "Install what it draws with: apt install libgl1 libegl1 libfontconfig1.",
    ),
)
# As numpy calls them, before and since its release 2.4.
_AVX2, _AVX512 = {"AVX2", "X86_V3"}, {"AVX512_SKX", "X86_V4"}
MIN_MEMORY = 10**9
MIN_DISK = 10**9
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def _native(target: Target) -> Iterator[Finding]:
    for package, module, remedy in _NATIVE:
        if find_spec(package) is None:
            continue
        try:
            try_python("-c", f"import {module}")
        except TrialFailedError as error:
            yield Finding(f"library {package}", "fault", f"does not load: {error}", remedy)
        else:
            yield Finding(f"library {package}", "ok", "loads")


def _processor(target: Target) -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0))
    if cores > 1:
        yield Finding("cores", "ok", f"{cores} may be used")
    else:
        remedy = "Allow a second one: builds of indexes and searches otherwise share it."
        yield Finding("cores", "warning", "1 may be used", remedy)
    machine = platform.machine()
    if machine not in ("x86_64", "AMD64"):
        yield Finding("instructions", "ok", f"of {machine}")
        return
    known = np.show_config(mode="dicts")["SIMD Extensions"]
    found = {*known.get("baseline", ()), *known.get("found", ())}
    if found & _AVX512:
        yield Finding("instructions", "ok", "AVX2 and AVX-512")
    elif found & _AVX2:
        yield Finding("instructions", "ok", "AVX2, no AVX-512")
    else:
        remedy = "Pictures are embedded and items compared several times slower; use a newer one."
        yield Finding("instructions", "warning", "no AVX2", remedy)


def _memory(target: Target) -> Iterator[Finding]:
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    # There may be no control group, or one without a limit, which then is a word.
    with suppress(OSError, ValueError):
        size = min(size, int(_CGROUP_LIMIT.read_text()))
    if size >= MIN_MEMORY:
        yield Finding("memory", "ok", size_text(size))
    else:
        remedy = "Allow 1 GB; docs/operating.md says how much items take."
        yield Finding("memory", "warning", size_text(size), remedy)


def _encoder(target: Target) -> Iterator[Finding]:
    if find_spec("openvino") is None:
        return
    try:
        told: dict[str, Any] = json.loads(
            try_python("-m", "tashihiki_server.cli.encoder_trial").splitlines()[-1]
        )
    except TrialFailedError as error:
        remedy = "Install the package again; it brings the encoder."
        yield Finding("encoder", "fault", str(error), remedy)
        return
    abilities = ", ".join(told["capabilities"])
    yield Finding("processor", "ok", f"{told['processor']}; OpenVINO names {abilities}")
    what = f"{told['encoder']}, SHA-256 {told['sha256'][:16]}…"
    if told["sound"]:
        pace = f"{told['milliseconds']} ms for a picture in {told['precision']}"
        yield Finding("encoder", "ok", f"{what}: {told['dimension']} numbers, {pace}")
    else:
        fact = f"{what}: an embedding with negative numbers or of another length than 1"
        yield Finding("encoder", "fault", fact, "Install another release of OpenVINO.")


def _data(target: Target) -> Iterator[Finding]:
    folder = target.data
    if folder is None:
        return
    part = f"data folder {folder}"
    if not folder.exists():
        remedy = "`tashihiki serve` makes it; check the name where it should be there."
        yield Finding(part, "warning", "is not there", remedy)
        return
    if not folder.is_dir():
        yield Finding(part, "fault", "is no folder", "Name another with --data.")
        return
    yield _format(part, folder)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
            file.flush()
    except OSError as error:
        remedy = "Give its owner and the disk room for writing, and this user the right to."
        yield Finding(part, "fault", f"cannot be written: {error.strerror}", remedy)
    else:
        yield Finding(part, "ok", "can be written")
    free = shutil.disk_usage(folder).free
    room = f"{size_text(free)} free on its disk"
    if free >= MIN_DISK:
        yield Finding(part, "ok", room)
    else:
        remedy = "Make room: writes are refused when the disk is full."
        yield Finding(part, "warning", room, remedy)


def _format(part: str, folder: Path) -> Finding:
    found = read_format(folder)
    if found == FORMAT:
        return Finding(part, "ok", f"format {FORMAT}")
    if found == "missing" and not (folder / COLLECTIONS).exists():
        return Finding(part, "ok", "nothing is in it yet")
    if isinstance(found, int) and found < FORMAT:
        return Finding(part, "ok", f"format {found}; the next start makes it {FORMAT}")
    if isinstance(found, int):
        remedy = "Use the release that wrote it."
        return Finding(part, "fault", f"format {found}, this release reads {FORMAT}", remedy)
    return Finding(
        part, "fault", f"{FORMAT_FILE} is {found}", "`tashihiki verify` says what to do."
    )


CHECKS = (
    Check("cores", _processor),
    Check("memory", _memory),
    Check("libraries", _native),
    Check("encoder", _encoder),
    Check("data folder", _data),
)
