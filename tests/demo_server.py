"""The demo as `make serve` draws and serves it, once for all tests that ask it."""

from __future__ import annotations

import fcntl
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from docs.shell import free_port, serving
from tashihiki_server.library import SHIPPED_ENCODER
from tiny_encoder import write_tiny_encoder

COMMAND = Path(sys.executable).with_name("tashihiki")


@dataclass(frozen=True)
class DemoServer:
    """A server of the demo that runs.

    Attributes:
        folder: where somebody who follows the documents types: `data` is its data folder, and
            `mug.jpg` a photo.
        port: on 127.0.0.1.
    """

    folder: Path
    port: str

    @property
    def address(self) -> str:
        """Host and port."""
        return f"localhost:{self.port}"


def drawn_demo(shelf: Path) -> Path:
    """A folder with `data`, the data folder of a server of the demo that was started once.

    Processes that test at the same time share it: the first one draws.
    """
    folder = shelf / "demo"
    with (shelf / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "data" / "demo" / "ready").exists():
            folder.mkdir(exist_ok=True)
            with serving(serve("data", free_port()), folder, folder / "first.log"):
                pass
    return folder


@contextmanager
def demo_server(drawn: Path, folder: Path) -> Iterator[DemoServer]:
    """Serves a copy of the demo in a folder of its own, until the block ends.

    A second encoder is installed, `mobilenet`, which is no MobileNet but quick.
    """
    shutil.copytree(drawn / "data", folder / "data")
    shutil.copy(drawn / "first.log", folder)
    shutil.copy(folder / "data" / "demo" / "items" / "mug_blue_wood_1.jpg", folder / "mug.jpg")
    write_tiny_encoder(folder / "mobilenet", "mobilenet")
    port = free_port()
    encoders = ["--encoder", str(SHIPPED_ENCODER), "--encoder", "mobilenet"]
    with serving([*serve("data", port), *encoders], folder, folder / "second.log"):
        yield DemoServer(folder, port)


def serve(data: str, port: str) -> list[str]:
    """The command that draws the demo, where it is not there, and serves it."""
    where = ["--data", data, "--address", f"127.0.0.1:{port}", "--gallery", "off"]
    return [str(COMMAND), "serve", "--demo", *where]
