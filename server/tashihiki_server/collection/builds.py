"""Builds the index of a gallery in the background, and puts it to use."""

from __future__ import annotations

import logging
import subprocess
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from tashihiki.errors import TashihikiError
from tashihiki_server.child_process import ProcessFailedError
from tashihiki_server.collection.background import Task
from tashihiki_server.collection.gallery import Gallery
from tashihiki_server.collection.rows import Rows
from tashihiki_server.index.generation import (
    DamagedIndexError,
    IndexGeneration,
    build_generation,
    open_latest,
)

logger = logging.getLogger(__name__)

# Fewer items are compared one by one.
MIN_INDEXED = 256
# What has come, changed and gone since the index was built, as a share of it.
STALE_SHARE = 0.2


class IndexBuilds:
    """The index of a gallery. Its lock is held to call anything but `task`'s methods."""

    def __init__(self, gallery: Gallery, folder: Path, executor: Executor) -> None:
        self._gallery = gallery
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.task = Task(executor, gallery.lock, due=self._due, work=self._build)

    def open(self) -> IndexGeneration | None:
        """The index on disk, if it is of the gallery's space."""
        return open_latest(self._folder, self._gallery.identity)

    def complete(self) -> None:
        """Orders an index over every item, where there are enough."""
        gallery = self._gallery
        covered = len(gallery.index.index) if gallery.index else 0
        if len(gallery.rows) >= MIN_INDEXED and covered != gallery.state.rows.count:
            self.task.order()

    def cut_short(self) -> None:
        """Ends a build whose index nobody waits for any more."""
        if self._process is not None:
            self._process.kill()

    def _due(self) -> bool:
        gallery = self._gallery
        if len(gallery.rows) < MIN_INDEXED:
            return False
        if gallery.index is None:
            return True
        covered = len(gallery.index.index)
        live_in_index = int(gallery.state.rows.alive[:covered].sum())
        stale = (covered - live_in_index) + (len(gallery.rows) - live_in_index)
        return stale > max(MIN_INDEXED, STALE_SHARE * covered)

    def _build(self) -> float | None:
        gallery = self._gallery
        with gallery.lock:
            identity = gallery.identity
            live = list(gallery.rows.live())
        try:
            index = build_generation(
                self._folder,
                vectors=np.array([row.vector for row in live], dtype=np.float32),
                ids=[row.id for row in live],
                versions=[row.version for row in live],
                identity=identity,
                publish=gallery.catalogue.advance_generation,
                started=lambda process: self._remember(process, identity),
            )
        except (ProcessFailedError, DamagedIndexError, OSError, TashihikiError) as error:
            if gallery.closed or gallery.identity != identity:
                return 0.0
            logger.error("%s: the index could not be built: %s", gallery.name, error)
            return None
        finally:
            with gallery.lock:
                self._process = None
        self._put_to_use(index, identity)
        return 0.0

    def _remember(self, process: subprocess.Popen[bytes], identity: str) -> None:
        with self._gallery.lock:
            self._process = process
            if self._gallery.closed or self._gallery.identity != identity:
                process.kill()

    def _put_to_use(self, index: IndexGeneration, identity: str) -> None:
        gallery = self._gallery
        with gallery.lock:
            if gallery.closed or gallery.identity != identity:
                return
            gallery.index = index
            gallery.rows = Rows.arranged(
                gallery.rows.live(),
                dimension=gallery.space.dimension,
                vocabulary=gallery.vocabulary,
                capacity=64,
                ids=index.ids,
                versions=index.versions,
            )
            gallery.advance()
        logger.info(
            "%s: %d items indexed, recall %.3f at ε = %g%s",
            gallery.name,
            len(index.ids),
            index.calibration.recall,
            index.calibration.epsilon,
            "" if index.calibration.reliable else ": too low, so searches compare all",
        )
