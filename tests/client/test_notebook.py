"""Results in a notebook: pictures or a table, and never markup that somebody else wrote."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from calls import random_picture
from tashihiki import Client, Hit, Item, SearchResult, image
from tashihiki.testing import FakeServer

HOSTILE = "\"><script>alert('x')</script><img src=x onerror=alert(1)>&amp;"
JPEG = b"\xff\xd8\xff\xe0 what a browser would decode"
VOID = {"img", "br"}


class _Page(HTMLParser):
    """The elements of well-formed markup, and its text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(markup)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def pictures(self) -> list[str]:
        return [attributes["src"] or "" for tag, attributes in self.elements if tag == "img"]

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def _page(result: SearchResult | Hit) -> _Page:
    # As a notebook asks for it.
    markup: str = result._repr_html_()
    return _Page(markup)


@pytest.fixture
def client() -> Iterator[Client]:
    items = [
        Item("mug", image=JPEG, attributes={"colour": "red"}, metadata={"price": 12}),
        Item("cup", image=random_picture(0)[1], attributes={"colour": "blue", "size": "S"}),
        Item("pot", attributes={"colour": "red"}),
    ]
    with FakeServer({"items": items}) as server, Client(server.address) as client:
        yield client


def test_hits_are_a_strip_of_pictures_where_they_were_fetched(client: Client) -> None:
    found = client.search("items", "red", include_thumbnails=True)
    page = _page(found)
    shown = [base64.b64decode(source.partition("base64,")[2]) for source in page.pictures]
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.pictures)
    assert shown == [hit.thumbnail for hit in found if hit.thumbnail]
    assert JPEG in shown
    assert page.count("figure") == 3
    assert page.texts.count("no picture") == 1
    for text in ("mug", "cup", "pot", "colour: red", "size: S", "colour:red"):
        assert text in page.texts
    assert f"similarity {found[0].similarity:.3f}" in page.texts


def test_without_pictures_there_is_a_table_that_says_how_to_get_them(client: Client) -> None:
    page = _page(client.search("items", "red"))
    assert page.pictures == []
    assert page.count("tr") == 4
    assert {"id", "similarity", "colour", "size", "price", "mug", "12"} <= set(page.texts)
    assert any("include_thumbnails=True" in text for text in page.texts)
    empty = _page(client.search("items", "red", where="size:S and colour:red"))
    assert "No hits." in empty.texts
    assert empty.count("table") == 0


def test_a_hit_says_what_brought_it(client: Client) -> None:
    hit = client.search("items", "red - 0.5 * size:S", include_thumbnails=True)[0]
    page = _page(hit)
    for part in hit.contributions:
        assert part.label in page.texts
        assert f"{part.similarity:+.3f}" in page.texts
    assert "rest" in page.texts


def test_what_others_wrote_is_text(client: Client) -> None:
    hostile = Item(HOSTILE, attributes={HOSTILE: HOSTILE}, metadata={HOSTILE: HOSTILE}, image=JPEG)
    client.create_collection("hostile")
    client.upsert("hostile", [hostile])
    for pictures in (True, False):
        found = client.search(
            "hostile", "image(x)", images={"x": JPEG}, include_thumbnails=pictures
        )
        for result in (found, replace(found[0], thumbnail=None), found[0]):
            page = _page(result)
            assert page.count("script") == 0
            assert all(source.startswith("data:image/jpeg;base64,") for source in page.pictures)
            handlers = {name for _, attributes in page.elements for name in attributes}
            assert handlers <= {"style", "src", "alt", "scope"}
            assert any(HOSTILE in text for text in page.texts)


def test_many_hits_do_not_fill_the_notebook(client: Client) -> None:
    client.create_collection("many")
    client.upsert("many", (Item(f"{n:03}", image=JPEG, metadata={"n": n}) for n in range(130)))
    found = client.search("many", image(JPEG), limit=130)
    page = _page(found)
    assert page.count("tr") == 101
    assert "… and 30 more hits." in page.texts


def test_keys_of_their_own_do_not_fill_the_notebook(client: Client) -> None:
    client.create_collection("keys")
    items = [
        Item(
            str(n),
            image=JPEG,
            attributes={"colour": "red"},
            metadata={f"{n}_{key}": key for key in range(20)},
        )
        for n in range(10)
    ]
    client.upsert("keys", items)
    page = _page(client.search("keys", "red"))
    assert page.count("th") == 2 + 30
    assert "colour" in page.texts
    assert "… and 171 more columns." in page.texts


def test_the_representation_has_no_pictures_in_it(client: Client) -> None:
    found = client.search("items", "red", include_thumbnails=True)
    assert "mug" in repr(found)
    assert "xff" not in repr(found)
    assert repr(found[0]).startswith("Hit(id='")
