"""Encoded pictures in, RGB pixels out: the only way in for training, indexing and serving."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile

from tashihiki.errors import InvalidArgumentError

# Decoding never goes below what a thumbnail needs, so that every caller gets the same pixels.
THUMBNAIL_SIZE = 256
THUMBNAIL_QUALITY = 85
# A picture of one column costs Pillow far more memory than its pixels.
MAX_EDGE = 32_768
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")

# Pillow warns about what ImageLimits refuses with a better message.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclass(frozen=True)
class ImageLimits:
    """Caps that are checked before a picture is decoded.

    Attributes:
        max_bytes: size of the encoded picture.
        max_pixels: width times height.
    """

    max_bytes: int = 20 * 2**20
    max_pixels: int = 50_000_000

    def __post_init__(self) -> None:
        # Pillow's own limit guards what it allocates while it opens a file, so it stays on, but
        # must not refuse what this one allows. It is only ever raised: no thread can undo another.
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, self.max_pixels)


def decode(data: bytes, size: int, limits: ImageLimits, field: str = "image") -> Image.Image:
    """Decodes a picture, upright, in RGB on white.

    A JPEG is decoded at the smallest of its built-in scales that still covers
    `size`; the result can therefore be smaller than the picture, never smaller
    than `size` on either side unless the picture itself is.

    Args:
        data: the encoded picture, in one of FORMATS.
        size: edge in pixels that the caller will scale to.
        limits: caps on bytes and pixels.
        field: where the picture stands in the request, for the error.

    Raises:
        InvalidArgumentError: IMAGE_EMPTY, IMAGE_TOO_LARGE, IMAGE_TOO_MANY_PIXELS,
            IMAGE_FORMAT_UNKNOWN or IMAGE_BROKEN.
    """
    if not data:
        raise _refusal("IMAGE_EMPTY", "the image has 0 bytes", field, "Send the file's content.")
    if len(data) > limits.max_bytes:
        raise _refusal(
            "IMAGE_TOO_LARGE",
            f"the image has {len(data)} bytes, over the limit of {limits.max_bytes}",
            field,
            "Send a smaller file; the search sees no more than a thumbnail of it.",
        )
    try:
        picture = _opened(data, limits, field)
        picture.draft("RGB", (max(size, THUMBNAIL_SIZE),) * 2)
        # Not a copy, as in most pictures nothing is to be turned.
        ImageOps.exif_transpose(picture, in_place=True)
        return _on_white(picture)
    except InvalidArgumentError:
        raise
    except UnidentifiedImageError:
        raise _refusal(
            "IMAGE_FORMAT_UNKNOWN",
            "the data is not an image that can be read",
            field,
            f"Send one of {', '.join(FORMATS)}.",
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        pixels = re.search(r"[0-9]+", str(error))
        raise _too_many_pixels(pixels.group() if pixels else "more", limits, field) from None
    except Exception as error:
        # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, … for bad data.
        raise _broken(error, field) from error


def _opened(data: bytes, limits: ImageLimits, field: str) -> Image.Image:
    picture = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = picture.size
    if isinstance(picture, TiffImageFile):
        # A tile is decoded whole, however little of it the picture shows.
        width = max(width, picture.tag_v2.get(TILEWIDTH, 0))
        height = max(height, picture.tag_v2.get(TILELENGTH, 0))
    if max(width, height) > MAX_EDGE and width * height <= limits.max_pixels:
        raise _refusal(
            "IMAGE_TOO_MANY_PIXELS",
            f"the image has {width}×{height} pixels, over the limit of {MAX_EDGE} a side",
            field,
            "Scale it down; 512 pixels a side are plenty.",
        )
    if width * height > limits.max_pixels:
        raise _too_many_pixels(f"{width}×{height}", limits, field)
    return picture


def fit(picture: Image.Image, size: int) -> NDArray[np.uint8]:
    """Scales an RGB picture to a square, whatever its proportions.

    Returns:
        Pixels, (size, size, 3).
    """
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(picture, dtype=np.uint8)


def thumbnail(
    picture: Image.Image, size: int = THUMBNAIL_SIZE, quality: int = THUMBNAIL_QUALITY
) -> bytes:
    """A JPEG of at most `size` pixels on its longer side; other encoders embed it later."""
    small = picture.copy()
    small.thumbnail((size, size), Image.Resampling.BILINEAR)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        return _deep_grey(picture)
    if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _deep_grey(picture: Image.Image) -> Image.Image:
    """Grey of 16 bits and more; `convert` would clip it at 255 instead of scaling it."""
    values = np.asarray(picture).astype(np.float32)
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    top = float(finite.max(initial=0.0))
    scale = 65535.0
    if picture.mode == "F" and top <= 1.0:
        scale = 1.0
    elif picture.mode in ("I", "F") and top <= 255.0:
        scale = 255.0
    elif top > 65535.0:
        scale = top
    eight = np.clip(finite * (255.0 / scale), 0, 255).astype(np.uint8)
    return Image.fromarray(eight).convert("RGB")


def _refusal(reason: str, message: str, field: str, remedy: str) -> InvalidArgumentError:
    return InvalidArgumentError(message, reason=reason, field=field, remedy=remedy)


def _too_many_pixels(size: str, limits: ImageLimits, field: str) -> InvalidArgumentError:
    return _refusal(
        "IMAGE_TOO_MANY_PIXELS",
        f"the image has {size} pixels, over the limit of {limits.max_pixels} in all",
        field,
        "Scale it down; 512 pixels a side are plenty.",
    )


def _broken(error: Exception, field: str) -> InvalidArgumentError:
    return _refusal(
        "IMAGE_BROKEN",
        f"the image is damaged: {error}",
        field,
        "Send the complete file; open it in a viewer to check it.",
    )
