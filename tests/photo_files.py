"""Small picture files to be read."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def write_photo(path: Path, colour: str = "red") -> Path:
    """Writes a picture of one colour, in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), colour).save(path)
    return path
