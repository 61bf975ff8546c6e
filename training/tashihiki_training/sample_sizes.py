"""How many photos and queries a training has to go by, and what so few can tell."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import numpy as np

from tashihiki_training.labels import MISSING, Codes
from tashihiki_training.retrieval import pair_queries, single_queries
from tashihiki_training.training_data import TrainingData

FEW_QUERIES = 30
FEW_PHOTOS = 5
_MOST_NAMED = 12


def value_counts(data: TrainingData) -> Iterator[str]:
    """A line for each facet: its values, those of most photos first, and how many have each."""
    for facet, (name, values) in enumerate(
        zip(data.vocabulary.facets, data.vocabulary.values, strict=True)
    ):
        counts = _counts(data.codes, facet, len(values))
        order = np.argsort(-counts, kind="stable")
        shown = [f"{values[code]} {counts[code]}" for code in order[:_MOST_NAMED]]
        if len(values) > _MOST_NAMED:
            shown.append(_rest(counts[order[_MOST_NAMED:]]))
        unlabelled = len(data.codes) - counts.sum()
        without = f"; {_number(unlabelled, 'photo')} without" if unlabelled else ""
        yield f"{name}: {_number(len(values), 'value')}: {', '.join(shown)}{without}"


def warnings(data: TrainingData) -> Iterator[str]:
    """What the split's own numbers say that is not to be expected of it, in sentences."""
    yield from _scarce(data)
    train, steering, reported = (
        data.codes[part] for part in (data.split.train, data.split.validation, data.split.test)
    )
    kind, queries = _steering(train, steering)
    if len(queries) < FEW_QUERIES:
        # The score of values is the mean over facets, which may have unlike numbers of them.
        alike = len(queries) and (kind != "value" or train.shape[1] == 1)
        share = 1 / len(queries) if alike else 0.0
        yield (
            f"only {_number(len(queries), kind)} to steer by"
            + (f": one of them is {share:.2f} of the score" if share else "")
            + ", so an epoch that seems better may be chance"
        )
    kind, queries = _reported(train, reported)
    if len(queries) < FEW_QUERIES:
        yield f"only {_number(len(queries), kind)} to report on" + (
            f": a 95 % interval of their recall is up to {_widest(len(queries)):.2f} wide"
            if len(queries)
            else ""
        )


def _widest(queries: int) -> float:
    """The width of Wilson's 95 % interval of a share, at a half, where it is the widest."""
    return 1.96 / sqrt(queries + 1.96**2)


def _scarce(data: TrainingData) -> Iterator[str]:
    for facet, (name, values) in enumerate(
        zip(data.vocabulary.facets, data.vocabulary.values, strict=True)
    ):
        counts = _counts(data.codes[data.split.train], facet, len(values))
        scarce = [f"{values[code]} {counts[code]}" for code in np.flatnonzero(counts < FEW_PHOTOS)]
        if scarce:
            more = f" and {len(scarce) - _MOST_NAMED} more" if len(scarce) > _MOST_NAMED else ""
            yield (
                f"{name}: fewer than {FEW_PHOTOS} photos to learn from of "
                f"{', '.join(scarce[:_MOST_NAMED])}{more}; label more, or keep the most frequent "
                f"values with --top {name}=N"
            )


def _steering(train: Codes, steering: Codes) -> tuple[str, Codes]:
    asked = _known(pair_queries(steering), train)
    learnt = {tuple(query) for query in pair_queries(train).tolist()}
    fresh = [tuple(query) not in learnt for query in asked.tolist()]
    unseen = asked[np.array(fresh, dtype=bool)]
    if len(unseen):
        return "unseen combination", unseen
    return ("combination", asked) if len(asked) else ("value", _values(train, steering))


def _reported(train: Codes, reported: Codes) -> tuple[str, Codes]:
    asked = _known(pair_queries(reported), train)
    return ("combination", asked) if len(asked) else ("value", _values(train, reported))


def _values(train: Codes, part: Codes) -> Codes:
    singles = [single_queries(part, facet) for facet in range(part.shape[1])]
    return _known(np.concatenate(singles), train)


def _known(queries: Codes, train: Codes) -> Codes:
    """Those whose values occur among what is learnt from."""
    known = [
        (query == MISSING) | np.isin(query, column)
        for query, column in zip(queries.T, train.T, strict=True)
    ]
    return queries[np.all(known, axis=0)]


def _counts(codes: Codes, facet: int, values: int) -> Codes:
    column = codes[:, facet]
    return np.bincount(column[column != MISSING], minlength=values)


def _rest(counts: Codes) -> str:
    most, least = counts.max(), counts.min()
    return f"{len(counts)} more with {f'{most} to {least}' if most > least else f'{most} each'}"


def _number(count: int, kind: str) -> str:
    return f"{count} {kind}{'' if count == 1 else 's'}"
