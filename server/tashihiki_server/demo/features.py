"""The parts of a face that move: brows, eyes, nose, mouth and the marks around them."""

from __future__ import annotations

from random import Random

from . import mouths
from .canvas import Canvas
from .colour import WHITE, Colour, colour
from .expressions import Expression, Eyes
from .people import Person
from .pose import Pose
from .shapes import Shape, blob, box, curve, drawn, oval, polygon

INK = colour("1d1420")


def draw_features(
    canvas: Canvas, person: Person, look: Expression, skin: Colour, pose: Pose, rng: Random
) -> None:
    """Draw everything on the face but hair, brows and glasses."""
    x, y = pose.shift(8)
    with canvas.moved(x, y):
        _draw_freckles(canvas, person, skin)
        _draw_lines(canvas, person, look, skin)
        for side in (1, -1):
            _draw_eye(canvas, person, look.eyes, skin, side, pose)
    x, y = pose.shift(9)
    with canvas.moved(x, y + 48 + look.jaw * 0.25):
        mouths.draw_mouth(canvas, person, look.mouth, skin)
    x, y = pose.shift(15)
    with canvas.moved(x, y):
        _draw_nose(canvas, person, look, skin)
        if person.mole:
            canvas.fill(oval(*person.mole, 2.8, 2.8), colour("4a2a1c"))
    _draw_drops(canvas, person, look, rng)


def _narrow(side: int, pose: Pose) -> float:
    """How much narrower the eye on the far side of a turned head looks."""
    return 1 - 0.13 * max(0.0, pose.yaw * side)


def _eye_shape(person: Person, eyes: Eyes) -> Shape:
    """The open eye with its inner corner to the left."""
    width, high = person.eye_width, person.eye_height
    inner, outer = -high * 1.4 * eyes.lid_inner, -high * 1.4 * eyes.lid_outer
    low, tilt = high * 1.25 * eyes.lower, person.eye_tilt
    return drawn(
        f"M {-width} 2 C {-width * 0.6} {2 + inner} {width * 0.6} {tilt + outer} {width} {tilt}"
        f" C {width * 0.6} {tilt + low} {-width * 0.6} {2 + low} {-width} 2 Z"
    )


def _upper_lid(person: Person, eyes: Eyes, lift: float) -> Shape:
    width, high = person.eye_width, person.eye_height
    inner = -high * 1.4 * eyes.lid_inner - lift
    outer = -high * 1.4 * eyes.lid_outer - lift
    tilt = person.eye_tilt
    return drawn(
        f"M {-width} {2 - lift * 0.5} C {-width * 0.6} {2 + inner} {width * 0.6} {tilt + outer}"
        f" {width + 1} {tilt - lift * 0.5}"
    )


def _draw_eye(
    canvas: Canvas, person: Person, eyes: Eyes, skin: Colour, side: int, pose: Pose
) -> None:
    with canvas.moved(side * person.eye_apart, -7, 0, side * _narrow(side, pose)):
        canvas.glow((0, -2), person.eye_width * 1.5, skin.darker(0.6), 0.22)
        if eyes.shut:
            _draw_shut_eye(canvas, person)
            return
        shape = _eye_shape(person, eyes)
        canvas.fill(shape, colour("fcfaf6"))
        with canvas.clip(shape):
            _draw_iris(canvas, person, eyes, eyes.gaze * side + pose.yaw * 2 * side)
            canvas.stroke(_upper_lid(person, eyes, 0), INK, 7, 0.28, 2)
        canvas.stroke(shape, skin.darker(0.65), 1.2, 0.8)
        canvas.stroke(_upper_lid(person, eyes, 0), INK, person.lashes)
        if person.lashes > 2.5:
            _draw_lashes(canvas, person)
        canvas.stroke(_upper_lid(person, eyes, 5), skin.darker(0.5), 1.4, 0.6)
        if eyes.lower < 0.5:
            low = curve((-person.eye_width, 8), (0, 10), (person.eye_width, 7))
            canvas.stroke(low, skin.darker(0.5), 1.6, 0.7)


def _draw_lashes(canvas: Canvas, person: Person) -> None:
    x, y = person.eye_width, person.eye_tilt
    canvas.fill(polygon([(x - 4, y - 3), (x + 6, y - 6), (x, y + 2)]), INK)


def _draw_shut_eye(canvas: Canvas, person: Person) -> None:
    width = person.eye_width
    canvas.stroke(curve((-width, 4), (0, -6), (width, 4)), INK, person.lashes + 1.2)
    if person.lashes > 2.5:
        canvas.stroke(curve((width, 4), (width + 5, 1)), INK, 2)


def _draw_iris(canvas: Canvas, person: Person, eyes: Eyes, x: float) -> None:
    size = person.eye_height * 0.86 * eyes.iris
    y = -1.0
    iris = person.iris
    canvas.fill(oval(x, y, size + 0.8, size + 0.8), iris.darker(0.7))
    shades = [iris.darker(0.35), iris.lighter(0.25)]
    canvas.gradient(oval(x, y, size, size), (x, y - size), (x, y + size), shades)
    canvas.fill(oval(x, y, size * 0.5, size * 0.5), INK)
    canvas.fill(oval(x - size * 0.35, y - size * 0.4, size * 0.26, size * 0.26), WHITE)


def draw_brows(canvas: Canvas, person: Person, look: Expression, pose: Pose) -> None:
    """Draw both brows, thick at the nose and thin at the temples."""
    tint = person.brow_colour or person.hair.darker(0.1)
    brows, thick = look.brows, person.brow_width
    x, y = pose.shift(8)
    for side in (1, -1):
        lift = -brows.uneven if side > 0 else 0
        inner = (person.eye_apart - 16 - brows.squeeze, -28 + brows.inner + lift * 0.4)
        middle = (person.eye_apart + 2, -33 + brows.middle + lift)
        outer = (person.eye_apart + 21, -27 + brows.outer + lift)
        shape = blob(
            (inner[0], inner[1] - thick * 0.5), (middle[0], middle[1] - thick * 0.5), outer,
            (middle[0], middle[1] + thick * 0.5), (inner[0], inner[1] + thick * 0.55),
        )  # fmt: skip
        with canvas.moved(x, y, 0, side):
            canvas.fill(shape, tint)
            canvas.stroke(shape, tint.darker(0.3), 1, 0.7)


def _draw_nose(canvas: Canvas, person: Person, look: Expression, skin: Colour) -> None:
    wide, high, low = {
        "button": (8.0, 6.0, 22.0),
        "long": (9.5, 8.0, 27.0),
        "broad": (14.0, 8.0, 24.0),
        "big": (15.0, 11.0, 27.0),
    }[person.nose]
    low -= look.nose_wrinkle * 5
    wide += look.nostrils * 3
    dark = skin.darker(0.55)
    if person.nose in ("long", "big"):
        canvas.stroke(curve((5, -10), (7, 4), (10, low - 6)), dark, 2, 0.45)
    canvas.glow((3, low - 3), wide * 1.5, skin.mixed(colour("d04830"), 0.4), 0.4)
    canvas.glow((-3, low - high), wide * 0.8, WHITE, 0.45)
    base = curve((-wide, low - 1), (-wide * 0.5, low + 3), (0, low + 4),
                 (wide * 0.5, low + 3), (wide, low - 1))  # fmt: skip
    canvas.stroke(base, dark, 2, 0.75)
    for side in (1, -1):
        wing = curve((side * (wide - 1), low - 8), (side * (wide + 2), low - 2),
                     (side * (wide - 2), low + 2))  # fmt: skip
        canvas.stroke(wing, dark, 2 + look.nostrils, 0.75)
        canvas.fill(oval(side * wide * 0.5, low + 1, 2.4 + look.nostrils, 1.6), dark, 0.7)
    if look.nose_wrinkle:
        for number in range(3):
            y = -7 + number * 6
            canvas.stroke(curve((-9, y + 3), (0, y - 2), (9, y + 3)), dark, 2.2, 0.8)
        for side in (1, -1):
            canvas.stroke(curve((side * 10, -2), (side * 14, 8)), dark, 2, 0.7)


def _draw_lines(canvas: Canvas, person: Person, look: Expression, skin: Colour) -> None:
    dark = skin.darker(0.55)
    for number in range(3 if look.forehead else 0):
        y = -52 - number * 8.5
        wide = 26 - number * 4
        sag = 4 if look.code in ("FE", "SA") else -3
        row = curve((-wide, y), (0, y + sag), (wide, y))
        canvas.stroke(row, dark, 1.8, 0.65 * look.forehead)
    for side in (1, -1):
        if look.frown:
            crease = curve((side * 5, -34), (side * 3.5, -26), (side * 4.5, -18))
            canvas.stroke(crease, dark, 2.6, 0.8 * look.frown)
        if look.folds:
            fold = curve((side * 15, 24), (side * 30, 34), (side * 35, 50))
            canvas.stroke(fold, dark, 2.2, 0.5 * look.folds)
        if look.cheeks:
            bag = curve((side * 16, 9), (side * 30, 13), (side * 44, 7))
            canvas.stroke(bag, dark, 1.6, 0.5)
        if person.wrinkles:
            _draw_wrinkles(canvas, dark, side)


def _draw_wrinkles(canvas: Canvas, dark: Colour, side: int) -> None:
    for y in (-9, -4, 1):
        canvas.stroke(curve((side * 47, y * 0.7), (side * 54, y * 1.5)), dark, 1.3, 0.5)
    canvas.stroke(curve((side * 14, 7), (side * 27, 13), (side * 40, 8)), dark, 1.4, 0.45)
    canvas.stroke(curve((side * 17, 26), (side * 25, 34), (side * 28, 44)), dark, 1.5, 0.4)


def _draw_freckles(canvas: Canvas, person: Person, skin: Colour) -> None:
    if not person.freckles:
        return
    # The freckles belong to the person: every shot shows the same ones.
    fixed = Random(person.code)
    for number in range(34):
        x = (1 if number % 2 else -1) * abs(fixed.gauss(28, 13))
        size = fixed.uniform(1, 1.9)
        canvas.fill(oval(x, fixed.gauss(19, 6), size, size), skin.mixed(colour("a04a18"), 0.6))


def _draw_drops(canvas: Canvas, person: Person, look: Expression, rng: Random) -> None:
    side = 1 if rng.random() < 0.5 else -1
    if look.sweat:
        for x, y, size in ((50, -38, 1.0), (58, -8, 0.75)):
            _draw_drop(canvas, side * x, y, size)
    if look.tear:
        _draw_drop(canvas, side * (person.eye_apart + 8), 14, 1.05)


def _draw_drop(canvas: Canvas, x: float, y: float, size: float) -> None:
    with canvas.moved(x, y, 0, size, size):
        shape = drawn(
            "M 0 -13 C 3 -5 7 -1 7 4 C 7 9 3 11 0 11 C -3 11 -7 9 -7 4 C -7 -1 -3 -5 0 -13 Z"
        )
        canvas.gradient(shape, (-6, -8), (6, 10), [colour("d8f0ff"), colour("58aef0")])
        canvas.stroke(shape, colour("2a6fb0"), 1.3, 0.9)
        canvas.fill(oval(-2.5, 3, 1.8, 3), WHITE, 0.9)


def draw_glasses(canvas: Canvas, person: Person, pose: Pose) -> None:
    """Draw the glasses, if the person wears any."""
    if not person.glasses:
        return
    tint = person.glasses_colour
    x, y = pose.shift(10)
    with canvas.moved(x, y):
        for side in (1, -1):
            with canvas.moved(side * person.eye_apart, -5, 0, side):
                lens = _lens(person.glasses)
                canvas.fill(lens, WHITE, 0.1)
                canvas.stroke(lens, tint, 4)
                canvas.stroke(curve((-10, -10), (-14, -2)), WHITE, 3, 0.6)
                canvas.stroke(curve((23, -6), (36, -4)), tint, 4)
        canvas.stroke(curve((-6, -8), (0, -11), (6, -8)), tint, 4)


def _lens(kind: str) -> Shape:
    if kind == "round":
        return oval(0, 0, 23, 22)
    if kind == "square":
        return box(-22, -16, 22, 17, 5)
    return drawn("M -21 -10 C -10 -16 14 -18 28 -22 C 27 0 22 17 2 17 C -14 17 -22 6 -21 -10 Z")
