"""An error in a text tells which text and where, over a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from client.shell import run
from gallery import Gallery, faces
from serving import Served
from tashihiki import AsyncClient, Client, InvalidArgumentError, Search, attribute, facet


@pytest.fixture(scope="module")
def people(module_served: Served) -> Gallery:
    return faces(module_served, "places")


def test_the_command_line_marks_the_value_and_says_which_was_meant(
    module_served: Served, people: Gallery, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["search"], ["profile", "--repeat", "1"], ["compare"]):
        arguments = [people.name, "person KR + HAPY", "--server", module_served.address]
        assert run(*command, *arguments) == 1
        headline, text, mark, *_ = capsys.readouterr().err.splitlines()
        assert "no value HAPY; did you mean expression:HAPPY?" in headline
        start = text.index("HAPY")
        assert mark == " " * start + "^^^^"


@pytest.mark.parametrize("command", [["items"], ["sample"], ["suggest"], ["duplicates"]])
def test_the_command_line_marks_the_place_in_a_filter(
    command: list[str], module_served: Served, people: Gallery, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--where", "not 楽:x and person:KR", "--server", module_served.address]
    assert run(*command, people.name, *where) == 1
    lines = capsys.readouterr().err.splitlines()
    # Two columns for the one character.
    assert lines[1:3] == ["  not 楽:x and person:KR", "      ^^"]


QUERIES: list[tuple[Callable[[Client, str], object], str, str]] = [
    (lambda client, name: client.search(name, "person KR + HAPY"), "person KR + HAPY", "HAPY"),
    (lambda client, name: client.compose(name, "KR + + HAPPY"), "KR + + HAPPY", "+"),
    (lambda client, name: client.search(name, "KR", where="person:KX"), "person:KX", "KX"),
    (lambda client, name: list(client.items(name, where="perso:KR")), "perso:KR", "perso"),
    (lambda client, name: list(client.find_duplicates(name, where="a:b")), "a:b", "a"),
]


@pytest.mark.parametrize(("ask", "text", "fault"), QUERIES)
def test_an_error_holds_its_text_and_the_place_in_it(
    ask: Callable[[Client, str], object],
    text: str,
    fault: str,
    module_served: Served,
    people: Gallery,
) -> None:
    with Client(module_served.address) as client, pytest.raises(InvalidArgumentError) as caught:
        ask(client, people.name)
    found = caught.value
    assert found.expression == text
    assert found.position is not None
    assert found.length is not None
    assert text[found.position :][: found.length] == fault


async def test_so_does_each_error_of_a_batch(module_served: Served, people: Gallery) -> None:
    async with AsyncClient(module_served.address) as client:
        searches = [Search(people.name, "KR"), Search(people.name, "HAPPY - SAAD")]
        _, found = await client.batch_search(searches)
    assert isinstance(found, InvalidArgumentError)
    assert (found.expression, found.position, found.length) == ("HAPPY - SAAD", 8, 4)


def test_an_error_in_no_text_has_no_place(module_served: Served, people: Gallery) -> None:
    with Client(module_served.address) as client:
        for query, where in ((attribute("HAPY"), None), ("KR", facet("person").isin("KX"))):
            with pytest.raises(InvalidArgumentError) as caught:
                client.search(people.name, query, where=where)
            assert (caught.value.expression, caught.value.position) == ("", None)
