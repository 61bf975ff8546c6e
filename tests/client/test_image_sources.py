from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from tashihiki import InvalidArgumentError, image
from tashihiki._image import ImageSource


def test_pictures_come_as_paths_bytes_and_files(tmp_path: Path) -> None:
    path = tmp_path / "mug.jpg"
    path.write_bytes(b"jpeg")
    with path.open("rb") as file:
        sources: list[ImageSource] = [
            str(path),
            path,
            b"jpeg",
            bytearray(b"jpeg"),
            io.BytesIO(b"jpeg"),
            file,
        ]
        assert {image(source).data for source in sources} == {b"jpeg"}
    assert image(path).name == "mug.jpg"


def test_a_pil_image_is_sent_as_png() -> None:
    data = image(PillowImage.new("RGB", (2, 2), "red")).data
    with PillowImage.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.size) == ("PNG", (2, 2))


def test_a_pil_image_that_png_cannot_hold_says_so() -> None:
    with pytest.raises(InvalidArgumentError, match="RGB") as caught:
        image(PillowImage.new("CMYK", (2, 2)))
    assert caught.value.reason == "IMAGE_UNREADABLE"


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"mug\.jpg") as caught:
        image(tmp_path / "mug.jpg")
    assert caught.value.reason == "IMAGE_NOT_FOUND"


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_path_that_cannot_be_read(path: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        image(path)
    assert caught.value.reason == "IMAGE_UNREADABLE"


def test_a_closed_file_and_a_text_file(tmp_path: Path) -> None:
    closed = io.BytesIO(b"")
    closed.close()
    with pytest.raises(InvalidArgumentError):
        image(closed)
    with pytest.raises(TypeError, match="binary"):
        image(io.StringIO("jpeg"))
    with pytest.raises(TypeError):
        image(7)  # type: ignore[arg-type]
