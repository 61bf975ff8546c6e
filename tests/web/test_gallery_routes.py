"""What the page's server answers, and what it refuses, without a browser."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

from docs.markdown import DOCS, blocks
from server_process import running, serve_to_the_end
from tashihiki import (
    Client,
    FacetSummary,
    FailedPreconditionError,
    HealthStatus,
    Item,
    Space,
    ValueSummary,
)
from tashihiki.v1 import catalog_pb2, discovery_pb2, maintenance_pb2, search_pb2
from tashihiki_server.web.address import parse_address
from tashihiki_server.web.answers import facet_json
from tashihiki_server.web.completion import complete
from tashihiki_server.web.page import open_page
from web.served_page import (
    COLOURS,
    HOSTILE,
    PLAIN,
    SCRIPT,
    SQUARES,
    Site,
    free_port,
    identifier,
    square,
)

OF_SQUARES = f"/api/collections/{SQUARES}"

FACETS = (
    FacetSummary("colour", (ValueSummary("red", 9, ("akai",)), ValueSummary("navy blue", 4)), 0),
    FacetSummary("trim", (ValueSummary("red", 3), ValueSummary("rose", 12)), 2),
)
IDS = ("mug_1.jpg", "mug_2.jpg", "red_1.jpg")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/static/app.js",
        "/static/style.css",
        "/api/collections",
        f"{OF_SQUARES}/thumbnail?id={identifier('red', 'white')}",
        "/api/nothing",
        f"{OF_SQUARES}/item?id=nothing",
    ],
)
def test_every_answer_forbids_foreign_script(site: Site, path: str) -> None:
    _, headers, _ = site.get(path)
    policy = {
        rule.split()[0]: rule.split()[1:] for rule in headers["content-security-policy"].split("; ")
    }
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == policy["img-src"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_page_itself_holds_no_script_style_or_foreign_address(site: Site) -> None:
    text = site.get("/")[2].decode()
    assert "<style" not in text
    assert "style=" not in text
    assert "http" not in text
    assert text.count("<script") == text.count('<script type="module" src="/static/app.js">') == 1


@pytest.mark.parametrize(
    "path",
    [
        "/static/../page.py",
        "/static/%2e%2e/page.py",
        "/static/..%2fpage.py",
        "/static//etc/passwd",
        "/api/collections/..%2f..%2fetc/item?id=passwd",
        f"{OF_SQUARES}/thumbnail?id=..%2f..%2f..%2fcollection.json",
        "/api/pictures/..%2f..%2fetc%2fpasswd",
    ],
)
def test_no_path_leads_out(site: Site, path: str) -> None:
    status, _, body = site.get(path)
    assert status in (400, 404)
    assert json.loads(body)["error"]["reason"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8080"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_other_sites_are_refused(site: Site, headers: dict[str, str]) -> None:
    status, _, body = site.get("/api/collections", headers)
    assert status == 403
    assert json.loads(body)["error"]["reason"] == "ORIGIN_REFUSED"


def test_a_link_from_another_site_opens_the_page(site: Site) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert site.get("/?collection=squares", headers)[0] == 200


@pytest.mark.parametrize(
    ("body", "kind", "status", "reason"),
    [
        (b"{", "application/json", 400, "REQUEST_INVALID"),
        (b"[]", "application/json", 400, "REQUEST_INVALID"),
        (b"{}", "text/plain", 400, "REQUEST_INVALID"),
        (b'{"expression": 1}', "application/json", 400, "REQUEST_INVALID"),
        (b'{"terms": [{"kind": "vector"}]}', "application/json", 400, "REQUEST_INVALID"),
        (b'{"terms": [{"kind": "image"}]}', "application/json", 400, "UNBOUND_OPERAND"),
        (b'{"only": {"colour": "red"}}', "application/json", 400, "REQUEST_INVALID"),
        (b'{"picture": "gone"}', "application/json", 404, "PICTURE_GONE"),
        (b" " * 300_000, "application/json", 400, "REQUEST_INVALID"),
        (b'{"expression": "this item"}', "application/json", 400, "UNBOUND_OPERAND"),
        (b'{"expression": "colour:red", "limit": 0}', "application/json", 400, "LIMIT_INVALID"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    site: Site, body: bytes, kind: str, status: int, reason: str
) -> None:
    got, _, answer = site.get(f"{OF_SQUARES}/search", {"Content-Type": kind}, body)
    error = json.loads(answer)["error"]
    assert (got, error["reason"]) == (status, reason)
    assert error["remedy"]


@pytest.mark.parametrize(
    ("query", "reason", "field", "place"),
    [
        ({"expression": "𝕏𝕏 + colour:red"}, "UNKNOWN_VALUE", "query.expression", (0, 2)),
        ({"expression": "colour:red + bleu"}, "UNKNOWN_VALUE", "query.expression", (13, 4)),
        ({"expression": "red"}, "AMBIGUOUS_VALUE", "query.expression", (0, 3)),
        (
            {"expression": "blue", "where": "colour:red adn"},
            "FILTER_INVALID",
            "filter.expression",
            (11, 1),
        ),
        (
            {"expression": "blue", "where": "colour:red adn", "only": {"colour": ["red"]}},
            "FILTER_INVALID",
            "filter.expression",
            (11, 1),
        ),
    ],
)
def test_an_error_says_where_in_what_was_typed(
    site: Site, query: dict[str, Any], reason: str, field: str, place: tuple[int, int]
) -> None:
    status, answer = site.ask(f"{OF_SQUARES}/search", query)
    error = answer["error"]
    assert (status, error["reason"], error["field"]) == (400, reason, field)
    assert (error["position"], error["length"]) == place


CALLS = {
    method.name
    for contract in (catalog_pb2, discovery_pb2, maintenance_pb2, search_pb2)
    for service in contract.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    # These are words of the page, too.
    if method.name not in ("Search", "Compose")
}


@pytest.mark.parametrize(
    "path",
    ["/api/collections/none/facets", f"{OF_SQUARES}/item?id=none", f"{OF_SQUARES}/search"],
)
def test_a_remedy_names_nothing_of_the_contract(site: Site, path: str) -> None:
    _, answer = site.ask(path, {"expression": "none"} if path.endswith("search") else None)
    remedy = answer["error"]["remedy"]
    assert remedy
    assert [call for call in CALLS if call in remedy] == []


def test_a_facet_whose_last_value_went_meanwhile_has_no_filter_to_show() -> None:
    assert facet_json(FacetSummary("colour", (), 3))["filter"] == ""


def test_chips_become_the_expression_that_asks_for_the_same(site: Site) -> None:
    query = {"item": identifier("red", "white"), "limit": 5}
    _, typed = site.ask(
        f"{OF_SQUARES}/search", {**query, "expression": "this item − background + .5*green"}
    )
    _, chips = site.ask(f"{OF_SQUARES}/search", {**query, "terms": typed["terms"]})
    assert chips["expression"] == "this item - background + 0.5 * colour:green"
    assert chips["hits"] == typed["hits"]
    _, again = site.ask(f"{OF_SQUARES}/search", {**query, "expression": chips["expression"]})
    assert again["hits"] == typed["hits"]


@pytest.mark.parametrize(
    "query",
    [
        {"expression": "colour:green + background:white"},
        {"expression": "this item − background + 0.5 * green"},
        {"expression": "2 * this item − red_value", "where": "not background:white"},
        {"expression": "this item + blue", "only": {"background": ["red", "black"]}},
    ],
)
def test_the_plain_sum_is_what_a_sum_collection_answers(site: Site, query: dict[str, Any]) -> None:
    query = {
        **query,
        "expression": query["expression"].replace("red_value", "colour:red"),
        "item": identifier("red", "white"),
        "limit": 20,
    }
    _, service = site.ask(f"/api/collections/{PLAIN}/search", query)
    for collection in (PLAIN, SQUARES):
        _, ours = site.ask(f"/api/collections/{collection}/plain-sum", query)
        expected = [hit["similarity"] for hit in service["hits"]]
        assert [hit["similarity"] for hit in ours["hits"]] == pytest.approx(expected, abs=1e-5)
        assert {hit["id"] for hit in ours["hits"][:8]} <= {hit["id"] for hit in service["hits"]}


def test_a_plain_sum_of_which_nothing_is_left_says_so(site: Site) -> None:
    query = {"expression": "−colour:red", "limit": 5}
    assert len(site.ask(f"{OF_SQUARES}/search", query)[1]["hits"]) == 5
    status, ours = site.ask(f"{OF_SQUARES}/plain-sum", query)
    assert (status, ours["hits"]) == (200, [])
    assert "cancel out" in ours["note"]


def test_the_plain_sum_keeps_negative_coordinates_where_the_collection_does(site: Site) -> None:
    name = "signed"
    items = [
        Item(f"{colour}{copy}", image=square(colour, "white", copy), attributes={"colour": colour})
        for colour in COLOURS
        for copy in range(3)
    ]
    with Client(site.address, timeout=60) as client:
        client.create_collection(name, space=Space("sum", keep_negative=True))
        try:
            client.upsert(name, items)
            for expression in ("−red", "red − 3 * blue", "item(green1) − 2 * green"):
                query = {"expression": expression, "limit": 9}
                _, service = site.ask(f"/api/collections/{name}/search", query)
                _, ours = site.ask(f"/api/collections/{name}/plain-sum", query)
                expected = [hit["similarity"] for hit in service["hits"]]
                assert len(expected) >= 8
                assert [hit["similarity"] for hit in ours["hits"]] == pytest.approx(
                    expected, abs=1e-5
                )
                assert ours["note"] == ""
        finally:
            client.delete_collection(name)


def test_the_plain_sum_takes_aliases_for_their_values(site: Site) -> None:
    name = "aliased"
    labels = {"red": "red", "green": "crimson", "blue": "blue"}
    items = [
        Item(f"{colour}{copy}", image=square(colour, "white", copy), attributes={"colour": label})
        for colour, label in labels.items()
        for copy in range(3)
    ]
    with Client(site.address, timeout=60) as client:
        client.create_collection(name, space="sum", aliases={"colour": {"crimson": "red"}})
        try:
            client.upsert(name, items)
            query = {"expression": "crimson", "limit": 9}
            _, service = site.ask(f"/api/collections/{name}/search", query)
            _, ours = site.ask(f"/api/collections/{name}/plain-sum", query)
        finally:
            client.delete_collection(name)
    expected = [hit["similarity"] for hit in service["hits"]]
    assert len(expected) == 9
    assert [hit["similarity"] for hit in ours["hits"]] == pytest.approx(expected, abs=1e-5)


def test_pictures_are_made_anew(site: Site) -> None:
    sent = square("green", "black")
    with Client(site.address) as client:
        kept = client.get_item(SQUARES, identifier("green", "black"), include_thumbnail=True)
    status, headers, body = site.get(f"{OF_SQUARES}/thumbnail?id={identifier('green', 'black')}")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert body == kept.thumbnail != sent
    assert Image.open(io.BytesIO(body)).format == "JPEG"
    _, _, answer = site.get("/api/pictures", {"Content-Type": "image/png"}, sent)
    token = json.loads(answer)["token"]
    _, headers, body = site.get(f"/api/pictures/{token}")
    assert headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(body)).format == "JPEG"


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (b"", "image/png", "IMAGE_EMPTY"),
        (b"<svg/>", "image/svg+xml", "IMAGE_FORMAT_UNKNOWN"),
        (b"<script/>", "text/html", "IMAGE_FORMAT_UNKNOWN"),
        (square("red", "white")[:200], "image/png", "IMAGE_BROKEN"),
        (bytes(20 * 2**20 + 1), "image/png", "IMAGE_TOO_LARGE"),
    ],
)
def test_what_is_no_picture_is_refused(site: Site, data: bytes, kind: str, reason: str) -> None:
    status, _, body = site.get("/api/pictures", {"Content-Type": kind}, data)
    assert (status, json.loads(body)["error"]["reason"]) == (400, reason)


def test_the_document_makes_an_application() -> None:
    (python,) = (block for block in blocks(DOCS / "gallery.md") if block.language == "python")
    names: dict[str, Any] = {}
    exec(python.text, names)
    assert "/api/health" in {route.path for route in names["application"].routes}


def test_names_with_signs_come_back_as_terms_that_work(site: Site) -> None:
    of_hostile = f"/api/collections/{HOSTILE}"
    _, facets = site.ask(f"{of_hostile}/facets")
    term = facets["facets"][0]["values"][0]["term"]
    _, answer = site.ask(f"{of_hostile}/search", {"expression": term})
    assert answer["terms"][0]["facet"] == SCRIPT
    _, item = site.ask(f"{of_hostile}/item?id={quote(SCRIPT)}0")
    _, answer = site.ask(f"{of_hostile}/search", {"expression": item["term"]})
    assert answer["terms"][0]["name"] == f"{SCRIPT}0"


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("r", 0, [("rose", 12), ("colour:red", 9), ("trim:red", 3), ('item("red_1.jpg")', 1)]),
        ("aka", 0, [("colour:red", 9)]),
        ("mug − na", 6, [('"navy blue"', 4)]),
        ("mug − tri", 6, [("trim", 15)]),
        ("mug + tri", 6, [("trim:", 15)]),
        ("colour:n", 0, [('colour:"navy blue"', 4)]),
        ("mug + trim r", 6, [("trim:rose", 12), ("trim:red", 3)]),
        ('"navy b', 0, [('"navy blue"', 4)]),
        ("item(mug", 0, [('item("mug_1.jpg")', 2), ('item("mug_2.jpg")', 2)]),
        ("0.5", 3, []),
        ("this it", 5, []),
        ("thi", 0, [("this item", 0), ("this image", 0)]),
    ],
)
def test_completion(text: str, start: int, expected: list[tuple[str, int]]) -> None:
    found = complete(text, len(text), FACETS, IDS)
    assert [(option.insert, option.count) for option in found.options] == expected
    assert (found.start, found.end) == (start, len(text))


def test_completion_replaces_the_rest_of_the_word() -> None:
    found = complete("mug + rouse − trim", 8, FACETS, IDS)
    assert (found.start, found.end) == (6, 11)
    assert [option.insert for option in found.options] == ["rose"]


def test_a_taken_port_leaves_the_search_up(tmp_path: Path, tiny_encoder_bundle: Path) -> None:
    port = free_port()
    gallery = ("--gallery", f"127.0.0.1:{port}")
    with (
        running(tmp_path / "one", tiny_encoder_bundle, *gallery) as first,
        running(tmp_path / "two", tiny_encoder_bundle, *gallery) as second,
        Client(f"127.0.0.1:{second.port}") as client,
    ):
        assert client.health() is HealthStatus.SERVING
        assert "ADDRESS_IN_USE" in second.log
        assert "--gallery off" in second.log
        assert first.stop() == 0
        assert "Traceback" not in first.log


def test_the_page_can_be_left_out() -> None:
    assert open_page("off") is None


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, True),
        ("localhost:0", "localhost", 0, True),
        ("[::1]:8080", "::1", 8080, True),
        ("0.0.0.0:80", "0.0.0.0", 80, False),
        ("gallery.example:80", "gallery.example", 80, False),
    ],
)
def test_addresses(text: str, host: str, port: int, loopback: bool) -> None:
    found = parse_address(text)
    assert (found.host, found.port, found.is_loopback, str(found)) == (host, port, loopback, text)


@pytest.mark.parametrize(
    "text", ["", "8080", "here", ":8080", "localhost:", "localhost:65536", "http://localhost:80"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(FailedPreconditionError, match="ADDRESS_INVALID"):
        parse_address(text)


def test_an_address_that_is_none_is_refused(tmp_path: Path, tiny_encoder_bundle: Path) -> None:
    ended = serve_to_the_end(
        tmp_path / "data", tiny_encoder_bundle, "127.0.0.1:0", "--gallery", "here"
    )
    assert ended.returncode == 1
    assert "ADDRESS_INVALID" in ended.stderr
    assert "Traceback" not in ended.stderr
