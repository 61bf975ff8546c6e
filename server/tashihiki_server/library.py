"""A data folder: its lock, its encoders, its collections and their snapshots."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tashihiki.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    TashihikiError,
)
from tashihiki_server.bounds import check_name
from tashihiki_server.catalogue.sqlite import SqliteCatalogue
from tashihiki_server.collection.background import Background
from tashihiki_server.collection.collection import Collection
from tashihiki_server.collection.derived import adopt_derived
from tashihiki_server.collection.settings import CollectionSettings, read_settings
from tashihiki_server.collection_folders import CollectionFolders
from tashihiki_server.data_folder import (
    ENCODERS,
    SNAPSHOTS,
    bring_up_to_date,
    lock_folder,
    unusable,
)
from tashihiki_server.encoder.base import Encoder
from tashihiki_server.encoder.manifest import Manifest
from tashihiki_server.encoder.openvino import OpenVinoEncoder
from tashihiki_server.encoder.shelf import EncoderShelf
from tashihiki_server.encoder_change import forget_other_encoders, pending_change
from tashihiki_server.encoder_changes import EncoderChanges
from tashihiki_server.frozen import give_back
from tashihiki_server.names import unknown_collection
from tashihiki_server.retired import RetiredCollections
from tashihiki_server.snapshot.manifest import Snapshot
from tashihiki_server.snapshot.store import CATALOGUE_FILE, SnapshotStore
from tashihiki_server.vocabulary import Alias

logger = logging.getLogger(__name__)

SHIPPED_ENCODER = Path(__file__).parent / "encoder" / "shipped"


class Library:
    """Everything under one data folder; one process at a time."""

    def __init__(
        self,
        folder: Path,
        default_encoder: Path = SHIPPED_ENCODER,
        *,
        further: Sequence[Path] = (),
        go_on: bool = True,
        open_bundle: Callable[[Path], Encoder] = OpenVinoEncoder,
    ) -> None:
        """Opens a data folder, or makes it, and every collection in it.

        A collection that cannot be opened is kept as faulty; the others serve.

        Args:
            folder: of the data.
            default_encoder: bundle for collections that name none.
            further: bundles that are installed too.
            go_on: whether to go on with changes of encoders that are under way.
            open_bundle: makes an encoder of an installed bundle.

        Raises:
            FailedPreconditionError: DATA_FOLDER_IN_USE, DATA_FOLDER_UNUSABLE,
                DATA_FOLDER_FORMAT or ENCODER_INVALID.
        """
        self._folder = folder
        self._lock_file = lock_folder(folder)
        self._lock = threading.RLock()
        self._background = Background()
        self._collections: dict[str, Collection] = {}
        self._faults: dict[str, TashihikiError] = {}
        self._promised: set[str] = set()
        self._retired = RetiredCollections()
        self._folders = CollectionFolders(folder)
        self._changes = EncoderChanges(
            self._folders, self.collection, self.encoder, self._beside, self._switch
        )
        try:
            bring_up_to_date(folder)
            with _unusable_translated(folder):
                self._encoders = EncoderShelf(
                    folder / ENCODERS,
                    default_encoder,
                    spares=(SHIPPED_ENCODER,),
                    open_bundle=open_bundle,
                )
                for bundle in further:
                    self._encoders.install(bundle)
                self._folders.prepare()
                self._snapshots = SnapshotStore(folder / SNAPSHOTS)
                self._open_all()
            if go_on:
                self._changes.go_on(self.collections())
        except BaseException:
            self.close()
            raise

    def _open_all(self) -> None:
        for folder in self._folders:
            start = time.perf_counter()
            try:
                opened = self._collections[folder.name] = self._open(folder)
            except TashihikiError as error:
                logger.error("collection %s: %s", folder.name, error)
                self._faults[folder.name] = error
                continue
            logger.info(
                "collection %s: %d items, opened in %.1f s",
                folder.name,
                len(opened),
                time.perf_counter() - start,
            )

    def _open(self, folder: Path) -> Collection:
        try:
            return self._open_sound(folder)
        except (FailedPreconditionError, ResourceExhaustedError):
            raise
        except NotFoundError as error:
            raise FailedPreconditionError(
                error.message, reason=error.reason, field=error.field, remedy=error.remedy
            ) from error
        except Exception as error:
            # Whatever is wrong with one collection, the others shall serve.
            logger.exception("the collection %s does not open", folder.name)
            raise _damaged(folder, str(error) or type(error).__name__) from error

    def _open_sound(self, folder: Path) -> Collection:
        try:
            settings = read_settings(folder)
        except (OSError, ValueError) as error:
            raise _damaged(folder, f"its settings cannot be read: {error}") from error
        if settings.name != folder.name:
            raise _damaged(folder, f"its settings are those of {settings.name!r}")
        if not (folder / CATALOGUE_FILE).exists():
            raise FailedPreconditionError(
                f"the catalogue of {folder.name} is missing: {folder / CATALOGUE_FILE}",
                reason="CATALOGUE_DAMAGED",
                field="collection",
                remedy="Take it from a backup, restore a snapshot, or delete the collection.",
            )
        adopt_derived(folder, settings.encoder)
        opened = self._collection(folder, settings, self.encoder(settings.encoder))
        # What a change, or its end, left when it was cut short.
        forget_other_encoders(folder, opened, kept=pending_change(folder, settings.encoder))
        return opened

    def _collection(
        self,
        folder: Path,
        settings: CollectionSettings,
        encoder: Encoder,
        *,
        incomplete: bool = False,
    ) -> Collection:
        catalogue = _catalogue(folder, encoder, incomplete=incomplete)
        try:
            return Collection(folder, settings, encoder, catalogue, self._background)
        except BaseException:
            catalogue.close()
            raise

    # Encoders

    def install(self, bundle: Path) -> Manifest:
        """Copies an encoder bundle into the data folder.

        Raises:
            FailedPreconditionError: ENCODER_INVALID.
        """
        return self._encoders.install(bundle)

    def encoders(self) -> list[Manifest]:
        """The sound encoders of the data folder."""
        return self._encoders.installed()

    def encoder(self, name: str = "") -> Encoder:
        """An encoder by fingerprint or name; the default one for "".

        Raises:
            NotFoundError: UNKNOWN_ENCODER.
            FailedPreconditionError: ENCODER_INVALID.
        """
        return self._encoders.find(name)

    # Collections

    def collections(self) -> list[Collection]:
        """Those that can be used, by name."""
        with self._lock:
            return [self._collections[name] for name in sorted(self._collections)]

    def __contains__(self, name: str) -> bool:
        return name in self._collections or name in self._faults

    def faults(self) -> dict[str, TashihikiError]:
        """Why each other collection cannot be used, by name."""
        with self._lock:
            return dict(sorted(self._faults.items()))

    def collection(self, name: str) -> Collection:
        """A collection by name.

        Raises:
            NotFoundError: UNKNOWN_COLLECTION.
            TashihikiError: what a collection that cannot be used failed with.
        """
        found = self._collections.get(name)
        if found is not None:
            return found
        if (fault := self._faults.get(name)) is not None:
            # A fresh one, since a raised exception grows with every frame that it passes.
            raise type(fault)(
                fault.message,
                reason=fault.reason,
                field=fault.field,
                remedy=fault.remedy,
                details=fault.details,
            )
        raise unknown_collection(name, [*self._collections, *self._faults])

    def create(
        self,
        name: str,
        *,
        encoder: str = "",
        space: str = "auto",
        keep_negative: bool = False,
        aliases: tuple[Alias, ...] = (),
        target_recall: float = 0.99,
        request_id: str = "",
    ) -> Collection:
        """Makes an empty collection.

        Args:
            name: that is free.
            encoder: fingerprint or name; the default one for "".
            space, keep_negative, aliases, target_recall: as in `CollectionSettings`.
            request_id: the same creation with the same one returns what was made then.

        Raises:
            InvalidArgumentError: NAME_INVALID or REQUEST_ID_REUSED.
            AlreadyExistsError: COLLECTION_EXISTS.
            NotFoundError: UNKNOWN_ENCODER.
            FailedPreconditionError: ENCODER_INVALID.
            ResourceExhaustedError: DISK_FULL.
        """
        check_name(name, "collection.name")
        with self._lock:
            opened = self.encoder(encoder)
            settings = CollectionSettings(
                name,
                opened.manifest.fingerprint,
                keep_negative,
                aliases,
                time.time(),
                space,
                target_recall=target_recall,
                request_id=request_id,
            )
            made = self._collections.get(name)
            if made is not None and request_id and made.settings.request_id == request_id:
                return _made_before(made, settings)
            with self._promise(name, "collection.name"):
                return self._create(settings, lambda work: _catalogue(work, opened).close())

    @contextmanager
    def _promise(self, name: str, field: str) -> Iterator[None]:
        """Keeps a free name for the block."""
        with self._lock:
            if name in self or name in self._promised:
                raise AlreadyExistsError(
                    f"there is a collection {name!r} already",
                    reason="COLLECTION_EXISTS",
                    field=field,
                    remedy="Choose another name, or delete the one that is there.",
                )
            self._promised.add(name)
        try:
            yield
        finally:
            with self._lock:
                self._promised.remove(name)

    def _create(self, settings: CollectionSettings, fill: Callable[[Path], object]) -> Collection:
        """Publishes a folder that `fill` has put the catalogue into by one rename."""
        folder = self._folders.publish(settings, fill)
        try:
            opened = self._open(folder)
        except BaseException:
            self._folders.take_back(settings.name)
            raise
        with self._lock:
            self._collections[settings.name] = opened
        return opened

    def delete(self, name: str, *, missing_ok: bool = False) -> None:
        """Deletes a collection with all that is in it, also a faulty one; its snapshots stay.

        Args:
            name: of the collection.
            missing_ok: whether there need not be one.

        Raises:
            NotFoundError: UNKNOWN_COLLECTION.
            ResourceExhaustedError: DISK_FULL.
            FailedPreconditionError: DATA_FOLDER_UNUSABLE when the disk does not take it; the
                collection stays, unless even that cannot be had.
        """
        with self._changes.lock, self._lock:
            if name not in self:
                if missing_ok:
                    return
                self.collection(name)
            # First, so that a deletion that fails here leaves the collection as it was.
            failure = self._folders.bury(name)
            self._faults.pop(name, None)
            self._changes.stop(name)
            if (collection := self._collections.pop(name, None)) is not None:
                collection.close()
            del collection
            self._retired.close(name)
            self._folders.clear(name)
            give_back()
            if failure is not None:
                raise failure

    # Snapshots

    @property
    def snapshots(self) -> SnapshotStore:
        """Of all collections, also of deleted ones."""
        return self._snapshots

    def snapshot(
        self, collection: str, name: str = "", advanced: Callable[[float], None] = lambda _: None
    ) -> Snapshot:
        """Copies a collection as it is at one moment, while it serves.

        Args:
            collection: its name.
            name: of the snapshot; the time when empty.
            advanced: told the share that is done; what it raises ends the work without a trace.

        Raises:
            NotFoundError: UNKNOWN_COLLECTION.
            InvalidArgumentError: NAME_INVALID.
            AlreadyExistsError: SNAPSHOT_EXISTS.
            FailedPreconditionError: CATALOGUE_DAMAGED.
            ResourceExhaustedError: DISK_FULL.
        """
        folder = self._folders[collection]
        while True:
            serving = self.collection(collection)
            try:
                return self._snapshots.create(serving, folder, name, advanced)
            except FailedPreconditionError:
                # The copy may be of a moment after it, when items lack the old embeddings.
                if not serving.replaced:
                    raise

    def restore(
        self,
        collection: str,
        name: str,
        target: str,
        advanced: Callable[[float], None] = lambda _: None,
    ) -> Collection:
        """Makes a new collection of a snapshot whose checksums hold.

        Args:
            collection, name: of the snapshot.
            target: name of the new collection.
            advanced: told the share that is done; what it raises ends the work without a trace.

        Raises:
            InvalidArgumentError: NAME_INVALID.
            NotFoundError: UNKNOWN_SNAPSHOT.
            AlreadyExistsError: COLLECTION_EXISTS.
            FailedPreconditionError: SNAPSHOT_DAMAGED, or UNKNOWN_ENCODER where the snapshot's is
                not installed.
            ResourceExhaustedError: DISK_FULL.
        """
        check_name(target, "target")
        store = self._snapshots
        encoder = self._encoder_of(store.find(collection, name)).manifest
        settings = replace(
            store.settings(collection, name), name=target, create_time=time.time(), request_id=""
        )
        with self._promise(target, "target"):
            return self._create(
                settings,
                lambda work: store.extract(
                    collection, name, work, dimension=encoder.dimension, advanced=advanced
                ),
            )

    def _encoder_of(self, snapshot: Snapshot) -> Encoder:
        try:
            return self.encoder(snapshot.encoder)
        except NotFoundError as error:
            raise FailedPreconditionError(
                f"the encoder of the snapshot, {snapshot.encoder}, is not installed",
                reason=error.reason,
                field="name",
                remedy="Give its bundle to `tashihiki serve` with --encoder.",
            ) from error

    # Changes of encoder

    def change_encoder(self, name: str, encoder: str) -> Collection:
        """Begins to embed every item of a collection again by another encoder.

        Args:
            name: of the collection, which serves on as it is until all is ready.
            encoder: fingerprint or name; the default one for "".

        Returns:
            The collection as it serves.

        Raises:
            NotFoundError: UNKNOWN_COLLECTION or UNKNOWN_ENCODER.
            FailedPreconditionError: ENCODER_CHANGE_UNDER_WAY, ENCODER_IN_FORCE,
                ITEM_WITHOUT_PICTURE or ENCODER_INVALID.
            ResourceExhaustedError: DISK_FULL.
        """
        return self._changes.begin(name, encoder)

    def roll_back_encoder(self, name: str) -> Collection:
        """Begins to go back to the encoder before the last change.

        Args:
            name: of the collection, which serves on as it is until all is ready.

        Raises:
            FailedPreconditionError: NO_PREVIOUS_ENCODER; and as `change_encoder`.
        """
        return self._changes.roll_back(name)

    def cancel_encoder_change(self, name: str) -> Collection:
        """Ends a change that is under way, without a trace.

        Raises:
            NotFoundError: UNKNOWN_COLLECTION.
            FailedPreconditionError: NO_ENCODER_CHANGE.
        """
        return self._changes.cancel(name)

    def _beside(self, settings: CollectionSettings, encoder: Encoder) -> Collection:
        return self._collection(self._folders[settings.name], settings, encoder, incomplete=True)

    def _switch(self, serving: Collection, successor: Collection) -> None:
        # Without `_lock`, whose holder may wait for the change to end.
        self._collections[serving.settings.name] = successor
        self._retired.put(serving)

    def close(self) -> None:
        """Closes every collection and unlocks the folder."""
        self._changes.stop()
        self._retired.close()
        for collection in self._collections.values():
            collection.close()
        self._background.close()
        self._lock_file.close()


def _catalogue(folder: Path, encoder: Encoder, *, incomplete: bool = False) -> SqliteCatalogue:
    manifest = encoder.manifest
    return SqliteCatalogue(
        folder / CATALOGUE_FILE,
        encoder=manifest.fingerprint,
        dimension=manifest.dimension,
        incomplete=incomplete,
    )


def _made_before(made: Collection, wanted: CollectionSettings) -> Collection:
    now = made.settings
    # Which encoder it was made with is not known once that has changed.
    encoder = now.encoder if now.previous_encoder else wanted.encoder
    same = replace(
        wanted,
        create_time=now.create_time,
        encoder=encoder,
        previous_encoder=now.previous_encoder,
    )
    if same != now:
        raise InvalidArgumentError(
            f"the request {wanted.request_id!r} made another collection",
            reason="REQUEST_ID_REUSED",
            field="request_id",
            remedy="Give every request an id of its own.",
        )
    return made


def _damaged(folder: Path, why: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"the collection {folder.name} cannot be used: {why}",
        reason="COLLECTION_DAMAGED",
        field="collection",
        remedy="Run `tashihiki verify`; restore a snapshot or a backup, or delete the collection.",
    )


@contextmanager
def _unusable_translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unusable(folder, str(error)) from error
