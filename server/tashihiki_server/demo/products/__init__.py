"""The kinds of things for sale, each with several designs."""

from __future__ import annotations

from . import backpack, chair, handbag, lamp, mug, shirt, sneaker, teapot
from .finish import COLOURS, Design, Finish

PRODUCTS: dict[str, tuple[Design, ...]] = {
    "mug": mug.DESIGNS,
    "tshirt": shirt.DESIGNS,
    "sneaker": sneaker.DESIGNS,
    "backpack": backpack.DESIGNS,
    "chair": chair.DESIGNS,
    "lamp": lamp.DESIGNS,
    "handbag": handbag.DESIGNS,
    "teapot": teapot.DESIGNS,
}

__all__ = ["COLOURS", "PRODUCTS", "Finish"]
