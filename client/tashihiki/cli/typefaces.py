"""Typefaces for a contact sheet: Pillow's own, and installed ones for what it cannot draw."""

from __future__ import annotations

import subprocess
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from PIL import ImageFont

# No font has a glyph for it, so each draws what stands for a missing one.
_NO_CHARACTER = "\uffff"
# Without fontconfig; Pillow looks for these names where the system keeps its fonts.
_USUAL_FILES = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansJP-Regular.ttf",
    "ヒラギノ角ゴシック W3.ttc",
    "YuGothM.ttc",
    "meiryo.ttc",
    "msgothic.ttc",
    "Arial Unicode.ttf",
    "arial.ttf",
    "DejaVuSans.ttf",
)
_TRIED_SIZE = 16
_SECONDS = 10.0
_CJK_NAMES = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH")


@dataclass(frozen=True)
class Typeface:
    """A font file, or Pillow's own font.

    Attributes:
        file: path; "" for Pillow's own.
        number: of the font among those of its file.
    """

    file: str = ""
    number: int = 0

    def font(self, size: int) -> ImageFont.FreeTypeFont:
        """The font in a size in pixels.

        Raises:
            OSError: for a file that has no such font.
        """
        return _font(self, size)

    def lacks(self, text: Iterable[str]) -> set[str]:
        """The characters of a text that it has no glyphs for."""
        return {one for one in text if not _has(self, one)}


def typefaces_for(texts: Iterable[str]) -> tuple[list[Typeface], set[str]]:
    """Typefaces that together have the characters of all texts, Pillow's own first.

    Returns:
        The typefaces, and the characters that no installed one has.
    """
    found = [Typeface()]
    missing = found[0].lacks("".join(texts))
    while missing:
        best = min(_candidates(missing), key=lambda one: len(one.lacks(missing)), default=None)
        if best is None or (left := best.lacks(missing)) == missing:
            break
        found.append(best)
        missing = left
    return found, missing


def typeface_of(text: str, typefaces: Sequence[Typeface]) -> Typeface:
    """The first of the typefaces that has most of a text."""
    return min(typefaces, key=lambda one: len(one.lacks(text)))


def runs(text: str, typefaces: Sequence[Typeface]) -> list[tuple[Typeface, str]]:
    """A text in pieces, each in a typeface that has it, as much as can be in the one of most."""
    most = typeface_of(text, typefaces)
    ordered = [most, *typefaces]
    pieces = groupby(text, key=lambda one: typeface_of(one, ordered))
    return [(typeface, "".join(piece)) for typeface, piece in pieces]


def in_words(missing: Iterable[str]) -> str:
    """What to say of characters that no installed font has."""
    characters = sorted(missing)
    cjk = any(unicodedata.name(one, "").startswith(_CJK_NAMES) for one in characters)
    package = "fonts-noto-cjk" if cjk else "fonts-noto-core"
    some = "".join(characters[:10]) + ("…" if len(characters) > 10 else "")
    return (
        f"no installed font has {some}; the sheet shows boxes instead"
        f" (on Debian, `apt-get install {package}` brings one)"
    )


def _candidates(characters: Iterable[str]) -> list[Typeface]:
    named = _from_fontconfig(characters)
    candidates = [named] if named else [Typeface(name) for name in _USUAL_FILES]
    return [one for one in candidates if _opens(one)]


def _from_fontconfig(characters: Iterable[str]) -> Typeface | None:
    """What fontconfig takes for the best font that has the characters, or None without it."""
    wanted = " ".join(f"{ord(one):x}" for one in sorted(characters))
    # Of the bitmaps and coloured fonts, as of emoji, Pillow draws none in any size.
    pattern = f"sans:regular:scalable=true:color=false:charset={wanted}"
    command = ["fc-match", "--format=%{file}\\n%{index}", pattern]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
        file, _, number = done.stdout.partition("\n")
        # The upper half numbers the named instances of a variable font.
        return Typeface(file, int(number) & 0xFFFF) if file else None
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _opens(typeface: Typeface) -> bool:
    try:
        typeface.font(_TRIED_SIZE)
    except (OSError, ValueError):
        return False
    return True


@lru_cache(maxsize=32)
def _font(typeface: Typeface, size: int) -> ImageFont.FreeTypeFont:
    if not typeface.file:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)  # As each of a given size is.
        return font
    return ImageFont.truetype(typeface.file, size, index=typeface.number)


@lru_cache(maxsize=4096)
def _has(typeface: Typeface, character: str) -> bool:
    if character.isspace() or unicodedata.category(character).startswith("C"):
        return True
    font = typeface.font(_TRIED_SIZE)
    return _drawn(font, character) != _drawn(font, _NO_CHARACTER)


def _drawn(font: ImageFont.FreeTypeFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)
