"""The gallery page as people use it: in a real browser, against a real server."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Dialog, FilePayload, Locator, Page, Route, expect

from tashihiki import Client, Item
from web.served_page import (
    COLOURS,
    COPIES,
    HOSTILE,
    INHERITED,
    INHERITED_FACETS,
    PATIENCE_MS,
    PLAIN,
    SCRIPT,
    SQUARES,
    Site,
    free_port,
    identifier,
    open_site,
    square,
)

OpenTab = Callable[..., Page]
expect.set_options(timeout=PATIENCE_MS)


def address(site: Site, expression: str = "", collection: str = SQUARES, **more: str) -> str:
    """The link to a query."""
    parameters = {"collection": collection, "q": expression, **more}
    pairs = (f"{name}={quote(value)}" for name, value in parameters.items() if value)
    return f"{site.url}/?{'&'.join(pairs)}"


def ids(page: Page | Locator, count: int) -> list[str]:
    """The ids of the first cards, once the answer is there and they are so many."""
    results = page.locator("#results") if isinstance(page, Page) else page.page.locator("#results")
    expect(results).to_have_attribute("aria-busy", "false")
    cards = page.locator(".card .open")
    expect(cards.nth(count - 1)).to_be_visible()
    return [str(card.get_attribute("title")) for card in cards.all()[:count]]


def field(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Query")


def ask(page: Page, expression: str) -> None:
    field(page).fill(expression)
    field(page).press("Escape")
    field(page).press("Enter")


def pair(colour: str, background: str) -> set[str]:
    return {identifier(colour, background, copy) for copy in range(COPIES)}


def in_address(page: Page, name: str) -> list[str]:
    return parse_qs(urlsplit(page.url).query).get(name, [])


def test_a_query_is_typed_with_completion_and_its_link_can_be_shared(
    site: Site, open_tab: OpenTab
) -> None:
    page = open_tab(address(site))
    assert len(ids(page, 40)) == 40
    field(page).press_sequentially("colour:gr")
    options = page.get_by_role("listbox", name="Completions").get_by_role("option")
    expect(options).to_have_count(1)
    expect(options).to_contain_text(re.compile(rf"colour: green\s*{3 * COPIES}"))
    field(page).press("ArrowDown")
    expect(options).to_have_attribute("aria-selected", "true")
    field(page).press("Enter")
    expect(field(page)).to_have_value("colour:green")
    field(page).press_sequentially(" + background:black")
    field(page).press("Escape")
    field(page).press("Enter")
    chips = page.get_by_role("list", name="Terms of the query").get_by_role("listitem")
    expect(chips).to_have_count(2)
    found = ids(page, COPIES)
    assert set(found) == pair("green", "black")
    assert in_address(page, "q") == ["colour:green + background:black"]
    assert ids(open_tab(page.url), COPIES) == found


def test_a_newly_opened_page_offers_queries_of_its_own_collection(
    site: Site, open_tab: OpenTab
) -> None:
    page = open_tab(address(site))
    assert len(ids(page, 40)) == 40
    examples = page.locator(".example")
    expect(examples).to_have_count(3)
    two, one, changed = examples.all_inner_texts()
    values = dict(term.split(":") for term in two.split(" + "))
    assert values.keys() == {"colour", "background"}
    expect(field(page)).to_have_attribute("placeholder", two)
    assert one in two
    assert changed.startswith("this item + ")
    examples.first.click()
    assert set(ids(page, COPIES)) == pair(values["colour"], values["background"])
    page.go_back()
    examples.last.click()
    expect(page.get_by_role("heading", name="This item")).to_be_visible()
    expect(field(page)).to_have_value(changed)
    assert ids(page, 1)[0] != in_address(page, "item")[0]
    page.get_by_role("combobox", name="Collection").select_option(HOSTILE)
    # Of its one facet a value is asked for, alone and beside an item.
    expect(examples).to_have_count(2)
    expect(field(page)).to_have_attribute("placeholder", examples.first.inner_text())
    examples.first.click()
    assert len(ids(page, 4)) == 4
    expect(page.locator("#query-failure")).to_be_hidden()


def test_what_led_nowhere_shows_ways_on(site: Site, open_tab: OpenTab) -> None:
    page = open_tab(address(site, "redd", where="metadata.copy < 0"))
    expect(page.locator("#query-failure")).to_be_visible()
    page.locator(".example").first.click()
    expect(page.locator("#query-failure")).to_be_hidden()
    assert len(ids(page, 40)) == 40
    assert in_address(page, "where") == []
    page.goto(address(site, "colour:red", where="metadata.copy < 0"))
    expect(page.locator("#results-body")).to_contain_text("Nothing that the filter admits is left.")
    expect(page.locator(".example").first).to_be_visible()
    page.get_by_role("button", name="Search without the filter").click()
    assert {one.split("_")[0] for one in ids(page, 3 * COPIES)} == {"red"}


def test_a_query_that_fails_leaves_the_pictures_there(site: Site, open_tab: OpenTab) -> None:
    page = open_tab(address(site, "redd"))
    expect(page.locator("#query-failure")).to_be_visible()
    # Nothing was found before: the sample.
    assert len(ids(page, 40)) == 40
    expect(page.get_by_role("heading", name=SQUARES)).to_be_visible()
    ask(page, "colour:red")
    expect(page.locator("#query-failure")).to_be_hidden()
    found = ids(page, 40)
    for attempt in ("colour:redd", "colour:"):
        ask(page, attempt)
        expect(page.locator("#query-failure pre")).to_have_text(attempt)
        assert ids(page, 40) == found
        expect(page.locator(".kept")).to_have_count(1)
        expect(page.locator(".kept .example")).to_have_count(2)
    # More of the query before would be asked for with the one that fails.
    expect(page.get_by_role("button", name="More results")).to_have_count(0)


def test_a_link_to_a_collection_that_is_none_leads_to_those_there_are(
    site: Site, open_tab: OpenTab
) -> None:
    page = open_tab(address(site, "colour:red", collection="nothing-like-it"))
    failure = page.locator("#query-failure")
    expect(failure.locator(".candidate")).to_have_text([HOSTILE, INHERITED, PLAIN, SQUARES])
    failure.get_by_role("button", name=SQUARES).click()
    expect(failure).to_be_hidden()
    expect(page.get_by_role("combobox", name="Collection")).to_have_value(SQUARES)
    assert {one.split("_")[0] for one in ids(page, 3 * COPIES)} == {"red"}


def test_facets_that_come_late_are_not_taken_for_another_collections(
    site: Site, open_tab: OpenTab
) -> None:
    page = open_tab(address(site))
    ids(page, 40)
    late: list[Route] = []

    def hold(route: Route) -> None:
        late.append(route)

    page.route(f"**/{PLAIN}/facets", hold)
    choice = page.get_by_role("combobox", name="Collection")
    with page.expect_request(f"**/{PLAIN}/facets"):
        choice.select_option(PLAIN)
    choice.select_option(HOSTILE)
    assert len(ids(page, 4)) == 4
    with page.expect_response(f"**/{PLAIN}/facets") as answered:
        late[0].continue_()
    answered.value.finished()
    page.evaluate("fetch('/api/health').then((answer) => answer.text())")
    expect(page.locator("#facets summary")).to_have_text([SCRIPT])
    expect(field(page)).to_have_attribute("placeholder", re.compile("script"))


def test_names_that_every_object_has_are_names(site: Site, open_tab: OpenTab) -> None:
    page = open_tab(address(site, collection=INHERITED))
    # An item is not asked for the value that it has, however it is spelt.
    asked = page.locator(".example").last
    shown = asked.locator("img").get_attribute("alt")
    assert asked.inner_text().endswith("toString") == (shown == "3")
    page.goto(address(site, "constructor:tostring", INHERITED, **{"only.__proto__": "other"}))
    assert ids(page, 1) == ["3"]
    expect(page.locator(".card")).to_have_count(1)
    page.locator("#filters > summary").click()
    for facet in INHERITED_FACETS:
        page.get_by_label(f"Only {facet}: toString").check()
    expect(page.locator(".card")).to_have_count(3)
    assert in_address(page, "only.__proto__") == ["other", "toString"]
    page.get_by_label("Only __proto__: toString").uncheck()
    expect(page.locator("#results-body")).to_contain_text("Nothing that the filter admits")


def test_a_weight_and_a_sign_are_changed_on_the_chip(site: Site, open_tab: OpenTab) -> None:
    page = open_tab(address(site, "colour:red + background:black"))
    assert set(ids(page, COPIES)) == pair("red", "black")
    slider = page.get_by_role("slider", name="Weight of colour:red")
    slider.focus()
    slider.press("Home")
    expect(field(page)).to_have_value("0 * colour:red + background:black")
    expect(slider).to_be_focused()
    # Nothing is asked of the colour any more: all on black come before all others.
    black = set().union(*(pair(colour, "black") for colour in COLOURS))
    assert set(ids(page, 3 * COPIES)) == black
    slider.press("End")
    expect(field(page)).to_have_value("3 * colour:red + background:black")
    page.get_by_role("button", name="colour:red: adds").click()
    expect(field(page)).to_have_value("-3 * colour:red + background:black")
    expect(page.get_by_role("button", name="colour:red: subtracts")).to_be_visible()
    assert set(ids(page, 2 * COPIES)) == black - pair("red", "black")
    page.get_by_role("button", name="Remove colour:red").click()
    expect(field(page)).to_have_value("background:black")


@pytest.mark.parametrize("way", ["drop", "paste", "choose"])
def test_a_picture_is_searched_with(site: Site, open_tab: OpenTab, way: str) -> None:
    page = open_tab(address(site))
    ids(page, 1)
    data = square("blue", "white", 3)
    if way == "choose":
        chosen: FilePayload = {"name": "mine.png", "mimeType": "image/png", "buffer": data}
        page.get_by_label("Choose a picture to search with").set_input_files(chosen)
    else:
        hand_over(page, data, "mine.png", "image/png", way)
    expect(page.get_by_role("heading", name="This image")).to_be_visible()
    expect(field(page)).to_have_value("this image")
    assert ids(page, 1) == [identifier("blue", "white", 3)]
    # The page shows a JPEG made of the picture, never the file itself.
    preview = page.locator("#subject img").get_attribute("src")
    _, headers, shown = site.get(str(preview))
    assert headers["content-type"] == "image/jpeg"
    assert shown.startswith(b"\xff\xd8\xff")
    page.get_by_role("button", name="Let go").click()
    expect(field(page)).to_have_value("")


def test_a_file_that_is_no_picture_is_refused_in_words(site: Site, open_tab: OpenTab) -> None:
    page = open_tab(address(site))
    ids(page, 1)
    hand_over(page, b"<svg onload='window.broken=1'/>", "mine.svg", "image/svg+xml")
    expect(page.locator("#query-failure")).to_contain_text("not an image that can be read")


def hand_over(page: Page, data: bytes, name: str, kind: str, way: str = "drop") -> None:
    page.evaluate(
        """([text, name, type, way]) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const files = new DataTransfer();
            files.items.add(new File([bytes], name, { type }));
            const options = { bubbles: true, cancelable: true };
            const events = way === "paste"
                ? [new ClipboardEvent("paste", { clipboardData: files, ...options })]
                : ["dragover", "drop"].map(
                    (one) => new DragEvent(one, { dataTransfer: files, ...options }));
            for (const event of events) document.body.dispatchEvent(event);
        }""",
        [base64.b64encode(data).decode(), name, kind, way],
    )


def test_an_item_is_clicked_through_three_refinements(site: Site, open_tab: OpenTab) -> None:
    page = open_tab(address(site, "colour:red + background:white"))
    first = ids(page, 1)[0]
    page.locator(".card .open").first.click()
    expect(field(page)).to_have_value("this item")
    expect(page.get_by_role("heading", name="This item")).to_be_visible()
    assert in_address(page, "item") == [first]
    # An item is no hit of its own query.
    assert first not in ids(page, 40)

    page.get_by_role("region", name="This item").get_by_role(
        "button", name="Ignore background"
    ).click()
    expect(field(page)).to_have_value("this item − background")
    page.locator("#filters > summary").click()
    page.get_by_role("button", name="Add colour: green").click()
    expect(field(page)).to_have_value("this item − background + colour:green")
    expect(page.locator(".match").first).to_be_visible()
    assert {one.split("_")[0] for one in ids(page, COPIES)} == {"green"}

    page.locator(".card .open").nth(2).click()
    expect(page.locator("#subject .id")).to_contain_text("green_")
    expect(field(page)).to_have_value("this item − background + colour:green")
    page.go_back()
    expect(page.locator("#subject .id")).to_have_text(first)


def test_an_ambiguous_value_is_resolved_where_it_stands(site: Site, open_tab: OpenTab) -> None:
    page = open_tab(address(site))
    ids(page, 1)
    ask(page, "background:black + red")
    failure = page.locator("#query-failure")
    expect(failure.locator("mark")).to_have_text("red")
    expect(failure.locator("pre")).to_have_text("background:black + red")
    expect(field(page)).to_have_attribute("aria-invalid", "true")
    failure.get_by_role("button", name="colour:red").click()
    expect(failure).to_be_hidden()
    expect(field(page)).to_have_value("background:black + colour:red")
    assert set(ids(page, COPIES)) == pair("red", "black")


def test_a_fault_in_the_filter_is_marked_at_the_filter(site: Site, open_tab: OpenTab) -> None:
    page = open_tab(address(site, "colour:red", **{"only.colour": "red"}))
    assert {one.split("_")[0] for one in ids(page, 3 * COPIES)} == {"red"}
    page.locator("#filters > summary").click()
    page.get_by_label("Filter", exact=True).fill("background:black adn metadata.copy < 2")
    page.get_by_role("button", name="Apply").click()
    failure = page.locator("#filter-failure")
    expect(failure.locator("pre")).to_have_text("background:black adn metadata.copy < 2")
    expect(failure.locator("mark")).to_have_text("a")
    page.get_by_label("Filter", exact=True).fill("background:black and metadata.copy < 2")
    page.get_by_role("button", name="Apply").click()
    expect(failure).to_be_hidden()
    expect(page.locator(".card")).to_have_count(2)
    assert set(ids(page, 2)) == {identifier("red", "black", copy) for copy in range(2)}


def test_more_results_come_as_the_page_is_scrolled(site: Site, open_tab: OpenTab) -> None:
    page = open_tab(address(site, "colour:red"))
    expect(page.locator(".card")).to_have_count(40)
    page.mouse.move(600, 700)
    for count in (80, 9 * COPIES):
        page.mouse.wheel(0, 20_000)
        expect(page.locator(".card")).to_have_count(count)
    shown = [card.get_attribute("title") for card in page.locator(".card .open").all()]
    assert len(set(shown)) == 9 * COPIES
    expect(page.get_by_role("button", name="More results")).to_have_count(0)


def test_focus_tells_why_and_a_plain_sum_stands_beside(site: Site, open_tab: OpenTab) -> None:
    page = open_tab(address(site, "colour:red + background:black"))
    page.locator(".card .open").first.focus()
    why = page.get_by_role("region", name="Why red_black_")
    facets, terms = why.get_by_role("list").all()
    expect(facets.get_by_role("listitem")).to_have_count(3)
    for name in ("colour", "background"):
        value = facets.get_by_role("listitem").filter(has_text=name).locator(".value")
        assert float(value.inner_text()) > 0.9
    brought = [float(one.inner_text()) for one in terms.locator(".value").all()]
    said = re.search(r"similarity ([\d.]+)", why.inner_text())
    assert said is not None
    assert sum(brought) == pytest.approx(float(said[1]), abs=0.02)
    page.get_by_label("Compare with a plain sum").check()
    beside = page.locator(".beside > section")
    expect(beside).to_have_count(2)
    expect(beside.nth(1).get_by_role("heading")).to_have_text("Plain sum")
    expect(beside.nth(1).locator(".card")).to_have_count(12)
    assert set(ids(beside.nth(0), COPIES)) == pair("red", "black")


def test_the_map_draws_items_prototypes_and_the_path(site: Site, open_tab: OpenTab) -> None:
    page = open_tab(
        address(
            site,
            "this item − background + colour:green",
            item=identifier("red", "white"),
            view="map",
            facet="colour",
        )
    )
    chart = page.get_by_role("img", name=f"Map of {9 * COPIES} items coloured by colour")
    expect(chart.locator(".point")).to_have_count(9 * COPIES)
    assert set(chart.locator(".prototype-name").all_text_contents()) >= set(COLOURS)
    expect(page.locator("#results ol li")).to_have_text(
        [f"+ item({identifier('red', 'white')})", "− background", "+ colour:green"]
    )
    # The path ends nearer to the prototype of green than to any other.
    places = {name: place(chart, name) for name in COLOURS}
    end = chart.locator(".step").last
    x, y = (float(str(end.get_attribute(name))) for name in ("cx", "cy"))
    nearest = min(places, key=lambda name: (places[name][0] - x) ** 2 + (places[name][1] - y) ** 2)
    assert nearest == "green"
    page.get_by_role("combobox", name="Coloured by").select_option("background")
    expect(page.get_by_role("img", name=re.compile("by background"))).to_be_visible()


def place(chart: Locator, value: str) -> tuple[float, float]:
    name = chart.locator(".prototype-name").filter(has_text=re.compile(f"^{value}$"))
    # The name stands 28 units under its prototype.
    return float(str(name.get_attribute("x"))), float(str(name.get_attribute("y"))) - 28


def test_near_duplicates_are_shown(site: Site, open_tab: OpenTab) -> None:
    page = open_tab(address(site, view="duplicates"))
    groups = page.locator(".group")
    expect(groups.first).to_be_visible()
    for group in groups.all():
        assert len({one.rsplit("_", 1)[0] for one in ids(group, 2)}) == 1


def test_the_server_goes_down_and_comes_back(
    tmp_path: Path, tiny_encoder_bundle: Path, open_tab: OpenTab
) -> None:
    data, port = tmp_path / "data", free_port()
    with open_site(data, tiny_encoder_bundle, port) as site:
        with Client(site.address) as client:
            client.create_collection("few")
            client.upsert("few", [Item("a", image=square("red", "white"))])
        page = open_tab(site.url)
        assert ids(page, 1) == ["a"]
        hand_over(page, square("red", "white"), "mine.png", "image/png")
        expect(field(page)).to_have_value("this image")
        assert ids(page, 1) == ["a"]
    ask(page, "item(a) + this image")
    banner = page.get_by_text("The server does not answer")
    expect(banner).to_be_visible()
    with open_site(data, tiny_encoder_bundle, port):
        expect(banner).to_be_hidden()
        # The query is asked again, with a picture that the new server had to be sent once more.
        expect(field(page)).to_have_value("item(a) + this image")
        expect(page.locator(".chip")).to_have_count(2)
        expect(page.locator("#query-failure")).to_be_hidden()
        page.close()


def test_names_are_text_whatever_they_hold(site: Site, open_tab: OpenTab) -> None:
    page = open_tab(address(site, collection=HOSTILE))
    dialogs: list[str] = []

    def refuse(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", refuse)
    found = ids(page, 4)
    assert all(one.startswith(SCRIPT) for one in found)
    page.locator(".card .open").first.click()
    expect(page.locator("#subject .id")).to_contain_text(SCRIPT)
    page.locator("#subject summary").click()
    expect(page.locator("#subject dd")).to_have_text(SCRIPT)
    page.locator("#filters > summary").click()
    expect(page.locator("#facets summary")).to_have_text(SCRIPT)
    expect(page.locator(".card").first).to_be_visible()
    for view in ("Map", "Near-duplicates", "Results"):
        page.get_by_role("navigation").get_by_role("button", name=view).click()
        expect(page.get_by_role("button", name=view, pressed=True)).to_be_visible()
    page.goto(address(site, f"item({quote('<script>')}", collection=HOSTILE, where=SCRIPT))
    expect(page.locator(".failure:visible")).to_be_visible()
    assert page.evaluate("window.broken") is None
    assert dialogs == []
    assert page.locator("main script, main img[onerror]").count() == 0


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_nothing_stands_in_anybodys_way(
    site: Site, open_tab: OpenTab, width: int, scheme: str
) -> None:
    page = open_tab(
        address(site, "this item − background + 0.5 * colour:green", item=identifier("red", "red")),
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
    )
    expect(page.locator(".match").first).to_be_visible()
    page.locator("#filters > summary").click()
    page.locator(".card .open").first.focus()
    sound(page)
    ask(page, "redd + colour:green")
    expect(page.locator("#query-failure")).to_be_visible()
    sound(page)
    page.goto(address(site, "colour:green", view="map"))
    expect(page.locator(".step")).to_be_visible()
    sound(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def sound(page: Page) -> None:
    """Axe finds nothing serious."""
    found = Axe().run(page).response["violations"]
    serious = [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_the_keyboard_reaches_a_result(site: Site, open_tab: OpenTab) -> None:
    page = open_tab(address(site, "colour:blue + background:red"))
    first = ids(page, 1)[0]
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the results")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#results")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(".card .open").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(field(page)).to_have_value("this item")
    assert in_address(page, "item") == [first]
    expect(page.locator("#results")).to_be_focused()


def test_the_page_speaks_english_and_japanese(site: Site, open_tab: OpenTab) -> None:
    page = open_tab(address(site, "redd"), locale="ja-JP")
    expect(page.locator("html")).to_have_attribute("lang", "ja")
    expect(page.get_by_role("button", name="検索", exact=True)).to_be_visible()
    expect(page.locator("#query-failure")).to_contain_text("この値はありません")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#query-failure")).to_contain_text("No value redd")
    page.reload()
    expect(page.get_by_role("button", name="Search", exact=True)).to_be_visible()
