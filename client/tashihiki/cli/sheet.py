"""A contact sheet: the query's operands above, the hits below."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from tashihiki.client import Client
from tashihiki.results import Hit, SearchResult

_SIDE = 160
_GAP = 12
_CAPTION = 40
_COLUMNS = 5
_TITLE = 48
_WIDTH = _GAP + _COLUMNS * (_SIDE + _GAP)
_PAPER = "white"
_INK = "black"
_BLANK = (200, 200, 200)


@dataclass(frozen=True)
class Card:
    """One picture with the lines under it."""

    picture: Image.Image | None
    lines: tuple[str, ...]


def operand_cards(
    client: Client, collection: str, result: SearchResult, pictures: Mapping[str, Path]
) -> list[Card]:
    """A card for every item and every picture that the query names."""
    cards: list[Card] = []
    for term in result.terms:
        if term.kind == "item":
            item = client.get_item(collection, term.name, include_thumbnail=True)
            lines = (f"{term.weight:+g} {term.label}", term.name)
            cards.append(Card(_decode(item.thumbnail), lines))
    cards += [Card(_decode(path.read_bytes()), (name,)) for name, path in pictures.items()]
    return cards


def write_sheet(path: Path, title: str, operands: Sequence[Card], result: SearchResult) -> None:
    """Draws the sheet into a PNG file."""
    hits = [_hit_card(rank, hit) for rank, hit in enumerate(result, start=1)]
    rows = _rows(operands) + _rows(hits)
    height = _TITLE + len(rows) * _row_height() + _GAP * 2
    sheet = Image.new("RGB", (_WIDTH, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _write(draw, (_GAP, _GAP), title, 20, _WIDTH - 2 * _GAP)
    top = _TITLE
    for number, row in enumerate(rows):
        if number == len(_rows(operands)):
            draw.line((_GAP, top, _WIDTH - _GAP, top), fill=_BLANK, width=2)
            top += _GAP
        for column, card in enumerate(row):
            _draw_card(sheet, draw, (_GAP + column * (_SIDE + _GAP), top), card)
        top += _row_height()
    sheet.save(path, format="PNG")


def _hit_card(rank: int, hit: Hit) -> Card:
    return Card(_decode(hit.thumbnail), (f"{rank}. {hit.id}", f"{hit.similarity:.4f}"))


def _rows(cards: Sequence[Card]) -> list[Sequence[Card]]:
    return [cards[start : start + _COLUMNS] for start in range(0, len(cards), _COLUMNS)]


def _row_height() -> int:
    return _SIDE + _CAPTION + _GAP


def _decode(data: bytes | None) -> Image.Image | None:
    if not data:
        return None
    try:
        picture = Image.open(io.BytesIO(data))
        picture.draft("RGB", (2 * _SIDE, 2 * _SIDE))
        return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        # The server may read formats that this Pillow does not; the card stays grey.
        return None


def _draw_card(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, corner: tuple[int, int], card: Card
) -> None:
    left, top = corner
    if card.picture is None:
        draw.rectangle((left, top, left + _SIDE, top + _SIDE), fill=_BLANK)
    else:
        small = ImageOps.contain(card.picture, (_SIDE, _SIDE))
        centre = (left + (_SIDE - small.width) // 2, top + (_SIDE - small.height) // 2)
        sheet.paste(small, centre)
    for number, line in enumerate(card.lines):
        _write(draw, (left, top + _SIDE + 4 + 17 * number), line, 13, _SIDE)


def _write(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, size: int, width: int
) -> None:
    font = ImageFont.load_default(size)
    # The built-in font has no minus sign.
    text = " ".join(text.replace("\N{MINUS SIGN}", "-").split())
    shown = text
    while shown and draw.textlength(_ellipsis(shown, text), font=font) > width:
        shown = shown[:-1]
    draw.text(corner, _ellipsis(shown, text), fill=_INK, font=font)


def _ellipsis(shown: str, text: str) -> str:
    return shown if shown == text else f"{shown}..."
