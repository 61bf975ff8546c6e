"""How far a catalogue had come, told by a second file.

SQLite passes over a damaged end of its log without a word, and the writes in it with it. So the
generation of every commit is noted beside the database before the write is acknowledged: a
database that opens at an older one has lost something. The note is not synced, since a commit is;
a power cut may leave an older note, which is no harm.
"""

from __future__ import annotations

import logging
import os
import struct
import zlib
from pathlib import Path

logger = logging.getLogger(__name__)

WITNESS_FILE = "catalogue.witness"
_MAGIC = b"TSHKWIT1"
_FORMAT = struct.Struct("<8sQI")


class Witness:
    """The note of one catalogue; one writer at a time."""

    def __init__(self, path: Path) -> None:
        """Looks at what is there; makes nothing.

        Args:
            path: of the note.
        """
        self._path = path
        self._file: int | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a note, be it readable or not."""
        return self._path.exists()

    def read(self) -> int | None:
        """The noted generation; None where there is none, or it cannot be read."""
        try:
            content = self._path.read_bytes()
            magic, generation, checksum = _FORMAT.unpack(content)
            if magic == _MAGIC and checksum == zlib.crc32(content[:-4]):
                return int(generation)
        except (OSError, struct.error):
            pass
        return None

    def write(self, generation: int) -> None:
        """Notes a generation; where that fails, with a line in the log."""
        content = struct.pack("<8sQ", _MAGIC, generation)
        content += struct.pack("<I", zlib.crc32(content))
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                os.ftruncate(self._file, _FORMAT.size)
            os.pwrite(self._file, content, 0)
        except OSError as error:
            # The write itself is durable; only its loss would not be noticed.
            logger.warning("%s cannot be written: %s", self._path, error)

    def close(self) -> None:
        """Lets go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
