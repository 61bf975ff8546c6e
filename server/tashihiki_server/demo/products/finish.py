"""What a thing is made of: its colour and the colours that go with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tashihiki_server.demo.canvas import Canvas
from tashihiki_server.demo.colour import Colour, colour

COLOURS: dict[str, Colour] = {
    "red": colour("d62430"),
    "orange": colour("f5821f"),
    "yellow": colour("f7d117"),
    "green": colour("2a9d3f"),
    "blue": colour("1f5fd0"),
    "purple": colour("7d35b5"),
    "black": colour("2b2b30"),
    "white": colour("f4f4f1"),
}
METAL = colour("b9bec6")
BRASS = colour("d2a63c")
OAK = colour("9a6a3c")


@dataclass(frozen=True)
class Finish:
    """The colours of one thing."""

    main: Colour

    @property
    def trim(self) -> Colour:
        """A neutral colour that shows on the main one: for prints, soles and laces."""
        return colour("4a4a52") if self.main.brightness > 0.86 else colour("f6f4ee")

    @property
    def deep(self) -> Colour:
        """The main colour in the shade: for insides and seams."""
        return self.main.darker(0.4 if self.main.brightness > 0.2 else 0.55)

    @property
    def soft(self) -> Colour:
        """The main colour a little lighter: for panels."""
        return self.main.lighter(0.16) if self.main.brightness < 0.86 else self.main.darker(0.09)


# Draws a thing around the origin, about 170 pixels wide and high.
Design = Callable[[Canvas, Finish, Random], None]
