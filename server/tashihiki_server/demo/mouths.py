"""Mouths, beards included: lips around an opening that shows teeth and tongue."""

from __future__ import annotations

from math import pi, sin

from .canvas import Canvas
from .colour import WHITE, Colour, colour
from .expressions import Mouth
from .people import Person
from .shapes import Point, Shape, blob, curve, drawn, line, oval, polygon

_STEPS = 40
_THROAT = colour("4a0f18")
_TONGUE = colour("e0606a")
_TEETH = colour("fbf8f0")


def draw_mouth(canvas: Canvas, person: Person, mouth: Mouth, skin: Colour) -> None:
    """Draw the mouth of an expression around the origin."""
    _draw_beard(canvas, person, mouth)
    with canvas.moved(0, mouth.drop):
        top, bottom = _edges(mouth)
        _draw_lips(canvas, person, mouth, top, bottom)
        if mouth.above + mouth.below > 1:
            _draw_opening(canvas, mouth, top, bottom)
        else:
            canvas.stroke(curve(*top), person.lips.darker(0.75), 3)
        _draw_corners(canvas, mouth, skin, top)
    if person.beard in ("moustache", "full", "goatee"):
        _draw_moustache(canvas, person, mouth)


def _edges(mouth: Mouth) -> tuple[list[Point], list[Point]]:
    """The lower edge of the upper lip and the upper edge of the lower lip."""
    top, bottom = [], []
    for step in range(_STEPS + 1):
        t = 2 * step / _STEPS - 1
        open_part = 1 - abs(t) ** mouth.square
        if mouth.square <= 2:
            open_part = max(0.0, 1 - t * t) ** 0.5
        base = -mouth.curve * (t * t - 0.4) - mouth.tilt * t
        tremble = mouth.wave * sin(t * 2.5 * pi)
        top.append((t * mouth.width, base - mouth.above * open_part + tremble))
        bottom.append((t * mouth.width, base + mouth.below * open_part + tremble))
    return top, bottom


def _draw_lips(
    canvas: Canvas, person: Person, mouth: Mouth, top: list[Point], bottom: list[Point]
) -> None:
    upper = [(x, y - 4.5 * (1 - abs(x / mouth.width) ** 3)) for x, y in top]
    thick = 6 + 5 * mouth.pout
    lower = [(x, y + thick * (1 - abs(x / mouth.width) ** 2.4)) for x, y in bottom]
    shape = polygon(upper + lower[::-1])
    canvas.fill(shape, person.lips)
    canvas.stroke(shape, person.lips.darker(0.5), 1.2, 0.8)
    middle_x, middle_y = lower[_STEPS // 2]
    canvas.fill(oval(middle_x - 2, middle_y - thick * 0.5, 7, 1.6), WHITE, 0.4, 1)


def _draw_opening(canvas: Canvas, mouth: Mouth, top: list[Point], bottom: list[Point]) -> None:
    shape = polygon(top + bottom[::-1])
    canvas.fill(shape, _THROAT)
    middle = _STEPS // 2
    floor = bottom[middle][1]
    with canvas.clip(shape):
        if mouth.tongue and not mouth.tongue_out:
            canvas.fill(oval(0, floor + 2, mouth.width * 0.62, mouth.tongue), _TONGUE)
        _draw_teeth(canvas, mouth, top, bottom)
    canvas.stroke(shape, colour("3a0c14"), 2)
    if mouth.tongue_out:
        _draw_tongue(canvas, mouth, floor)


def _draw_teeth(canvas: Canvas, mouth: Mouth, top: list[Point], bottom: list[Point]) -> None:
    if mouth.upper_teeth:
        row = polygon(top + [(x, y + mouth.upper_teeth) for x, y in top[::-1]])
        canvas.fill(row, _TEETH)
    if mouth.lower_teeth:
        row = polygon(bottom + [(x, y - mouth.lower_teeth) for x, y in bottom[::-1]])
        canvas.fill(row, _TEETH)
    _draw_gaps(canvas, mouth, top, bottom)


def _draw_gaps(canvas: Canvas, mouth: Mouth, top: list[Point], bottom: list[Point]) -> None:
    """The lines between teeth, where many of them show."""
    gap = colour("8c8078")
    if mouth.clenched:
        middle = [(a[0], (a[1] + b[1]) / 2) for a, b in zip(top, bottom, strict=True)]
        canvas.stroke(line(*middle), gap, 1.8)
    if mouth.clenched or mouth.upper_teeth > 12:
        for number in range(-4, 5):
            x = number * mouth.width / 4.2
            canvas.stroke(line((x, -30), (x, 40)), gap, 1.2, 0.7)


def _draw_tongue(canvas: Canvas, mouth: Mouth, floor: float) -> None:
    x, wide = -mouth.tilt * 0.6, mouth.width * 0.42
    low = floor + 17
    shape = drawn(
        f"M {x - wide} {floor - 3} C {x - wide - 2} {low} {x - wide * 0.5} {low + 3} {x} {low + 3}"
        f" C {x + wide * 0.5} {low + 3} {x + wide + 2} {low} {x + wide} {floor - 3} Z"
    )
    canvas.gradient(shape, (x, floor - 4), (x, low), [_TONGUE.darker(0.35), _TONGUE.lighter(0.12)])
    canvas.stroke(shape, _TONGUE.darker(0.55), 1.6)
    canvas.stroke(curve((x, floor), (x, low - 6)), _TONGUE.darker(0.45), 1.8)


def _draw_corners(canvas: Canvas, mouth: Mouth, skin: Colour, top: list[Point]) -> None:
    dark = skin.darker(0.6)
    for side, (x, y) in ((-1, top[0]), (1, top[-1])):
        lift = 4 if mouth.curve > 3 else -4 if mouth.curve < -3 else 0
        canvas.stroke(curve((x, y), (x + side * 4, y - lift)), dark, 2.2, 0.8)
    if mouth.pout:
        canvas.stroke(curve((-9, 17), (0, 14), (9, 17)), dark, 2, 0.7)


def _draw_beard(canvas: Canvas, person: Person, mouth: Mouth) -> None:
    open_by = max(0.0, mouth.below * 0.55)
    tint = person.hair
    if person.beard == "full":
        shape = drawn(
            f"M -63 -34 C -58 -14 -46 -14 -26 -20 C -10 -26 10 -26 26 -20 C 46 -14 58 -14 63 -34"
            f" C 66 10 52 {42 + open_by} 0 {48 + open_by} C -52 {42 + open_by} -66 10 -63 -34 Z"
        )
        _draw_whiskers(canvas, shape, tint, 60, -10, 44 + open_by)
    elif person.beard == "goatee":
        low = 46 + open_by
        shape = blob((-20, 14), (0, 18), (20, 14), (21, 30), (0, low), (-21, 30))
        _draw_whiskers(canvas, shape, tint, 20, 12, low)


def _draw_whiskers(
    canvas: Canvas, shape: Shape, tint: Colour, wide: float, top: float, low: float
) -> None:
    canvas.gradient(shape, (0, top), (0, low), [tint.lighter(0.1), tint.darker(0.25)])
    with canvas.clip(shape):
        for number in range(-9, 10):
            x = number / 9 * wide
            shade = tint.lighter(0.4) if number % 2 else tint.darker(0.4)
            whisker = curve((x, top), (x * 0.9, (top + low) / 2), (x * 0.7, low))
            canvas.stroke(whisker, shade, 1.4, 0.45)
    canvas.stroke(shape, tint.darker(0.4), 1.2, 0.7)


def _draw_moustache(canvas: Canvas, person: Person, mouth: Mouth) -> None:
    tint = person.hair if person.beard != "moustache" else person.hair.darker(0.22)
    rise = mouth.drop - mouth.above - mouth.curve * -0.4 - 8
    bend = -mouth.curve * 0.45
    wide = 27 if person.beard == "moustache" else 23
    with canvas.moved(0, min(rise, -7)):
        shape = drawn(
            f"M 0 -6 C 8 -11 20 -6 {wide} {4 + bend} C 18 5 8 4 0 2"
            f" C -8 4 -18 5 {-wide} {4 + bend} C -20 -6 -8 -11 0 -6 Z"
        )
        canvas.fill(shape, tint)
        canvas.stroke(shape, tint.darker(0.4), 1.3, 0.8)
