"""Native code tried in a process of its own, which it may end."""

from __future__ import annotations

import signal
import subprocess
import sys

# A slow disk takes its time over a library of hundreds of megabytes.
SECONDS = 120.0


class TrialFailedError(Exception):
    """The process ended with another status than 0; says how and with which last words."""


def try_python(*arguments: str) -> str:
    """Runs this Python and returns what it wrote to standard output.

    Raises:
        TrialFailedError: it ended otherwise than well, or not in time.
    """
    try:
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise TrialFailedError(f"no answer within {SECONDS:.0f} s") from None
    if done.returncode < 0:
        raise TrialFailedError(f"ended by {signal.Signals(-done.returncode).name}")
    if done.returncode:
        words = done.stderr.strip().splitlines()[-1:]
        raise TrialFailedError(words[0] if words else f"exit status {done.returncode}")
    return done.stdout
