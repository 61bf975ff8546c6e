"""Encoded pictures for tests, among them ones that no library would write."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
_BIGGEST_JPEG = 65_500


def landscape(width: int = 64, height: int = 48) -> Pixels:
    """A smooth picture (height, width, 3) without any symmetry; it survives JPEG well."""
    x = np.linspace(0, 1, width)[None, :]
    y = np.linspace(0, 1, height)[:, None]
    red = 40 + 200 * x + 0 * y
    green = 220 - 180 * y + 0 * x
    blue = 30 + 150 * x * y
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def save(picture: Image.Image | Pixels, form: str, **options: Any) -> bytes:
    """A picture in a format, without loss where the format can."""
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    if form == "WEBP":
        options.setdefault("lossless", True)
    if form == "JPEG":
        options.setdefault("quality", 95)
        options.setdefault("subsampling", 0)
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def png(width: int, height: int, rows: bytes, *, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG from the bytes of its rows, each after a filter byte."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def deep_png(pixels: NDArray[np.uint16]) -> bytes:
    """A PNG of 16 bits a channel from (h, w, 3)."""
    rows = pixels.astype(">u2").reshape(len(pixels), -1).view(np.uint8)
    filtered = np.concatenate([np.zeros((len(rows), 1), np.uint8), rows], axis=1)
    return png(pixels.shape[1], pixels.shape[0], filtered.tobytes(), depth=16, colour=2)


def deep_tiff(pixels: NDArray[np.uint16]) -> bytes:
    """An uncompressed TIFF of 16 bits a channel from (h, w, 3)."""
    data = pixels.astype("<u2").tobytes()
    height, width, _ = pixels.shape
    # The three bit depths do not fit into their tag and follow the directory.
    after = 8 + 2 + 10 * 12 + 4
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, after),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, after + 6),
        (277, 3, 1, 3),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
        (284, 3, 1, 1),
    ]
    return _tiff(tags) + struct.pack("<HHH", 16, 16, 16) + data


def _tiff(tags: list[tuple[int, int, int, int]]) -> bytes:
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)


def bomb_png(side: int = 40_000) -> bytes:
    """A sound PNG of side × side pixels in a fraction of a megabyte."""
    packer = zlib.compressobj(1)
    row = bytes(1 + side // 8)
    data = b"".join(packer.compress(row * 100) for _ in range(side // 100)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def bombs() -> dict[str, bytes]:
    """Small files of every format that say they are huge, by what they are."""
    jpeg = bytearray(save(landscape(), "JPEG"))
    size_at = jpeg.index(b"\xff\xc0") + 5
    jpeg[size_at : size_at + 4] = struct.pack(">HH", _BIGGEST_JPEG, _BIGGEST_JPEG)
    bmp = bytearray(save(landscape(), "BMP"))
    bmp[18:26] = struct.pack("<ii", 40_000, 40_000)
    canvas = (39_999).to_bytes(3, "little") * 2
    webp = b"VP8X" + struct.pack("<I", 10) + bytes([2, 0, 0, 0]) + canvas
    webp += b"ANIM" + struct.pack("<I", 6) + bytes(6)
    return {
        "PNG": bomb_png(),
        "PNG just over the limit": png(7_072, 7_072, b"", colour=0),
        "JPEG": bytes(jpeg),
        "BMP": bytes(bmp),
        "GIF canvas": _gif(40_000, 40_000, 1, 1),
        "GIF frame": _gif(10, 10, 65_535, 65_535),
        "WEBP": b"RIFF" + struct.pack("<I", 4 + len(webp)) + b"WEBP" + webp,
        "TIFF": _tiff_of(40_000, 40_000, tile=0),
        "TIFF tile": _tiff_of(10, 10, tile=40_000),
    }


def _gif(width: int, height: int, frame_width: int, frame_height: int) -> bytes:
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    # Disposal to the background colour, for which the frame's area is allocated.
    control = b"!\xf9\x04\x09\0\0\0\0"
    frame = b"," + struct.pack("<HHHHB", 0, 0, frame_width, frame_height, 0)
    return b"GIF89a" + screen + control + frame + b"\x02\x02\x44\x01\x00;"


def _tiff_of(width: int, height: int, tile: int) -> bytes:
    where = [(322, 4, 1, tile), (323, 4, 1, tile), (324, 4, 1, 200), (325, 4, 1, 4000)]
    if not tile:
        where = [(273, 4, 1, 200), (278, 4, 1, height), (279, 4, 1, 4000)]
    lzw, grey = 5, 1
    head = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, lzw)]
    head += [(262, 3, 1, grey), (277, 3, 1, 1)]
    return _tiff(sorted(head + where)).ljust(200, b"\0") + b"\x80\x00" * 2000
