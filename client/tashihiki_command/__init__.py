"""The `tashihiki` command before anything of it is imported.

A package of its own, since importing `tashihiki` takes so long that somebody may interrupt it.
"""

from __future__ import annotations

import os
import signal
from typing import Any

# As for a command that is interrupted later; docs/client.md has the table.
_INTERRUPTED = 130


def main() -> None:
    """Runs the command line and ends the process; Ctrl-C ends it quietly from the first moment."""
    before = signal.getsignal(signal.SIGINT)
    # Who starts it in the background may have the signal ignored.
    answered = before is signal.default_int_handler
    if answered:
        # An exception would pass through imports, and some make another one of it.
        signal.signal(signal.SIGINT, _leave)
    from tashihiki.cli.app import main as run

    if answered:
        signal.signal(signal.SIGINT, before)
    run()


def _leave(*_: Any) -> None:
    os._exit(_INTERRUPTED)
