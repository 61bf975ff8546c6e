"""How far a change of a collection's encoder is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EncoderProgress:
    """A change that is under way.

    Attributes:
        encoder: fingerprint of the encoder that is changed to.
        done: how many items have an embedding of it.
        total: how many items there are.
        fault: why it cannot go on, in words; "" while it does.
    """

    encoder: str
    done: int
    total: int
    fault: str = ""
