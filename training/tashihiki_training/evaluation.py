"""Embeds pictures and measures retrieval with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tashihiki_training.factored_search import fit_search
from tashihiki_training.labels import MISSING, Codes, combinations
from tashihiki_training.network import EncoderNetwork
from tashihiki_training.pixels import Pixels
from tashihiki_training.prototypes import Prototypes, Vectors, prototypes
from tashihiki_training.retrieval import (
    Flags,
    Gallery,
    Outcome,
    bootstrap_interval,
    pair_queries,
    retrieve,
    single_queries,
)
from tashihiki_training.split import Indices
from tashihiki_training.training_data import TrainingData

BATCH = 64
PROTOCOL = (
    "Query: two values, one query for every combination of two that occurs in the named part. "
    "Gallery: the pictures of that part, ranked by cosine. recall_at_1: the first hit carries "
    "both values. composed: the query is the unit sum of the values' normalised median "
    "prototypes, from the training pictures; factored: the same in the factored space that is "
    "fitted to the training pictures. seen, unseen: whether a training picture carries the "
    "combination. Interval: 95 % percentile bootstrap over the queries, 2000 draws. facets: "
    "single values for queries, by their prototypes."
)


@dataclass(frozen=True)
class Measurement:
    """Retrieval with what was learnt from the training part.

    Attributes:
        composed: one query per pair of values in the gallery, by sums of prototypes.
        factored: the same in the factored space; None where there is none.
        facets: facet → one query per value in the gallery.
        prototypes: that were summed.
        train: (pictures, facets), what the training part shows.
    """

    composed: Outcome
    factored: Outcome | None
    facets: dict[str, Outcome]
    prototypes: Prototypes
    train: Codes

    @property
    def score(self) -> tuple[float, float]:
        """What training maximises on the validation part: recall at 1, ties by precision.

        Of combinations that no training picture shows, in the factored space. Where there are
        none, of all that were composed; where nothing was, the mean of the facets.
        """
        for outcome in (self.unseen(), self.factored, self.composed):
            if outcome is not None and len(outcome.queries):
                return outcome.recall_at_1, outcome.mean_average_precision
        singles = list(self._asked().values())
        if not singles:
            return 0.0, 0.0
        recall = [outcome.recall_at_1 for outcome in singles]
        precision = [outcome.mean_average_precision for outcome in singles]
        return float(np.mean(recall)), float(np.mean(precision))

    def unseen(self) -> Outcome | None:
        """The queries in the factored space for what no training picture shows."""
        if self.factored is None:
            return None
        return self.factored.of(self.factored.unseen(self.train))

    def summary(self) -> dict[str, Any]:
        """For the history: the figures alone, without those that have no queries."""
        asked = self._asked()
        figures: dict[str, Any] = {
            "facets": {f: round(o.recall_at_1, 4) for f, o in asked.items()},
            "facets_map": {f: round(o.mean_average_precision, 4) for f, o in asked.items()},
        }
        composed = {"unseen": self.unseen(), "factored": self.factored, "sum": self.composed}
        for name, outcome in composed.items():
            if outcome is not None and len(outcome.queries):
                figures[name] = round(outcome.recall_at_1, 4)
                figures[f"{name}_map"] = round(outcome.mean_average_precision, 4)
                figures[f"{name}_queries"] = len(outcome.queries)
        return figures

    def _asked(self) -> dict[str, Outcome]:
        return {facet: outcome for facet, outcome in self.facets.items() if len(outcome.queries)}


@torch.no_grad()
def embed(
    network: EncoderNetwork,
    pixels: Pixels,
    chosen: Indices,
    device: torch.device,
    progress: Callable[[int], None] = lambda done: None,
) -> Vectors:
    """The embeddings of the chosen pictures, (chosen, dimension).

    Args:
        progress: told how many are done.
    """
    network.eval()
    parts: list[Tensor] = []
    for start in range(0, len(chosen), BATCH):
        batch = torch.from_numpy(pixels[chosen[start : start + BATCH]])
        parts.append(network(batch.to(device)).cpu())
        progress(start + len(batch))
    return torch.cat(parts).numpy()


def measure(
    network: EncoderNetwork,
    data: TrainingData,
    part: Indices,
    device: torch.device,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Measurement:
    """Searches a part with prototypes and a factored space of the training part.

    Args:
        progress: told how many pictures are embedded, of how many.
    """
    learnt = len(data.split.train)
    total = learnt + len(part)
    train = embed(
        network, data.pixels, data.split.train, device, lambda done: progress(done, total)
    )
    codes = data.codes[data.split.train]
    found = embed(network, data.pixels, part, device, lambda done: progress(learnt + done, total))
    known = prototypes(train, codes, data.value_counts)
    gallery = Gallery(found, data.codes[part])
    facets = {
        facet: retrieve(single_queries(gallery.codes, number), known, gallery)
        for number, facet in enumerate(data.vocabulary.facets)
    }
    queries = pair_queries(gallery.codes)
    search = fit_search(train, codes, data.vocabulary.facets) if len(queries) else None
    factored = None
    if search is not None:
        factored = retrieve(queries, search, Gallery(search.project(found), gallery.codes))
    return Measurement(retrieve(queries, known, gallery), factored, facets, known, codes)


def report(measurement: Measurement, data: TrainingData, seed: int) -> dict[str, Any]:
    """The metrics of the test part, for the manifest."""
    figures: dict[str, Any] = {
        "protocol": PROTOCOL,
        "part": "test",
        "pictures": {
            "train": len(data.split.train),
            "validation": len(data.split.validation),
            "test": len(data.split.test),
        },
        **_composed(measurement.composed, data, seed),
        "facets": {f: _figures(o, seed) for f, o in measurement.facets.items()},
    }
    if measurement.factored is not None:
        figures["factored"] = _composed(measurement.factored, data, seed)
    return figures


def _composed(outcome: Outcome, data: TrainingData, seed: int) -> dict[str, Any]:
    unseen = outcome.unseen(data.codes[data.split.train])
    return {
        "composed": _figures(outcome, seed),
        "composed_seen_in_training": _figures(outcome.of(~unseen), seed),
        "composed_unseen_in_training": _figures(outcome.of(unseen), seed),
        "composed_by_facets": {
            name: _figures(outcome.of(chosen), seed) for name, chosen in _kinds(outcome, data)
        },
    }


def _figures(outcome: Outcome, seed: int) -> dict[str, Any]:
    if not len(outcome.queries):
        return {"queries": 0}
    low, high = bootstrap_interval(outcome.right, np.random.default_rng(seed))
    return {
        "queries": len(outcome.queries),
        "recall_at_1": round(outcome.recall_at_1, 4),
        "interval_95": [round(low, 4), round(high, 4)],
        "mean_average_precision": round(outcome.mean_average_precision, 4),
    }


def _kinds(outcome: Outcome, data: TrainingData) -> list[tuple[str, Flags]]:
    """The queries by the two facets that they name."""
    kinds, number = combinations((outcome.queries != MISSING).astype(np.int64))
    names = np.array(data.vocabulary.facets)
    return [("+".join(names[kind == 1]), number == k) for k, kind in enumerate(kinds)]
