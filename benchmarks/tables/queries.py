"""Queries beside the least that they can cost: a look-up and an empty call, an encoder pass."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results import Table
from benchmarks.tables.image_queries import ImagePlan, image_tables
from benchmarks.tables.text_queries import TextPlan, text_tables


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """Tables for one caller and for many, of text and of images."""
    options = _options(arguments)
    tables: list[Table] = []
    if "text" in options.kinds:
        folder = _folder(options, "text")
        tables += text_tables(
            TextPlan(
                options.items,
                options.dimension,
                options.calls,
                options.seconds,
                options.rounds,
                folder,
            )
        )
    if "image" in options.kinds:
        folder = _folder(options, "image")
        tables += image_tables(
            ImagePlan(
                options.image_items, options.calls // 5, options.seconds, options.rounds, folder
            )
        )
    return tables


def _folder(options: argparse.Namespace, kind: str) -> str | None:
    return str(Path(options.data) / kind) if options.data else None


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("queries", description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=("text", "image"), default=["text", "image"])
    parser.add_argument("--items", type=int, default=100_000, help="for text queries")
    parser.add_argument("--dimension", type=int, default=128, help="of these items")
    parser.add_argument("--image-items", type=int, default=20_000, help="for image queries")
    parser.add_argument("--calls", type=int, default=2000, help="of one caller; a fifth for images")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a turn of many callers")
    parser.add_argument("--rounds", type=int, default=3, help="turns of many callers")
    parser.add_argument("--data", default=None, help="folder that is kept and used again")
    return parser.parse_args(arguments)
