"""Builds the index of a gallery in the background, and puts it to use.

The frozen rows, the newer ones and the marks of the dead are searched together. A build freezes
all live rows anew; it is due once comparing the newer ones takes as long as the index itself.
Where too few items are left for an index, the dead rows are only let go of.
"""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import TashihikiError
from tashihiki_server.child_process import ProcessFailedError
from tashihiki_server.collection.background import Task
from tashihiki_server.collection.gallery import Gallery
from tashihiki_server.collection.prototype_file import write_prototypes
from tashihiki_server.collection.prototypes import PrototypeRefresh
from tashihiki_server.collection.readmission import readmit
from tashihiki_server.collection.rows import RowNumbers, RowsView
from tashihiki_server.index.base import Route
from tashihiki_server.index.calibration import COUNTS, Calibration
from tashihiki_server.index.generation import (
    DamagedIndexError,
    FrozenRows,
    OpenedGeneration,
    build_generation,
    drop_generations,
    open_latest,
)
from tashihiki_server.index.request import Request
from tashihiki_server.space.base import AttributeSpace, Vectors
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.vocabulary import AttributeKey

logger = logging.getLogger(__name__)

# Fewer items are compared one by one, and fewer newer ones are not worth a build.
MIN_INDEXED = 256
# Comparing the newer rows may take so many times a look-up (docs/performance.md).
NEWER_SHARE = 1.0
# And they are so many to the frozen ones, all of which a build writes once more.
NEWER_LEAST = 0.005
# So many dead rows to the frozen ones: they cost memory and are compared or found in vain.
DEAD_SHARE = 0.2
# A build is followed by so many times its duration without one, however much is written.
REST = 1.0
_PIECE = 4096


class IndexBuilds:
    """The index of a gallery. Its lock is held to call anything but `task`'s methods."""

    def __init__(
        self,
        gallery: Gallery,
        prototypes: PrototypeRefresh,
        folder: Path,
        target_recall: float,
        executor: Executor,
    ) -> None:
        self._gallery = gallery
        self._prototypes = prototypes
        self._folder = folder
        self._target = target_recall
        self._process: subprocess.Popen[bytes] | None = None
        self._calibration: Calibration | None = None
        self._in_force: Path | None = None
        self.task = Task(executor, gallery.lock, due=self._due, work=self._build)

    def open(self) -> OpenedGeneration | None:
        """The index on disk, if it is of the gallery's space."""
        opened = open_latest(
            self._folder, self._gallery.identity, self._gallery.catalogue.generation
        )
        if opened is not None:
            self._calibration = opened.generation.calibration
            self._in_force = opened.folder
        return opened

    @property
    def pending(self) -> bool:
        """Whether an index is being built, or will be soon."""
        return self.task.ordered or self._due()

    def complete(self) -> None:
        """Orders an index over every item, where there are enough."""
        gallery = self._gallery
        covered = gallery.index.count if gallery.index else 0
        if len(gallery.rows) >= MIN_INDEXED and covered != gallery.state.rows.count:
            self.task.order()

    def cut_short(self) -> None:
        """Ends a build whose index nobody waits for any more."""
        if self._process is not None:
            self._process.kill()

    def _due(self) -> bool:
        gallery = self._gallery
        rows, live = gallery.state.rows, len(gallery.rows)
        dead = rows.count - live
        if live < MIN_INDEXED:
            return dead > MIN_INDEXED
        if gallery.index is None:
            return True
        covered = gallery.index.count
        newer = rows.count - covered
        worth = NEWER_SHARE * _worth(gallery.index.calibration)
        return newer > max(MIN_INDEXED, worth, NEWER_LEAST * covered) or (
            dead > max(MIN_INDEXED, DEAD_SHARE * covered)
        )

    def _build(self) -> float | None:
        gallery = self._gallery
        start = time.monotonic()
        with gallery.lock:
            if gallery.closed:
                return 0.0
            few = len(gallery.rows) < MIN_INDEXED
            if few:
                self._compact()
            identity = gallery.identity
            space, rows = gallery.space, gallery.rows.view()
            prototypes, current = gallery.prototypes, self._prototypes.current
            previous = None if gallery.index is None else self._in_force
        if few:
            # One that is left behind is right too: its rows count only as the items are now.
            drop_generations(self._folder)
            self._tidy()
            return REST * (time.monotonic() - start)
        numbers = np.flatnonzero(rows.alive)
        facets = rows.facets()
        try:
            opened, order = build_generation(
                self._folder,
                self._frozen(rows, numbers, facets),
                self._request(space, facets, previous),
                identity=identity,
                publish=gallery.catalogue.advance_generation,
                started=lambda process: self._remember(process, identity),
                attach=lambda folder: self._attach(folder, prototypes, current, rows),
            )
        except (ProcessFailedError, DamagedIndexError, OSError, TashihikiError) as error:
            if gallery.closed or gallery.identity != identity:
                return 0.0
            logger.error("%s: the index could not be built: %s", gallery.name, error)
            return None
        finally:
            with gallery.lock:
                self._process = None
        self._put_to_use(opened, identity, numbers[order], rows.count)
        return REST * (time.monotonic() - start)

    def _compact(self) -> None:
        gallery = self._gallery
        rows = gallery.rows.view()
        live = np.flatnonzero(rows.alive)
        gallery.rows = rows.refrozen(live, rows.take(live), rows.count)
        gallery.index = self._calibration = None
        gallery.advance()

    def _frozen(self, rows: RowsView, numbers: RowNumbers, facets: Sequence[str]) -> FrozenRows:
        return FrozenRows(
            rows.ids(numbers),
            rows.versions(numbers),
            rows.labels(facets, numbers),
            _pieces(rows, numbers),
        )

    def _request(
        self, space: AttributeSpace, facets: Sequence[str], previous: Path | None
    ) -> Request:
        return Request(
            blocks=space.blocks,
            facets=facets,
            clip=space.clips,
            target_recall=self._target,
            rest_weight=space.rest_weight,
            previous=self._calibration,
            previous_folder=previous,
        )

    def _attach(
        self,
        folder: Path,
        prototypes: Prototypes,
        current: set[AttributeKey],
        rows: RowsView,
    ) -> None:
        write_prototypes(folder, prototypes, current, rows, self._gallery.vocabulary)

    def _remember(self, process: subprocess.Popen[bytes], identity: str) -> None:
        with self._gallery.lock:
            self._process = process
            if self._gallery.closed or self._gallery.identity != identity:
                process.kill()

    def _put_to_use(
        self,
        opened: OpenedGeneration,
        identity: str,
        frozen: NDArray[np.int64],
        seen: int,
    ) -> None:
        gallery = self._gallery
        generation = opened.generation
        with gallery.lock:
            if gallery.closed or gallery.identity != identity:
                return
            gallery.index = generation
            self._calibration, self._in_force = generation.calibration, opened.folder
            gallery.rows = gallery.rows.view().refrozen(frozen, opened.vectors, seen)
            gallery.advance()
        self._tidy()
        calibration = generation.calibration
        logger.info(
            "%s: %d items indexed, looked up by %s, recall %.3f",
            gallery.name,
            generation.count,
            calibration.route.value,
            calibration.recall(),
        )

    def _tidy(self) -> None:
        # What was deleted left room, and a build follows many deletions.
        try:
            readmit(self._gallery)
        except TashihikiError as error:
            if not self._gallery.closed:
                name = self._gallery.name
                logger.warning("%s: some metadata stays unfilterable: %s", name, error)
        while not self._gallery.closed and self._gallery.catalogue.reclaim():
            pass


def _pieces(rows: RowsView, numbers: RowNumbers) -> Iterator[Vectors]:
    for start in range(0, len(numbers), _PIECE):
        yield rows.take(numbers[start : start + _PIECE])


def _worth(calibration: Calibration) -> float:
    """How many rows are compared one by one in the time of a look-up of ten."""
    if calibration.route is Route.EXACT:
        return float(calibration.rows)
    (seconds,) = (p.seconds for p in calibration.points if p.chosen and p.count == COUNTS[0])
    return seconds / calibration.row_seconds
