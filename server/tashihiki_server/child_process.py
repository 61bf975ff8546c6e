"""Heavy work in a process of its own, so that searches keep the GIL, and most of the processors."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
# What numpy's linear algebra may be built with; each reads its own.
_THREAD_LIMITS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

Started = Callable[[subprocess.Popen[bytes]], None]


class ProcessFailedError(Exception):
    """The process ended with another status than 0."""


def threads() -> int:
    """How many threads such a process may use: all processors but one, which answers searches."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def run(
    module: str,
    arguments: Sequence[str],
    niceness: int,
    started: Started = lambda process: None,
) -> None:
    """Runs `python -m module` to its end.

    Args:
        module: that calls `end_with_parent` first.
        arguments: of its command line.
        niceness: how much it yields the processors to the server, from 0 to 19.
        started: told the process, so that it can be ended.

    Raises:
        ProcessFailedError: with its status and the last line that it wrote.
    """
    command = [sys.executable, "-m", module, *arguments]
    limits = dict.fromkeys(_THREAD_LIMITS, str(threads()))
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**limits, **os.environ},
    ) as process:
        with suppress(ProcessLookupError):
            # Now, and not by the process itself: its imports alone take a second.
            os.setpriority(os.PRIO_PROCESS, process.pid, niceness)
        started(process)
        output, _ = process.communicate()
    if process.returncode != 0:
        last = output.decode(errors="replace").strip().splitlines()[-1:]
        raise ProcessFailedError(f"exit status {process.returncode}: {' '.join(last)}")


def end_with_parent() -> None:
    """In the process: ends it with the server."""
    # A killed server cannot end its children; Linux can.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
