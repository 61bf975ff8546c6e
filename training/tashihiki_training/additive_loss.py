"""Draws combinations of values towards the sums of their values' effects."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tashihiki_training.labels import MISSING


class AdditiveLoss(nn.Module):
    """The share of interaction in the variance of the batch's combination means.

    Combination means are fitted by a mean and one effect for each value, least squares with
    every combination weighted equally, missing labels absent: the model of the factored space.
    The loss is what that leaves, over the variance of the means; 0 where the embeddings are
    additive in the facets. It is the ratio of sums of squares of an analysis of variance, so
    shrinking all embeddings towards one point does not lower it.
    """

    def forward(self, embeddings: Tensor, codes: Tensor) -> Tensor:
        """The loss of embeddings (batch, dimension) with codes (batch, facets), in [0, 1]."""
        combinations, number = torch.unique(codes, dim=0, return_inverse=True)
        member = functional.one_hot(number, len(combinations)).to(embeddings.dtype)
        means = (member / member.sum(0)).T @ embeddings
        deviations = means - means.mean(0)
        # By labels alone, so nothing is differentiated through the solver.
        design = indicators(combinations).to(device="cpu", dtype=torch.float64)
        leaves = torch.eye(len(design), dtype=torch.float64) - design @ torch.linalg.pinv(design)
        interaction = leaves.to(embeddings) @ deviations
        share: Tensor = (interaction**2).sum() / (deviations**2).sum().clamp(min=1e-12)
        return share


def indicators(combinations: Tensor) -> Tensor:
    """(combinations, 1 + values): a column of ones, then one for each value that occurs."""
    columns = [torch.ones(len(combinations), 1, device=combinations.device)]
    for code in combinations.T:
        values = torch.unique(code[code != MISSING])
        columns.append((code[:, None] == values).float())
    return torch.cat(columns, dim=1)
