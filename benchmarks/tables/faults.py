"""`kill -9` at random moments during upserts, removals, folds, fits and snapshots.

The same campaign as in tests/faults, as long as wanted, and with as many items beside those that
change as wanted.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.results import Table
from kills import KillCampaign, Tally
from tashihiki.v1 import catalog_pb2
from tiny_encoder import write_tiny_encoder

KINDS = {
    "sum": catalog_pb2.SPACE_KIND_SUM,
    "factored": catalog_pb2.SPACE_KIND_FACTORED,
}


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """A table of what was met; an AssertionError says what was lost or came back."""
    parser = argparse.ArgumentParser("faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="half of them in each space")
    parser.add_argument("--items", type=int, default=0, help="items beside those that change")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--patience", type=float, default=2.0, help="longest time to a kill, s")
    options = parser.parse_args(arguments)
    rows = []
    for n, (name, kind) in enumerate(KINDS.items()):
        kills = options.kills // 2 + (options.kills % 2 if n else 0)
        with tempfile.TemporaryDirectory() as folder:
            write_tiny_encoder(Path(folder) / "bundle")
            campaign = KillCampaign(
                Path(folder) / "data",
                Path(folder) / "bundle",
                seed=options.seed + n,
                kind=kind,
                still=options.items,
                patience=options.patience,
            )
            rows.append(_row(name, campaign.run(kills)))
    header = ["space", "kills", "requests answered", "in doubt", "indexes", "spaces", "snapshots"]
    header += ["cut short", "restored", "start to answer: median, s", "slowest, s"]
    title = f"kill -9, {options.items} still items: no write lost, no removed item back"
    return [Table("faults", title, header, rows)]


def _row(name: str, tally: Tally) -> list[str]:
    starts = tally.start_seconds or [0.0]
    counts = (
        tally.kills,
        tally.acknowledged,
        tally.in_doubt,
        len(tally.indexes),
        len(tally.spaces),
        tally.snapshots,
        tally.cut_snapshots,
        tally.restored,
    )
    times = (float(np.median(starts)), max(starts))
    return [name, *map(str, counts), *(f"{seconds:.2f}" for seconds in times)]
