"""The real `tashihiki serve` in a process of its own, and disks that are really full."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import psutil
import pytest

from tashihiki.v1 import catalog_pb2_grpc, search_pb2_grpc

COMMAND = str(Path(sys.executable).with_name("tashihiki"))
# Generous: a loaded machine must not fail a test.
SECONDS = 60.0
_PORT = re.compile(r"serves on \S*?:(\d+)")


class RefusedStartError(AssertionError):
    """A server that ended before it served.

    Attributes:
        status: its exit status; negative where a signal ended it.
        log: what it wrote to standard error.
    """

    def __init__(self, status: int, log: str) -> None:
        super().__init__(f"the server did not start: exit status {status}: {log[-600:]}")
        self.status = status
        self.log = log


class ServerProcess:
    """A running server and a channel to it."""

    def __init__(self, data: Path, bundle: Path, *options: str) -> None:
        """Starts it on a free port and waits until it has announced it."""
        self._log = data.parent / f"{data.name}.{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                _serve(data, bundle, "127.0.0.1:0", *options), stdout=subprocess.PIPE, stderr=log
            )
        self.port = self._announced()
        channel = grpc.insecure_channel(
            f"127.0.0.1:{self.port}",
            [("grpc.max_receive_message_length", 64 * 2**20), ("grpc.enable_retries", 0)],
        )
        self.channel = channel
        self.search = search_pb2_grpc.SearchServiceStub(channel)
        self.catalog = catalog_pb2_grpc.CatalogServiceStub(channel)

    def _announced(self) -> int:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := _PORT.search(line.decode()):
                return int(found.group(1))
        status = self.process.wait(SECONDS)
        self.process.stdout.close()
        raise RefusedStartError(status, self.log)

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return self._log.read_text(encoding="utf-8")

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self.process.kill()
        self._let_go()

    def stop(self) -> int:
        """Asks it to end; returns the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self._let_go()

    def _let_go(self) -> int:
        try:
            status = self.process.wait(SECONDS)
        finally:
            self.process.kill()
            self.channel.close()
            assert self.process.stdout is not None
            self.process.stdout.close()
        return status


@contextmanager
def running(data: Path, bundle: Path, *options: str) -> Iterator[ServerProcess]:
    """A server that is stopped at the end of the block, unless it has ended by then."""
    server = ServerProcess(data, bundle, *options)
    try:
        yield server
    finally:
        server.stop()


def serve_to_the_end(
    data: Path, bundle: Path, address: str = "127.0.0.1:0", *options: str
) -> subprocess.CompletedProcess[str]:
    """Runs a server that cannot start."""
    return subprocess.run(
        _serve(data, bundle, address, *options), capture_output=True, text=True, timeout=SECONDS
    )


def _serve(data: Path, bundle: Path, address: str, *options: str) -> list[str]:
    where = ["--data", str(data), "--encoder", str(bundle), "--address", address]
    if "--gallery" not in options:
        where += ["--gallery", "off"]
    return [COMMAND, "serve", *where, *options]


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Waits until something is so."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.01)


def builder(parent: int | None = None) -> psutil.Process:
    """The process that builds an index for a server, as soon as there is one."""
    return _child("tashihiki_server.index.build", parent)


def fitter(parent: int | None = None) -> psutil.Process:
    """The process that fits a space for a server, as soon as there is one."""
    return _child("tashihiki_server.collection.fit_process", parent)


def _child(module: str, parent: int | None) -> psutil.Process:
    found: list[psutil.Process] = []

    def runs(process: psutil.Process) -> bool:
        try:
            return module in process.cmdline()
        except psutil.Error:
            return False

    def look() -> bool:
        found[:] = filter(runs, psutil.Process(parent).children())
        return bool(found)

    eventually(look, f"a process of {module}")
    return found[0]


@contextmanager
def small_disk(where: Path, options: str) -> Iterator[Path]:
    """A file system of its own in memory, with mount's options; skips where that is not allowed."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small disk")
    where.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)]
    made = subprocess.run(mount, capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {made.stderr.strip()}")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)


def fill_disk(folder: Path, leave: int = 0) -> Path:
    """Takes all room but `leave` bytes; deleting the file that is returned gives it back."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
        file.truncate(max(0, file.tell() - leave))
    return filler
