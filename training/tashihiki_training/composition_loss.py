"""Draws sums of prototypes and the pictures that they describe together."""

from __future__ import annotations

import torch
from pytorch_metric_learning.losses import SupConLoss
from torch import Tensor, nn
from torch.nn import functional

from tashihiki_training.labels import MISSING


class CompositionLoss(nn.Module):
    """The contrastive loss between pictures and the unit sums of their values' prototypes.

    It is what the search does with `person KR + HAPPY`. Prototypes enter as they were after
    the last epoch; they are sums over facets, so that nothing is learnt about a combination
    that does not hold for its parts. A picture and a sum are a positive pair if they have the
    same combination, a negative pair if they contradict each other in some facet; other pairs
    are left alone. Khosla et al., Supervised Contrastive Learning, 2020, both ways.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.loss = SupConLoss(temperature=temperature)

    def forward(self, embeddings: Tensor, codes: Tensor, prototypes: list[Tensor]) -> Tensor:
        """The loss of unit embeddings.

        Args:
            embeddings: (batch, dimension).
            codes: (batch, facets).
            prototypes: per facet (values, dimension).
        """
        combinations, label = torch.unique(codes, dim=0, return_inverse=True)
        sums = compose(combinations, prototypes)
        pairs = contradictions(codes, combinations)
        same = label[:, None] == torch.arange(len(combinations), device=codes.device)
        forth = self._one_way(embeddings, sums, same, pairs)
        back = self._one_way(sums, embeddings, same.T, pairs.T)
        return (forth + back) / 2

    def _one_way(self, rows: Tensor, others: Tensor, same: Tensor, pairs: Tensor) -> Tensor:
        indices = (*torch.nonzero(same, as_tuple=True), *torch.nonzero(pairs, as_tuple=True))
        loss: Tensor = self.loss(rows, indices_tuple=indices, ref_emb=others)
        return loss


def compose(combinations: Tensor, prototypes: list[Tensor]) -> Tensor:
    """The unit sums of the prototypes of combinations, (combinations, facets)."""
    total = torch.zeros(len(combinations), prototypes[0].shape[1], device=combinations.device)
    for facet, rows in enumerate(prototypes):
        code = combinations[:, facet]
        total += rows[code.clamp(min=0)] * (code != MISSING)[:, None]
    return functional.normalize(total)


def contradictions(codes: Tensor, combinations: Tensor) -> Tensor:
    """(batch, combinations): whether both have a value of some facet and the values differ."""
    left, right = codes[:, None], combinations[None]
    return ((left != right) & (left != MISSING) & (right != MISSING)).any(2)
