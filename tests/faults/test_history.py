"""What readers see beside writers: always a state between the begin and the end of their call."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from contents import around, everything, is_ranking, one_item, ranking
from kills import SHOP, create, remove, send
from ledger import Content, Contents, Journal, random_content
from server_process import ServerProcess, running
from tashihiki.v1 import catalog_pb2, search_pb2

SECONDS = 3.5
WRITERS = 3
READERS = 2
NAMES = 250
BATCH = 10
PAUSE = 0.01
LIMIT = 10


@dataclass
class Seen:
    """What a reader counted: hits that were due, those that came, and its calls."""

    due: int = 0
    came: int = 0
    calls: int = 0


class History:
    """Writers with ids of their own, and readers that compare with all states that may be."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._journals = [Journal() for _ in range(WRITERS)]
        self._end = time.monotonic() + SECONDS

    def play(self) -> list[Seen]:
        """Runs all of them to the end; raises what any of them noticed."""
        with ThreadPoolExecutor(WRITERS + READERS) as pool:
            writers = [pool.submit(self._write, n) for n in range(WRITERS)]
            readers = [pool.submit(self._read, n) for n in range(READERS)]
            for writer in writers:
                writer.result()
            return [reader.result() for reader in readers]

    @property
    def acknowledged(self) -> int:
        return sum(journal.answered for journal in self._journals)

    @property
    def contents(self) -> Contents:
        """All items after the last requests."""
        return _together(journal.contents for journal in self._journals)

    def _write(self, number: int) -> None:
        dice = np.random.default_rng(number)
        journal = self._journals[number]
        for turn in itertools.count():
            if time.monotonic() > self._end:
                return
            mine = journal.contents
            if turn % 3 == 2 and len(mine) > NAMES // 2:
                doomed = frozenset(
                    str(name) for name in dice.choice(sorted(mine), size=BATCH, replace=False)
                )
                with journal.request({}, doomed):
                    remove(self._server, sorted(doomed))
                self._no_longer_sees(mine, doomed)
            else:
                names = sorted({f"w{number}-{dice.integers(NAMES)}" for _ in range(BATCH)})
                batch = {n: random_content(dice, turn=str(turn), w=str(number)) for n in names}
                with journal.request(batch):
                    send(self._server, batch)
                self._sees(names[0], batch[names[0]])
            time.sleep(PAUSE)

    def _sees(self, name: str, content: Content) -> None:
        hit = around(self._server, SHOP, content.array(), limit=1).hits[0]
        assert (hit.id, dict(hit.attributes)) == (name, dict(content.attributes))

    def _no_longer_sees(self, before: Contents, doomed: frozenset[str]) -> None:
        name = min(doomed)
        assert one_item(self._server, SHOP, name) is None
        hits = around(self._server, SHOP, before[name].array()).hits
        assert not {hit.id for hit in hits} & doomed

    def _read(self, number: int) -> Seen:
        dice = np.random.default_rng(100 + number)
        seen = Seen()
        generation = 0
        while time.monotonic() < self._end:
            vectors = [random_content(dice).array() for _ in range(2)]
            first = [journal.answered for journal in self._journals]
            response = around(self._server, SHOP, *vectors, limit=LIMIT)
            states = self._states(first)
            self._search_fits(response, vectors, states, seen)
            assert response.generation >= generation
            generation = response.generation
            self._item_fits(f"w{dice.integers(WRITERS)}-{dice.integers(NAMES)}")
            seen.calls += 1
        return seen

    def _states(self, first: list[int]) -> list[Contents]:
        parts = [
            journal.states(answered, journal.begun)
            for journal, answered in zip(self._journals, first, strict=True)
        ]
        return [_together(choice) for choice in itertools.product(*parts)]

    def _search_fits(
        self,
        response: search_pb2.SearchResponse,
        vectors: list[np.ndarray],
        states: list[Contents],
        seen: Seen,
    ) -> None:
        fits: list[tuple[int, int]] = []
        for state in states:
            order = ranking(state, *vectors)
            wanted = order[:LIMIT]
            if _are_of(response, state, dict(order)):
                came = sum(hit.id in dict(wanted) for hit in response.hits)
                # Nearly equal ones may change places at the end of the list.
                fits.append((len(wanted) - came, len(wanted)))
                if is_ranking(response, wanted) and len(response.hits) == len(wanted):
                    fits.append((0, len(wanted)))
        assert fits, f"no state of {len(states)} has these hits: {response.hits}"
        missing, due = min(fits)
        seen.due += due
        seen.came += due - missing

    def _item_fits(self, name: str) -> None:
        journal = self._journals[int(name[1])]
        answered = journal.answered
        found = one_item(self._server, SHOP, name)
        states = journal.states(answered, journal.begun)
        assert any(_equal(found, state.get(name)) for state in states), f"{name} as it never was"


def _together(parts: Iterator[Contents] | tuple[Contents, ...]) -> Contents:
    return {name: content for part in parts for name, content in part.items()}


def _are_of(
    response: search_pb2.SearchResponse, state: Contents, similarities: dict[str, float]
) -> bool:
    """Whether every hit is an item of the state, as it is there, and best first."""
    order = [hit.similarity for hit in response.hits]
    return order == sorted(order, reverse=True) and all(
        hit.id in state
        and tuple(sorted(hit.attributes.items())) == state[hit.id].attributes
        and abs(hit.similarity - similarities[hit.id]) < 1e-5
        for hit in response.hits
    )


def _equal(found: Content | None, wanted: Content | None) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return (
        found.attributes == wanted.attributes
        and len(found.vector) == len(wanted.vector)
        and np.allclose(found.array(), wanted.array(), atol=1e-6)
    )


@pytest.mark.parametrize(
    ("target_recall", "least"),
    [pytest.param(1.0, 1.0, id="exact"), pytest.param(0.0, 0.99, id="default")],
)
def test_answers_are_of_the_history_between_begin_and_end(
    tmp_path: Path, tiny_encoder_bundle: Path, target_recall: float, least: float
) -> None:
    with running(tmp_path / "data", tiny_encoder_bundle) as server:
        create(server, SHOP, catalog_pb2.SPACE_KIND_SUM, target_recall)
        history = History(server)
        seen = history.play()
        found = everything(server, SHOP)
    assert found.keys() == history.contents.keys()
    assert all(_equal(found[name], content) for name, content in history.contents.items())
    due, came = sum(one.due for one in seen), sum(one.came for one in seen)
    assert history.acknowledged > 50
    assert due > 500
    assert came >= least * due, f"{came} of {due} hits in {sum(one.calls for one in seen)} searches"
