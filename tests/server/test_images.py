"""Every kind of picture file in, the right colours or a clear refusal out."""

from __future__ import annotations

import importlib
import io
import json
import subprocess
import sys
from pathlib import Path

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from picture_files import (
    FORMATS,
    Pixels,
    bomb_png,
    bombs,
    deep_png,
    deep_tiff,
    landscape,
    png,
    save,
)
from serving import Served
from tashihiki.errors import InvalidArgumentError
from tashihiki.status import from_rpc_error
from tashihiki.v1 import catalog_pb2, composition_pb2, search_pb2
from tashihiki_server import images
from tashihiki_server.images import ImageLimits, decode, fit, thumbnail

LIMITS = ImageLimits()
SIZE = 224
WHITE = np.array([255.0, 255.0, 255.0])
_JPEG_NOISE = 12
CALL_SECONDS = 20.0


def decoded(data: bytes, size: int = SIZE, limits: ImageLimits = LIMITS) -> NDArray[np.int64]:
    picture = decode(data, size, limits)
    assert picture.mode == "RGB"
    return np.asarray(picture).astype(np.int64)


def refusal(data: bytes, limits: ImageLimits = LIMITS) -> InvalidArgumentError:
    with pytest.raises(InvalidArgumentError) as caught:
        decode(data, SIZE, limits, "items[3].image")
    assert caught.value.field == "items[3].image"
    assert caught.value.remedy
    return caught.value


def off_by(found: NDArray[np.int64], wanted: NDArray[np.generic]) -> float:
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted.astype(np.float64)).max())


# Formats


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "BMP"])
def test_lossless_formats_keep_every_pixel(form: str) -> None:
    assert off_by(decoded(save(landscape(), form)), landscape()) == 0


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits"])
def test_compressed_tiff_keeps_every_pixel(compression: str) -> None:
    data = save(landscape(), "TIFF", compression=compression)
    assert off_by(decoded(data), landscape()) == 0


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_keeps_the_colours_nearly(progressive: bool) -> None:
    data = save(landscape(), "JPEG", progressive=progressive)
    assert off_by(decoded(data), landscape()) <= _JPEG_NOISE


def test_lossy_webp_keeps_the_colours_nearly() -> None:
    data = save(landscape(), "WEBP", lossless=False, quality=95)
    assert np.abs(decoded(data) - landscape()).mean() < 3


@pytest.mark.parametrize("form", ["GIF", "TIFF", "WEBP"])
def test_only_the_first_of_many_frames_counts(form: str) -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "lime", "blue")] * 20
    data = save(frames[0], form, save_all=True, append_images=frames[1:])
    assert (decoded(data) == [255, 0, 0]).all()


def test_mpo_of_a_stereo_camera_is_its_first_jpeg() -> None:
    data = save(landscape(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    assert data[:2] == b"\xff\xd8"
    assert np.abs(decoded(data) - landscape()).mean() < 5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_undone(form: str, orientation: int) -> None:
    upright = landscape()
    turned = upright.transpose(1, 0, 2)
    stored: dict[int, Pixels] = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: turned,
        6: np.rot90(upright, 1),
        7: turned[::-1, ::-1],
        8: np.rot90(upright, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = save(np.ascontiguousarray(stored[orientation]), form, exif=exif)
    assert off_by(decoded(data), upright) <= (_JPEG_NOISE if form == "JPEG" else 0)


# Kinds of pixels


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "JPEG", "GIF"])
def test_grey_has_three_equal_channels(form: str) -> None:
    grey = landscape()[..., 0]
    found = decoded(save(grey, form))
    assert (found[..., 0] == found[..., 1]).all()
    assert (found[..., 0] == found[..., 2]).all()
    assert off_by(found[..., 0], grey) <= (_JPEG_NOISE if form == "JPEG" else 0)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "GIF"])
def test_one_bit_is_black_and_white(form: str) -> None:
    dark = landscape()[..., 0] > 128
    found = decoded(save(Image.fromarray(dark), form))
    assert off_by(found, np.repeat(dark[..., None] * 255, 3, axis=-1)) == 0


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "GIF"])
def test_palette_colours_are_looked_up(form: str) -> None:
    indices = (np.arange(48 * 64) % 4).astype(np.uint8).reshape(48, 64)
    palette = np.array([[250, 10, 20], [0, 200, 30], [5, 6, 180], [90, 91, 92]], dtype=np.uint8)
    picture = Image.fromarray(indices).convert("P")
    picture.putpalette(palette.ravel().tolist())
    picture.putdata(indices.ravel().tolist())
    assert off_by(decoded(save(picture, form)), palette[indices]) == 0


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_white(form: str) -> None:
    picture = Image.new("P", (20, 10), 0)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.paste(1, (10, 0, 20, 10))
    found = decoded(save(picture, form, transparency=0))
    assert (found[:, :10] == 255).all()
    assert (found[:, 10:] == [0, 0, 255]).all()


def test_a_palette_with_an_alpha_for_each_entry_is_blended_on_white() -> None:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([200, 0, 0])
    found = decoded(save(picture, "PNG", transparency=bytes([128])))
    share = 128 / 255
    wanted = share * np.array([200.0, 0, 0]) + (1 - share) * WHITE
    assert off_by(found, np.broadcast_to(wanted, (8, 8, 3))) <= 1


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_blended_on_white(form: str) -> None:
    colours = landscape()
    alpha = np.linspace(0, 255, 48).astype(np.uint8)[:, None].repeat(64, axis=1)
    data = save(np.dstack([colours, alpha]), form, **({"exact": True} if form == "WEBP" else {}))
    share = alpha[..., None] / 255
    assert off_by(decoded(data), share * colours + (1 - share) * WHITE) <= 1


def test_grey_with_alpha_is_blended_on_white() -> None:
    layers = [Image.new("L", (8, 8), 100), Image.new("L", (8, 8), 51)]
    found = decoded(save(Image.merge("LA", layers), "PNG"))
    assert off_by(found, np.full((8, 8, 3), 0.2 * 100 + 0.8 * 255)) <= 1


@pytest.mark.parametrize(("colour", "rgb"), [(0, (50,)), (2, (10, 20, 30))])
def test_a_transparent_colour_of_a_png_is_white(colour: int, rgb: tuple[int, ...]) -> None:
    mode = "L" if colour == 0 else "RGB"
    picture = Image.new(mode, (20, 10), rgb if len(rgb) == 3 else rgb[0])
    picture.paste("black", (10, 0, 20, 10))
    found = decoded(save(picture, "PNG", transparency=rgb if len(rgb) == 3 else rgb[0]))
    assert (found[:, :10] == 255).all()
    assert (found[:, 10:] == 0).all()


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_is_turned_into_light(form: str) -> None:
    ink = np.zeros((48, 64, 4), dtype=np.uint8)
    ink[:, :32, 0] = 255
    ink[:, 32:, 1:3] = 255
    found = decoded(save(Image.fromarray(ink, "CMYK"), form))
    assert off_by(found[:, :28], np.broadcast_to([0, 255, 255], (48, 28, 3))) <= _JPEG_NOISE
    assert off_by(found[:, 36:], np.broadcast_to([255, 0, 0], (48, 28, 3))) <= _JPEG_NOISE


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("brightest", [65_535, 20_000, 200])
def test_sixteen_bit_grey_is_scaled_by_its_whole_range(form: str, brightest: int) -> None:
    deep = np.linspace(0, brightest, 48 * 64).astype(np.uint16).reshape(48, 64)
    wanted = np.repeat((deep / 257.0)[..., None], 3, axis=-1)
    assert off_by(decoded(save(Image.fromarray(deep), form)), wanted) <= 1


@pytest.mark.parametrize("encode", [deep_png, deep_tiff])
def test_sixteen_bit_colour_is_scaled(encode: object) -> None:
    assert callable(encode)
    deep = landscape().astype(np.uint16) * 257
    assert off_by(decoded(encode(deep)), landscape()) <= 1


@pytest.mark.parametrize("top", [1.0, 255.0, 65_535.0])
def test_float_tiff_is_scaled(top: float) -> None:
    grey = landscape()[..., 0].astype(np.float32)
    found = decoded(save(Image.fromarray(grey / 255 * np.float32(top)), "TIFF"))
    assert off_by(found[..., 0], grey) <= 1


def test_not_a_number_in_a_float_tiff_is_black() -> None:
    grey = np.full((8, 8), 0.5, dtype=np.float32)
    grey[0, 0], grey[1, 1] = np.nan, np.inf
    found = decoded(save(Image.fromarray(grey), "TIFF"))
    assert found[0, 0].tolist() == found[1, 1].tolist() == [0, 0, 0]
    assert abs(found[4, 4, 0] - 127) <= 1


# Scaling


@pytest.mark.parametrize("progressive", [False, True])
def test_scaled_decoding_gives_nearly_the_same_pixels(progressive: bool) -> None:
    data = save(landscape(1600, 1200), "JPEG", progressive=progressive)
    scaled = decode(data, SIZE, LIMITS)
    assert SIZE <= min(scaled.size) < 1200
    whole = Image.open(io.BytesIO(data)).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)
    assert off_by(fit(scaled, SIZE).astype(np.int64), np.asarray(whole)) <= 4


@pytest.mark.parametrize(
    ("width", "height", "wanted"),
    [(4000, 3000, (500, 375)), (3000, 4000, (375, 500)), (2047, 2047, (512, 512))],
)
def test_a_large_jpeg_is_never_decoded_whole(
    width: int, height: int, wanted: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = save(landscape(width, height), "JPEG")
    made: list[tuple[int, int]] = []
    core = importlib.import_module("PIL._imaging")
    new = core.new

    def noted(mode: str, size: tuple[int, int]) -> object:
        made.append(size)
        return new(mode, size)

    monkeypatch.setattr(core, "new", noted)
    picture = decode(data, SIZE, LIMITS)
    assert picture.size == wanted
    # Nor is anything larger made on the way.
    assert made
    assert max(w * h for w, h in made) == wanted[0] * wanted[1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (7, 2)])
def test_the_oddest_proportions_fit_the_square(shape: tuple[int, int]) -> None:
    picture = decode(save(Image.new("RGB", shape, (10, 200, 30)), "PNG"), SIZE, LIMITS)
    assert (fit(picture, SIZE) == [10, 200, 30]).all()
    small = Image.open(io.BytesIO(thumbnail(picture)))
    assert max(small.size) <= images.THUMBNAIL_SIZE


def test_the_thumbnail_shows_the_picture() -> None:
    small = Image.open(io.BytesIO(thumbnail(decode(save(landscape(800, 600), "PNG"), 224, LIMITS))))
    assert small.format == "JPEG"
    assert small.size == (256, 192)
    assert np.abs(np.asarray(small).astype(float) - landscape(256, 192)).mean() < 3


# Refusals


def test_no_bytes() -> None:
    assert refusal(b"").reason == "IMAGE_EMPTY"


def test_text_named_jpg() -> None:
    error = refusal(b"This is not a picture, whatever its name says.\n" * 40)
    assert error.reason == "IMAGE_FORMAT_UNKNOWN"
    assert "JPEG, PNG, WEBP, GIF, TIFF, BMP" in error.remedy


@pytest.mark.parametrize("form", ["PPM", "ICO", "TGA", "JPEG2000", "PDF", "PCX"])
def test_other_formats_are_refused(form: str) -> None:
    assert refusal(save(landscape(), form)).reason == "IMAGE_FORMAT_UNKNOWN"


@pytest.mark.parametrize(
    "start", [b"8BPS\0\1", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS"]
)
def test_other_signatures_are_refused(start: bytes) -> None:
    assert refusal(start.ljust(200, b"\0")).reason == "IMAGE_FORMAT_UNKNOWN"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("form", FORMATS)
def test_truncated_files_are_refused(form: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = save(noise, form)
    assert refusal(data[: int(len(data) * share)]).reason in (
        "IMAGE_BROKEN",
        "IMAGE_FORMAT_UNKNOWN",
    )
    assert decoded(data).shape == (64, 64, 3)


def test_too_many_bytes_are_refused_before_anything_reads_them() -> None:
    data = save(landscape(), "PNG")
    error = refusal(data, ImageLimits(max_bytes=len(data) - 1))
    assert error.reason == "IMAGE_TOO_LARGE"
    assert f"{len(data)} bytes" in error.message
    assert decoded(data, limits=ImageLimits(max_bytes=len(data))).shape == (48, 64, 3)


def test_the_limit_on_pixels_is_inclusive() -> None:
    data = save(landscape(64, 48), "PNG")
    error = refusal(data, ImageLimits(max_pixels=64 * 48 - 1))
    assert (error.reason, "64×48" in error.message) == ("IMAGE_TOO_MANY_PIXELS", True)
    assert decoded(data, limits=ImageLimits(max_pixels=64 * 48)).shape == (48, 64, 3)


def test_a_limit_above_pillows_own_is_the_one_that_counts() -> None:
    # Pillow refuses 179 million pixels by itself; these are 196 million in 1 bit each.
    broken_off = png(14_000, 14_000, bytes(1_000), depth=1, colour=0)
    assert refusal(broken_off).reason == "IMAGE_TOO_MANY_PIXELS"
    assert refusal(broken_off, ImageLimits(max_pixels=200_000_000)).reason == "IMAGE_BROKEN"


def test_a_picture_of_one_column_is_refused_by_its_edge() -> None:
    error = refusal(png(1, 40_000, bytes(1_000), depth=1, colour=0))
    assert error.reason == "IMAGE_TOO_MANY_PIXELS"
    assert "1×40000" in error.message


def test_the_bomb_is_refused_by_its_size() -> None:
    error = refusal(bomb_png(40_000))
    assert error.reason == "IMAGE_TOO_MANY_PIXELS"
    assert "1600000000 pixels" in error.message
    assert "50000000" in error.message


_MEASURE = """
import json, resource, sys
from pathlib import Path
from tashihiki.errors import InvalidArgumentError
from tashihiki_server.images import ImageLimits, decode

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

decode(Path(sys.argv[1], "sound").read_bytes(), 224, ImageLimits())
found = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    before = peak()
    try:
        decode(path.read_bytes(), 224, ImageLimits())
        reason = "decoded"
    except InvalidArgumentError as error:
        reason = error.reason
    found[path.name] = (reason, peak() - before)
print(json.dumps(found))
"""


def test_bombs_of_every_format_cost_no_memory(tmp_path: Path) -> None:
    for name, data in bombs().items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "sound").write_bytes(save(landscape(), "PNG"))
    # A process of its own: the peak of this one lies in its past.
    command = [sys.executable, "-c", _MEASURE, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found = json.loads(run.stdout)
    assert found.pop("sound")[0] == "decoded"
    reasons = {name: reason for name, (reason, _) in found.items()}
    # Pillow before 13 fails at the header of such a WebP before it tells the size.
    assert reasons.pop("WEBP") in ("IMAGE_TOO_MANY_PIXELS", "IMAGE_BROKEN")
    assert reasons == dict.fromkeys(bombs().keys() - {"WEBP"}, "IMAGE_TOO_MANY_PIXELS")
    # Decoding one of them whole takes 50 megabytes at the very least.
    assert {name: mebi for name, (_, mebi) in found.items() if mebi > 25} == {}


_SEEDS = [save(landscape(40, 30), form) for form in FORMATS]
_SEEDS += [
    save(landscape(40, 30), "JPEG", progressive=True),
    save(landscape(40, 30), "TIFF", compression="tiff_lzw"),
    save(landscape(40, 30), "MPO", save_all=True, append_images=[Image.new("RGB", (40, 30))]),
    deep_png(landscape(40, 30).astype(np.uint16)),
    deep_tiff(landscape(40, 30).astype(np.uint16)),
    save(Image.new("P", (40, 30)), "PNG", transparency=0),
    save(Image.new("F", (40, 30)), "TIFF"),
]


# Pillow warns of oddities in broken files, which is no failure.
@pytest.mark.filterwarnings("ignore")
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_flipped_bits_give_a_picture_or_a_refusal(data: st.DataObject) -> None:
    broken = bytearray(data.draw(st.sampled_from(_SEEDS)))
    # Headers are where the interesting faults are.
    places = st.one_of(st.integers(0, min(200, len(broken) - 1)), st.integers(0, len(broken) - 1))
    flips = data.draw(st.lists(st.tuples(places, st.integers(1, 255)), min_size=1, max_size=8))
    for place, mask in flips:
        broken[place] ^= mask
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(broken))))
    try:
        picture = decode(bytes(broken[:cut]), 64, ImageLimits(max_pixels=1_000_000))
    except InvalidArgumentError:
        return
    assert fit(picture, 64).shape == (64, 64, 3)
    assert thumbnail(picture)[:2] == b"\xff\xd8"


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(form=st.sampled_from(FORMATS), rest=st.binary(max_size=400))
def test_signatures_with_anything_behind_them_give_a_refusal(form: str, rest: bytes) -> None:
    start = save(landscape(8, 8), form)[:30]
    with pytest.raises(InvalidArgumentError):
        decode(start + rest, 64, ImageLimits(max_pixels=1_000_000))


# Over gRPC


@pytest.fixture
def shop(module_served: Served) -> Served:
    if not module_served.library.collections():
        collection = catalog_pb2.Collection(name="shop")
        module_served.catalog.CreateCollection(
            catalog_pb2.CreateCollectionRequest(collection=collection)
        )
    return module_served


_BAD = {
    "IMAGE_EMPTY": b"",
    "IMAGE_FORMAT_UNKNOWN": b"text named .jpg",
    "IMAGE_BROKEN": save(landscape(400, 300), "JPEG")[:900],
    "IMAGE_TOO_MANY_PIXELS": bomb_png(40_000),
    "IMAGE_TOO_LARGE": b"\xff\xd8" + bytes(20 * 2**20),
}


@pytest.mark.parametrize("reason", list(_BAD))
def test_upserting_a_bad_picture_names_its_place_and_writes_nothing(
    shop: Served, reason: str
) -> None:
    items = [catalog_pb2.ItemInput(id=f"{n}", image=save(landscape(), "PNG")) for n in range(5)]
    items[3].image = _BAD[reason]
    with pytest.raises(grpc.RpcError) as caught:
        shop.catalog.UpsertItems(
            catalog_pb2.UpsertItemsRequest(collection="shop", items=items), timeout=CALL_SECONDS
        )
    error = from_rpc_error(caught.value)
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.reason, error.field) == (reason, "items[3].image")
    assert error.remedy
    listed = shop.catalog.ListItems(
        catalog_pb2.ListItemsRequest(collection="shop"), timeout=CALL_SECONDS
    )
    assert not listed.items


@pytest.mark.parametrize("reason", list(_BAD))
def test_embedding_a_bad_picture_names_its_place(shop: Served, reason: str) -> None:
    request = catalog_pb2.EmbedRequest(
        collection="shop", images=[save(landscape(), "PNG"), _BAD[reason]]
    )
    with pytest.raises(grpc.RpcError) as caught:
        shop.catalog.Embed(request, timeout=CALL_SECONDS)
    error = from_rpc_error(caught.value)
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.reason, error.field) == (reason, "images[1]")


@pytest.mark.parametrize("reason", list(_BAD))
def test_searching_by_a_bad_picture_is_refused(shop: Served, reason: str) -> None:
    term = composition_pb2.Term(image=_BAD[reason])
    query = composition_pb2.Query(composition=composition_pb2.Composition(terms=[term]))
    with pytest.raises(grpc.RpcError) as caught:
        shop.search.Search(
            search_pb2.SearchRequest(collection="shop", query=query), timeout=CALL_SECONDS
        )
    error = from_rpc_error(caught.value)
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == reason
    assert error.field.startswith("query.composition.terms[0]")


def test_bad_pictures_are_listed_when_the_rest_may_be_written(shop: Served) -> None:
    items = [catalog_pb2.ItemInput(id=f"{n}", image=data) for n, data in enumerate(_BAD.values())]
    items.append(catalog_pb2.ItemInput(id="sound", image=save(landscape(), "PNG")))
    request = catalog_pb2.UpsertItemsRequest(collection="shop", items=items, allow_partial=True)
    response = shop.catalog.UpsertItems(request, timeout=CALL_SECONDS)
    shop.catalog.DeleteItems(catalog_pb2.DeleteItemsRequest(collection="shop", ids=["sound"]))
    assert response.upserted_count == 1
    assert [error.index for error in response.errors] == list(range(len(_BAD)))
