"""Embeds pictures and measures retrieval with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tashihiki_training.labels import MISSING, Codes, combinations
from tashihiki_training.network import EncoderNetwork
from tashihiki_training.pixels import Pixels
from tashihiki_training.prototypes import Prototypes, Vectors, prototypes
from tashihiki_training.retrieval import (
    Gallery,
    Outcome,
    bootstrap_interval,
    composed_queries,
    retrieve,
    single_queries,
)
from tashihiki_training.split import Indices
from tashihiki_training.training_data import TrainingData

BATCH = 64
MOST_KINDS = 8
PROTOCOL = (
    "Query: the unit sum of the normalised median prototypes of a combination's values, from "
    "the training pictures. Gallery: the pictures of the named part, ranked by cosine. One "
    "query per combination of two and more values that occurs there. recall_at_1: the first "
    "hit carries all of them. Interval: 95 % percentile bootstrap over the queries, 2000 draws. "
    "facets: the same, with single values for queries."
)


@dataclass(frozen=True)
class Measurement:
    """Retrieval with prototypes of the training part.

    Attributes:
        composed: one query per combination in the gallery.
        facets: facet → one query per value in the gallery.
        prototypes: that were used.
    """

    composed: Outcome
    facets: dict[str, Outcome]
    prototypes: Prototypes

    @property
    def score(self) -> tuple[float, float]:
        """What training maximises on the validation part: recall at 1, ties by precision.

        Of composed queries; where there are none, the mean of the facets that have some.
        """
        if len(self.composed.queries):
            return self.composed.recall_at_1, self.composed.mean_average_precision
        singles = list(self._asked().values())
        if not singles:
            return 0.0, 0.0
        recall = [outcome.recall_at_1 for outcome in singles]
        precision = [outcome.mean_average_precision for outcome in singles]
        return float(np.mean(recall)), float(np.mean(precision))

    def summary(self) -> dict[str, Any]:
        """For the history: the figures alone, without those that have no queries."""
        asked = self._asked()
        figures: dict[str, Any] = {
            "facets": {f: round(o.recall_at_1, 4) for f, o in asked.items()},
            "facets_map": {f: round(o.mean_average_precision, 4) for f, o in asked.items()},
        }
        if len(self.composed.queries):
            figures["composed"] = round(self.composed.recall_at_1, 4)
            figures["composed_map"] = round(self.composed.mean_average_precision, 4)
        return figures

    def _asked(self) -> dict[str, Outcome]:
        return {facet: outcome for facet, outcome in self.facets.items() if len(outcome.queries)}


@torch.no_grad()
def embed(
    network: EncoderNetwork, pixels: Pixels, chosen: Indices, device: torch.device
) -> Vectors:
    """The embeddings of the chosen pictures, (chosen, dimension)."""
    network.eval()
    parts: list[Tensor] = []
    for start in range(0, len(chosen), BATCH):
        batch = torch.from_numpy(pixels[chosen[start : start + BATCH]])
        parts.append(network(batch.to(device)).cpu())
    return torch.cat(parts).numpy()


def measure(
    network: EncoderNetwork, data: TrainingData, part: Indices, device: torch.device
) -> Measurement:
    """Searches a part with prototypes of the training part."""
    train = embed(network, data.pixels, data.split.train, device)
    known = prototypes(train, data.codes[data.split.train], data.value_counts)
    gallery = Gallery(embed(network, data.pixels, part, device), data.codes[part])
    facets = {
        facet: retrieve(single_queries(gallery.codes, number), known, gallery)
        for number, facet in enumerate(data.vocabulary.facets)
    }
    return Measurement(retrieve(composed_queries(gallery.codes), known, gallery), facets, known)


def report(measurement: Measurement, data: TrainingData, seed: int) -> dict[str, Any]:
    """The metrics of the test part, for the manifest."""
    composed = measurement.composed
    train, _ = combinations(data.codes[data.split.train])
    unseen = ~(composed.queries[:, None] == train[None]).all(2).any(1)
    return {
        "protocol": PROTOCOL,
        "part": "test",
        "pictures": {
            "train": len(data.split.train),
            "validation": len(data.split.validation),
            "test": len(data.split.test),
        },
        "composed": _figures(composed, np.ones(len(unseen), dtype=bool), seed),
        "composed_unseen_in_training": _figures(composed, unseen, seed),
        "composed_by_facets": {
            name: _figures(composed, chosen, seed) for name, chosen in _kinds(composed, data)
        },
        "facets": {f: _figures(o, slice(None), seed) for f, o in measurement.facets.items()},
    }


def _figures(outcome: Outcome, chosen: Any, seed: int) -> dict[str, Any]:
    right = outcome.right[chosen]
    if not len(right):
        return {"queries": 0}
    low, high = bootstrap_interval(right, np.random.default_rng(seed))
    return {
        "queries": len(right),
        "recall_at_1": round(float(right.mean()), 4),
        "interval_95": [round(low, 4), round(high, 4)],
        "mean_average_precision": round(float(outcome.precision[chosen].mean()), 4),
    }


def _kinds(outcome: Outcome, data: TrainingData) -> list[tuple[str, Any]]:
    """The queries by the facets that they name; the most frequent kinds."""
    asked: Codes = (outcome.queries != MISSING).astype(np.int64)
    kinds, number = combinations(asked)
    names = np.array(data.vocabulary.facets)
    frequent = np.argsort(-np.bincount(number, minlength=len(kinds)), kind="stable")
    return [("+".join(names[kinds[k] == 1]), number == k) for k in frequent[:MOST_KINDS]]
