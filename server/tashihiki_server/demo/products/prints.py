"""Patterns printed on a thing, inside whatever the canvas is clipped to."""

from __future__ import annotations

from math import cos, pi, sin
from random import Random

from tashihiki_server.demo.canvas import Canvas
from tashihiki_server.demo.colour import Colour
from tashihiki_server.demo.shapes import Shape, box, drawn, oval, polygon


def star(x: float, y: float, size: float) -> Shape:
    """A star with five points."""
    return polygon(
        [
            (
                x + sin(k * pi / 5) * size * (1 if k % 2 == 0 else 0.45),
                y - cos(k * pi / 5) * size * (1 if k % 2 == 0 else 0.45),
            )
            for k in range(10)
        ]
    )


def heart(x: float, y: float, size: float) -> Shape:
    """A heart."""
    s = size
    return drawn(
        f"M {x} {y + s} C {x - 1.9 * s} {y - 0.2 * s} {x - 0.9 * s} {y - 1.4 * s} {x} {y - 0.4 * s}"
        f" C {x + 0.9 * s} {y - 1.4 * s} {x + 1.9 * s} {y - 0.2 * s} {x} {y + s} Z"
    )


def emblem(canvas: Canvas, x: float, y: float, size: float, ink: Colour, rng: Random) -> None:
    """One small picture: a star, a heart, a ring or a bolt."""
    kind = rng.randrange(4)
    if kind == 0:
        canvas.fill(star(x, y, size), ink)
    elif kind == 1:
        canvas.fill(heart(x, y, size * 0.85), ink)
    elif kind == 2:
        canvas.stroke(oval(x, y, size * 0.75, size * 0.75), ink, size * 0.32)
    else:
        bolt = [(0.2, -1), (-0.6, 0.2), (-0.05, 0.2), (-0.25, 1), (0.6, -0.25), (0.05, -0.25)]
        canvas.fill(polygon([(x + a * size, y + b * size) for a, b in bolt]), ink)


def bands(canvas: Canvas, top: float, count: int, thick: float, ink: Colour) -> None:
    """Level stripes."""
    for number in range(count):
        y = top + number * thick * 2
        canvas.fill(box(-120, y, 120, y + thick), ink, 0.92)


def dots(canvas: Canvas, step: float, size: float, ink: Colour) -> None:
    """Dots in staggered rows."""
    for row in range(int(200 / step)):
        for column in range(int(200 / step)):
            x = -100 + column * step + (step / 2 if row % 2 else 0)
            canvas.fill(oval(x, -100 + row * step, size, size), ink, 0.92)
