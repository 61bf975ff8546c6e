"""The galleries: which pictures there are, how they are named and written."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw, ImageFont

from .backgrounds import BACKGROUNDS
from .canvas import Canvas, Pixels
from .expressions import EXPRESSIONS, expression
from .face import draw_face
from .item import Item, draw_item
from .people import PEOPLE
from .pose import light, pose
from .products import COLOURS, PRODUCTS

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
        # Without the serial number a shot stays the same however many others there are.
        shot = name.rsplit(".", 2)[0]
        rows = face_pixels(person, code, Random(f"{seed}:{shot}"))
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


def draw_items(
    folder: Path, *, seed: int, designs: int = 2, progress: Progress | None = None
) -> list[DemoPicture]:
    """Draw every product in every colour on every background as JPEG files."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = list(_item_plan(designs))
    pictures = []
    for done, (name, item) in enumerate(plan, 1):
        rows = item_pixels(item, seed, Random(f"{seed}:{name}"))
        _write(folder / name, rows, "JPEG", quality=90)
        facets = {
            "product": item.product,
            "colour": item.colour,
            "background": item.background,
        }
        pictures.append(DemoPicture(folder / name, facets))
        if progress:
            progress(done, len(plan))
    return pictures


def item_pixels(item: Item, seed: int, rng: Random) -> Pixels:
    """One picture of a thing for sale; the seed chooses the surface's texture."""
    canvas = Canvas(SIZE)
    draw_item(canvas, item, seed, rng)
    return canvas.pixels()


def _item_plan(designs: int) -> Iterator[tuple[str, Item]]:
    for product in PRODUCTS:
        for tint in COLOURS:
            for ground in BACKGROUNDS:
                for design in range(designs):
                    name = f"{product}_{tint}_{ground}_{design + 1}.jpg"
                    yield name, Item(product, tint, ground, design)


def draw_demo(
    folder: Path,
    *,
    seed: int = 0,
    shots: int = 4,
    designs: int = 2,
    progress: Progress | None = None,
) -> None:
    """Draw both galleries into `faces` and `items` and write their labels beside them."""
    faces_total = len(PEOPLE) * len(EXPRESSIONS) * shots
    total = faces_total + len(PRODUCTS) * len(COLOURS) * len(BACKGROUNDS) * designs

    def tell(done: int, _: int) -> None:
        if progress:
            progress(done, total)

    def tell_items(done: int, _: int) -> None:
        tell(faces_total + done, total)

    faces = draw_faces(folder / "faces", seed=seed, shots=shots, progress=tell)
    items = draw_items(folder / "items", seed=seed, designs=designs, progress=tell_items)
    write_labels(folder / "faces" / "labels.csv", faces, FACETS[:2])
    write_labels(folder / "items" / "labels.csv", items, FACETS[2:])
    write_labels(folder / "labels.csv", [*faces, *items], FACETS)


def write_labels(path: Path, pictures: Sequence[DemoPicture], facets: Sequence[str]) -> None:
    """Write one row per picture: its path from the table's folder, then a cell per facet."""
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["path", *facets])
        for picture in pictures:
            name = picture.path.relative_to(path.parent).as_posix()
            table.writerow([name, *(picture.attributes.get(facet, "") for facet in facets)])
    unfinished.replace(path)


def contact_sheet(
    pictures: Sequence[Path],
    columns: int,
    thumbnail: int = 128,
    captions: Sequence[str] | None = None,
) -> Image.Image:
    """The pictures side by side in rows, each with a line of text below if captions are given."""
    strip = max(12, thumbnail // 9) if captions else 0
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * thumbnail, rows * (thumbnail + strip)), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=strip * 0.85) if captions else None
    for number, path in enumerate(pictures):
        x, y = number % columns * thumbnail, number // columns * (thumbnail + strip)
        with Image.open(path) as picture:
            small = picture.convert("RGB")
        small.thumbnail((thumbnail, thumbnail), Image.Resampling.LANCZOS)
        sheet.paste(small, (x + (thumbnail - small.width) // 2, y))
        if captions:
            middle = (x + thumbnail / 2, y + thumbnail + strip / 2)
            pen.text(middle, captions[number], fill="black", font=font, anchor="mm")
    return sheet


def _write(path: Path, rows: Pixels, kind: str, **options: object) -> None:
    """Write a picture so that it is there complete or not at all."""
    unfinished = path.with_name(path.name + ".part")
    Image.fromarray(rows).save(unfinished, kind, **options)
    unfinished.replace(path)
