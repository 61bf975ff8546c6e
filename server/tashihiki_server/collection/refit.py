"""Fits a collection's space to its labels again when they have changed, in the background.

The old space serves until the new one is complete: its rows and prototypes are made beside the
old, what was written meanwhile is made up for, and all of it is swapped in as one generation.
"""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import TashihikiError
from tashihiki_server.child_process import ProcessFailedError, run
from tashihiki_server.collection.background import Task
from tashihiki_server.collection.fit_process import (
    EMBEDDINGS_FILE,
    MODULE,
    take_gallery,
    why_unfitted,
    write_inputs,
)
from tashihiki_server.collection.fits import Basis, FitStore, StoredFit
from tashihiki_server.collection.gallery import Gallery
from tashihiki_server.collection.growth import Growth
from tashihiki_server.collection.prototypes import prototype_of
from tashihiki_server.collection.rows import Row, Rows, RowsView
from tashihiki_server.space.base import AttributeSpace
from tashihiki_server.space.factored import FactoredSpace
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.vocabulary import AttributeKey, Tally

logger = logging.getLogger(__name__)

# A collection whose space is `auto` becomes factored when this many facets have two values each.
AUTO_FACETS = 2
# Nothing is fitted before one facet labels so many items: with less, an additive model has nothing
# to go by, and a space that was fitted to more is better kept.
MIN_ITEMS = 8
# Items that came, went or changed since the fit, at least and as a share of the fitted ones. As
# for the index, which is built again with every fit.
MIN_CHANGES = 8
CHANGED_SHARE = 0.2
# Values of a facet, as a multiple of those that were fitted. A block of two values is one axis, on
# which a third is one of the two.
GROWN_VALUES = 1.5
# A fit is followed by so many times its duration without one, however much is written, unless the
# collection is so many times as large by then.
REST = 2.0
OUTGROWN = 2
_CATCH_UP_PASSES = 3
_CHUNK = 1000
# Less than an index build, which is long: queries wait for the blocks of new facets.
_NICENESS = 10
# Embeddings that are read at once. Then the reading rests for so many times the time that it had to
# wait meanwhile, so that searches, which it waited for, have the interpreter to themselves.
_READ = 100
_BREATH = 4.0


@dataclass(frozen=True)
class Refitted:
    """A new space with all that belongs to it.

    Attributes:
        space: without prototypes.
        rows: every item.
        prototypes: current, but for
        changed: values, whose members have changed since.
    """

    space: AttributeSpace
    rows: Rows
    prototypes: Prototypes
    changed: set[AttributeKey]


@dataclass(frozen=True)
class _Snapshot:
    rows: RowsView
    numbers: NDArray[np.int64]
    facets: list[str]
    basis: Basis
    changes: int


@dataclass
class _Written:
    """What was written since the snapshot that is being fitted."""

    ids: set[str] = field(default_factory=set)
    keys: set[AttributeKey] = field(default_factory=set)


class Refit:
    """The fits of a gallery's space.

    A space that nothing can be fitted to any more, since labels were deleted, keeps serving: what
    it knows of the embeddings is still so. A collection does not go back to `sum`.
    """

    def __init__(
        self,
        gallery: Gallery,
        *,
        kind: str,
        encoder: str,
        store: FitStore,
        stored: StoredFit | None,
        install: Callable[[Refitted], None],
        executor: Executor,
    ) -> None:
        """Takes over where the last process ended.

        Args:
            gallery: whose rows are in the space of `stored`.
            kind: `auto`, `sum` or `factored`.
            encoder: fingerprint.
            store: where fits are kept.
            stored: the fit in force; None for `sum`.
            install: puts a new space in force and publishes it; called with the lock held.
            executor: whose thread waits for fits.
        """
        self._gallery = gallery
        self._kind = kind
        self._encoder = encoder
        self._store = store
        self._stored = stored
        self._install = install
        self._process: subprocess.Popen[bytes] | None = None
        self._changes = 0 if stored is None else _changes_since(stored.basis, gallery.rows.view())
        self._written = _Written()
        self._in_vain: int | None = None
        self._failing = False
        self._thrown_away = False
        self._held = False
        self._growth = Growth()
        self.task = Task(
            executor, gallery.lock, due=self._due, work=self._work, patience=self._patience
        )

    @property
    def stored(self) -> StoredFit | None:
        """The fit in force; None for `sum`."""
        return self._stored

    @property
    def pending(self) -> bool:
        """Whether a space is being fitted, or will be soon."""
        return self.task.ordered or self._due()

    def note(self, ids: Iterable[str], keys: set[AttributeKey], changes: int) -> None:
        """Takes notice of a write, with the lock held.

        Args:
            ids: of the items that were written or deleted.
            keys: values whose members have changed.
            changes: how many of the items matter to a fit.
        """
        self._changes += changes
        self._growth.note()
        if self.task.ordered:
            self._written.ids.update(ids)
            self._written.keys |= keys
        elif not self._failing and self._is_outgrown():
            self.task.order()

    def writing(self) -> AbstractContextManager[None]:
        """Lets a first fit wait for what a call is about to write."""
        return self._growth.writing()

    def complete(self) -> None:
        """Orders a fit to every item, if the latest one is of fewer."""
        if self._due() or (self._changes and self._possible(self._gallery.vocabulary.tally())):
            self.task.order()

    def hold(self, held: bool) -> None:
        """Begins no fit while held, with the lock held."""
        self._held = held

    def cut_short(self) -> None:
        """Ends a fit that nobody waits for any more."""
        if self._process is not None:
            self._process.kill()

    # When

    def _possible(self, tally: Mapping[str, Tally]) -> bool:
        if self._held or self._kind == "sum" or self._in_vain == self._changes:
            return False
        contrasts = sum(facet.values > 1 for facet in tally.values())
        needed = AUTO_FACETS if self._kind == "auto" and self._stored is None else 1
        return contrasts >= needed and _labelled(tally) >= MIN_ITEMS

    def _due(self) -> bool:
        tally = self._gallery.vocabulary.tally()
        if not self._possible(tally):
            return False
        if self._stored is None:
            return True
        fit, basis = self._stored.fit, self._stored.basis
        return self._changes >= max(MIN_CHANGES, CHANGED_SHARE * basis.items) or any(
            facet.values >= max(2, GROWN_VALUES * basis.values.get(name, 0))
            or (name in fit.without_contrast and facet.values > fit.values[name])
            for name, facet in tally.items()
        )

    def _patience(self) -> float:
        # Of a growing collection the first items tell little: a sorted one begins with one class.
        return 0.0 if self._stored is not None else self._growth.patience(len(self._gallery.rows))

    def _is_outgrown(self) -> bool:
        """Whether most items were not there for the fit in force, and another can be made."""
        return (
            self._stored is not None
            and self._outgrows(self._stored.basis)
            and self._possible(self._gallery.vocabulary.tally())
        )

    def _outgrows(self, basis: Basis) -> bool:
        many = OUTGROWN * basis.items
        # Counting the labels takes longer.
        if len(self._gallery.rows) < many:
            return False
        return _labelled(self._gallery.vocabulary.tally()) >= many

    # How

    def _work(self) -> float | None:
        start = time.monotonic()
        # Until it has succeeded, so that no write tries again at once.
        self._failing = True
        try:
            outgrown = self._fit()
        except (ProcessFailedError, OSError, TashihikiError) as error:
            if self._gallery.closed:
                return 0.0
            logger.error("%s: the space could not be fitted: %s", self._gallery.name, error)
            return None
        finally:
            with self._gallery.lock:
                self._process = None
                self._written = _Written()
        return 0.0 if outgrown else REST * (time.monotonic() - start)

    def _fit(self) -> bool:
        """Fits once; returns whether most items were not there for it."""
        gallery = self._gallery
        with gallery.lock:
            snapshot = self._snapshot()
            self._written = _Written()
        with self._store.working_folder() as folder:
            numbers = self._write_embeddings(folder, snapshot)
            labels = snapshot.rows.labels(snapshot.facets)[numbers]
            write_inputs(folder, labels, snapshot.facets)
            run(MODULE, [str(folder)], _NICENESS, self._remember)
            if (why := why_unfitted(folder)) is not None:
                self._give_up(snapshot, why)
                return False
            self._store.write_basis(folder, snapshot.basis)
            stored = self._store.read(folder)
            space = FactoredSpace(stored.fit)
            rows = snapshot.rows.moved(numbers, take_gallery(folder))
            prototypes = _prototypes(space, rows.view())
            changed: set[AttributeKey] = set()
            for _ in range(_CATCH_UP_PASSES):
                changed |= self._catch_up(space, rows)
            with gallery.lock:
                if gallery.closed:
                    return False
                # Once: where every fit is outgrown, one of a part is better than none.
                if self._stored is None and not self._thrown_away:
                    self._thrown_away = self._outgrows(snapshot.basis)
                    if self._thrown_away:
                        logger.info("%s: a first fit was outgrown meanwhile", gallery.name)
                        return True
                changed |= self._catch_up(space, rows)
                # A crash between these two lines leaves a number that nobody has seen.
                self._store.commit(folder, gallery.catalogue.advance_generation())
                self._stored = stored
                self._changes -= snapshot.changes
                self._in_vain = None
                self._failing = False
                self._install(Refitted(space, rows, prototypes, changed))
                outgrown = self._is_outgrown()
        logger.info(
            "%s: the space is fitted to %d items: %s",
            gallery.name,
            len(numbers),
            ", ".join(gallery.vocabulary.facet_name(facet) for facet in stored.fit.facets),
        )
        return outgrown

    def _give_up(self, snapshot: _Snapshot, why: str) -> None:
        with self._gallery.lock:
            self._in_vain = snapshot.changes
        logger.warning("%s: no space is fitted until labels change: %s", self._gallery.name, why)

    def _snapshot(self) -> _Snapshot:
        rows = self._gallery.rows.view()
        tally = self._gallery.vocabulary.tally()
        facets = sorted(tally)
        alive = np.flatnonzero(rows.alive)
        labelled = int((rows.alive & rows.labelled()).sum())
        version = int(rows.versions(alive).max(initial=0))
        values = {facet: tally[facet].values for facet in facets}
        return _Snapshot(
            rows,
            alive,
            facets,
            Basis(self._encoder, version, labelled, values),
            self._changes,
        )

    def _write_embeddings(self, folder: Path, snapshot: _Snapshot) -> NDArray[np.int64]:
        """Writes the embeddings that are still of the snapshot; returns their rows."""
        rows = snapshot.rows
        number_of = dict(
            zip(rows.ids(snapshot.numbers).tolist(), snapshot.numbers.tolist(), strict=True)
        )
        numbers = []
        with (folder / EMBEDDINGS_FILE).open("wb") as file:
            waited = _waited()
            for place, stored in enumerate(self._gallery.catalogue.embeddings(_READ), 1):
                if place % _READ == 0:
                    time.sleep(_BREATH * max(0.0, _waited() - waited))
                    waited = _waited()
                number = number_of.get(stored.id)
                if number is not None and rows.version(number) == stored.version:
                    numbers.append(number)
                    file.write(stored.embedding.tobytes())
        return np.array(numbers, dtype=np.int64)

    def _remember(self, process: subprocess.Popen[bytes]) -> None:
        with self._gallery.lock:
            self._process = process
            if self._gallery.closed:
                process.kill()

    def _catch_up(self, space: AttributeSpace, rows: Rows) -> set[AttributeKey]:
        """Brings rows of the new space up to date; returns the values whose members changed.

        What is written while it works is for the next pass, and nothing is while the lock is held.
        """
        gallery = self._gallery
        with gallery.lock:
            written, self._written = self._written, _Written()
            now = {identifier: gallery.rows.find(identifier) for identifier in written.ids}
        for identifier in (identifier for identifier, row in now.items() if row is None):
            rows.remove(identifier)
        there = [row for row in now.values() if row is not None]
        for start in range(0, len(there), _CHUNK):
            self._project(space, rows, there[start : start + _CHUNK])
        return written.keys

    def _project(self, space: AttributeSpace, rows: Rows, wanted: list[Row]) -> None:
        ids = [row.id for row in wanted]
        stored = self._gallery.catalogue.vectors(ids)
        items = self._gallery.catalogue.items(ids)
        current = [row for row in wanted if row.id in stored]
        current = [row for row in current if stored[row.id].version == row.version]
        if current:
            vectors = space.project(np.array([stored[row.id].embedding for row in current]))
            for row, vector in zip(current, vectors, strict=True):
                metadata = items[row.id].metadata if row.id in items else {}
                rows.write(Row(row.id, row.version, row.codes, vector, metadata))


def _labelled(tally: Mapping[str, Tally]) -> int:
    return max((facet.items for facet in tally.values()), default=0)


def _waited() -> float:
    """Seconds that this thread did not run, since some time."""
    return time.perf_counter() - time.thread_time()


def _changes_since(basis: Basis, rows: RowsView) -> int:
    labelled = np.flatnonzero(rows.alive & rows.labelled())
    newer = int((rows.versions(labelled) > basis.version).sum())
    # Those that changed are newer, and gone from the fitted ones too.
    gone = basis.items - (len(labelled) - newer)
    return max(newer, gone)


def _prototypes(space: AttributeSpace, rows: RowsView) -> Prototypes:
    keys = rows.keys()
    vectors = {key: prototype_of(key, rows, space) for key in keys}
    return Prototypes({key: vector for key, vector in vectors.items() if vector is not None})
