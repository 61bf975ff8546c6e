"""Six surfaces on which the things for sale lie or stand."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from random import Random

import numpy as np

from .canvas import Canvas, Pixels
from .colour import WHITE, Colour, colour
from .noise import Field, cloud_field, grain, smooth_field
from .shapes import blob, box, curve, line, polygon

# A texture is larger than a picture, so that every picture shows another part of it.
_TEXTURE = 512
_SPREAD = 4


def background(name: str, seed: int, rng: Random, size: int) -> Pixels:
    """A part of the named surface, as wide and high as a picture, with an alpha channel."""
    texture = _texture(name, seed, rng.randrange(_SPREAD))
    room = _TEXTURE - size
    x, y = rng.randrange(room), rng.randrange(room)
    if name in _FIXED_HORIZON:
        y = room // 2 + rng.randrange(-18, 19)
    part = texture[y : y + size, x : x + size]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    return np.ascontiguousarray(part)


@lru_cache(maxsize=64)
def _texture(name: str, seed: int, number: int) -> Pixels:
    rng = Random(f"{seed}:{name}:{number}")
    canvas = Canvas(_TEXTURE)
    _DRAWERS[name](canvas, rng)
    source = np.random.default_rng(rng.randrange(2**32))
    light = _reliefs(name, source)
    rows = canvas.pixels().astype(np.float32) * (1 + light[:, :, None])
    texture = np.full((_TEXTURE, _TEXTURE, 4), 255, np.uint8)
    texture[:, :, :3] = np.clip(rows, 0, 255).astype(np.uint8)
    return texture


def _reliefs(name: str, source: np.random.Generator) -> Field:
    """How much lighter or darker every point of a surface is."""
    clouds = cloud_field(source, _TEXTURE, 6) - np.float32(0.5)
    if name == "wood":
        fibres = smooth_field(source, _TEXTURE, 10, 256) - np.float32(0.5)
        planks: Field = fibres * np.float32(0.3) + clouds * np.float32(0.16)
        return planks
    strength = {"studio": 0.004, "beach": 0.045, "tiles": 0.012, "bricks": 0.13, "grass": 0.12}
    stains = np.float32(0.02 if name == "studio" else 0.14)
    relief: Field = grain(source, _TEXTURE, strength[name]) + clouds * stains
    return relief


def _studio(canvas: Canvas, rng: Random) -> None:
    tint = colour(rng.choice(["d3d7dd", "c9ccd1", "d9d6d2", "c5cad3"]))
    canvas.gradient(box(0, 0, _TEXTURE, _TEXTURE), (256, 120), (256, 300), [tint.darker(0.1), tint])
    floor = box(0, 300, _TEXTURE, _TEXTURE)
    canvas.gradient(floor, (0, 300), (0, 420), [tint, tint.lighter(0.25)])


def _wood(canvas: Canvas, rng: Random) -> None:
    tint = colour(rng.choice(["b47a45", "a3693a", "c08a52", "8f5b34"]))
    canvas.wash(tint)
    top = -20.0
    while top < _TEXTURE:
        high = rng.uniform(46, 60)
        plank = tint.mixed(colour(rng.choice(["5e3318", "e0b27a"])), rng.uniform(0, 0.24))
        canvas.fill(box(0, top, _TEXTURE, top + high), plank)
        _draw_rings(canvas, rng, plank, top, high)
        canvas.stroke(line((0, top), (_TEXTURE, top)), tint.darker(0.75), 3)
        canvas.stroke(line((0, top + 2), (_TEXTURE, top + 2)), tint.lighter(0.4), 1.2, 0.6)
        joint = rng.uniform(0, _TEXTURE)
        canvas.stroke(line((joint, top), (joint, top + high)), tint.darker(0.7), 2.4)
        top += high


def _draw_rings(canvas: Canvas, rng: Random, plank: Colour, top: float, high: float) -> None:
    with canvas.clip(box(0, top, _TEXTURE, top + high)):
        for _ in range(9):
            y = top + rng.uniform(0, high)
            bend = [(x, y + rng.uniform(-4, 4)) for x in range(-20, _TEXTURE + 100, 90)]
            canvas.stroke(curve(*bend), plank.darker(0.5), rng.uniform(0.8, 2), 0.45)
        for _ in range(2):
            x, y = rng.uniform(0, _TEXTURE), top + rng.uniform(10, high - 10)
            for ring in (14, 9, 4):
                shape = blob((x - ring * 2, y), (x, y - ring), (x + ring * 2, y), (x, y + ring))
                canvas.stroke(shape, plank.darker(0.6), 1.5, 0.5)


def _grass(canvas: Canvas, rng: Random) -> None:
    canvas.wash(colour("3c7a2a"))
    greens = [colour(code) for code in ("2f6a20", "4f9a34", "6fba44", "8fd058", "3f8a2c")]
    for number in range(2600):
        x, y = rng.uniform(0, _TEXTURE), number / 2600 * (_TEXTURE + 30)
        lean, high = rng.uniform(-9, 9), rng.uniform(14, 30)
        blade = polygon([(x - 1.8, y), (x + lean, y - high), (x + 1.8, y)])
        canvas.fill(blade, rng.choice(greens), 0.95)
    for _ in range(14):
        x, y = rng.uniform(0, _TEXTURE), rng.uniform(0, _TEXTURE)
        for angle in range(0, 360, 60):
            with canvas.moved(x, y, angle):
                canvas.fill(box(1, -1.6, 6.5, 1.6, 1.6), WHITE)
        canvas.fill(box(x - 2, y - 2, x + 2, y + 2, 2), colour("f5c518"))


def _bricks(canvas: Canvas, rng: Random) -> None:
    mortar, clay = colour("cfc5b8"), colour(rng.choice(["a8553c", "9c4a3a", "b36448"]))
    canvas.wash(mortar)
    for row in range(17):
        for column in range(-1, 9):
            left = column * 68 + (34 if row % 2 else 0)
            top = row * 32
            brick = clay.mixed(colour(rng.choice(["5a2a22", "d89878"])), rng.uniform(0, 0.35))
            shape = box(left + 2, top + 2, left + 65, top + 29, 2.5)
            canvas.fill(box(left + 3, top + 4, left + 67, top + 31, 2.5), mortar.darker(0.5), 0.7)
            canvas.fill(shape, brick)
            canvas.stroke(line((left + 4, top + 3.5), (left + 63, top + 3.5)), WHITE, 1.5, 0.25)


def _tiles(canvas: Canvas, rng: Random) -> None:
    """A floor of light squares with dark ones between, each with its own gloss."""
    canvas.wash(colour("8f9698"))
    step = 52
    dark = colour(rng.choice(["3f8a94", "48808f", "4a938a"]))
    for row in range(11):
        for column in range(11):
            left, top = column * step, row * step
            tint = colour("e8dcbc") if (row + column) % 2 else dark
            tint = tint.mixed(WHITE if rng.random() < 0.5 else colour("303840"), rng.random() * 0.1)
            shape = box(left + 1.6, top + 1.6, left + step - 1.6, top + step - 1.6, 3)
            shades = [tint.lighter(0.3), tint, tint.darker(0.1)]
            canvas.gradient(shape, (left, top), (left + step, top + step), shades)
            shine = line((left + 7, top + 6), (left + step - 12, top + 6))
            canvas.stroke(shine, WHITE, 2, 0.5)


def _beach(canvas: Canvas, rng: Random) -> None:
    """Sky and sea above, sand below; the horizon lies above the middle."""
    sky = [colour("4aa3e8"), colour("d4eefb")]
    canvas.gradient(box(0, 0, _TEXTURE, 232), (0, 110), (0, 232), sky)
    for _ in range(9):
        x, y = rng.uniform(0, _TEXTURE), rng.uniform(120, 195)
        for _puff in range(6):
            dx, dy, size = rng.uniform(-34, 34), rng.uniform(-6, 6), rng.uniform(8, 15)
            puff = box(x + dx - size, y + dy - size, x + dx + size, y + dy + size, size)
            canvas.fill(puff, WHITE, 0.75, 3)
    sea = box(0, 230, _TEXTURE, 300)
    canvas.gradient(sea, (0, 230), (0, 295), [colour("1878b4"), colour("4cc4d0")])
    for _ in range(60):
        x, y = rng.uniform(0, _TEXTURE), rng.uniform(234, 280)
        canvas.stroke(line((x, y), (x + rng.uniform(6, 22), y)), WHITE, 1.2, 0.45)
    _draw_sand(canvas, rng)


def _draw_sand(canvas: Canvas, rng: Random) -> None:
    shore = [(x, 284 + rng.uniform(-5, 5)) for x in range(-40, _TEXTURE + 100, 48)]
    sand = blob(*shore, (_TEXTURE + 60, _TEXTURE + 60), (-60, _TEXTURE + 60))
    canvas.stroke(sand, WHITE, 9, 0.85, 1.5)
    canvas.gradient(sand, (0, 285), (0, 420), [colour("d8b47c"), colour("efd49c")])
    for _ in range(60):
        x, y = rng.uniform(0, _TEXTURE), rng.uniform(300, _TEXTURE)
        ripple = curve((x, y), (x + 14, y - 3), (x + 30, y), (x + 46, y - 2))
        canvas.stroke(ripple, colour("b08a50"), 1.6, 0.4)


_DRAWERS: dict[str, Callable[[Canvas, Random], None]] = {
    "studio": _studio,
    "wood": _wood,
    "grass": _grass,
    "bricks": _bricks,
    "tiles": _tiles,
    "beach": _beach,
}
# These surfaces have a horizon that must lie behind the thing shown.
_FIXED_HORIZON = ("studio", "beach")
BACKGROUNDS = tuple(_DRAWERS)
