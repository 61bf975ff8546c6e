"""One collection: durable writes, and searches over what they have published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from tashihiki.errors import InvalidArgumentError, NotFoundError, TashihikiError
from tashihiki_server.catalogue.base import Catalogue, ItemRecord
from tashihiki_server.collection.background import Background
from tashihiki_server.collection.builds import IndexBuilds
from tashihiki_server.collection.fits import FitStore
from tashihiki_server.collection.gallery import Gallery, State
from tashihiki_server.collection.nearest import Nearest, nearest
from tashihiki_server.collection.prototypes import PrototypeRefresh
from tashihiki_server.collection.refit import Refit, Refitted
from tashihiki_server.collection.rows import Row, Rows
from tashihiki_server.collection.settings import CollectionSettings
from tashihiki_server.encoder.base import Encoder
from tashihiki_server.query.filter import Filter, admitted
from tashihiki_server.space.base import AttributeSpace, Vectors
from tashihiki_server.space.factored import Diagnostics, FactoredSpace
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.space.sum import SumSpace
from tashihiki_server.vocabulary import AttributeKey, Vocabulary

__all__ = ["Collection", "State"]

INDEX_FOLDER = "generations"
SPACES_FOLDER = "spaces"
_CHUNK = 1000


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
        """Opens a collection: its items, and its space and index or an order for new ones."""
        self.settings = settings
        self.encoder = encoder
        self.catalogue = catalogue
        self.vocabulary = Vocabulary(settings.aliases)
        manifest = encoder.manifest
        store = FitStore(folder / SPACES_FOLDER, manifest.fingerprint, manifest.dimension)
        stored = None if settings.space == "sum" else store.open_latest()
        gallery = self._gallery = Gallery(
            settings.name,
            manifest.fingerprint,
            catalogue,
            self.vocabulary,
            self._sum() if stored is None else FactoredSpace(stored.fit),
        )
        self._prototypes = PrototypeRefresh(gallery, background.prototypes)
        self._builds = IndexBuilds(gallery, folder / INDEX_FOLDER, background.builds)
        gallery.index = self._builds.open()
        gallery.rows = Rows.arranged(
            self._read(),
            dimension=gallery.space.dimension,
            vocabulary=self.vocabulary,
            capacity=64,
            ids=gallery.index.ids if gallery.index else (),
            versions=gallery.index.versions if gallery.index else (),
        )
        self._prototypes.refresh(gallery.rows.view().keys())
        gallery.publish()
        self._refit = Refit(
            gallery,
            kind=settings.space,
            encoder=manifest.fingerprint,
            store=store,
            stored=stored,
            install=self._install,
            executor=background.fits,
        )
        self._tasks = (self._refit.task, self._prototypes.task, self._builds.task)
        for task in self._tasks:
            task.consider()

    def _sum(self) -> AttributeSpace:
        return SumSpace(self.encoder.manifest.dimension, Prototypes(), self.settings.keep_negative)

    def _read(self) -> Iterator[Row]:
        items = self.catalogue.embeddings()
        while chunk := list(islice(items, _CHUNK)):
            vectors = self._gallery.space.project(np.array([item.embedding for item in chunk]))
            for item, vector in zip(chunk, vectors, strict=True):
                codes = self.vocabulary.add(item.attributes)
                yield Row(item.id, item.version, codes, vector)

    @property
    def state(self) -> State:
        """The latest published state."""
        return self._gallery.state

    @property
    def stale_prototypes(self) -> int:
        """How many prototypes are being brought up to date."""
        return self._prototypes.stale

    @property
    def space_pending(self) -> bool:
        """Whether a space is being fitted to labels that have changed, or will be soon."""
        return self._refit.pending

    @property
    def diagnostics(self) -> Diagnostics | None:
        """How well the space in force fits; None for `sum`."""
        stored = self._refit.stored
        return None if stored is None else stored.fit.diagnostics

    def __len__(self) -> int:
        return len(self._gallery.rows)

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._gallery.rows

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
        with self._gallery.lock:
            self._check_open()
            faults = self._faults(records)
            if faults and not partial:
                raise next(iter(faults.values()))
            sound = [record for n, record in enumerate(records) if n not in faults]
            if sound:
                self._write(sound)
            return faults

    def _write(self, records: Sequence[ItemRecord]) -> None:
        rows = self._gallery.rows
        vectors = self._project(records)
        versions = self.catalogue.upsert(records)
        touched: set[AttributeKey] = set()
        changes = 0
        for record, version in zip(records, versions, strict=True):
            before = rows.find(record.id)
            # In before out, so that no value that stays is ever without members.
            codes = self.vocabulary.add(record.attributes)
            before_codes = self._count_out(before)
            if record.embedding is not None:
                vector = vectors[record.id]
            else:
                assert before is not None
                vector = before.vector
            rows.write(Row(record.id, version, codes, vector))
            touched |= _keys(codes) | _keys(before_codes)
            if record.embedding is not None or codes != before_codes:
                changes += bool(codes or before_codes)
        self._after_write([record.id for record in records], touched, changes)

    def _project(self, records: Sequence[ItemRecord]) -> dict[str, Vectors]:
        embeddings = {r.id: r.embedding for r in records if r.embedding is not None}
        if not embeddings:
            return {}
        vectors = self._gallery.space.project(np.array(list(embeddings.values())))
        return dict(zip(embeddings, vectors, strict=True))

    def delete(self, ids: Sequence[str], *, skip_missing: bool) -> list[str]:
        """Deletes items; durable and gone from searches on return.

        Returns:
            The ids that were not there.

        Raises:
            NotFoundError: UNKNOWN_ITEM, and nothing is deleted, unless `skip_missing`.
        """
        with self._gallery.lock:
            self._check_open()
            missing = [identifier for identifier in ids if identifier not in self._gallery.rows]
            if missing and not skip_missing:
                raise _unknown_item(missing[0], "ids")
            self.catalogue.delete(ids)
            touched: set[AttributeKey] = set()
            changes = 0
            for identifier in ids:
                codes = self._count_out(self._gallery.rows.find(identifier))
                self._gallery.rows.remove(identifier)
                touched |= _keys(codes)
                changes += bool(codes)
            self._after_write(ids, touched, changes)
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
            elif record.embedding is None and record.id not in self._gallery.rows:
                faults[number] = _unknown_item(
                    record.id, f"items[{number}]", "An item that is new needs an image or a vector."
                )
            else:
                seen.add(record.id)
        return faults

    def _count_out(self, row: Row | None) -> Mapping[str, int]:
        if row is None:
            return {}
        self.vocabulary.remove(row.codes)
        return row.codes

    def _after_write(self, ids: Sequence[str], touched: set[AttributeKey], changes: int) -> None:
        self._refit.note(ids, touched, changes)
        self._prototypes.refresh(touched)
        self._gallery.publish()
        for task in self._tasks:
            task.consider()

    def _check_open(self) -> None:
        if self._gallery.closed:
            raise NotFoundError(
                f"no collection {self.settings.name!r}",
                reason="UNKNOWN_COLLECTION",
                field="collection",
            )

    # The background

    def _install(self, refitted: Refitted) -> None:
        gallery = self._gallery
        gallery.space = refitted.space
        gallery.rows = refitted.rows
        # It is of the old space; all rows are compared until there is one of the new.
        gallery.index = None
        self._prototypes.replace(refitted.prototypes, refitted.changed)
        gallery.publish()
        self._builds.cut_short()
        self._builds.task.consider()

    def settle(self) -> None:
        """Waits until space, prototypes and index are of every item; for bulk loads."""
        # What is under way may have begun before the last writes; an index of a space that is
        # about to be replaced is not waited for.
        self._refit.task.wait()
        with self._gallery.lock:
            self._refit.complete()
        self._refit.task.wait()
        self._builds.task.wait()
        with self._gallery.lock:
            self._builds.complete()
        self._wait()

    def _wait(self) -> None:
        for task in self._tasks:
            task.wait()

    # Searches

    def embedding(self, identifier: str) -> Vectors | None:
        """The embedding of an item, (d,), whatever the space; does not wait for a write."""
        stored = self.catalogue.vectors([identifier]).get(identifier)
        return None if stored is None else stored.embedding

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
        with self._gallery.lock:
            self._gallery.closed = True
            for task in self._tasks:
                task.close()
            self._refit.cut_short()
            self._builds.cut_short()
        self._wait()
        self.catalogue.close()


def _keys(codes: Mapping[str, int]) -> set[AttributeKey]:
    return {AttributeKey(facet, code) for facet, code in codes.items()}


def _unknown_item(
    identifier: str, where: str, remedy: str = "Check the id, or let missing items be skipped."
) -> NotFoundError:
    return NotFoundError(
        f"no item {identifier!r}", reason="UNKNOWN_ITEM", field=where, remedy=remedy
    )
