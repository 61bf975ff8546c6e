"""Colours and the few ways in which the drawings change them."""

from __future__ import annotations

from typing import NamedTuple


class Colour(NamedTuple):
    """An sRGB colour, each channel from 0 to 255."""

    red: int
    green: int
    blue: int

    def mixed(self, other: Colour, amount: float) -> Colour:
        """The colour `amount` of the way towards `other`."""
        return Colour(*(round(a + (b - a) * amount) for a, b in zip(self, other, strict=True)))

    def lighter(self, amount: float) -> Colour:
        """The colour mixed with white."""
        return self.mixed(WHITE, amount)

    def darker(self, amount: float) -> Colour:
        """The colour mixed with a very dark blue, as shadows under a sky are."""
        return self.mixed(NIGHT, amount)

    @property
    def brightness(self) -> float:
        """How light the colour looks, from 0 to 1."""
        return (0.299 * self.red + 0.587 * self.green + 0.114 * self.blue) / 255


def colour(code: str) -> Colour:
    """The colour written as six hexadecimal digits."""
    return Colour(int(code[0:2], 16), int(code[2:4], 16), int(code[4:6], 16))


WHITE = Colour(255, 255, 255)
NIGHT = Colour(12, 8, 24)
BLACK = Colour(0, 0, 0)
