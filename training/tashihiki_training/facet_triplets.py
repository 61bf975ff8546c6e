"""The triplet loss, for every facet in turn."""

from __future__ import annotations

from typing import Literal

import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.utils.loss_and_miner_utils import (
    get_all_triplets_indices,
    get_random_triplet_indices,
)
from torch import Tensor, nn

from tashihiki_training.labels import MISSING

Triplets = tuple[Tensor, Tensor, Tensor]


class FacetTripletLoss(nn.Module):
    """max(0, |a − p| − |a − n| + margin), the mean over facets of the mean over triplets.

    Anchor and positive have the same value of the facet in turn, the negative another one;
    pictures without a label for it take no part. Triplets that already fulfil the margin do
    not count in the mean. Every facet has the same weight, however many triplets it has.

    Random triplets contradict each other: with KR happy as anchor, `person` wants KR sad
    nearer than UY happy and `expression` wants the opposite. Consistent triplets ask only
    for what all facets agree on: the positive shares with the anchor all that the negative
    shares, and the facet in turn besides.
    """

    def __init__(self, margin: float, mining: Literal["random", "consistent"]) -> None:
        super().__init__()
        self.mining = mining
        self.loss = TripletMarginLoss(margin=margin, distance=LpDistance())

    def forward(self, embeddings: Tensor, codes: Tensor) -> Tensor:
        """The loss of unit embeddings, (batch, dimension), with codes (batch, facets)."""
        terms = []
        for facet in range(codes.shape[1]):
            labelled = torch.nonzero(codes[:, facet] != MISSING).flatten()
            triplets = self._mine(codes[labelled], facet)
            if len(triplets[0]):
                terms.append(self.loss(embeddings[labelled], codes[labelled, facet], triplets))
        return torch.stack(terms).mean() if terms else embeddings.sum() * 0

    def _mine(self, codes: Tensor, facet: int) -> Triplets:
        if self.mining == "random":
            return random_triplets(codes, facet)
        return consistent_triplets(codes, facet)


def random_triplets(codes: Tensor, facet: int) -> Triplets:
    """One triplet for every anchor that has a positive and a negative."""
    labels = codes[:, facet]
    if len(torch.unique(labels)) < 2:
        return _none(codes)
    anchor, positive, negative = get_random_triplet_indices(labels, t_per_anchor=1)
    return anchor, positive, negative


def consistent_triplets(codes: Tensor, facet: int) -> Triplets:
    """All triplets in which the negative shares nothing with the anchor that the positive lacks."""
    anchor, positive, negative = get_all_triplets_indices(codes[:, facet])
    shared = (codes[:, None] == codes[None]) & (codes != MISSING)[:, None]
    fits = (shared[anchor, positive] | ~shared[anchor, negative]).all(1)
    return anchor[fits], positive[fits], negative[fits]


def _none(codes: Tensor) -> Triplets:
    nothing = torch.zeros(0, dtype=torch.long, device=codes.device)
    return nothing, nothing, nothing
