"""A data folder: its lock, its encoders, its collections and their snapshots."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

from tashihiki.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    TashihikiError,
)
from tashihiki_server.bounds import check_name, is_name
from tashihiki_server.catalogue.sqlite import SqliteCatalogue
from tashihiki_server.collection.background import Background
from tashihiki_server.collection.collection import Collection
from tashihiki_server.collection.derived import adopt_derived
from tashihiki_server.collection.settings import CollectionSettings, read_settings
from tashihiki_server.data_folder import (
    COLLECTIONS,
    ENCODERS,
    SNAPSHOTS,
    bring_up_to_date,
    lock_folder,
    unusable,
)
from tashihiki_server.durable import sync, sync_tree
from tashihiki_server.encoder.base import Encoder
from tashihiki_server.encoder.manifest import Manifest
from tashihiki_server.encoder.shelf import EncoderShelf
from tashihiki_server.encoder_change import (
    EncoderChange,
    check_pictures,
    forget_other_encoders,
    pending_change,
)
from tashihiki_server.names import similar
from tashihiki_server.retired import RetiredCollections
from tashihiki_server.snapshot.manifest import Snapshot
from tashihiki_server.snapshot.store import CATALOGUE_FILE, SnapshotStore
from tashihiki_server.vocabulary import Alias

logger = logging.getLogger(__name__)

SHIPPED_ENCODER = Path(__file__).parent / "encoder" / "shipped"
_NEW = ".new."
_DELETED = ".deleted."


class Library:
    """Everything under one data folder; one process at a time."""

    def __init__(
        self,
        folder: Path,
        default_encoder: Path = SHIPPED_ENCODER,
        *,
        further: Sequence[Path] = (),
        go_on: bool = True,
    ) -> None:
        """Opens a data folder, or makes it, and every collection in it.

        A collection that cannot be opened is kept as faulty; the others serve.

        Args:
            folder: of the data.
            default_encoder: bundle for collections that name none.
            further: bundles that are installed too.
            go_on: whether to go on with changes of encoders that are under way.

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
        # Taken before `_lock`, by what begins or ends changes.
        self._changing = threading.RLock()
        self._changes: dict[str, EncoderChange] = {}
        self._retired = RetiredCollections()
        try:
            bring_up_to_date(folder)
            with _unusable_translated(folder):
                self._encoders = EncoderShelf(
                    folder / ENCODERS, default_encoder, spares=(SHIPPED_ENCODER,)
                )
                for bundle in further:
                    self._encoders.install(bundle)
                (folder / COLLECTIONS).mkdir(exist_ok=True)
                self._snapshots = SnapshotStore(folder / SNAPSHOTS)
                self._open_all()
            if go_on:
                self._go_on()
        except BaseException:
            self.close()
            raise

    def _open_all(self) -> None:
        for folder in sorted((self._folder / COLLECTIONS).iterdir()):
            if folder.name.startswith((_NEW, _DELETED)):
                shutil.rmtree(folder, ignore_errors=True)  # Cut short.
                continue
            if not is_name(folder.name) or not folder.is_dir():
                logger.warning("%s is no collection and is passed over", folder)
                continue
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
        known = {*self._collections, *self._faults}
        candidates = similar(name, known) or sorted(known)
        raise NotFoundError(
            f"no collection {name!r}",
            reason="UNKNOWN_COLLECTION",
            field="collection",
            remedy=f"There is {', '.join(candidates)}." if candidates else "Create it first.",
            details={"candidates": ", ".join(candidates)},
        )

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
        work = self._folder / COLLECTIONS / f"{_NEW}{settings.name}"
        final = self._folder / COLLECTIONS / settings.name
        try:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            settings.write(work)
            fill(work)
            sync_tree(work)
            work.replace(final)
            try:
                sync(final.parent)
            except OSError:
                _take_back(final, work)
                raise
        except OSError as error:
            raise ResourceExhaustedError(
                f"the collection cannot be written: {error}",
                reason="DISK_FULL",
                remedy="Make room in the data folder, or check its permissions.",
            ) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
        try:
            opened = self._open(final)
        except BaseException:
            _take_back(final, work)
            shutil.rmtree(work, ignore_errors=True)
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
        with self._changing, self._lock:
            if name not in self:
                if missing_ok:
                    return
                self.collection(name)
            # First, so that a deletion that fails here leaves the collection as it was.
            grave, failure = self._bury(name)
            self._faults.pop(name, None)
            if (change := self._changes.pop(name, None)) is not None:
                change.stop()
            if (collection := self._collections.pop(name, None)) is not None:
                collection.close()
            self._retired.close(name)
            # A build or fit may have made its folder anew before the collection was closed.
            for left in (grave, self._folder / COLLECTIONS / name):
                shutil.rmtree(left, ignore_errors=True)
            if failure is not None:
                raise failure

    def _bury(self, name: str) -> tuple[Path, TashihikiError | None]:
        """Takes a collection's folder out of the way for good.

        Returns:
            Where it is now, and what is wrong where the disk has not confirmed it and the folder
            cannot be put back.

        Raises:
            TashihikiError: what is wrong where the folder is where it was.
        """
        collections = self._folder / COLLECTIONS
        place, grave = collections / name, _free_grave(collections, name)
        try:
            place.replace(grave)
        except FileNotFoundError as error:
            # Somebody has deleted it already, unless the disk is gone.
            if not collections.is_dir():
                raise _not_deleted(self._folder, name, error) from error
        except OSError as error:
            raise _not_deleted(self._folder, name, error) from error
        try:
            sync(collections)
        except OSError as error:
            failure = _not_deleted(self._folder, name, error)
            try:
                grave.replace(place)
            except OSError as stuck:
                logger.error("collection %s: not served, half deleted: %s", name, stuck)
                return grave, failure
            with suppress(OSError):
                sync(collections)
            raise failure from error
        return grave, None

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
        folder = self._folder / COLLECTIONS / collection
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
        with self._changing:
            return self._begin_change(name, lambda _: encoder)

    def roll_back_encoder(self, name: str) -> Collection:
        """Begins to go back to the encoder before the last change.

        Args:
            name: of the collection, which serves on as it is until all is ready.

        Raises:
            FailedPreconditionError: NO_PREVIOUS_ENCODER; and as `change_encoder`.
        """

        def previous(collection: Collection) -> str:
            if encoder := collection.settings.previous_encoder:
                return encoder
            raise FailedPreconditionError(
                f"the encoder of {name} has never been changed",
                reason="NO_PREVIOUS_ENCODER",
                field="collection",
                remedy="Change it to the one you want.",
            )

        with self._changing:
            return self._begin_change(name, previous)

    def _begin_change(self, name: str, encoder: Callable[[Collection], str]) -> Collection:
        self.collection(name)
        if (change := self._changes.get(name)) is not None:
            if change.under_way:
                raise FailedPreconditionError(
                    f"the encoder of {name} is being changed",
                    reason="ENCODER_CHANGE_UNDER_WAY",
                    field="collection",
                    remedy="Wait until it is done, or cancel it.",
                )
            change.stop()  # Waits until it has cleared up.
        collection = self.collection(name)
        target = self.encoder(encoder(collection)).manifest.fingerprint
        if target == collection.settings.encoder:
            raise FailedPreconditionError(
                f"the embeddings of {name} are of the encoder {target} already",
                reason="ENCODER_IN_FORCE",
                field="encoder",
                remedy="Name another encoder.",
            )
        check_pictures(collection.catalogue, target)
        change = self._changes[name] = self._change(collection, target)
        try:
            change.begin()
        except BaseException:
            del self._changes[name]
            raise
        return collection

    def _change(self, serving: Collection, target: str) -> EncoderChange:
        name = serving.settings.name
        folder = self._folder / COLLECTIONS / name

        def done() -> None:
            self._changes.pop(name, None)

        def beside(settings: CollectionSettings, encoder: Encoder) -> Collection:
            return self._collection(folder, settings, encoder, incomplete=True)

        def switch(collection: Collection) -> None:
            # Without `_lock`, whose holder may wait for the change to end.
            self._collections[name] = collection
            self._retired.put(serving)

        return EncoderChange(
            folder,
            serving,
            target,
            encoder=self.encoder,
            beside=beside,
            switch=switch,
            done=done,
        )

    def _go_on(self) -> None:
        for collection in self.collections():
            name, encoder = collection.settings.name, collection.settings.encoder
            if target := pending_change(self._folder / COLLECTIONS / name, encoder):
                logger.info("%s: its encoder is being changed to %s", name, target)
                self._changes[name] = self._change(collection, target)
                self._changes[name].go_on()

    def cancel_encoder_change(self, name: str) -> Collection:
        """Ends a change that is under way, without a trace.

        Raises:
            NotFoundError: UNKNOWN_COLLECTION.
            FailedPreconditionError: NO_ENCODER_CHANGE.
        """
        with self._changing:
            collection = self.collection(name)
            change = self._changes.pop(name, None)
            if change is None or not change.cancel():
                raise FailedPreconditionError(
                    f"the encoder of {name} is not being changed",
                    reason="NO_ENCODER_CHANGE",
                    field="collection",
                    remedy="A change that is done can be rolled back.",
                )
            return collection

    def close(self) -> None:
        """Closes every collection and unlocks the folder."""
        for change in list(self._changes.values()):
            change.stop()
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


def _take_back(final: Path, work: Path) -> None:
    """Undoes the rename that publishes a collection, so that its name is free."""
    try:
        final.replace(work)
    except OSError:
        shutil.rmtree(final, ignore_errors=True)


def _free_grave(collections: Path, name: str) -> Path:
    # One that cannot be cleared, for example for its permissions, stays and is passed by.
    for number in count():
        grave = collections / (f"{_DELETED}{name}.{number}" if number else f"{_DELETED}{name}")
        shutil.rmtree(grave, ignore_errors=True)
        if not os.path.lexists(grave):
            return grave
    raise AssertionError


def _not_deleted(folder: Path, name: str, error: OSError) -> TashihikiError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceExhaustedError(
            f"the collection {name} cannot be deleted: {error}",
            reason="DISK_FULL",
            remedy="Make room in the data folder, and delete it again.",
        )
    return unusable(folder, f"the collection {name} cannot be deleted: {error}")


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
