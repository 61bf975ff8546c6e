"""One collection: durable writes, and searches over what they have published."""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tashihiki.errors import InvalidArgumentError, NotFoundError, TashihikiError
from tashihiki_server.catalogue.base import Catalogue, ItemRecord
from tashihiki_server.collection.background import Background
from tashihiki_server.collection.nearest import Nearest, nearest
from tashihiki_server.collection.rows import Row, Rows, RowsView
from tashihiki_server.collection.settings import CollectionSettings
from tashihiki_server.encoder.base import Encoder
from tashihiki_server.index.generation import (
    BuildFailedError,
    DamagedIndexError,
    IndexGeneration,
    build_generation,
    open_latest,
)
from tashihiki_server.query.filter import Filter, admitted
from tashihiki_server.space.base import AttributeSpace, Vectors
from tashihiki_server.space.prototype import Prototypes, prototype
from tashihiki_server.space.sum import SumSpace
from tashihiki_server.vocabulary import AttributeKey, Vocabulary

logger = logging.getLogger(__name__)

INDEX_FOLDER = "generations"
# Fewer items are compared one by one.
MIN_INDEXED = 256
# What has come, changed and gone since the index was built, as a share of it.
STALE_SHARE = 0.2
# Prototypes with more members in all are brought up to date in the background.
INLINE_MEMBERS = 2000
RETRY_SECONDS = 30.0


@dataclass(frozen=True)
class State:
    """What a search sees: one moment of the collection.

    Attributes:
        generation: rises with every publication.
        rows: the gallery.
        space: composes queries.
        index: over the first rows, or None.
    """

    generation: int
    rows: RowsView
    space: AttributeSpace
    index: IndexGeneration | None


class Collection:
    """The items of one name, one encoder and one space. Safe to use from many threads."""

    def __init__(
        self,
        folder: Path,
        settings: CollectionSettings,
        encoder: Encoder,
        catalogue: Catalogue,
        background: Background,
    ) -> None:
        """Opens a collection: reads the catalogue, opens the index or orders a new one."""
        self.settings = settings
        self.encoder = encoder
        self.catalogue = catalogue
        self.vocabulary = Vocabulary(settings.aliases)
        self._folder = folder
        self._background = background
        self._lock = threading.RLock()
        self._closed = False
        self._building: Future[None] | None = None
        self._build_process: subprocess.Popen[bytes] | None = None
        self._retry: threading.Timer | None = None
        self._stale: set[AttributeKey] = set()
        self._computing: AttributeKey | None = None
        self._refreshing: Future[None] | None = None
        self._prototypes = Prototypes()
        self._identity = f"{encoder.manifest.fingerprint}/{self._space().kind}"
        self._index = open_latest(folder / INDEX_FOLDER, self._identity)
        space = self._space()
        self._rows = self._arrange(
            Row(
                item.id,
                item.version,
                self.vocabulary.add(item.attributes),
                _gallery_vector(space, item.embedding),
            )
            for item in catalogue.embeddings()
        )
        keys = [key for facet in self.vocabulary.facets() for key in self.vocabulary.keys(facet)]
        self._refresh(keys)
        self._state = self._publish()
        self._consider_build()

    def _arrange(self, rows: Iterable[Row]) -> Rows:
        index = self._index
        return Rows.arranged(
            rows,
            dimension=self._space().dimension,
            vocabulary=self.vocabulary,
            capacity=64,
            ids=index.ids if index else (),
            versions=index.versions if index else (),
        )

    @property
    def state(self) -> State:
        """The latest published state."""
        return self._state

    @property
    def stale_prototypes(self) -> int:
        """How many prototypes are being brought up to date."""
        return len(self._stale)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._rows

    def _publish(self) -> State:
        self._state = State(
            self.catalogue.generation, self._rows.view(), self._space(), self._index
        )
        return self._state

    def _space(self) -> AttributeSpace:
        return SumSpace(
            self.encoder.manifest.dimension, self._prototypes, self.settings.keep_negative
        )

    # Writes

    def upsert(
        self, records: Sequence[ItemRecord], *, partial: bool = False
    ) -> dict[int, TashihikiError]:
        """Adds or replaces items; durable and visible to searches on return.

        Args:
            records: the items.
            partial: write the sound ones even when others are refused.

        Returns:
            What is wrong with the refused ones, by their places among the records.

        Raises:
            NotFoundError: UNKNOWN_ITEM for a new item without an embedding.
            InvalidArgumentError: DUPLICATE_ITEM.
            ResourceExhaustedError: DISK_FULL.
        """
        with self._lock:
            self._check_open()
            faults = self._faults(records)
            if faults and not partial:
                raise next(iter(faults.values()))
            sound = [record for n, record in enumerate(records) if n not in faults]
            if sound:
                self._write(sound)
            return faults

    def _write(self, records: Sequence[ItemRecord]) -> None:
        versions = self.catalogue.upsert(records)
        touched: set[AttributeKey] = set()
        for record, version in zip(records, versions, strict=True):
            before = self._rows.find(record.id)
            # In before out, so that no value that stays is ever without members.
            codes = self.vocabulary.add(record.attributes)
            touched |= _keys(codes) | self._count_out(before)
            if record.embedding is not None:
                vector = _gallery_vector(self._state.space, record.embedding)
            else:
                assert before is not None
                vector = before.vector
            self._rows.write(Row(record.id, version, codes, vector))
        self._after_write(touched)

    def delete(self, ids: Sequence[str], *, skip_missing: bool) -> list[str]:
        """Deletes items; durable and gone from searches on return.

        Returns:
            The ids that were not there.

        Raises:
            NotFoundError: UNKNOWN_ITEM, and nothing is deleted, unless `skip_missing`.
        """
        with self._lock:
            self._check_open()
            missing = [identifier for identifier in ids if identifier not in self._rows]
            if missing and not skip_missing:
                raise _unknown_item(missing[0], "ids")
            self.catalogue.delete(ids)
            touched: set[AttributeKey] = set()
            for identifier in ids:
                touched |= self._count_out(self._rows.find(identifier))
                self._rows.remove(identifier)
            self._after_write(touched)
            return missing

    def _faults(self, records: Sequence[ItemRecord]) -> dict[int, TashihikiError]:
        faults: dict[int, TashihikiError] = {}
        seen: set[str] = set()
        for number, record in enumerate(records):
            if record.id in seen:
                faults[number] = InvalidArgumentError(
                    f"the item {record.id!r} is in the request twice",
                    reason="DUPLICATE_ITEM",
                    field=f"items[{number}].id",
                    remedy="Send each item once.",
                )
            elif record.embedding is None and record.id not in self._rows:
                faults[number] = _unknown_item(
                    record.id, f"items[{number}]", "An item that is new needs an image or a vector."
                )
            else:
                seen.add(record.id)
        return faults

    def _count_out(self, row: Row | None) -> set[AttributeKey]:
        if row is None:
            return set()
        self.vocabulary.remove(row.codes)
        return _keys(row.codes)

    def _after_write(self, touched: set[AttributeKey]) -> None:
        self._refresh(touched)
        self._publish()
        self._consider_build()

    def _check_open(self) -> None:
        if self._closed:
            raise NotFoundError(
                f"no collection {self.settings.name!r}",
                reason="UNKNOWN_COLLECTION",
                field="collection",
            )

    # Prototypes

    def _refresh(self, keys: Iterable[AttributeKey]) -> None:
        keys = set(keys)
        if not keys:
            return
        # The medians of few members cost less than a caller would notice.
        ready = {key for key in keys if key not in self._prototypes.vectors}
        if sum(self.vocabulary.count(key) for key in keys) <= INLINE_MEMBERS:
            ready = keys
        vanished = {key for key in keys if not self.vocabulary.count(key)}
        self._compute(ready | vanished)
        if self._computing in keys:
            self._computing = None  # What is being computed is out of date.
        self._stale |= keys - ready - vanished
        self._stale -= ready | vanished
        if self._stale and not self._refreshing:
            self._refreshing = self._submit(self._background.prototypes, self._refresh_stale)

    def _compute(self, keys: set[AttributeKey]) -> None:
        rows = self._rows.view()
        self._prototypes = self._prototypes.replaced({key: _median(rows, key) for key in keys})

    def _refresh_stale(self) -> None:
        try:
            while True:
                with self._lock:
                    if not self._stale or self._closed:
                        self._refreshing = None
                        return
                    key = min(self._stale, key=self.vocabulary.count)
                    self._computing = key
                    rows = self._rows.view()
                vector = _median(rows, key)
                with self._lock:
                    if self._computing == key:
                        self._stale.discard(key)
                        self._prototypes = self._prototypes.replaced({key: vector})
                        self._advance()
        except Exception:
            logger.exception("%s: prototypes could not be refreshed", self.settings.name)
            with self._lock:
                self._refreshing = None

    def _advance(self) -> None:
        try:
            self.catalogue.advance_generation()
        except TashihikiError as error:
            # A full disk must not keep the prototypes old.
            logger.warning("%s: the generation stays as it is: %s", self.settings.name, error)
        self._publish()

    # Index

    def _consider_build(self) -> None:
        covered = len(self._index.index) if self._index else 0
        live_in_index = int(self._state.rows.alive[:covered].sum())
        stale = (covered - live_in_index) + (len(self._rows) - live_in_index)
        due = stale > max(MIN_INDEXED, STALE_SHARE * covered) if self._index else True
        if len(self._rows) >= MIN_INDEXED and due and self._retry is None:
            self._order_build()

    def _order_build(self) -> None:
        if self._building is None and not self._closed:
            self._building = self._submit(self._background.builds, self._build)

    def _submit(self, executor: Executor, work: Callable[[], None]) -> Future[None] | None:
        try:
            return executor.submit(work)
        except RuntimeError:  # The process is shutting down.
            return None

    def settle(self) -> None:
        """Waits until prototypes are current and every item is in the index; for bulk loads."""
        self._wait()
        with self._lock:
            if len(self._rows) >= MIN_INDEXED and not self._covered():
                self._order_build()
        self._wait()

    def _covered(self) -> bool:
        return self._index is not None and len(self._index.index) == self._state.rows.count

    def _wait(self) -> None:
        wait([work for work in (self._building, self._refreshing) if work is not None])

    def _build(self) -> None:
        with self._lock:
            live = list(self._rows.live())
        try:
            index = build_generation(
                self._folder / INDEX_FOLDER,
                vectors=np.array([row.vector for row in live], dtype=np.float32),
                ids=[row.id for row in live],
                versions=[row.version for row in live],
                identity=self._identity,
                publish=self.catalogue.advance_generation,
                started=self._remember_process,
            )
        except (BuildFailedError, DamagedIndexError, OSError, TashihikiError) as error:
            if not self._closed:
                logger.error("%s: the index could not be built: %s", self.settings.name, error)
            self._retry_later()
        else:
            self._swap(index)
        finally:
            with self._lock:
                self._build_process = None
                self._building = None
                self._consider_build()

    def _retry_later(self) -> None:
        with self._lock:
            if not self._closed:
                self._retry = threading.Timer(RETRY_SECONDS, self._retry_build)
                self._retry.daemon = True
                self._retry.start()

    def _retry_build(self) -> None:
        with self._lock:
            self._retry = None
            self._consider_build()

    def _remember_process(self, process: subprocess.Popen[bytes]) -> None:
        self._build_process = process
        if self._closed:
            process.kill()

    def _swap(self, index: IndexGeneration) -> None:
        with self._lock:
            if not self._closed:
                self._index = index
                self._rows = self._arrange(self._rows.live())
                self._advance()
                logger.info(
                    "%s: %d items indexed, recall %.3f at ε = %g%s",
                    self.settings.name,
                    len(index.ids),
                    index.calibration.recall,
                    index.calibration.epsilon,
                    "" if index.calibration.reliable else ": too low, so searches compare all",
                )

    # Searches

    def embedding(self, identifier: str) -> Vectors | None:
        """The embedding of an item, (d,); does not wait for a write."""
        return self._rows.vector(identifier)

    def nearest(
        self,
        state: State,
        vector: Vectors,
        limit: int,
        condition: Filter | None,
        excluded: set[str],
    ) -> Nearest:
        """The items of a state most similar to a composed vector.

        Args:
            state: that the vector was composed in.
            vector: (d,), of unit length.
            limit: how many to return; fewer only where fewer exist.
            condition: which items may be returned.
            excluded: ids of items that must not be.
        """
        mask = None if condition is None else admitted(condition, state.rows)
        built = state.index
        index = built.index if built and built.calibration.reliable else None
        found = nearest(state.rows, index, vector, limit + len(excluded), mask)
        kept = [n for n, row in enumerate(found.rows) if state.rows.id(row) not in excluded][:limit]
        return Nearest(found.rows[kept], found.similarities[kept], found.exact)

    def close(self) -> None:
        """Ends the work in the background and lets go of the files."""
        with self._lock:
            self._closed = True
            if self._retry is not None:
                self._retry.cancel()
            if self._build_process is not None:
                self._build_process.kill()
            works = (self._building, self._refreshing)
        # What still waits behind another collection's work is dropped.
        wait([work for work in works if work is not None and not work.cancel()])
        self.catalogue.close()


def _gallery_vector(space: AttributeSpace, embedding: Vectors) -> Vectors:
    vector: Vectors = space.project(embedding[np.newaxis])[0]
    return vector


def _keys(codes: Mapping[str, int]) -> set[AttributeKey]:
    return {AttributeKey(facet, code) for facet, code in codes.items()}


def _median(rows: RowsView, key: AttributeKey) -> Vectors | None:
    members = rows.members(key)
    return prototype(rows.vectors[members]) if len(members) else None


def _unknown_item(
    identifier: str, where: str, remedy: str = "Check the id, or let missing items be skipped."
) -> NotFoundError:
    return NotFoundError(
        f"no item {identifier!r}", reason="UNKNOWN_ITEM", field=where, remedy=remedy
    )
