"""One face: a person who sits in a pose and shows an expression."""

from __future__ import annotations

from random import Random

from . import features, hair
from .canvas import Canvas
from .colour import WHITE, Colour, colour
from .expressions import Expression
from .people import Person
from .pose import Light, Pose
from .scenery import draw_scenery
from .shapes import Shape, blob, box, curve, mirrored, oval


def draw_face(
    canvas: Canvas, person: Person, look: Expression, pose: Pose, light: Light, rng: Random
) -> None:
    """Draw a whole portrait, background and light included."""
    draw_scenery(canvas, rng)
    skin = _tinted(person.skin, look)
    with canvas.moved(pose.x, pose.y + look.lower_head, pose.tilt, pose.scale, pose.scale):
        x, y = pose.shift(-3)
        with canvas.moved(x, y):
            hair.draw_behind(canvas, person, rng)
        _draw_body(canvas, person, skin, rng)
        _draw_head(canvas, person, look, skin, pose)
        features.draw_features(canvas, person, look, skin, pose, rng)
        x, y = pose.shift(3)
        with canvas.moved(x, y):
            hair.draw_before(canvas, person, rng)
        features.draw_brows(canvas, person, look, pose)
        features.draw_glasses(canvas, person, pose)
    _draw_light(canvas, light)


def _tinted(skin: Colour, look: Expression) -> Colour:
    return skin.mixed(colour(look.tint), look.tint_amount * 0.5) if look.tint else skin


def _draw_body(canvas: Canvas, person: Person, skin: Colour, rng: Random) -> None:
    neck = box(-25, 50, 25, 118, 10)
    canvas.gradient(neck, (0, 60), (0, 118), [skin.darker(0.45), skin.darker(0.12)])
    cloth = person.clothes[rng.randrange(2)]
    shoulders = blob(
        (-26, 98), (0, 110), (26, 98), (70, 112), (100, 140), (110, 230), (-110, 230),
        (-100, 140), (-70, 112),
    )  # fmt: skip
    canvas.volume(shoulders, cloth, axis=(0.3, 1), depth=0.7)
    collar = curve((-27, 99), (0, 114), (27, 99))
    canvas.stroke(collar, cloth.darker(0.35), 6)
    canvas.stroke(collar, cloth.lighter(0.35), 3)


def head_shape(person: Person, look: Expression) -> Shape:
    """The outline of the head; the chin goes down as the jaw opens."""
    head, jaw = person.head, look.jaw
    right = [
        (0.0, -84.0),
        (head.forehead * 0.66, -74),
        (head.forehead, -42),
        (head.cheek, 2),
        (head.jaw, 44 + jaw * 0.5),
        (head.chin, head.bottom - 7 + jaw),
        (0, head.bottom + jaw),
    ]
    return blob(*mirrored(right))


def _draw_head(canvas: Canvas, person: Person, look: Expression, skin: Colour, pose: Pose) -> None:
    for side in (1, -1):
        _draw_ear(canvas, person, skin, side, pose)
    shape = head_shape(person, look)
    with canvas.moved(0, 7):
        canvas.fill(shape, skin.darker(0.75), 0.3, 5)
    canvas.gradient(shape, (-50, -70), (60, 90), [skin.lighter(0.18), skin, skin.darker(0.2)])
    with canvas.clip(shape):
        canvas.stroke(shape, skin.darker(0.6), 12, 0.28, 6)
        if look.tint:
            canvas.glow((0, -66), 96, colour(look.tint), look.tint_amount)
        _draw_cheeks(canvas, look, pose)
        _draw_stubble(canvas, person)
    canvas.stroke(shape, skin.darker(0.62), 1.6, 0.85)


def _draw_ear(canvas: Canvas, person: Person, skin: Colour, side: int, pose: Pose) -> None:
    x = side * (person.head.cheek - 1) - pose.yaw * 4
    canvas.volume(oval(x, 6, 10, 16), skin.darker(0.06), depth=0.6)
    canvas.stroke(curve((x - 3, 0), (x + side * 3, 4), (x - 2, 12)), skin.darker(0.45), 2, 0.6)
    if person.earrings == "hoops":
        canvas.stroke(oval(x + side * 3, 38, 13, 16), person.earring_colour.darker(0.4), 5)
        canvas.stroke(oval(x + side * 3, 38, 13, 16), person.earring_colour, 3.4)
    elif person.earrings == "pearls":
        canvas.volume(oval(x + side, 26, 7, 7), person.earring_colour)


def _draw_cheeks(canvas: Canvas, look: Expression, pose: Pose) -> None:
    blush = colour("e0503c") if look.code == "AN" else colour("f06a6a")
    amount = {"HA": 0.5, "AN": 0.45, "FE": 0.05, "DI": 0.08, "SU": 0.25}.get(look.code, 0.2)
    x, _ = pose.shift(7)
    for side in (1, -1):
        canvas.glow((side * 40 + x, 24 - look.cheeks * 3), 25, blush, amount)


def _draw_stubble(canvas: Canvas, person: Person) -> None:
    if person.stubble:
        canvas.glow((0, 74), 46, person.hair.mixed(colour("405060"), 0.6), 0.2)


def _draw_light(canvas: Canvas, light: Light) -> None:
    everything = box(0, 0, canvas.size, canvas.size)
    start, end = ((60.0, 0.0), (256.0, 160.0)) if light.from_left else ((196.0, 0.0), (0.0, 160.0))
    dark = colour("100a20")
    canvas.gradient(everything, start, end, [dark, dark], [0, light.shade])
    canvas.gradient(everything, end, start, [WHITE, WHITE], [0, light.shade * 0.2])
    canvas.wash(light.tone, light.tone_amount)
    canvas.wash(WHITE if light.brightness > 0 else dark, abs(light.brightness))
    canvas.stroke(box(-30, -30, 286, 286, 60), dark, 90, light.vignette, 30)
