"""How passes share the cores: measured at the first start, read at later ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server_process import running
from tashihiki_server.durable import json_checksum
from tashihiki_server.encoder.openvino import OpenVinoEncoder
from tashihiki_server.encoder.streams import Streams, candidates, one_for_each_core
from tashihiki_server.encoder.tuning import STREAMS_FILE, Speed, fastest, open_tuned
from tiny_encoder import SIZE

Content = dict[str, Any]


@pytest.fixture
def bundle(tmp_path: Path, tiny_encoder_bundle: Path) -> Path:
    """A bundle of this test's own, as a data folder holds it."""
    return Path(shutil.copytree(tiny_encoder_bundle, tmp_path / "bundle"))


def kept(bundle: Path) -> Content:
    content: Content = json.loads((bundle / STREAMS_FILE).read_text(encoding="utf-8"))
    assert content["checksum"] == json_checksum(content)
    return content


def put(bundle: Path, content: Content) -> None:
    """Writes the file as if it had been measured so."""
    content["checksum"] = json_checksum(content)
    (bundle / STREAMS_FILE).write_text(json.dumps(content), encoding="utf-8")


def other_than(streams: Streams) -> Streams:
    return next(one for one in candidates() if one != streams)


def test_what_was_measured_is_read_the_next_time(bundle: Path) -> None:
    chosen = open_tuned(bundle).streams
    content = kept(bundle)
    assert Streams(**content["streams"]) == chosen
    assert len(content["seconds_for_a_picture"]) == len(candidates())
    # The other choice would hardly come out of a measurement twice.
    for streams in (other_than(chosen), chosen):
        put(bundle, {**content, "streams": vars(streams)})
        before = (bundle / STREAMS_FILE).read_bytes()
        assert open_tuned(bundle).streams == streams
        assert (bundle / STREAMS_FILE).read_bytes() == before


def _changed(name: str, value: object) -> Callable[[Path], None]:
    return lambda bundle: put(bundle, {**kept(bundle), name: value})


def _edited(bundle: Path) -> None:
    path = bundle / STREAMS_FILE
    path.write_text(path.read_text(encoding="utf-8").replace('"cores": ', '"cores": 1'))


def _lost(name: str) -> Callable[[Path], None]:
    def lose(bundle: Path) -> None:
        content = kept(bundle)
        del content[name]
        put(bundle, content)

    return lose


@pytest.mark.parametrize(
    "spoil",
    [
        _changed("encoder", "0123456789abcdef"),
        _changed("openvino", "2020.1"),
        _changed("processor", "Abacus"),
        _changed("cores", 4096),
        _changed("format", 0),
        _changed("streams", {"count": 0, "threads": 1, "pinned": True}),
        _changed("streams", {"count": 9999, "threads": 9999, "pinned": True}),
        _changed("streams", {"count": "one"}),
        _changed("streams", None),
        _lost("streams"),
        _lost("cores"),
        _edited,
        lambda bundle: (bundle / STREAMS_FILE).write_bytes(b"\xff\x00{"),
        lambda bundle: (bundle / STREAMS_FILE).write_bytes(b""),
        lambda bundle: (bundle / STREAMS_FILE).write_text("[]"),
    ],
)
def test_what_is_foreign_or_unreadable_is_measured_again(
    bundle: Path, spoil: Callable[[Path], object]
) -> None:
    open_tuned(bundle)
    sound = kept(bundle)
    spoil(bundle)
    assert open_tuned(bundle).streams in candidates()
    again = kept(bundle)
    for name in ("format", "encoder", "openvino", "processor", "cores"):
        assert again[name] == sound[name]
    assert Streams(**again["streams"]) in candidates()


def test_a_folder_that_takes_nothing_does_no_harm(
    bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (bundle / STREAMS_FILE).mkdir()
    assert open_tuned(bundle).streams in candidates()
    assert "cannot be measured" in caplog.text


def test_every_division_gives_the_same_embeddings(bundle: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3), dtype=np.uint8)
    wanted = OpenVinoEncoder(bundle).embed(pixels)
    for streams in candidates():
        found = OpenVinoEncoder(bundle, streams).embed(pixels)
        np.testing.assert_allclose(found, wanted, atol=1e-4, err_msg=str(streams))


def test_the_default_is_the_first_candidate() -> None:
    assert candidates()[0] == one_for_each_core()
    assert len(set(candidates())) == len(candidates())


FIRST, SECOND, THIRD = Streams(8, 8), Streams(8, 8, False), Streams(1, 8)


@pytest.mark.parametrize(
    ("second", "third", "wanted"),
    [
        (Speed(4.0, 1.0), Speed(4.0, 1.0), FIRST),
        (Speed(3.9, 0.98), Speed(4.0, 1.0), FIRST),
        (Speed(3.0, 0.9), Speed(4.0, 1.0), SECOND),
        # Four times as fast for one and four times as slow for many is no gain.
        (Speed(1.0, 4.0), Speed(1.0, 4.0), FIRST),
        (Speed(3.0, 0.9), Speed(1.0, 1.2), THIRD),
    ],
)
def test_the_fastest_for_one_and_for_many_is_chosen(
    second: Speed, third: Speed, wanted: Streams
) -> None:
    speeds = {FIRST: Speed(4.0, 1.0), SECOND: second, THIRD: third}
    assert fastest(speeds) == wanted


@pytest.mark.parametrize(("count", "threads"), [(0, 1), (-1, 2), (3, 2)])
def test_more_streams_than_threads_are_refused(count: int, threads: int) -> None:
    with pytest.raises(ValueError, match="cannot share"):
        Streams(count, threads)


def test_a_server_measures_at_its_first_start_alone(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    data = tmp_path / "data"
    with running(data, tiny_encoder_bundle) as first:
        measured = [line for line in first.log.splitlines() if "was measured" in line]
    assert len(measured) == 1
    (folder,) = (data / "encoders").iterdir()
    before = (folder / STREAMS_FILE).read_bytes()
    with running(data, tiny_encoder_bundle) as second:
        assert "measured" not in second.log
        assert str(Streams(**kept(folder)["streams"])) in second.log
    assert (folder / STREAMS_FILE).read_bytes() == before
