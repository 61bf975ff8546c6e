"""The command line as a shell runs it, within this process."""

from __future__ import annotations

import pytest

from tashihiki.cli.app import main


def run(*args: str) -> int:
    """Runs a command; returns its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(args)
    code = ended.value.code
    assert isinstance(code, int)
    return code
