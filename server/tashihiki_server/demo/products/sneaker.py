"""Sneakers from the side: for running, high and with straps."""

from __future__ import annotations

from random import Random

from tashihiki_server.demo.canvas import Canvas
from tashihiki_server.demo.colour import colour
from tashihiki_server.demo.shapes import Shape, box, curve, drawn, line, oval

from . import prints
from .finish import Design, Finish

_SOLE = colour("f1efe8")
_RUBBER = colour("3a3a40")


def _laces(canvas: Canvas, finish: Finish, points: list[tuple[float, float]]) -> None:
    for x, y in points:
        canvas.stroke(line((x - 9, y - 5), (x + 9, y + 6)), finish.main.darker(0.7), 6.2)
        canvas.stroke(line((x - 9, y - 5), (x + 9, y + 6)), finish.trim, 4.4)


def _stitches(canvas: Canvas, finish: Finish, seam: Shape) -> None:
    canvas.stroke(seam, finish.main.darker(0.65), 1.7, 0.8)


def _side_mark(canvas: Canvas, finish: Finish, rng: Random) -> None:
    kind = rng.randrange(3)
    if kind == 0:
        for x in (-26, -12, 2):
            canvas.stroke(line((x, -14), (x + 10, 30)), finish.trim, 6.5)
    elif kind == 1:
        mark = drawn("M -44 6 C -20 34 16 24 44 -8 C 22 12 -8 16 -22 -2 C -30 6 -36 8 -44 6 Z")
        canvas.fill(mark, finish.trim)
    else:
        prints.emblem(canvas, -14, 8, 14, finish.trim, rng)


def runner(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A low running shoe with a thick, pale sole."""
    sole = drawn(
        "M -88 22 C -94 40 -92 58 -76 60 L 76 60 C 94 60 98 46 92 34 C 60 40 -40 36 -88 22 Z"
    )
    canvas.volume(sole, _SOLE, axis=(0, 1), depth=0.7)
    canvas.stroke(curve((-86, 52), (0, 57), (88, 52)), finish.main, 4)
    upper = drawn(
        "M -86 26 C -92 -4 -90 -30 -82 -48 C -70 -40 -56 -34 -36 -44 L -24 -52"
        " C -4 -22 24 -8 60 0 C 84 6 94 20 92 36 C 60 42 -40 40 -86 26 Z"
    )
    canvas.volume(upper, finish.main, axis=(0.4, 1))
    with canvas.clip(upper):
        _side_mark(canvas, finish, rng)
    toe = drawn("M 56 0 C 84 4 94 20 92 36 L 62 39 C 50 28 48 12 56 0 Z")
    canvas.volume(toe, finish.soft, depth=0.6)
    heel = drawn("M -86 26 C -91 -2 -90 -26 -84 -44 C -66 -28 -66 10 -62 33 Z")
    canvas.volume(heel, finish.deep, depth=0.6)
    lining = "M -82 -48 C -70 -40 -56 -34 -36 -44 L -24 -52 L -32 -36 Q -60 -22 -80 -36 Z"
    canvas.fill(drawn(lining), finish.main.darker(0.6))
    _laces(canvas, finish, [(-14, -36), (1, -25), (17, -16), (34, -9)])


def high(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A high canvas shoe with a white toe cap and a round badge."""
    upper = drawn(
        "M -76 44 C -80 0 -74 -50 -70 -80 C -50 -74 -30 -74 -12 -80 C -8 -50 -2 -22 20 -8"
        " C 50 0 84 8 88 44 Z"
    )
    canvas.volume(upper, finish.main, axis=(0.6, 0.8))
    toe = drawn("M 50 4 C 76 6 88 22 88 44 L 46 44 C 42 28 42 14 50 4 Z")
    canvas.volume(toe, _SOLE, depth=0.6)
    sole = box(-82, 40, 92, 62, 9)
    canvas.volume(sole, _SOLE, axis=(0, 1), depth=0.7)
    canvas.stroke(line((-78, 50), (88, 50)), _RUBBER if rng.random() < 0.4 else finish.main, 3)
    _stitches(canvas, finish, curve((-52, -74), (-50, -20), (-58, 38)))
    _stitches(canvas, finish, curve((-22, -74), (-16, -20), (6, 8), (44, 16)))
    canvas.volume(oval(-40, -30, 15, 15), finish.trim, depth=0.4)
    prints.emblem(canvas, -40, -30, 9, finish.main, rng)
    _laces(canvas, finish, [(-13, -66), (-10, -51), (-5, -36), (3, -22), (16, -9), (32, -1)])


def straps(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A low shoe with two broad straps."""
    sole = drawn("M -88 36 L -86 58 Q -84 62 -76 62 L 84 62 Q 94 62 94 50 L 92 36 Z")
    canvas.volume(sole, _SOLE, axis=(0, 1), depth=0.7)
    for x in range(-72, 90, 12):
        canvas.stroke(line((x, 50), (x, 60)), colour("a8a49a"), 1.4)
    upper = drawn(
        "M -86 40 C -90 4 -88 -24 -80 -42 C -64 -34 -44 -36 -28 -48 C -8 -30 16 -20 46 -10"
        " C 80 0 94 18 92 40 Z"
    )
    canvas.volume(upper, finish.main, axis=(0.4, 1))
    heel = box(-88, -40, -68, -8, 6)
    canvas.volume(heel, finish.trim, depth=0.5)
    for x, y in ((-16, -28), (16, -14)):
        with canvas.moved(x, y, rng.uniform(18, 26)):
            canvas.volume(box(-13, -12, 13, 46, 6), finish.soft, axis=(1, 0.3))
            canvas.stroke(line((-7, 40), (7, 40)), finish.trim, 3)
    _stitches(canvas, finish, curve((50, -8), (46, 14), (52, 38)))
    for number in range(4):
        canvas.fill(oval(64 + number % 2 * 10, 6 + number * 7, 2, 2), finish.main.darker(0.7))


DESIGNS: tuple[Design, ...] = (runner, high, straps)
