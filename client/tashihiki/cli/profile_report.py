"""Where the time of a query goes, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.bar import Bar

from tashihiki.cli.output import console, printable, table
from tashihiki.results import Timings

OTHER = "other"
NETWORK = "network"
_BAR_WIDTH = 30


@dataclass(frozen=True)
class Measured:
    """One answer: the seconds until it was there, and the server's own account."""

    round_trip: float
    timings: Timings


@dataclass(frozen=True)
class _Row:
    """A stage over all answers: quantiles in seconds, and its share of all the time."""

    name: str
    p50: float
    p99: float
    share: float


def print_profile(measured: Sequence[Measured]) -> None:
    """A row for each stage in the order of a query's way, and one for the whole."""
    out = console()
    grid = table("stage", "p50 ms", "p99 ms", "share", "", numbers=("p50 ms", "p99 ms", "share"))
    for row in (*_stages(measured), _round_trip(measured)):
        grid.add_row(
            printable(row.name),
            f"{1000 * row.p50:.3f}",
            f"{1000 * row.p99:.3f}",
            f"{row.share:.0%}",
            Bar(1.0, 0.0, row.share, width=_BAR_WIDTH),
        )
    out.print(grid)
    out.print(f"{len(measured)} answers, after one that opened the connection")


def profile_json(measured: Sequence[Measured]) -> dict[str, Any]:
    """The same as one JSON object, in seconds."""
    return {
        "count": len(measured),
        "round_trip": _quantiles(_round_trip(measured)),
        "stages": [{"name": row.name, **_quantiles(row)} for row in _stages(measured)],
    }


def _quantiles(row: _Row) -> dict[str, float]:
    return {"p50_seconds": row.p50, "p99_seconds": row.p99, "share": row.share}


def _round_trip(measured: Sequence[Measured]) -> _Row:
    return _row("round trip", [one.round_trip for one in measured], measured)


def _stages(measured: Sequence[Measured]) -> list[_Row]:
    """The server's stages, what it did beside them, and the rest of the round trip."""
    names = dict.fromkeys(name for one in measured for name in one.timings.stages)
    rows = [
        _row(name, [one.timings.stages.get(name, 0.0) for one in measured], measured)
        for name in names
    ]
    other = [one.timings.total - sum(one.timings.stages.values()) for one in measured]
    network = [one.round_trip - one.timings.total for one in measured]
    return [*rows, _row(OTHER, other, measured), _row(NETWORK, network, measured)]


def _row(name: str, seconds: Sequence[float], measured: Sequence[Measured]) -> _Row:
    p50, p99 = np.quantile(seconds, [0.5, 0.99])
    whole = sum(one.round_trip for one in measured)
    return _Row(name, float(p50), float(p99), sum(seconds) / whole)
