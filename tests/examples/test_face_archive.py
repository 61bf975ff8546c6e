from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo_server import DemoServer
from examples.face_archive import already_there, everything_of, other_expression, showing
from tashihiki import Client, Hit

SHOTS = 4
EXPRESSIONS = 7
CODES = {"HAPPY": "HA", "SURPRISE": "SU"}


@pytest.fixture
def archive(demo: DemoServer) -> Iterator[Client]:
    with Client(demo.address) as client:
        yield client


def shown(hit: Hit) -> tuple[str, str]:
    """Person and code of the expression, as the demo names its files."""
    person, shot, _, _ = hit.id.split(".")
    return person, shot[:2]


@pytest.mark.parametrize(("person", "expression"), [("KR", "HAPPY"), ("TM", "SURPRISE")])
def test_a_person_with_an_expression_comes_first(
    archive: Client, person: str, expression: str
) -> None:
    first = showing(archive, person, expression)[:SHOTS]
    assert {shown(hit) for hit in first} == {(person, CODES[expression])}


def test_the_person_of_a_picture_need_not_be_named(archive: Client) -> None:
    found = other_expression(archive, "KR.SA1.105.tiff", "HAPPY")
    assert shown(found[0]) == ("KR", "HA")
    assert "KR.SA1.105.tiff" not in [hit.id for hit in found]


def test_every_other_picture_of_a_person_comes_once(archive: Client) -> None:
    picture = archive.get_item("faces", "KR.SA1.105.tiff")
    found = list(everything_of(archive, picture))
    assert len({hit.id for hit in found}) == len(found) == SHOTS * EXPRESSIONS - 1
    assert {shown(hit)[0] for hit in found} == {"KR"}
    assert picture.id not in [hit.id for hit in found]


def test_a_picture_that_is_there_is_known_again(archive: Client, demo: DemoServer) -> None:
    file = next((demo.folder / "data" / "demo" / "faces").glob("NM.SU2.*"))
    assert already_there(archive, file.read_bytes())[0] == file.name
    mug = demo.folder / "mug.jpg"
    assert already_there(archive, mug.read_bytes()) == []
