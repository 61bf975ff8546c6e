"""Handbags: a tote, one with a flap on a chain and a round one."""

from __future__ import annotations

from random import Random

from tashihiki_server.demo.canvas import Canvas
from tashihiki_server.demo.shapes import Shape, box, curve, drawn, line, oval, polygon

from . import prints
from .finish import BRASS, Design, Finish


def _seam(canvas: Canvas, finish: Finish, along: Shape) -> None:
    canvas.stroke(along, finish.main.darker(0.6), 1.6, 0.8)


def tote(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A trapezoid bag with two handles and a tag."""
    rise = rng.uniform(-88, -76)
    canvas.tube(curve((-30, -14), (-26, -58), (0, rise - 4), (26, -58), (30, -14)), finish.deep, 8)
    body = drawn("M -56 -26 Q 0 -20 56 -26 L 80 66 Q 80 78 66 78 L -66 78 Q -80 78 -80 66 Z")
    canvas.volume(body, finish.main)
    canvas.fill(drawn("M -78 58 L 78 58 L 80 66 Q 80 78 66 78 L -66 78 Q -80 78 -80 66 Z"),
                finish.deep, 0.75)  # fmt: skip
    _seam(canvas, finish, curve((-58, -14), (0, -8), (58, -14)))
    canvas.tube(curve((-36, 2), (-32, -48), (0, rise + 8), (32, -48), (36, 2)), finish.main, 8)
    for x in (-36, 36):
        canvas.volume(polygon([(x - 8, -6), (x + 8, -6), (x + 5, 22), (x - 5, 22)]), finish.soft)
        canvas.fill(oval(x, 2, 4.2, 4.2), BRASS)
    if rng.random() < 0.6:
        canvas.stroke(line((36, 4), (40, 20)), BRASS, 1.6)
        prints.emblem(canvas, 40, 28, 9, BRASS, rng)
    else:
        canvas.volume(box(-16, 18, 16, 34, 3), BRASS, depth=0.6)


def flapped(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A wide bag with a flap, a clasp and a golden chain."""
    top = rng.uniform(-92, -80)
    points = [(-58.0, -16.0), (-44.0, -60.0), (0.0, top), (44.0, -60.0), (58.0, -16.0)]
    canvas.stroke(curve(*points), BRASS.darker(0.6), 7)
    canvas.stroke(curve(*points), BRASS, 5)
    canvas.stroke(curve(*points), BRASS.lighter(0.6), 1.6)
    canvas.volume(box(-78, -24, 78, 76, 15), finish.main)
    flap = drawn("M -80 -10 Q -80 -28 -62 -28 L 62 -28 Q 80 -28 80 -10 L 78 14 Q 40 42 0 42"
                 " Q -40 42 -78 14 Z")  # fmt: skip
    canvas.volume(flap, finish.main.lighter(0.05))
    if rng.random() < 0.5:
        with canvas.clip(flap):
            for k in range(-6, 7):
                _seam(canvas, finish, line((k * 24 - 50, -30), (k * 24 + 30, 50)))
                _seam(canvas, finish, line((k * 24 + 50, -30), (k * 24 - 30, 50)))
    canvas.volume(box(-14, 26, 14, 48, 5), BRASS)
    canvas.fill(oval(0, 37, 4, 4), BRASS.darker(0.6))


def rounded(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A plump bag with one broad handle, a zip and a pocket."""
    canvas.tube(curve((-52, 2), (-44, -56), (0, -86), (44, -56), (52, 2)), finish.deep, 10)
    body = drawn(
        "M -62 -16 Q 0 -26 62 -16 C 84 20 86 60 66 76 Q 0 88 -66 76 C -86 60 -84 20 -62 -16 Z"
    )
    canvas.volume(body, finish.main)
    _seam(canvas, finish, curve((-66, 0), (0, -9), (66, 0)))
    canvas.stroke(curve((-58, -9), (0, -17), (58, -9)), BRASS, 2.6)
    canvas.stroke(line((40, -11), (43, 6)), BRASS, 4)
    pocket = drawn("M -46 22 Q 0 14 46 22 L 52 62 Q 50 72 40 72 L -40 72 Q -50 72 -52 62 Z")
    canvas.volume(pocket, finish.soft)
    prints.emblem(canvas, 0, 45, rng.uniform(9, 13), BRASS, rng)
    for x in (-52, 52):
        canvas.volume(polygon([(x - 7, -12), (x + 7, -12), (x + 4, 14), (x - 4, 14)]), finish.soft)
        canvas.fill(oval(x, -2, 4, 4), BRASS)


DESIGNS: tuple[Design, ...] = (tote, flapped, rounded)
