"""The site that the tests of a module share, and the browser that they look at it with."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from web.served_page import PATIENCE_MS, Site, fill, open_site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory, tiny_encoder_bundle: Path) -> Iterator[Site]:
    """A filled site that tests read only."""
    with open_site(tmp_path_factory.mktemp("site") / "data", tiny_encoder_bundle) as opened:
        fill(opened)
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium; `apt-get install chromium` brings it")
    with sync_playwright() as playwright:
        # Root has no sandbox; nothing but our own page is opened.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address in a tab of its own; options are those of a browser context.

    At the end, none may have asked another host for anything, or met a fault in a script.
    """
    contexts: list[BrowserContext] = []
    elsewhere: list[str] = []
    faults: list[str] = []

    def open_one(url: str, **options: Any) -> Page:
        defaults: dict[str, Any] = {
            "locale": "en-GB",
            "viewport": {"width": 1280, "height": 900},
        }
        context = browser.new_context(**{**defaults, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        origin = "/".join(url.split("/")[:3])

        def note(request: Any) -> None:
            if not request.url.startswith(f"{origin}/"):
                elsewhere.append(request.url)

        def listen(message: Any) -> None:
            if "Content Security Policy" in message.text or "TrustedHTML" in message.text:
                faults.append(message.text)

        page.on("request", note)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", listen)
        page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert elsewhere == []
    assert faults == []
