"""Lamps: one with a shade, one with a jointed arm and one like a mushroom."""

from __future__ import annotations

from random import Random

from tashihiki_server.demo.canvas import Canvas
from tashihiki_server.demo.colour import colour
from tashihiki_server.demo.shapes import blob, box, curve, drawn, line, oval

from . import prints
from .finish import BRASS, Design, Finish

_GLOW = colour("fff0b0")


def shaded(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A table lamp with a cloth shade on a turned foot."""
    canvas.glow((0, 10), 88, _GLOW, 0.55)
    canvas.tube(line((0, -10), (0, 30)), BRASS, 8)
    foot = blob((-9, 12), (9, 12), (30, 36), (34, 58), (20, 74), (-20, 74), (-34, 58), (-30, 36))
    canvas.volume(foot, finish.main)
    canvas.volume(box(-30, 72, 30, 86, 5), finish.main.darker(0.12))
    wide = rng.uniform(30, 42)
    shade = drawn(f"M {-wide} -84 L {wide} -84 L 72 6 Q 0 18 -72 6 Z")
    canvas.volume(shade, finish.main, axis=(1, 0.3))
    with canvas.clip(shade):
        canvas.glow((0, 14), 62, _GLOW, 0.55)
        canvas.stroke(curve((-80, 2), (0, 14), (80, 2)), finish.trim, 6)
        canvas.stroke(line((-50, -82), (50, -82)), finish.trim, 5)
        if rng.random() < 0.5:
            for k in range(-4, 5):
                canvas.stroke(line((k * wide / 4, -84), (k * 17, 12)), finish.deep, 1.6, 0.6)
    canvas.stroke(line((22, 12), (22, 34)), BRASS, 1.6)
    canvas.fill(oval(22, 36, 3, 3), BRASS)


def jointed(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A desk lamp with two arms and a bell-shaped head."""
    canvas.volume(drawn("M -62 84 Q -62 62 -22 62 Q 18 62 18 84 Z"), finish.main)
    lift = rng.uniform(-6, 6)
    elbow, head = (-50.0, -8.0 + lift), (18.0, -62.0 + lift)
    canvas.tube(line((-22, 64), elbow), finish.main, 9)
    canvas.tube(line(elbow, head), finish.main, 9)
    for x, y in (elbow, (-22, 64)):
        canvas.volume(oval(x, y, 9, 9), finish.deep)
    with canvas.moved(head[0], head[1], rng.uniform(-38, -26)):
        beam = drawn("M -42 46 L 42 46 L 70 120 L -70 120 Z")
        canvas.gradient(beam, (0, 46), (0, 105), [_GLOW, _GLOW], [0.5, 0])
        canvas.fill(oval(0, 46, 18, 14), _GLOW)
        bell = drawn("M -14 -18 Q 0 -24 14 -18 L 18 2 Q 46 14 46 46 Q 0 56 -46 46 Q -46 14 -18 2 Z")
        canvas.volume(bell, finish.main, axis=(1, 0.3))
        canvas.stroke(curve((-44, 43), (0, 51), (44, 43)), finish.trim, 4)


def mushroom(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A lamp with a domed shade on a slim stem."""
    canvas.glow((0, 22), 84, _GLOW, 0.6)
    canvas.volume(oval(0, 76, 44, 11), finish.main)
    stem = drawn("M -10 -10 L 10 -10 Q 12 50 22 74 L -22 74 Q -12 50 -10 -10 Z")
    canvas.volume(stem, finish.main, axis=(1, 0))
    low = oval(0, -2, 74, 15)
    canvas.fill(low, _GLOW)
    canvas.stroke(low, finish.deep, 2)
    dome = drawn("M -76 -2 C -76 -62 -40 -86 0 -86 C 40 -86 76 -62 76 -2 Q 0 16 -76 -2 Z")
    canvas.volume(dome, finish.main)
    with canvas.clip(dome):
        if rng.random() < 0.5:
            prints.dots(canvas, rng.uniform(32, 40), 5.5, finish.trim)
        else:
            canvas.stroke(curve((-80, -22), (0, -4), (80, -22)), finish.trim, 5)
        canvas.stroke(curve((-52, -30), (-40, -56), (-16, -70)), colour("ffffff"), 9, 0.5, 2.5)


DESIGNS: tuple[Design, ...] = (shaded, jointed, mushroom)
