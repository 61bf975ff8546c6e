"""How soon the gallery page shows its first results, on the demo, in headless Chromium.

From the beginning of the navigation until the first picture is drawn, in a browser context of its
own each time, so that nothing is cached.
"""

from __future__ import annotations

import argparse
import io
import shutil
import socket
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from benchmarks.results import Table
from tashihiki_server.library import SHIPPED_ENCODER

ROUNDS = 15
LINKS = {
    "the page": "/",
    "a query of two values": "/?collection=faces&q=person%3AKR+%2B+expression%3AHAPPY",
    "an item, refined": "/?collection=items&q=this+item+-+background+%2B+colour%3Ared"
    "&item=mug_blue_wood_1.jpg",
}
_DRAWN = """() => {
    const picture = document.querySelector(".card img");
    return picture && picture.complete && picture.naturalWidth > 0 ? performance.now() : null;
}"""


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """Median and slowest, in milliseconds."""
    parser = argparse.ArgumentParser("gallery_page", description=__doc__)
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of docs/gallery.md")
    options = parser.parse_args(arguments)
    # The tests' folder is on the path by now.
    from server_process import running

    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "data", SHIPPED_ENCODER, "--demo", "--gallery", f"127.0.0.1:{port}"),
        sync_playwright() as playwright,
    ):
        _wait(url)
        chromium = shutil.which("chromium") or sys.exit("there is no Chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, link in LINKS.items():
            took = [_open(browser, url + link) for _ in range(ROUNDS)]
            rows.append([name, f"{statistics.median(took):.0f}", f"{max(took):.0f}"])
        if options.pictures:
            _draw(browser, url, options.pictures)
        browser.close()
    header = ["opened", "median, ms", "slowest, ms"]
    return [Table("gallery_page", "First results of the gallery page", header, rows)]


def _open(browser: Browser, url: str) -> float:
    context = browser.new_context()
    page = context.new_page()
    page.goto(url, wait_until="commit")
    took = float(page.wait_for_function(_DRAWN, polling="raf").json_value())
    context.close()
    return took


def _draw(browser: Browser, url: str, folder: Path) -> None:
    context = browser.new_context(viewport={"width": 1200, "height": 900}, locale="en-GB")
    page = context.new_page()
    page.goto(url + LINKS["an item, refined"])
    page.locator(".card .open").nth(1).hover()
    page.wait_for_load_state("networkidle")
    _save(page.screenshot(), folder / "gallery.png")
    page.goto(f"{url}{LINKS['an item, refined']}&view=map&facet=colour")
    _save(page.locator("svg.map").screenshot(), folder / "map.png")
    context.close()


def _save(png: bytes, path: Path) -> None:
    # A photograph's worth of colours would make it several times as large.
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(path, optimize=True)


def _wait(url: str) -> None:
    while True:
        try:
            with urllib.request.urlopen(f"{url}/api/health"):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
