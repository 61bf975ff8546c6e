"""A contact sheet: the query's operands above, the hits below, in one part or several."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from PIL import Image, ImageDraw, ImageFont, ImageOps

from tashihiki.cli.typefaces import Typeface, in_words, runs, typeface_of, typefaces_for
from tashihiki.cli.wording import MINUS
from tashihiki.client import Client
from tashihiki.errors import FailedPreconditionError
from tashihiki.results import Hit, ResolvedTerm, SearchResult

_SIDE = 160
_GAP = 12
_CAPTION = 57
_COLUMNS = 5
_TITLE = 48
_WIDTH = _GAP + _COLUMNS * (_SIDE + _GAP)
_PAPER = "white"
_INK = "black"
_BLANK = (200, 200, 200)
_TILE = (232, 238, 246)


@dataclass(frozen=True)
class Card:
    """A tile, a picture or words on a plain ground, with the lines under it.

    Attributes:
        picture: None for words.
        words: what stands on the tile where there is no picture.
        lines: under the tile.
        sign: `+` or `−` in the corner of an operand, or "".
    """

    picture: Image.Image | None
    words: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    sign: str = ""


def operand_cards(
    client: Client, collection: str, result: SearchResult, pictures: Mapping[str, Path]
) -> list[Card]:
    """A card for every term of the query."""
    return [_operand_card(client, collection, term, pictures) for term in result.terms]


def kept_picture(client: Client, collection: str, identifier: str) -> bytes | None:
    """The small JPEG of an item; None without one, and for one that is damaged."""
    try:
        return client.get_item(collection, identifier, include_thumbnail=True).thumbnail
    except FailedPreconditionError as error:
        if error.reason != "CATALOGUE_DAMAGED":
            raise
        return None


def _operand_card(
    client: Client, collection: str, term: ResolvedTerm, pictures: Mapping[str, Path]
) -> Card:
    sign = MINUS if term.weight < 0 else "+"
    weight = f"{abs(term.weight):g} x" if abs(term.weight) != 1 else ""
    if term.kind == "item":
        picture = decoded(kept_picture(client, collection, term.name))
        lines = (weight, _short(term.name)) if weight else (_short(term.name),)
        return Card(picture, lines=lines, sign=sign)
    if term.kind == "image" and term.name in pictures:
        picture = decoded(pictures[term.name].read_bytes())
        return Card(picture, lines=(f"{weight} {term.name}".strip(),), sign=sign)
    words = (term.facet, "ignored") if term.kind == "facet" else (term.facet, term.value)
    return Card(None, words if term.facet else (term.label,), (weight,), sign)


@dataclass(frozen=True)
class Part:
    """Cards under a line, with a heading unless that is empty."""

    heading: str
    cards: Sequence[Card]


def write_sheet(path: Path, title: str, operands: Sequence[Card], parts: Sequence[Part]) -> None:
    """Draws the sheet into a PNG file.

    Says on standard error which characters no installed font has.
    """
    groups = [Part("", operands), *parts]
    sheet = Image.new("RGB", (_WIDTH, _TITLE + sum(map(_height, groups))), _PAPER)
    typefaces, missing = typefaces_for([_plain(title), *_texts(groups)])
    if missing:
        typer.echo(f"warning: {in_words(missing)}", err=True)
    draw = ImageDraw.Draw(sheet)
    pen = _Pen(draw, typefaces)
    pen.write((_GAP, _GAP), title, 20, _WIDTH - 2 * _GAP)
    top = _TITLE
    for number, part in enumerate(groups):
        if number:
            draw.line((_GAP, top, _WIDTH - _GAP, top), fill=_BLANK, width=2)
        if part.heading:
            pen.write((_GAP, top + _GAP), part.heading, 20, _WIDTH - 2 * _GAP)
        first = top + _GAP * bool(number) + _TITLE * bool(part.heading)
        for place, card in enumerate(part.cards):
            row, column = divmod(place, _COLUMNS)
            corner = (_GAP + column * (_SIDE + _GAP), first + row * _row_height())
            _draw_card(sheet, pen, corner, card)
        top += _height(part)
    sheet.save(path, format="PNG")


def hit_cards(hits: Iterable[Hit], marked: Collection[str] = ()) -> list[Card]:
    """A card for each hit; those with the ids `marked` have a star."""
    return [
        _hit_card(rank, hit, "* " if hit.id in marked else "")
        for rank, hit in enumerate(hits, start=1)
    ]


def _hit_card(rank: int, hit: Hit, mark: str) -> Card:
    labels = ", ".join(hit.attributes[facet] for facet in sorted(hit.attributes))
    lines = (f"{rank}. {mark}{_short(hit.id)}", f"{hit.similarity:.4f}", labels)
    return Card(decoded(hit.thumbnail), lines=lines)


def _short(identifier: str, length: int = 20) -> str:
    """The end of a path, cut in the middle: its two ends tell most."""
    name = identifier.rpartition("/")[2] or identifier
    half = (length - 3) // 2
    return name if len(name) <= length else f"{name[:half]}...{name[-half:]}"


def _height(part: Part) -> int:
    rows = -(-len(part.cards) // _COLUMNS)
    return _GAP + _TITLE * bool(part.heading) + rows * _row_height()


def _row_height() -> int:
    return _SIDE + _CAPTION + _GAP


def decoded(data: bytes | None) -> Image.Image | None:
    """The picture in a file; None without one that can be read."""
    if not data:
        return None
    try:
        picture = Image.open(io.BytesIO(data))
        picture.draft("RGB", (2 * _SIDE, 2 * _SIDE))
        return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        # The server may read formats that this Pillow does not; the card stays grey.
        return None


@dataclass(frozen=True)
class _Pen:
    draw: ImageDraw.ImageDraw
    typefaces: Sequence[Typeface]

    def write(self, corner: tuple[int, int], text: str, size: int, width: int) -> None:
        text = _plain(text)
        typeface = typeface_of(text, self.typefaces)
        # In large sizes Pillow's own font has hardly a space.
        gap = "  " if size >= 20 and not typeface.file else " "
        text = gap.join(text.split())
        shown = text
        while shown and self._length(_ellipsis(shown, text), size) > width:
            shown = shown[:-1]
        left, top = corner
        baseline = top + typeface.font(size).getmetrics()[0]
        at = float(left)
        pieces = runs(_ellipsis(shown, text), self.typefaces)
        for one, run in pieces:
            font = one.font(size)
            # A piece that begins with Hebrew shall not turn around the words after it.
            ltr = len(pieces) > 1 and font.layout_engine == ImageFont.Layout.RAQM
            self.draw.text(
                (at, baseline),
                run,
                fill=_INK,
                font=font,
                anchor="ls",
                direction="ltr" if ltr else None,
            )
            at += self.draw.textlength(run, font=font)

    def _length(self, text: str, size: int) -> float:
        pieces = runs(text, self.typefaces)
        return sum(self.draw.textlength(run, font=one.font(size)) for one, run in pieces)


def _plain(text: str) -> str:
    # Pillow's own font has no minus sign.
    return text.replace(MINUS, "-")


def _texts(parts: Iterable[Part]) -> Iterator[str]:
    for part in parts:
        yield _plain(part.heading)
        for card in part.cards:
            yield from map(_plain, (*card.words, *card.lines))


def _draw_card(sheet: Image.Image, pen: _Pen, corner: tuple[int, int], card: Card) -> None:
    left, top = corner
    draw = pen.draw
    if card.picture is None:
        draw.rectangle((left, top, left + _SIDE, top + _SIDE), fill=_TILE if card.words else _BLANK)
        first = top + _SIDE // 2 - 14 * len(card.words)
        for number, word in enumerate(card.words):
            pen.write((left + _GAP, first + 28 * number), word, 20, _SIDE - 2 * _GAP)
    else:
        small = ImageOps.contain(card.picture, (_SIDE, _SIDE))
        centre = (left + (_SIDE - small.width) // 2, top + (_SIDE - small.height) // 2)
        sheet.paste(small, centre)
    if card.sign:
        _draw_sign(draw, (left, top), card.sign)
    for number, line in enumerate(card.lines):
        pen.write((left, top + _SIDE + 4 + 17 * number), line, 13, _SIDE)


def _draw_sign(draw: ImageDraw.ImageDraw, corner: tuple[int, int], sign: str) -> None:
    """Draws the sign as strokes, since the built-in font has no minus."""
    left, top = corner
    draw.rectangle((left, top, left + 28, top + 28), fill=_INK)
    draw.line((left + 7, top + 14, left + 21, top + 14), fill=_PAPER, width=3)
    if sign == "+":
        draw.line((left + 14, top + 7, left + 14, top + 21), fill=_PAPER, width=3)


def _ellipsis(shown: str, text: str) -> str:
    return shown if shown == text else f"{shown}..."
