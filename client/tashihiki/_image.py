"""Pictures as callers have them: a path, bytes, an open file or a PIL image."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from tashihiki.errors import InvalidArgumentError


@runtime_checkable
class ReadableFile(Protocol):
    """An open binary file."""

    def read(self) -> Any: ...


@runtime_checkable
class SavableImage(Protocol):
    """A picture that can write itself, such as a `PIL.Image.Image`."""

    def save(self, fp: Any, format: str) -> Any: ...


ImageSource: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | ReadableFile | SavableImage
)


def read_image(source: ImageSource) -> bytes:
    """The encoded picture behind `source`.

    Raises:
        InvalidArgumentError: IMAGE_NOT_FOUND or IMAGE_UNREADABLE.
        TypeError: for anything that is no picture source.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, (str, os.PathLike)):
        return _read_path(Path(source))
    if isinstance(source, ReadableFile):
        return _read_file(source)
    if isinstance(source, SavableImage):
        return _encode(source)
    raise TypeError(
        f"a picture is a path, bytes, a binary file or a PIL image, not {type(source).__name__}"
    )


def image_name(source: ImageSource) -> str:
    """What to call the picture in words: its file's name, or `image`."""
    if not isinstance(source, (str, os.PathLike)):
        source = getattr(source, "name", None) or getattr(source, "filename", None) or "image"
    return Path(source).name if isinstance(source, (str, os.PathLike)) else "image"


def _read_path(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InvalidArgumentError(
            f"There is no image file {str(path)!r}.",
            reason="IMAGE_NOT_FOUND",
            field="image",
            remedy="Check the path, or pass the picture's bytes.",
        ) from error
    except (OSError, ValueError) as error:
        raise _unreadable(f"The image file {str(path)!r} cannot be read: {error}.") from error


def _read_file(file: ReadableFile) -> bytes:
    try:
        data = file.read()
    except (OSError, ValueError) as error:
        raise _unreadable(f"The image file cannot be read: {error}.") from error
    if not isinstance(data, bytes):
        raise TypeError("an image file must be opened in binary mode")
    return data


def _encode(picture: SavableImage) -> bytes:
    buffer = io.BytesIO()
    try:
        picture.save(buffer, format="PNG")
    except (OSError, ValueError) as error:
        raise _unreadable(
            f"The picture cannot be written as PNG: {error}.", "Convert it to RGB first."
        ) from error
    return buffer.getvalue()


def _unreadable(
    message: str, remedy: str = "Check that the file is readable."
) -> InvalidArgumentError:
    return InvalidArgumentError(message, reason="IMAGE_UNREADABLE", field="image", remedy=remedy)
