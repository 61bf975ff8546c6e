"""The galleries: which pictures there are, how they are named and written."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw, ImageFont

from .canvas import Canvas, Pixels
from .expressions import EXPRESSIONS, expression
from .face import draw_face
from .people import PEOPLE
from .pose import light, pose

SIZE = 256
FACETS = ("person", "expression", "product", "colour", "background")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DemoPicture:
    """A picture that has been written, and what is known about it by facet."""

    path: Path
    attributes: dict[str, str]


def draw_faces(
    folder: Path, *, seed: int, shots: int = 4, progress: Progress | None = None
) -> list[DemoPicture]:
    """Draw every person with every expression, `shots` times each, as TIFF files."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = list(_face_plan(shots))
    pictures = []
    for done, (name, person, code) in enumerate(plan, 1):
        rows = face_pixels(person, code, Random(f"{seed}:{name}"))
        _write(folder / name, rows, "TIFF", compression="tiff_adobe_deflate")
        facets = {"person": person, "expression": EXPRESSIONS[code]}
        pictures.append(DemoPicture(folder / name, facets))
        if progress:
            progress(done, len(plan))
    return pictures


def face_pixels(person: str, code: str, rng: Random) -> Pixels:
    """One shot of a person with an expression."""
    canvas = Canvas(SIZE)
    draw_face(canvas, PEOPLE[person], expression(code, rng), pose(rng), light(rng), rng)
    return canvas.pixels()


def _face_plan(shots: int) -> Iterator[tuple[str, str, str]]:
    """File name, person and code of expression of every face, numbered through."""
    serial = 0
    for person in PEOPLE:
        for code in EXPRESSIONS:
            for shot in range(1, shots + 1):
                serial += 1
                yield f"{person}.{code}{shot}.{serial}.tiff", person, code


def _write(path: Path, rows: Pixels, kind: str, **options: object) -> None:
    """Write a picture so that it is there complete or not at all."""
    unfinished = path.with_name(path.name + ".part")
    Image.fromarray(rows).save(unfinished, kind, **options)
    os.replace(unfinished, path)
