"""T-shirts, laid flat: round neck, V-neck and polo."""

from __future__ import annotations

from random import Random

from tashihiki_server.demo.canvas import Canvas
from tashihiki_server.demo.shapes import Shape, box, curve, drawn, line, oval, polygon

from . import prints
from .finish import Design, Finish


def _outline(sleeve: float, low: float) -> Shape:
    """A shirt; `sleeve` says how far down the sleeves reach."""
    tip, under = -26 + sleeve, -8 + sleeve
    return drawn(
        f"M -26 -82 Q 0 -70 26 -82 L 50 -74 Q 66 -64 92 {tip} L 66 {under} L 50 -26"
        f" C 48 10 50 50 53 {low} Q 0 {low + 7} -53 {low}"
        f" C -50 50 -48 10 -50 -26 L -66 {under} L -92 {tip} Q -66 -64 -50 -74 Z"
    )


def _cloth(canvas: Canvas, finish: Finish, body: Shape, rng: Random) -> None:
    """The body of a shirt with its folds and seams."""
    canvas.volume(body, finish.main, axis=(0.7, 0.7), depth=0.75)
    with canvas.clip(body):
        for side in (1, -1):
            _folds(canvas, finish, side, rng)
            seam = curve((side * 52, -72), (side * 45, -48), (side * 50, -24))
            canvas.stroke(seam, finish.main.darker(0.6), 1.8, 0.75)
        hem = curve((-52, 72), (0, 78), (52, 72))
        canvas.stroke(hem, finish.main.darker(0.6), 1.4, 0.6)


def _folds(canvas: Canvas, finish: Finish, side: int, rng: Random) -> None:
    """Soft folds that run from the armpit and up from the hem."""
    y = rng.uniform(-8, 4)
    armpit = curve((side * 52, -24), (side * 40, y), (side * 34, y + 30))
    start = side * rng.uniform(18, 42)
    hem = curve((start, 86), (start - side * 4, 60), (start - side * rng.uniform(2, 12), 36))
    for fold in (armpit, hem):
        canvas.stroke(fold, finish.main.darker(0.65), 5, 0.32, 2.5)
        with canvas.moved(-side * 5, 0):
            canvas.stroke(fold, finish.main.lighter(0.8), 4, 0.3, 2)


def round_neck(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A shirt with a round neck and a print on the chest."""
    body = _outline(rng.uniform(-4, 6), 80)
    _cloth(canvas, finish, body, rng)
    neck = drawn("M -26 -82 Q 0 -72 26 -82 C 22 -52 -22 -52 -26 -82 Z")
    canvas.fill(neck, finish.deep)
    canvas.stroke(curve((-27, -81), (-15, -63), (0, -58), (15, -63), (27, -81)), finish.deep, 7)
    canvas.stroke(curve((-27, -81), (-15, -63), (0, -58), (15, -63), (27, -81)), finish.soft, 4.6)
    if rng.random() < 0.7:
        prints.emblem(canvas, 0, -8, rng.uniform(16, 25), finish.trim, rng)
    else:
        with canvas.clip(body & box(-60, -60, 60, 100)):
            prints.bands(canvas, -30, 2, 9, finish.trim)


def v_neck(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A shirt with a V-neck, bordered sleeves and a pocket."""
    body = _outline(4, 82)
    _cloth(canvas, finish, body, rng)
    canvas.fill(polygon([(-25, -82), (0, -76), (25, -82), (0, -34)]), finish.deep)
    canvas.stroke(line((-25, -82), (0, -34), (25, -82)), finish.trim, 5)
    with canvas.clip(body):
        for side in (1, -1):
            cuff = line((side * 95, -22), (side * 64, -2))
            canvas.stroke(cuff, finish.trim, rng.uniform(7, 12))
        if rng.random() < 0.5:
            canvas.stroke(line((-80, 76), (80, 76)), finish.trim, 7)
    pocket = drawn("M 12 -22 L 38 -22 L 38 2 L 25 10 L 12 2 Z")
    canvas.volume(pocket, finish.soft, depth=0.4)


def polo(canvas: Canvas, finish: Finish, rng: Random) -> None:
    """A polo shirt with a collar and buttons."""
    body = _outline(8, 80)
    _cloth(canvas, finish, body, rng)
    canvas.fill(polygon([(-22, -82), (22, -82), (8, -60), (-8, -60)]), finish.deep)
    canvas.volume(box(-7, -60, 7, -16, 2), finish.soft, depth=0.4)
    for side in (1, -1):
        flap = polygon([(side * 24, -88), (side * 34, -78), (side * 20, -50), (side * 3, -60)])
        canvas.volume(flap, finish.soft, depth=0.5)
    for y in (-50, -37, -24):
        canvas.fill(oval(0, y, 2.6, 2.6), finish.trim)
    if rng.random() < 0.6:
        prints.emblem(canvas, 27, -30, 8, finish.trim, rng)


DESIGNS: tuple[Design, ...] = (round_neck, v_neck, polo)
