"""Catalogues to look at, where SQLite would write beside what it only reads."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tashihiki_server.catalogue.connections import has_log, log_path
from tashihiki_server.catalogue.witness import WITNESS_FILE

# Folders of this name are cleared away at the next start.
_PREFIX = ".new."


@contextmanager
def unwritten(path: Path) -> Iterator[Path]:
    """Where to open a database read-only, so that none of its files is written.

    With a log beside it, SQLite writes an index of the log; so the log is copied into a folder of
    its own, and the database is linked there.

    Args:
        path: of a database that nobody has open.
    """
    if not has_log(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=path.parent.parent) as folder:
        # The name is the one that errors tell.
        place = Path(folder) / path.parent.name
        place.mkdir()
        other = place / path.name
        try:
            os.link(path, other)
        except OSError:
            shutil.copyfile(path, other)
        shutil.copyfile(log_path(path), log_path(other))
        witness = path.with_name(WITNESS_FILE)
        if witness.exists():
            shutil.copyfile(witness, other.with_name(WITNESS_FILE))
        yield other
