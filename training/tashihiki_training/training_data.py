"""What a training learns from and is measured on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tashihiki_training.labels import Codes, Vocabulary
from tashihiki_training.pixels import Pixels
from tashihiki_training.split import Split


@dataclass(frozen=True)
class TrainingData:
    """Pictures, their labels, and the part that each plays.

    Attributes:
        pixels: (pictures, size, size, 3).
        codes: (pictures, facets).
        vocabulary: what the codes mean.
        split: positions of the pictures of every part.
        digests: SHA-256 of every file.
    """

    pixels: Pixels
    codes: Codes
    vocabulary: Vocabulary
    split: Split
    digests: list[str]

    @property
    def value_counts(self) -> list[int]:
        """The number of values of every facet."""
        return [len(values) for values in self.vocabulary.values]

    @property
    def fingerprint(self) -> str:
        """Equal for equal pictures with equal labels in equal parts."""
        digest = hashlib.sha256(repr((self.vocabulary, self.digests)).encode())
        digest.update(self.codes.tobytes())
        for part in (self.split.train, self.split.validation, self.split.test):
            digest.update(part.tobytes() + b"|")
        return digest.hexdigest()[:16]
