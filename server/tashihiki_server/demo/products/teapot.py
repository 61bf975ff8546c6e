"""Teapots: round, tall and flat with a hoop."""

from __future__ import annotations

from random import Random

from tashihiki_server.demo.canvas import Canvas
from tashihiki_server.demo.colour import colour
from tashihiki_server.demo.shapes import box, curve, drawn, oval

from . import prints
from .finish import OAK, Design, Finish


def _shine(canvas: Canvas, points: tuple[tuple[float, float], ...]) -> None:
    canvas.stroke(curve(*points), colour("ffffff"), 10, 0.5, 2.5)


def rounded(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A round teapot with a curved spout and an ear-shaped handle."""
    canvas.tube(curve((-46, -26), (-84, -36), (-90, 4), (-72, 36), (-48, 40)), finish.main, 13)
    spout = drawn("M 40 30 C 70 30 62 -14 86 -40 L 100 -32 C 92 -4 90 54 44 60 Z")
    canvas.volume(spout, finish.main)
    canvas.volume(box(-34, 66, 34, 82, 6), finish.main.darker(0.1))
    body = oval(0, 18, 62, 56)
    canvas.volume(body, finish.main)
    with canvas.clip(body):
        if rng.random() < 0.5:
            prints.dots(canvas, rng.uniform(26, 32), 4.5, finish.trim)
        else:
            prints.emblem(canvas, 2, 22, rng.uniform(19, 26), finish.trim, rng)
        _shine(canvas, ((-44, 14), (-36, -10), (-18, -26)))
    canvas.volume(drawn("M -36 -34 C -28 -58 28 -58 36 -34 Q 0 -24 -36 -34 Z"), finish.soft)
    canvas.volume(oval(0, -62, 10, 10), finish.main)


def tall(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A tall pot that widens downwards, with bands."""
    reach = rng.uniform(-4, 4)
    canvas.tube(drawn(f"M -34 -44 C {-92 + reach} -60 {-92 + reach} 40 -46 44"), finish.main, 12)
    spout = drawn("M 44 34 C 64 26 62 -22 82 -44 L 96 -42 C 86 -14 88 44 50 58 Z")
    canvas.volume(spout, finish.main)
    body = drawn("M -32 -58 L 32 -58 C 40 -10 56 30 56 62 Q 56 80 36 80 L -36 80"
                 " Q -56 80 -56 62 C -56 30 -40 -10 -32 -58 Z")  # fmt: skip
    canvas.volume(body, finish.main)
    with canvas.clip(body):
        prints.bands(canvas, rng.uniform(20, 36), 2, 7, finish.trim)
        _shine(canvas, ((-26, -40), (-32, -4), (-40, 30)))
    canvas.volume(drawn("M -36 -56 C -32 -82 32 -82 36 -56 Q 0 -48 -36 -56 Z"), finish.soft)
    canvas.volume(oval(0, -83, 8, 8), finish.main)


def hooped(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A flat cast pot with a wooden grip on a hoop above the lid."""
    hoop = curve((-52, -8), (-56, -60), (0, -88), (56, -60), (52, -8))
    canvas.tube(hoop, finish.deep, 8)
    canvas.tube(curve((-30, -79), (0, -88), (30, -79)), OAK, 12)
    canvas.volume(drawn("M 54 14 L 90 -22 L 104 -14 L 72 46 Z"), finish.main)
    body = drawn(
        "M -74 22 C -74 -24 74 -24 74 22 C 74 58 48 78 36 78 L -36 78 C -48 78 -74 58 -74 22 Z"
    )
    canvas.volume(body, finish.main)
    with canvas.clip(body):
        step = rng.uniform(13, 18)
        for row in range(5):
            for column in range(-6, 7):
                x = column * step + (step / 2 if row % 2 else 0)
                y = 8 + row * 12
                canvas.fill(oval(x, y, 3.2, 3.2), finish.deep)
                canvas.fill(oval(x - 1, y - 1, 2.2, 2.2), finish.soft)
        _shine(canvas, ((-58, 20), (-48, 2), (-26, -6)))
    canvas.volume(drawn("M -40 -10 C -34 -32 34 -32 40 -10 Q 0 0 -40 -10 Z"), finish.soft)
    canvas.volume(oval(0, -32, 9, 8), OAK)


DESIGNS: tuple[Design, ...] = (rounded, tall, hooped)
