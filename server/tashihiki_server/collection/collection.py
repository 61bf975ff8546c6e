"""One collection: durable writes, and searches over what they have published."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tashihiki.errors import (
    AbortedError,
    InvalidArgumentError,
    NotFoundError,
    TashihikiError,
    UnavailableError,
)
from tashihiki_server.catalogue.base import (
    Catalogue,
    ItemRecord,
    StoredItem,
    StoredLabels,
    StoredVector,
    WriteRequest,
    etag_of,
)
from tashihiki_server.collection.background import Background
from tashihiki_server.collection.builds import IndexBuilds
from tashihiki_server.collection.derived import INDEX_FOLDER, SPACES_FOLDER, derived_folder
from tashihiki_server.collection.encoder_progress import EncoderProgress
from tashihiki_server.collection.fits import FitStore
from tashihiki_server.collection.gallery import Gallery, State
from tashihiki_server.collection.nearest import Nearest, nearest
from tashihiki_server.collection.prototype_file import read_prototypes
from tashihiki_server.collection.prototypes import PrototypeRefresh
from tashihiki_server.collection.refit import Refit, Refitted
from tashihiki_server.collection.rows import Row, Rows
from tashihiki_server.collection.settings import CollectionSettings
from tashihiki_server.collection.written import Written, placed
from tashihiki_server.encoder.base import Encoder
from tashihiki_server.index.generation import OpenedGeneration
from tashihiki_server.query.filter import Filter, Mask, admitted
from tashihiki_server.space.base import AttributeSpace, Vectors
from tashihiki_server.space.factored import Diagnostics, FactoredSpace
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.space.sum import SumSpace
from tashihiki_server.vocabulary import AttributeKey, Vocabulary

__all__ = ["Collection", "State"]

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
        # What was written or deleted since `follow`; None where nobody wants to know.
        self._followed: set[str] | None = None
        self._replaced = False
        self._encoder_progress: Callable[[], EncoderProgress | None] = lambda: None
        manifest = encoder.manifest
        folder = derived_folder(folder, manifest.fingerprint)
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
        self._builds = IndexBuilds(
            gallery,
            self._prototypes,
            folder / INDEX_FOLDER,
            settings.target_recall,
            background.builds,
        )
        self._load(self._builds.open())
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

    def _load(self, opened: OpenedGeneration | None) -> None:
        """Fills the gallery: what the index holds as it is, what is newer from the catalogue."""
        gallery = self._gallery
        if opened is not None:
            gallery.index = opened.generation
            gallery.rows = Rows.frozen(opened.ids, opened.versions, opened.vectors, self.vocabulary)
        newer: list[tuple[StoredLabels, Mapping[str, int]]] = []
        for item in self.catalogue.labels():
            codes = self.vocabulary.add(item.attributes)
            if not gallery.rows.revive(item.id, item.version, codes, item.metadata):
                newer.append((item, codes))
                if len(newer) == _CHUNK:
                    self._load_newer(newer)
                    newer.clear()
        self._load_newer(newer)
        gallery.rows.forget_dead()
        view = gallery.rows.view()
        known = {} if opened is None else read_prototypes(opened.folder, view, self.vocabulary)
        gallery.prototypes = Prototypes(known)
        self._prototypes.refresh(view.keys() - known.keys())

    def _load_newer(self, newer: Sequence[tuple[StoredLabels, Mapping[str, int]]]) -> None:
        if not newer:
            return
        stored = self.catalogue.vectors([item.id for item, _ in newer])
        # Of a catalogue that another collection writes to, one may be gone again.
        there = [(item, codes) for item, codes in newer if item.id in stored]
        for item, codes in newer:
            if item.id not in stored:
                self.vocabulary.remove(codes)
        if not there:
            return
        embeddings = np.array([stored[item.id].embedding for item, _ in there])
        vectors = self._gallery.space.project(embeddings)
        for (item, codes), vector in zip(there, vectors, strict=True):
            self._gallery.rows.write(Row(item.id, item.version, codes, vector, item.metadata))

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
    def index_pending(self) -> bool:
        """Whether an index is being built, or will be soon."""
        with self._gallery.lock:
            return self._builds.pending

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
        self,
        records: Sequence[ItemRecord],
        *,
        partial: bool = False,
        request: WriteRequest | None = None,
        answer: Callable[[Written], bytes] = lambda written: b"",
    ) -> Written:
        """Adds or replaces items; durable and visible to searches on return.

        Args:
            records: the items.
            partial: write the sound ones even when others are refused.
            request: remembered with its answer, also where nothing is written.
            answer: told what comes of it before it is durable.

        Raises:
            NotFoundError: UNKNOWN_ITEM for a new item without an embedding.
            InvalidArgumentError: DUPLICATE_ITEM or REQUEST_ID_REUSED.
            AbortedError: ETAG_MISMATCH; PICTURE_CHANGED, whatever `partial` says, for an item that
                no longer has the picture whose embedding it is to keep.
            ResourceExhaustedError: DISK_FULL.
        """
        with self._gallery.lock:
            self._check_open()
            faults = self._faults(records)
            if faults and not partial:
                raise next(iter(faults.values()))
            sound = [record for n, record in enumerate(records) if n not in faults]
            if not sound and request is None:
                return placed([], [], faults)
            stood = [self._gallery.rows.find(record.id) for record in sound]
            before = [None if row is None else row.version for row in stood]
            vectors = self._project(sound)
            versions = self.catalogue.upsert(
                sound,
                request=request,
                answer=lambda versions: answer(placed(versions, before, faults)),
            )
            self._write(sound, stood, versions, vectors)
            return placed(versions, before, faults)

    def _write(
        self,
        records: Sequence[ItemRecord],
        stood: Sequence[Row | None],
        versions: Sequence[int],
        vectors: Mapping[str, Vectors],
    ) -> None:
        touched: set[AttributeKey] = set()
        changed: list[str] = []
        changes = 0
        for record, before, version in zip(records, stood, versions, strict=True):
            if before is not None and before.version == version:
                continue
            # In before out, so that no value that stays is ever without members.
            codes = self.vocabulary.add(record.attributes)
            before_codes = self._count_out(before)
            if record.embedding is not None:
                vector = vectors[record.id]
            else:
                assert before is not None
                vector = before.vector
            self._gallery.rows.write(Row(record.id, version, codes, vector, record.metadata))
            changed.append(record.id)
            touched |= _keys(codes) | _keys(before_codes)
            if record.embedding is not None or codes != before_codes:
                changes += bool(codes or before_codes)
        if changed:
            self._after_write(changed, touched, changes)

    def _project(self, records: Sequence[ItemRecord]) -> dict[str, Vectors]:
        embeddings = {r.id: r.embedding for r in records if r.embedding is not None}
        if not embeddings:
            return {}
        vectors = self._gallery.space.project(np.array(list(embeddings.values())))
        return dict(zip(embeddings, vectors, strict=True))

    def delete(
        self,
        ids: Sequence[str],
        *,
        skip_missing: bool,
        request: WriteRequest | None = None,
        answer: Callable[[list[str]], bytes] = lambda missing: b"",
    ) -> list[str]:
        """Deletes items; durable and gone from searches on return.

        Args:
            ids: of the items.
            skip_missing: whether some may be missing.
            request: remembered with its answer.
            answer: told the ids that were not there before the deletion is durable.

        Returns:
            The ids that were not there.

        Raises:
            NotFoundError: UNKNOWN_ITEM, and nothing is deleted, unless `skip_missing`.
            InvalidArgumentError: REQUEST_ID_REUSED.
            ResourceExhaustedError: DISK_FULL.
        """
        with self._gallery.lock:
            self._check_open()
            missing = [identifier for identifier in ids if identifier not in self._gallery.rows]
            if missing and not skip_missing:
                raise _unknown_item(missing[0], "ids")
            self.catalogue.delete(ids, request=request, answer=lambda: answer(missing))
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
            elif (fault := self._fault(record, f"items[{number}]")) is not None:
                faults[number] = fault
            else:
                seen.add(record.id)
        return faults

    def _fault(self, record: ItemRecord, where: str) -> TashihikiError | None:
        row = self._gallery.rows.find(record.id) if record.etag else None
        if record.etag and (row is None or etag_of(row.version) != record.etag):
            return AbortedError(
                f"the item {record.id!r} "
                + ("is not there" if row is None else "was written meanwhile"),
                reason="ETAG_MISMATCH",
                field=f"{where}.etag",
                remedy="Read the item, and decide again with the etag that it has now.",
            )
        # With a picture, the catalogue tells whether its embedding can be kept.
        keeps = record.embedding is None and not record.image_sha256
        if keeps and record.id not in self._gallery.rows:
            return _unknown_item(
                record.id, where, "An item that is new needs an image or a vector."
            )
        return None

    def _count_out(self, row: Row | None) -> Mapping[str, int]:
        if row is None:
            return {}
        self.vocabulary.remove(row.codes)
        return row.codes

    def _after_write(self, ids: Sequence[str], touched: set[AttributeKey], changes: int) -> None:
        if self._followed is not None:
            self._followed.update(ids)
        self._refit.note(ids, touched, changes)
        self._prototypes.refresh(touched)
        self._gallery.publish()
        for task in self._tasks:
            task.consider()

    def _check_open(self) -> None:
        if self._replaced:
            raise UnavailableError(
                f"the encoder of {self.settings.name} was changed meanwhile",
                reason="ENCODER_CHANGED",
                field="collection",
                remedy="Send the request again.",
            )
        if self._gallery.closed:
            raise NotFoundError(
                f"no collection {self.settings.name!r}",
                reason="UNKNOWN_COLLECTION",
                field="collection",
            )

    # A change of encoder

    @property
    def encoder_progress(self) -> EncoderProgress | None:
        """How far the change of encoder is; None where none is under way."""
        return self._encoder_progress()

    def tell_encoder_progress(self, progress: Callable[[], EncoderProgress | None]) -> None:
        """Lets `encoder_progress` say what this returns, on any thread."""
        self._encoder_progress = progress

    @contextmanager
    def writes_held(self) -> Iterator[None]:
        """Lets writes wait for the block; searches do not."""
        with self._gallery.lock:
            self._check_open()
            yield

    def follow(self) -> None:
        """Begins to note which items are written and deleted."""
        with self._gallery.lock:
            self._followed = set()

    def followed(self) -> list[str]:
        """The ids of the items that were written or deleted since this was last asked."""
        with self._gallery.lock:
            found, self._followed = self._followed or set(), set()
        return sorted(found)

    def unfollow(self) -> None:
        """Notes nothing any more."""
        with self._gallery.lock:
            self._followed = None

    def hold_fits(self) -> None:
        """Waits for a fit that is under way, and begins no other until `serve_from_now`."""
        with self._gallery.lock:
            self._refit.hold(True)
        while self._refit.task.ordered:
            self._refit.task.wait()

    def absorb(self, ids: Sequence[str]) -> None:
        """Takes over what another collection has written to or deleted from the same file.

        Fits are held meanwhile, since they read the file, which is ahead of the rows. Items without
        an embedding of this collection's encoder are left as they are here.

        Args:
            ids: of the items.
        """
        with self._gallery.lock:
            touched: set[AttributeKey] = set()
            changed: list[str] = []
            changes = 0
            for start in range(0, len(ids), _CHUNK):
                chunk = ids[start : start + _CHUNK]
                items, stored = self.catalogue.items(chunk), self.catalogue.vectors(chunk)
                for identifier in chunk:
                    before = self._gallery.rows.find(identifier)
                    codes = self._absorbed(before, items.get(identifier), stored.get(identifier))
                    if codes is None:
                        continue
                    if identifier not in items:
                        self._gallery.rows.remove(identifier)
                    before_codes = self._count_out(before)
                    changed.append(identifier)
                    touched |= _keys(codes) | _keys(before_codes)
                    changes += bool(codes or before_codes)
            self._after_write(changed, touched, changes)

    def _absorbed(
        self, before: Row | None, item: StoredItem | None, vector: StoredVector | None
    ) -> Mapping[str, int] | None:
        """The labels that an item has now; None where it is left as it is."""
        if item is None:
            return {}
        # Read at two moments: what was written between them is named again.
        if vector is None or vector.version != item.version:
            return None
        if before is not None and before.version == item.version:
            return None
        codes = self.vocabulary.add(item.attributes)
        row = self._gallery.space.project(vector.embedding[None])[0]
        self._gallery.rows.write(Row(item.id, item.version, codes, row, item.metadata))
        return codes

    def serve_from_now(self) -> None:
        """Publishes under a number of its own, after those of a collection that it replaces."""
        with self._gallery.lock:
            self.catalogue.expect_complete(True)
            self._refit.hold(False)
            self._gallery.advance()
            self._refit.task.consider()

    def retire(self) -> None:
        """Refuses writes from now on, with ENCODER_CHANGED; searches under way are answered."""
        with self._gallery.lock:
            self._replaced = True
            self.catalogue.expect_complete(False)
            self._end_tasks()

    @property
    def replaced(self) -> bool:
        """Whether another collection of its name, with another encoder, has taken its place."""
        return self._replaced

    # The background

    def _install(self, refitted: Refitted) -> None:
        gallery = self._gallery
        gallery.space = refitted.space
        if len(refitted.rows) < len(gallery.rows):
            # The file was ahead of the rows; `absorb` brings these back, or knows them gone.
            before = gallery.rows.view()
            for identifier in before.ids(np.flatnonzero(before.alive)).tolist():
                if identifier not in refitted.rows:
                    self._count_out(gallery.rows.find(identifier))
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
        if stored is None and self._replaced:
            self._check_open()
        return None if stored is None else stored.embedding

    def items(
        self, ids: Sequence[str], *, embeddings: bool = False, thumbnails: bool = False
    ) -> dict[str, tuple[StoredItem, Vectors | None]]:
        """The items with these ids, those that are there, with their embeddings (d,) if wanted.

        An item and its embedding are of one version.
        """
        found: dict[str, tuple[StoredItem, Vectors | None]] = {}
        while ids:
            items = self.catalogue.items(ids, thumbnails=thumbnails)
            if not embeddings:
                return {identifier: (item, None) for identifier, item in items.items()}
            stored = self.catalogue.vectors(list(items))
            for identifier, item in items.items():
                if identifier in stored and stored[identifier].version == item.version:
                    found[identifier] = item, stored[identifier].embedding
            # Those that were written between the two are read again.
            ids = [identifier for identifier in items if identifier not in found]
        return found

    def mask(self, state: State, condition: Filter | None) -> Mask | None:
        """Which rows of a state a filter admits, dead ones included; None for no filter.

        Raises:
            InvalidArgumentError: UNKNOWN_FACET, UNKNOWN_VALUE or FILTER_PATH_LIMIT.
        """
        return None if condition is None else admitted(condition, state.rows)

    def nearest(
        self, state: State, vector: Vectors, limit: int, mask: Mask | None, excluded: Set[str]
    ) -> Nearest:
        """The items of a state most similar to a composed vector.

        Args:
            state: that the vector was composed in.
            vector: (d,), of unit length.
            limit: how many to return; fewer only where fewer exist.
            mask: (rows,), which items may be returned; None for all.
            excluded: ids of items that must not be.
        """
        index = None if state.index is None else state.index.index
        found = nearest(state.rows, index, vector, limit + len(excluded), mask)
        if not excluded:
            return found
        kept = [n for n, row in enumerate(found.rows) if state.rows.id(row) not in excluded][:limit]
        return Nearest(found.rows[kept], found.similarities[kept], found.route)

    def close(self) -> None:
        """Ends the work in the background and lets go of the files."""
        with self._gallery.lock:
            self._end_tasks()
        self._wait()
        self.catalogue.close()

    def _end_tasks(self) -> None:
        self._gallery.closed = True
        for task in self._tasks:
            task.close()
        self._refit.cut_short()
        self._builds.cut_short()


def _keys(codes: Mapping[str, int]) -> set[AttributeKey]:
    return {AttributeKey(facet, code) for facet, code in codes.items()}


def _unknown_item(
    identifier: str, where: str, remedy: str = "Check the id, or let missing items be skipped."
) -> NotFoundError:
    return NotFoundError(
        f"no item {identifier!r}", reason="UNKNOWN_ITEM", field=where, remedy=remedy
    )
