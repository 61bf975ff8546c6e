"""Backpacks from the front: round, with a flap and rolled."""

from __future__ import annotations

from random import Random

from tashihiki_server.demo.canvas import Canvas
from tashihiki_server.demo.shapes import box, curve, drawn, line

from . import prints
from .finish import BRASS, METAL, OAK, Design, Finish


def _carriers(canvas: Canvas, finish: Finish, top: float) -> None:
    """The grip on top and the two shoulder straps that show at the sides."""
    grip = curve((-17, top + 8), (-14, top - 12), (14, top - 12), (17, top + 8))
    canvas.tube(grip, finish.deep, 8)
    for side in (1, -1):
        strap = curve((side * 46, top + 26), (side * 74, 0), (side * 70, 44), (side * 52, 66))
        canvas.tube(strap, finish.deep, 12)


def _zip(canvas: Canvas, along: tuple[tuple[float, float], ...], finish: Finish) -> None:
    canvas.stroke(curve(*along), finish.main.darker(0.65), 4.5)
    canvas.stroke(curve(*along), METAL, 1.6)
    x, y = along[-1]
    canvas.stroke(line((x, y), (x + 2, y + 11)), METAL, 3.4)


def rounded(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A school backpack with a round top and a front pocket."""
    _carriers(canvas, finish, -78)
    for side in (1, -1):
        canvas.volume(box(side * 58 - 15, 6, side * 58 + 15, 66, 11), finish.deep)
    body = drawn(
        "M -56 60 L -58 -30 C -58 -70 -34 -84 0 -84 C 34 -84 58 -70 58 -30 L 56 60"
        " Q 56 84 34 84 L -34 84 Q -56 84 -56 60 Z"
    )
    canvas.volume(body, finish.main)
    _zip(canvas, ((-47, -6), (-46, -38), (-28, -64), (0, -70), (28, -64), (46, -38)), finish)
    pocket = box(-42, 8 + rng.uniform(-5, 4), 42, 74, 15)
    canvas.volume(pocket, finish.soft)
    _zip(canvas, ((-34, 24), (0, 21), (34, 24)), finish)
    prints.emblem(canvas, 0, 48, 11, finish.trim, rng)
    if rng.random() < 0.6:
        canvas.volume(box(-14, -42, 14, -24, 4), finish.trim, depth=0.4)


def flapped(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A rucksack with a flap, two leather belts and buckles."""
    _carriers(canvas, finish, -76)
    for side in (1, -1):
        canvas.volume(box(side * 58 - 15, 10, side * 58 + 15, 72, 8), finish.soft)
    canvas.volume(box(-56, -66, 56, 84, 20), finish.main)
    canvas.volume(box(-42, 18, 42, 76, 10), finish.soft)
    low = 14 + rng.uniform(-8, 10)
    flap = drawn(
        f"M -58 -52 Q -58 -80 -30 -80 L 30 -80 Q 58 -80 58 -52 L 56 {low - 10}"
        f" Q 54 {low} 40 {low} L -40 {low} Q -54 {low} -56 {low - 10} Z"
    )
    canvas.volume(flap, finish.main.lighter(0.05))
    for x in (-26, 26):
        canvas.volume(box(x - 6, -34, x + 6, 52, 3), OAK, depth=0.6)
        canvas.stroke(box(x - 9, 20, x + 9, 36, 3), BRASS, 3.6)
    canvas.stroke(line((-48, low - 5), (48, low - 5)), finish.trim, 1.4, 0.7)


def rolled(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A courier's backpack with a rolled top and one belt."""
    _carriers(canvas, finish, -70)
    body = drawn("M -54 -52 L 54 -52 L 62 70 Q 62 84 48 84 L -48 84 Q -62 84 -62 70 Z")
    canvas.volume(body, finish.main)
    roll = box(-64, -80, 64, -48, 15)
    canvas.volume(roll, finish.soft, axis=(0, 1))
    canvas.stroke(line((-56, -60), (56, -60)), finish.main.darker(0.6), 2, 0.7)
    canvas.volume(box(-8, -84, 8, 30, 3), finish.trim, depth=0.5)
    canvas.stroke(box(-12, -18, 12, 2, 4), METAL, 4)
    canvas.volume(box(-46, 34 + rng.uniform(-6, 4), 46, 76, 6), finish.deep)
    _zip(canvas, ((-38, 46), (0, 46), (36, 46)), finish)


DESIGNS: tuple[Design, ...] = (rounded, flapped, rolled)
