"""Makes measuring and training short, so that pages about them run word for word in seconds."""

from __future__ import annotations

import csv
import random
import shutil
from importlib.metadata import entry_points
from pathlib import Path

import torch

from demo_server import COMMAND
from tashihiki_training.mobilenet import make_stages

WEIGHTS = "mobilenet_v2_imagenet.pth"
PHOTOS = 32
_NETWORK = f"--size 64 --epochs 0 --weights {WEIGHTS}"
_TRAINING = f"--limit {PHOTOS} --pooling mean {_NETWORK}"
# Of an option that is given twice the last one counts.
_COMMAND = f"""\
#!/bin/sh
case "$1 $*" in
  train*) set -- "$@" {_TRAINING} ;;
  evaluate*--train*) set -- "$@" --protocol P1 {_NETWORK} ;;
  evaluate*) set -- "$@" --protocol P1 ;;
esac
exec "{COMMAND}" "$@"
"""


def install(folder: Path) -> None:
    """Puts a command `tashihiki` into a folder: the real one, content with less."""
    command = folder / "tashihiki"
    command.write_text(_COMMAND)
    command.chmod(0o755)


def photos(drawn: Path, desk: Path) -> None:
    """Lays out what the pages name: labelled photos, and the weights of a network.

    Args:
        drawn: a folder whose `data` has the pictures of the demo.
        desk: where the pages are followed.
    """
    demo = drawn / "data" / "demo"
    with (demo / "items" / "labels.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["product"] in ("mug", "teapot", "chair")]
    chosen = random.Random(0).sample(rows, PHOTOS)
    _write(desk / "photos", demo / "items", chosen)
    (desk / "jaffe").mkdir()
    for picture in sorted((demo / "faces").glob("K*.tiff"))[::2]:
        shutil.copy(picture, desk / "jaffe")
    state = make_stages().state_dict()
    torch.save({f"features.{name}": value for name, value in state.items()}, desk / WEIGHTS)


def _write(folder: Path, pictures: Path, rows: list[dict[str, str]]) -> None:
    folder.mkdir()
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "product", "colour"])
        for row in rows:
            shutil.copy(pictures / row["path"], folder)
            table.writerow([row["path"], row["product"], row["colour"]])


def understood(words: list[str]) -> None:
    """Has a command read its arguments as it would, and do nothing.

    Raises:
        click.UsageError: they are wrong.
    """
    (entry,) = entry_points(group="tashihiki.commands", name=words[0])
    entry.load().make_context(words[0], words[1:])
