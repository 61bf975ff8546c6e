"""What SQLite itself says of a catalogue's file, without writing to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tashihiki_server.catalogue.connections import connect_read_only
from tashihiki_server.catalogue.failures import translated
from tashihiki_server.catalogue.ledger import read_ledger
from tashihiki_server.catalogue.migration import count_first, is_first
from tashihiki_server.catalogue.unwritten import unwritten


@dataclass(frozen=True)
class Examination:
    """What was found of a file.

    Attributes:
        older: whether its tables are those of the first release.
        generation: of its ledger; 0 of an older one.
        count: of the items of an older one, else 0.
        faults: in words; "" where there are none.
    """

    older: bool
    generation: int
    count: int
    faults: str


def examine(path: Path) -> Examination:
    """Looks at a catalogue that nobody has open.

    Raises:
        FailedPreconditionError: CATALOGUE_DAMAGED or CATALOGUE_UNREADABLE.
    """
    with (
        translated(path),
        unwritten(path) as place,
        closing(connect_read_only(place)) as db,
    ):
        faults = _faults(db)
        if is_first(db):
            return Examination(True, 0, count_first(db), faults)
        return Examination(False, read_ledger(db).generation, 0, faults)


def _faults(db: sqlite3.Connection) -> str:
    try:
        found = [row[0] for row in db.execute("PRAGMA integrity_check(5)")]
    except sqlite3.Error as error:
        return str(error)
    return "" if found == ["ok"] else "; ".join(found)
