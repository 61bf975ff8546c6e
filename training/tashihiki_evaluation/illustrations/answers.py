"""Queries as equations: operands, the server's hits, and under them those of the plain sum."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont, ImageOps, PngImagePlugin

from tashihiki import ResolvedTerm, StoredItem
from tashihiki_evaluation.illustrations.gallery import Answer, Gallery

# Drawn larger and made smaller: Pillow's own shapes have stairs.
_SCALE = 2
_COLOURS, _ROUNDS = 144, 2
_WIDTH, _MARGIN = 1120, 24
_TILE, _SIGN, _EQUALS = 134, 36, 506
_HITS, _HIT, _GAP = 548, 131, 8
_LABEL, _CAPTION, _BETWEEN = 28, 24, 12
_BAND = 2 * (_LABEL + _HIT + _CAPTION) + _BETWEEN
_PAPER, _LINE, _INK, _PALE = "#fbfbfa", "#d5d9de", "#1f2328", "#656d76"
_RIGHT, _WRONG = "#1a7f37", "#cf222e"
SHOWN = 4
# The text of a picture that holds, as JSON, the ids of each query's hits.
HITS = "hits"
_MEMBERS = 4

Answered = tuple[Gallery, Answer]


def draw_answers(answered: Sequence[Answered], path: Path) -> None:
    """Draws a band for each answer into a PNG file, which also names the hits as text.

    Args:
        answered: at least SHOWN hits each.
        path: PNG file.
    """
    height = 2 * _MARGIN + len(answered) * _BAND + (len(answered) - 1) * 2 * _MARGIN
    sheet = _Sheet(height)
    top = _MARGIN
    for number, (gallery, answer) in enumerate(answered):
        if number:
            sheet.line(top - _MARGIN)
        _draw_operands(sheet, top, gallery, answer)
        middle = top + _LABEL + _HIT + _CAPTION + _BETWEEN
        _draw_hits(sheet, top, "Tashihiki", answer, answer.ours)
        _draw_hits(sheet, middle, "plain sum", answer, answer.plain)
        top += _BAND + 2 * _MARGIN
    sheet.save(path, [answer for _, answer in answered])


class _Sheet:
    """Paper on which lengths are those of the finished picture."""

    def __init__(self, height: int) -> None:
        self._image = Image.new("RGB", (_WIDTH * _SCALE, height * _SCALE), _PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def line(self, top: int) -> None:
        ends = [_scaled(_MARGIN, top), _scaled(_WIDTH - _MARGIN, top)]
        self._draw.line(ends, _LINE, 2 * _SCALE)

    def picture(self, left: int, top: int, side: int, data: bytes | None) -> None:
        assert data is not None
        picture = ImageOps.fit(Image.open(io.BytesIO(data)).convert("RGB"), _scaled(side, side))
        self._image.paste(picture, _scaled(left, top))

    def frame(self, left: int, top: int, side: int, colour: str, width: int = 4) -> None:
        box = [_scaled(left, top), _scaled(left + side, top + side)]
        self._draw.rectangle(box, outline=colour, width=width * _SCALE)

    def words(
        self,
        place: tuple[int, int],
        text: str,
        size: int,
        colour: str = _INK,
        *,
        bold: bool = False,
        mono: bool = False,
        width: int | None = None,
        anchor: str = "la",
    ) -> None:
        font = _font(size, bold, mono)
        while width is not None and font.getlength(text) > width * _SCALE:
            size -= 1
            font = _font(size, bold, mono)
        self._draw.text(_scaled(*place), text, colour, font, anchor)

    def save(self, path: Path, answers: Sequence[Answer]) -> None:
        size = (self._image.width // _SCALE, self._image.height // _SCALE)
        small = self._image.resize(size, Image.Resampling.LANCZOS)
        hits = {answer.expression: [hit.id for hit in answer.ours[:SHOWN]] for answer in answers}
        words = PngImagePlugin.PngInfo()
        words.add_itxt(HITS, json.dumps(hits, ensure_ascii=False))
        # A photograph's worth of colours would make it several times as large.
        few = small.quantize(_COLOURS, kmeans=_ROUNDS, dither=Image.Dither.NONE)
        few.save(path, optimize=True, pnginfo=words)


def _scaled(left: int, top: int) -> tuple[int, int]:
    return left * _SCALE, top * _SCALE


def _font(size: int, bold: bool, mono: bool) -> ImageFont.FreeTypeFont:
    # matplotlib brings it, so the picture is the same on every machine.
    family = "DejaVu Sans Mono" if mono else "DejaVu Sans"
    weight = "bold" if bold else "normal"
    found = font_manager.findfont(font_manager.FontProperties(family=family, weight=weight))
    return ImageFont.truetype(found, size * _SCALE)


def _draw_operands(sheet: _Sheet, top: int, gallery: Gallery, answer: Answer) -> None:
    high = top + (_BAND - _TILE) // 2
    width = _EQUALS - _MARGIN
    sheet.words((_MARGIN, high - 54), answer.expression, 25, bold=True, mono=True, width=width)
    left = _MARGIN
    for number, term in enumerate(answer.terms):
        sign = "−" if term.weight < 0 else "+"
        if number or term.weight < 0:
            centre = (left + _SIGN // 2, high + _TILE // 2)
            sheet.words(centre, sign, 38, bold=True, anchor="mm")
            left += _SIGN
        _draw_operand(sheet, left, high, gallery, term)
        left += _TILE
    sheet.words((_EQUALS, high + _TILE // 2), "=", 38, bold=True, anchor="lm")


def _draw_operand(sheet: _Sheet, left: int, top: int, gallery: Gallery, term: ResolvedTerm) -> None:
    if term.kind == "item":
        sheet.picture(left, top, _TILE, gallery.item(term.name).thumbnail)
        caption = "this item"
    else:
        _draw_members(sheet, left, top, _members(gallery, term))
        caption = f"ignore {term.facet}" if term.kind == "facet" else f"{term.facet} {term.value}"
    sheet.frame(left, top, _TILE, _LINE, 2)
    centre = left + _TILE // 2
    sheet.words((centre, top + _TILE + 6), caption, 16, _PALE, width=_TILE + _SIGN - 6, anchor="ma")


def _members(gallery: Gallery, term: ResolvedTerm) -> list[StoredItem]:
    """What stands for a term that is no picture: some of its items."""
    if term.kind == "attribute":
        return gallery.members(term.facet, term.value, _MEMBERS)
    values = gallery.values[term.facet]
    step = len(values) / _MEMBERS
    chosen = [values[int(place * step)] for place in range(_MEMBERS)]
    return [gallery.members(term.facet, value, 1)[0] for value in chosen]


def _draw_members(sheet: _Sheet, left: int, top: int, members: Sequence[StoredItem]) -> None:
    half = _TILE // 2
    for place, member in enumerate(members):
        corner = (left + half * (place % 2), top + half * (place // 2))
        sheet.picture(*corner, half, member.thumbnail)


def _draw_hits(
    sheet: _Sheet, top: int, name: str, answer: Answer, hits: Sequence[StoredItem]
) -> None:
    right = sum(answer.right(hit) for hit in hits[:SHOWN])
    sheet.words((_HITS, top), name, 20, bold=True)
    count = f"{right} of {SHOWN} right"
    colour = _RIGHT if right == SHOWN else _WRONG
    edge = _HITS + SHOWN * (_HIT + _GAP) - _GAP
    sheet.words((edge, top), count, 18, colour, anchor="ra")
    for place, hit in enumerate(hits[:SHOWN]):
        left, high = _HITS + place * (_HIT + _GAP), top + _LABEL
        good = answer.right(hit)
        sheet.picture(left, high, _HIT, hit.thumbnail)
        sheet.frame(left, high, _HIT, _RIGHT if good else _WRONG)
        shown = " ".join(hit.attributes[facet] for facet in sorted(answer.asked, reverse=True))
        centre = left + _HIT // 2
        ink = _INK if good else _WRONG
        sheet.words((centre, high + _HIT + 4), shown, 16, ink, width=_HIT, anchor="ma")
