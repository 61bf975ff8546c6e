"""What SQLite and damaged rows say, as errors for people."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tashihiki.errors import FailedPreconditionError, ResourceExhaustedError, TashihikiError

_SCANT_BYTES = 1 << 20


_RESTORE = "restore a snapshot or a backup, or delete the collection"
_WRITE_AGAIN = "send this item again with its photo, or restore a snapshot or a backup"


class DamageError(Exception):
    """Something in a catalogue is not as it was written; the text says what."""


class DamagedPictureError(DamageError):
    """A thumbnail is not as it was written; its item is."""


@contextmanager
def translated(path: Path, *, writing: bool = False) -> Iterator[None]:
    """Turns what goes wrong in the block into errors for callers.

    Args:
        path: of the database.
        writing: whether an I/O error means that the disk takes no more.

    Raises:
        FailedPreconditionError: CATALOGUE_DAMAGED or CATALOGUE_UNREADABLE.
        ResourceExhaustedError: DISK_FULL.
    """
    try:
        yield
    except DamagedPictureError as error:
        raise damaged(path, str(error), _WRITE_AGAIN) from error
    except DamageError as error:
        raise damaged(path, str(error)) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        # The second also where SQLite quotes what it cannot read.
        raise damaged(path, f"a text is none: {error}") from error
    except sqlite3.Error as error:
        raise _translate(error, path, writing) from error


def damaged(path: Path, why: str, mend: str = _RESTORE) -> FailedPreconditionError:
    """The error for a catalogue that is not as it was written."""
    return FailedPreconditionError(
        f"the catalogue {path.parent.name} is damaged: {why}",
        reason="CATALOGUE_DAMAGED",
        field="collection",
        remedy=f"Run `tashihiki verify`; {mend}.",
    )


def unreadable(path: Path, why: str) -> FailedPreconditionError:
    """The error for a catalogue that cannot be opened."""
    return FailedPreconditionError(
        f"the catalogue {path.parent.name} cannot be used: {why}",
        reason="CATALOGUE_UNREADABLE",
        field="collection",
        remedy="Check the permissions of the data folder, or restore it from a backup.",
    )


def _translate(error: sqlite3.Error, path: Path, writing: bool) -> TashihikiError:
    # Python 3.10 tells no error codes, so the messages must do.
    text = str(error)
    scarce = writing or _scant(path)
    if "disk is full" in text or ("disk I/O error" in text and scarce):
        return ResourceExhaustedError(
            f"the disk that holds {path.parent.name} takes no more: {error}",
            reason="DISK_FULL",
            remedy="Make room and send the request again; nothing of it was written.",
        )
    if "malformed" in text or "decode to UTF-8" in text:
        return damaged(path, text)
    return unreadable(path, text)


def _scant(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _SCANT_BYTES
    except OSError:
        return False
