"""What a catalogue holds, by numbers: one row that every transaction writes anew."""

from __future__ import annotations

import json
import secrets
import sqlite3
import zlib
from dataclasses import asdict, dataclass, field
from typing import Any

from tashihiki_server.catalogue.checksums import Tally
from tashihiki_server.catalogue.failures import DamageError


@dataclass
class EncoderTally:
    """The embeddings of an encoder, and the number that stands for it in their rows."""

    number: int
    embeddings: Tally = field(default_factory=Tally)


@dataclass
class Ledger:
    """What there must be.

    Attributes:
        generation: rises with every transaction.
        version: the last that an item was given.
        items: all of them.
        requests: those that are remembered.
        encoders: by fingerprint.
        lineage: random name of the history that the numbers count; "" where it has none yet.
    """

    generation: int = 0
    version: int = 0
    items: Tally = field(default_factory=Tally)
    requests: Tally = field(default_factory=Tally)
    encoders: dict[str, EncoderTally] = field(default_factory=dict)
    lineage: str = ""

    def number(self, encoder: str) -> int:
        """The number of an encoder, a new one for a new encoder."""
        if encoder not in self.encoders:
            highest = max((known.number for known in self.encoders.values()), default=0)
            self.encoders[encoder] = EncoderTally(highest + 1)
        return self.encoders[encoder].number

    def write(self, db: sqlite3.Connection) -> None:
        """Puts the ledger in the place of the one before."""
        content = json.dumps(asdict(self), separators=(",", ":"))
        db.execute(
            "INSERT OR REPLACE INTO ledger VALUES (1, ?, ?)",
            (content, zlib.crc32(content.encode())),
        )


def new_lineage() -> str:
    """A name, 16 hexadecimal digits, that no other history has."""
    return secrets.token_hex(8)


def read_ledger(db: sqlite3.Connection) -> Ledger:
    """The ledger as it was last written.

    Raises:
        DamageError: when it is not.
    """
    row = db.execute("SELECT content, checksum FROM ledger").fetchone()
    if row is None:
        raise DamageError("its ledger is missing")
    content, checksum = row
    if not isinstance(content, str) or zlib.crc32(content.encode()) != checksum:
        raise DamageError("its ledger has changed since it was written")
    read: dict[str, Any] = json.loads(content)
    return Ledger(
        read["generation"],
        read["version"],
        Tally(**read["items"]),
        Tally(**read["requests"]),
        {
            encoder: EncoderTally(known["number"], Tally(**known["embeddings"]))
            for encoder, known in read["encoders"].items()
        },
        read.get("lineage", ""),
    )
