"""A small catalogue of shapes in colours, to train on in seconds."""

from __future__ import annotations

import csv
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = ("red", "green", "blue")
SHAPES = ("disc", "square", "bar")


def write_shapes(folder: Path, copies: int = 5, size: int = 64) -> Path:
    """Draws every shape in every colour, with some labels missing; returns labels.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for shape in SHAPES:
        for colour in COLOURS:
            for copy in range(copies):
                name = f"{shape}_{colour}_{copy}.png"
                _draw(shape, colour, copy, size).save(folder / name)
                rows.append((name, shape, colour if copy else ""))
    path = folder / "labels.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "shape", "colour"), *rows])
    return path


def _draw(shape: str, colour: str, copy: int, size: int) -> Image.Image:
    picture = Image.new("RGB", (size, size), (230 - 9 * copy, 230, 230))
    pen = ImageDraw.Draw(picture)
    corner, edge = 5 + 3 * copy, size // 2
    if shape == "disc":
        pen.ellipse((corner, corner, corner + edge, corner + edge), fill=colour)
    else:
        height = edge if shape == "square" else edge // 4
        pen.rectangle((corner, corner, corner + edge, corner + height), fill=colour)
    return picture
