"""Mugs: straight, round and tall."""

from __future__ import annotations

from random import Random

from tashihiki_server.demo.canvas import Canvas
from tashihiki_server.demo.colour import colour
from tashihiki_server.demo.shapes import Shape, curve, drawn, oval

from . import prints
from .finish import Design, Finish


def _inside(canvas: Canvas, finish: Finish, y: float, rx: float, ry: float, full: bool) -> None:
    canvas.volume(oval(0, y, rx, ry), finish.main.lighter(0.12))
    inner = oval(0, y + 0.8, rx - 5, ry - 3)
    canvas.gradient(inner, (0, y - ry), (0, y + ry), [finish.deep, finish.main.lighter(0.1)])
    if full:
        with canvas.clip(inner):
            coffee = oval(0, y + ry * 0.75, rx - 7, ry * 0.9)
            canvas.fill(coffee, colour("4a2a18"))
            canvas.stroke(coffee, colour("8a5a38"), 2)


def _shine(canvas: Canvas, left: float, top: float, low: float) -> None:
    streak = curve((left, top), (left - 1, (top + low) / 2), (left + 2, low))
    canvas.stroke(streak, colour("ffffff"), 9, 0.45, 2)


def _handle(canvas: Canvas, finish: Finish, along: Shape, width: float) -> None:
    canvas.tube(along, finish.main, width)


def straight(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A straight mug with stripes or an emblem."""
    swing = rng.uniform(-5, 8)
    ear = curve((48, -38), (80 + swing, -34), (86 + swing, 4), (70 + swing, 34), (46, 36))
    _handle(canvas, finish, ear, rng.uniform(14, 18))
    body = drawn("M -60 -64 L 60 -64 L 57 58 C 56 82 -56 82 -57 58 Z")
    canvas.volume(body, finish.main, axis=(1, 0))
    with canvas.clip(body):
        if rng.random() < 0.5:
            prints.bands(canvas, rng.uniform(-10, 25), 2, rng.uniform(5, 8), finish.trim)
        else:
            prints.emblem(canvas, -2, 6, 21, finish.trim, rng)
        _shine(canvas, -40, -42, 46)
    _inside(canvas, finish, -64, 60, 17, rng.random() < 0.6)


def rounded(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A round-bellied mug with an emblem or dots."""
    reach = rng.uniform(-4, 6)
    ear = curve((50, -26), (84 + reach, -30), (92 + reach, 6), (74, 34), (52, 36))
    _handle(canvas, finish, ear, 15)
    body = drawn("M -52 -56 C -84 -20 -82 44 -40 70 C -24 78 24 78 40 70 C 82 44 84 -20 52 -56 Z")
    canvas.volume(body, finish.main)
    with canvas.clip(body):
        if rng.random() < 0.6:
            prints.emblem(canvas, 0, 12, rng.uniform(22, 29), finish.trim, rng)
        else:
            prints.dots(canvas, rng.uniform(26, 34), 4.2, finish.trim)
        _shine(canvas, -50, -22, 34)
    _inside(canvas, finish, -56, 52, 14, rng.random() < 0.6)


def tall(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A tall mug that narrows towards its foot, with a pale foot and an angular handle."""
    canvas.tube(drawn("M 46 -46 L 84 -46 L 76 18 L 40 26"), finish.main, 13)
    body = drawn("M -58 -76 L 58 -76 L 42 70 C 40 86 -40 86 -42 70 Z")
    canvas.volume(body, finish.main, axis=(1, 0))
    with canvas.clip(body):
        prints.bands(canvas, 60, 1, 40, finish.trim.mixed(finish.main, 0.15))
        if rng.random() < 0.5:
            prints.bands(canvas, rng.uniform(-50, 30), 3, 3, finish.trim)
        _shine(canvas, -38, -52, 44)
    _inside(canvas, finish, -76, 58, 15, rng.random() < 0.6)


DESIGNS: tuple[Design, ...] = (straight, rounded, tall)
