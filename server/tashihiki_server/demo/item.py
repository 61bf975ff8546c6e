"""One thing for sale, put on a surface under a light."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .backgrounds import background
from .canvas import Canvas
from .colour import NIGHT, WHITE, colour
from .products import COLOURS, PRODUCTS, Finish
from .shapes import box, oval

# Long things and things with much air around them are shown larger.
_SCALES = {"sneaker": 1.14, "mug": 1.08, "chair": 1.08, "lamp": 1.06}


@dataclass(frozen=True)
class Item:
    """What one picture shows; `design` counts from 0."""

    product: str
    colour: str
    background: str
    design: int


def draw_item(canvas: Canvas, item: Item, seed: int, rng: Random) -> None:
    """Draw a thing on its surface, somewhere near the middle of the canvas."""
    canvas.image(background(item.background, seed, rng, canvas.size))
    side = 1 if rng.random() < 0.5 else -1
    x, y = 128 + rng.uniform(-14, 14), 130 + rng.uniform(-10, 10)
    scale = _SCALES.get(item.product, 1) * rng.uniform(0.86, 1.06)
    angle = rng.uniform(-7, 7)
    flip = 1 if item.product == "tshirt" else side
    finish = Finish(COLOURS[item.colour])
    if item.background in ("studio", "beach"):
        _draw_ground_shadow(canvas, x, y + 84 * scale, scale)
    designs = PRODUCTS[item.product]
    design = designs[item.design % len(designs)]
    shadow = canvas.shadowed((side * 5, 7), 6, 0.5)
    with canvas.moved(x, y, angle), shadow, canvas.moved(0, 0, 0, scale * flip, scale):
        design(canvas, finish, rng)
    _draw_light(canvas, side, rng)


def _draw_ground_shadow(canvas: Canvas, x: float, y: float, scale: float) -> None:
    canvas.fill(oval(x, y, 84 * scale, 10), NIGHT, 0.4, 7)


def _draw_light(canvas: Canvas, side: int, rng: Random) -> None:
    everything = box(0, 0, canvas.size, canvas.size)
    near, far = ((0.0, 0.0), (256.0, 256.0)) if side > 0 else ((256.0, 0.0), (0.0, 256.0))
    shade = rng.uniform(0.04, 0.26)
    canvas.gradient(everything, near, far, [WHITE, NIGHT], [shade * 0.5, shade])
    warm = colour("ffb060") if rng.random() < 0.6 else colour("78a8ff")
    canvas.wash(warm, rng.uniform(0, 0.06))
