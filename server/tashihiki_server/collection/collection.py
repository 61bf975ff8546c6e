"""One collection: durable writes, and searches over what they have published."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np

from tashihiki.errors import (
    NotFoundError,
    UnavailableError,
)
from tashihiki_server.catalogue.base import (
    Catalogue,
    ItemRecord,
    StoredItem,
    WriteRequest,
)
from tashihiki_server.collection.background import Background
from tashihiki_server.collection.builds import IndexBuilds
from tashihiki_server.collection.derived import INDEX_FOLDER, SPACES_FOLDER, derived_folder
from tashihiki_server.collection.encoder_progress import EncoderProgress
from tashihiki_server.collection.fits import FitStore
from tashihiki_server.collection.gallery import Gallery, State
from tashihiki_server.collection.loading import load
from tashihiki_server.collection.nearest import Nearest, Patience, nearest
from tashihiki_server.collection.prototypes import PrototypeRefresh
from tashihiki_server.collection.recent_items import RecentItems
from tashihiki_server.collection.refit import Refit, Refitted
from tashihiki_server.collection.settings import CollectionSettings
from tashihiki_server.collection.succession import WriteLog, absorb
from tashihiki_server.collection.writing import ItemWrites, counted_out
from tashihiki_server.collection.written import Written
from tashihiki_server.encoder.base import Encoder
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
        self._followed = WriteLog()
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
        load(gallery, self._prototypes, self._builds.open())
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
        self._writes = ItemWrites(gallery, self._changed)
        self._recent = RecentItems(gallery)
        self._tasks = (self._refit.task, self._prototypes.task, self._builds.task)
        for task in self._tasks:
            task.consider()

    def _sum(self) -> AttributeSpace:
        return SumSpace(self.encoder.manifest.dimension, Prototypes(), self.settings.keep_negative)

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
            return self._writes.upsert(records, partial=partial, request=request, answer=answer)

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
            return self._writes.delete(
                ids, skip_missing=skip_missing, request=request, answer=answer
            )

    def writing(self) -> AbstractContextManager[None]:
        """Tells that more will be written; a first fit waits until the block is over."""
        return self._refit.writing()

    def _changed(self, ids: Sequence[str], touched: set[AttributeKey], changes: int) -> None:
        self._followed.note(ids)
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
            self._followed.begin()

    def followed(self) -> list[str]:
        """The ids of the items that were written or deleted since this was last asked."""
        with self._gallery.lock:
            return self._followed.taken()

    def unfollow(self) -> None:
        """Notes nothing any more."""
        with self._gallery.lock:
            self._followed.end()

    def hold_fits(self) -> None:
        """Waits for a fit that is under way, and begins no other until `serve_from_now`."""
        with self._gallery.lock:
            self._refit.hold(True)
        while self._refit.task.ordered:
            self._refit.task.wait()

    def absorb(self, ids: Sequence[str]) -> None:
        """Takes over what another collection has written to or deleted from the same file.

        Fits are held meanwhile, since they read the file, which is ahead of the rows.

        Args:
            ids: of the items.
        """
        with self._gallery.lock:
            absorb(self._gallery, ids, self._changed)

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
                    counted_out(gallery, gallery.rows.find(identifier))
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
        embedding = self._recent.embedding(identifier)
        if embedding is None and self._replaced:
            self._check_open()
        return embedding

    def hit_items(self, ids: Sequence[str], *, thumbnails: bool) -> dict[str, StoredItem]:
        """The items with these ids, those that are there; from memory where it knows them.

        Thumbnails that are damaged are left out.
        """
        if thumbnails:
            return self.catalogue.items(ids, thumbnails=True, lenient=True)
        return self._recent.items(ids)

    def items(
        self,
        ids: Sequence[str],
        *,
        embeddings: bool = False,
        thumbnails: bool = False,
        lenient: bool = False,
    ) -> dict[str, tuple[StoredItem, Vectors | None]]:
        """The items with these ids, those that are there, with their embeddings (d,) if wanted.

        An item and its embedding are of one version. `lenient` is that of `Catalogue.items`.
        """
        found: dict[str, tuple[StoredItem, Vectors | None]] = {}
        while ids:
            items = self.catalogue.items(ids, thumbnails=thumbnails, lenient=lenient)
            if not embeddings:
                return {identifier: (item, None) for identifier, item in items.items()}
            stored = self.catalogue.vectors(list(items))
            for identifier, item in items.items():
                if identifier in stored and stored[identifier].version == item.version:
                    found[identifier] = item, stored[identifier].embedding
            if self._replaced:
                self._check_open()
            # Those that were written between the two are read again.
            ids = [identifier for identifier in items if identifier not in found]
        return found

    def mask(self, state: State, condition: Filter | None, *, lenient: bool = False) -> Mask | None:
        """Which rows of a state a filter admits, dead ones included; None for no filter.

        Args:
            state: whose rows they are.
            condition: the filter.
            lenient: whether facets and values that no item carries match nothing.

        Raises:
            InvalidArgumentError: UNKNOWN_FACET or UNKNOWN_VALUE, unless `lenient`.
            FailedPreconditionError: FILTER_PATH_LIMIT.
        """
        return None if condition is None else admitted(condition, state.rows, lenient=lenient)

    def nearest(
        self,
        state: State,
        vector: Vectors,
        limit: int,
        mask: Mask | None,
        excluded: Set[str],
        patience: Patience | None = None,
    ) -> Nearest:
        """The items of a state most similar to a composed vector.

        Args:
            state: that the vector was composed in.
            vector: (d,), of unit length.
            limit: how many to return; fewer only where fewer exist.
            mask: (rows,), which items may be returned; None for all.
            excluded: ids of items that must not be.
            patience: what it may take; None for whatever it takes.

        Raises:
            OutOfPatienceError: where it takes more.
        """
        index = None if state.index is None else state.index.index
        found = nearest(state.rows, index, vector, limit + len(excluded), mask, patience)
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
