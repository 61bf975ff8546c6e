"""What stands behind a portrait: a wall, a window, a park, a shelf."""

from __future__ import annotations

from random import Random

from .canvas import Canvas
from .colour import WHITE, Colour, colour
from .shapes import blob, box, oval

_WALLS = tuple(
    colour(code)
    for code in ("8fb8e6", "f0cb86", "93d09c", "d6a2d8", "78c4cc", "f0a488", "b3a2e6", "e8e2d2")
)


def draw_scenery(canvas: Canvas, rng: Random) -> None:
    """Cover the canvas with one of several simple scenes."""
    scene = rng.choice((_wall, _wall, _spots, _window, _park, _stripes))
    scene(canvas, rng, rng.choice(_WALLS))


def _wall(canvas: Canvas, rng: Random, tint: Colour) -> None:
    everything = box(0, 0, 256, 256)
    end = (rng.uniform(0, 256), 256.0)
    canvas.gradient(everything, (128, 0), end, [tint.lighter(0.35), tint.darker(0.2)])


def _spots(canvas: Canvas, rng: Random, tint: Colour) -> None:
    _wall(canvas, rng, tint.darker(0.25))
    for _ in range(12):
        x, y, size = rng.uniform(0, 256), rng.uniform(0, 256), rng.uniform(10, 34)
        canvas.fill(oval(x, y, size, size), rng.choice(_WALLS).lighter(0.4), 0.3, 3)


def _window(canvas: Canvas, rng: Random, tint: Colour) -> None:
    _wall(canvas, rng, tint)
    left = rng.uniform(-30, 140)
    glass = box(left, -20, left + 130, 130)
    canvas.gradient(glass, (0, 0), (0, 130), [colour("8fc4ee"), colour("e6f3fb")])
    canvas.stroke(glass, WHITE, 9)
    canvas.stroke(box(left + 65, -20, left + 66, 130), WHITE, 5)


def _park(canvas: Canvas, rng: Random, _: Colour) -> None:
    canvas.gradient(box(0, 0, 256, 256), (0, 0), (0, 200), [colour("8cc6f0"), colour("e2f2f6")])
    for _number in range(7):
        x, y = rng.uniform(-10, 266), rng.uniform(120, 160)
        green = colour(rng.choice(["6fae5c", "4f9550", "8bbf6a"]))
        size = rng.uniform(30, 55)
        canvas.fill(oval(x, y, size, size * 1.2), green, 0.9, 3)
    hill = blob((-40, 190), (60, 170), (200, 185), (300, 170), (300, 300), (-40, 300))
    canvas.fill(hill, colour("5aa04a"), 1, 2)


def _stripes(canvas: Canvas, rng: Random, tint: Colour) -> None:
    _wall(canvas, rng, tint)
    step = rng.uniform(22, 40)
    for number in range(int(256 / step) + 1):
        left = number * step
        canvas.fill(box(left, 0, left + step / 2, 256), tint.lighter(0.4), 0.35)
