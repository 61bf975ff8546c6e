"""What is held out stays out."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evaluation.synthetic import factorial, labelled, plan_of
from tashihiki_evaluation.catalogue import MISSING, Codes, Indices
from tashihiki_evaluation.episodes import PROTOCOLS, Episode, identical_to_base
from tashihiki_evaluation.identical import identical_pictures
from tashihiki_evaluation.splits import halves, latin_square

catalogues = st.lists(
    st.tuples(st.integers(-1, 3), st.integers(-1, 2), st.integers(-1, 2), st.integers(0, 25)),
    min_size=8,
    max_size=60,
)


def _episodes(
    rows: list[tuple[int, int, int, int]], seed: int
) -> tuple[Codes, Indices, list[Episode]]:
    table = np.array(rows)
    codes, group = table[:, :3], table[:, 3]
    plan = plan_of(labelled(codes, (4, 3, 3)), *PROTOCOLS, group=group.tolist(), seed=seed)
    return codes, group, list(plan.episodes())


@given(catalogues, st.integers(0, 3))
def test_no_group_of_identical_pictures_stands_on_both_sides(
    rows: list[tuple[int, int, int, int]], seed: int
) -> None:
    _, group, episodes = _episodes(rows, seed)
    for episode in episodes:
        if episode.task.startswith(("P1", "P2", "P4", "P5")):
            assert not set(group[episode.fit]) & set(group[episode.gallery])
            assert not set(group[episode.others]) & set(group[episode.gallery])


@given(catalogues, st.integers(0, 3))
def test_no_held_out_combination_is_in_a_fit(
    rows: list[tuple[int, int, int, int]], seed: int
) -> None:
    codes, group, episodes = _episodes(rows, seed)
    for episode in episodes:
        if not episode.task.startswith(("P2", "P4-unseen")):
            continue
        for asked, pair in zip(episode.queries.asked, episode.queries.pair, strict=True):
            target = (codes[:, pair] == asked[pair]).all(axis=1)
            assert target.any()
            # Neither a picture of the combination nor one that is identical to such a picture.
            assert not set(group[target]) & set(group[episode.fit])


@given(catalogues, st.integers(0, 3))
def test_a_new_identity_is_not_in_its_fit(rows: list[tuple[int, int, int, int]], seed: int) -> None:
    codes, group, episodes = _episodes(rows, seed)
    for episode in (e for e in episodes if e.task == "P3"):
        for base in episode.queries.base:
            same = codes[:, 0] == codes[base, 0]
            assert not set(group[same]) & set(group[episode.fit])


@given(catalogues, st.integers(0, 3))
def test_every_query_has_an_answer_and_names_what_its_fit_knows(
    rows: list[tuple[int, int, int, int]], seed: int
) -> None:
    codes, group, episodes = _episodes(rows, seed)
    for episode in episodes:
        queries = episode.queries
        barred = identical_to_base(queries, group, episode.gallery)
        for number in range(len(queries)):
            asked, unwanted = queries.asked[number], queries.unwanted[number]
            right = [
                photo
                for place, photo in enumerate(episode.gallery)
                if not barred[number, place]
                and all(asked[f] in (MISSING, codes[photo, f]) for f in range(3))
                and all(
                    unwanted[f] == MISSING or codes[photo, f] not in (MISSING, unwanted[f])
                    for f in range(3)
                )
            ]
            assert right
            for column in (queries.added[number], queries.subtracted[number]):
                for facet in np.flatnonzero(column != MISSING):
                    known = set(codes[episode.fit, facet]) - {MISSING}
                    assert column[facet] in known
                    assert len(known) > 1


def test_halves_share_every_combination() -> None:
    labels = factorial((5, 4), 7)
    digests = [f"picture {n}" for n in range(len(labels.codes))]
    side = halves(labels.codes, np.arange(len(digests)), digests, 0)
    counts = Counter(
        (*row, int(half)) for row, half in zip(labels.codes.tolist(), side, strict=True)
    )
    assert set(counts.values()) == {3, 4}
    assert abs(int(side.sum()) - 70) <= 1
    assert not np.array_equal(side, halves(labels.codes, np.arange(140), digests, 1))


def test_halves_do_not_depend_on_the_order_of_the_pictures() -> None:
    labels = factorial((3, 3), 5)
    digests = [f"picture {n}" for n in range(45)]
    order = np.random.default_rng(0).permutation(45)
    group = np.arange(45)
    side = halves(labels.codes, group, digests, 0)
    moved = halves(labels.codes[order], group[order], [digests[n] for n in order], 0)
    assert np.array_equal(side[order], moved)


def test_folds_hold_out_a_fair_share_of_every_value() -> None:
    labels = factorial((8, 6), 1)
    fold = latin_square(labels, (0, 1), 4, 0)
    for facet, share in ((0, (1, 2)), (1, (2,))):
        for value in range(len(labels.values[facet])):
            ours = fold[labels.codes[:, facet] == value]
            assert set(np.bincount(ours, minlength=4)) <= set(share)


def test_identical_pictures_and_conflicting_labels_are_counted() -> None:
    codes = np.array([[0, 0], [0, 1], [0, 0], [1, MISSING], [1, 1], [2, 2]])
    found = identical_pictures(["a", "a", "a", "b", "b", "c"], codes)
    assert (found.groups, found.photos, found.conflicting) == (2, 5, 1)
    assert len({found.group[n] for n in (0, 1, 2)}) == 1
