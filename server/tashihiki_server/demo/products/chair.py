"""Chairs: a wooden one, an armchair and one for the desk."""

from __future__ import annotations

from random import Random

from tashihiki_server.demo.canvas import Canvas
from tashihiki_server.demo.shapes import box, curve, drawn, line, oval, polygon

from . import prints
from .finish import METAL, OAK, Design, Finish


def wooden(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A painted wooden chair, seen a little from the side."""
    deep = finish.main.darker(0.18)
    for foot, top in (((52, 62), (42, 6)), ((-26, 60), (-26, 4))):
        canvas.tube(line(top, foot), deep, 9)
    for x in (-40, 34):
        canvas.tube(line((x, -84), (x + 2, 12)), finish.main, 10)
    if rng.random() < 0.5:
        for x in (-22, -3, 16):
            canvas.tube(line((x, -66), (x + 1, 4)), finish.main, 7)
    else:
        for y in (-44, -22):
            canvas.volume(box(-38, y - 6, 34, y + 6, 4), finish.main)
    canvas.volume(drawn("M -46 -84 Q -3 -96 40 -84 L 40 -64 Q -3 -74 -46 -64 Z"), finish.main)
    for x in (-50, 40):
        canvas.tube(line((x, 20), (x - 3, 86)), finish.main, 10)
    canvas.tube(line((-48, 56), (38, 56)), finish.main, 6)
    canvas.volume(polygon([(-40, 0), (46, 0), (56, 22), (-62, 22)]), finish.main.lighter(0.08))
    canvas.volume(box(-62, 21, 56, 33, 3), finish.main, axis=(0.4, 1))


def armchair(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """An upholstered armchair on short legs."""
    for x in (-56, 56):
        canvas.tube(line((x, 64), (x * 1.06, 86)), OAK, 10)
    back = drawn("M -56 40 L -58 -46 Q -58 -84 -24 -84 L 24 -84 Q 58 -84 58 -46 L 56 40 Z")
    canvas.volume(back, finish.main)
    if rng.random() < 0.6:
        for x, y in ((-24, -56), (24, -56), (0, -36), (-24, -16), (24, -16)):
            canvas.fill(oval(x, y, 4, 4), finish.deep)
            canvas.fill(oval(x - 1, y - 1, 1.5, 1.5), finish.soft)
    else:
        for x in (-20, 20):
            canvas.stroke(line((x, -78), (x, 8)), finish.main.darker(0.6), 2, 0.6)
    canvas.volume(box(-58, 32, 58, 72, 8), finish.main.darker(0.06))
    canvas.volume(box(-52, 6, 52, 40, 14), finish.soft)
    for side in (1, -1):
        arm = drawn(
            f"M {side * 48} 72 L {side * 48} 0 Q {side * 48} -18 {side * 64} -18"
            f" Q {side * 84} -18 {side * 84} 2 L {side * 80} 66 Q {side * 80} 72 {side * 72} 72 Z"
        )
        canvas.volume(arm, finish.main)


def desk(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A swivel chair on five castors."""
    for x, y in ((-56, 74), (56, 74), (-28, 82), (28, 82), (0, 86)):
        canvas.tube(line((0, 58), (x, y - 6)), METAL.darker(0.35), 7)
        canvas.volume(oval(x, y, 7, 7), METAL.darker(0.75))
    canvas.tube(line((0, 32), (0, 58)), METAL, 11)
    back = drawn("M -42 -4 C -52 -50 -50 -88 -24 -90 L 24 -90 C 50 -88 52 -50 42 -4 Q 0 6 -42 -4 Z")
    canvas.tube(line((0, 0), (0, 28)), METAL.darker(0.4), 12)
    canvas.volume(back, finish.main)
    with canvas.clip(back):
        if rng.random() < 0.5:
            prints.bands(canvas, -74, 7, 3, finish.deep)
        else:
            canvas.stroke(curve((-44, -36), (0, -28), (44, -36)), finish.deep, 4)
    for side in (1, -1):
        rest = curve((side * 50, 26), (side * 66, 10), (side * 64, -16))
        canvas.tube(rest, METAL.darker(0.5), 6)
        canvas.volume(box(side * 62 - 12, -24, side * 62 + 12, -13, 5), finish.deep)
    canvas.volume(drawn("M -50 12 Q 0 2 50 12 L 60 32 Q 0 48 -60 32 Z"), finish.soft)


DESIGNS: tuple[Design, ...] = (wooden, armchair, desk)
