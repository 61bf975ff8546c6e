"""Runs what documents tell people to type, with this environment's commands."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The port that the documents name; the tests put a free one in its place.
PORT = "50051"

# This environment's commands first.
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def free_port() -> str:
    """A port of the loopback that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def run(command: list[str], folder: Path, timeout: float = 240, **variables: str) -> str:
    """Runs a command in a folder and returns what it printed; fails with it."""
    environment = {**os.environ, "PATH": PATH, "COLUMNS": "160", **variables}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def serving(command: list[str], folder: Path, log: Path, timeout: float = 120) -> Iterator[None]:
    """Runs a server until the end of the block, once it says that it serves."""
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PATH": PATH},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(process, log, timeout)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()


def _wait(process: subprocess.Popen[bytes], log: Path, timeout: float) -> None:
    stop = time.monotonic() + timeout
    while "serves on" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < stop, log.read_text()
        time.sleep(0.1)
