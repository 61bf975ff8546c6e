"""Snapshots on disk: `COLLECTION/NAME/`, whole or not there at all."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tashihiki.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    NotFoundError,
    ResourceExhaustedError,
)
from tashihiki_server.bounds import check_name, is_name
from tashihiki_server.catalogue.sqlite import SqliteCatalogue
from tashihiki_server.collection.collection import Collection
from tashihiki_server.collection.settings import SETTINGS_FILE, CollectionSettings, read_settings
from tashihiki_server.durable import sync, sync_tree
from tashihiki_server.snapshot.contents import check_contents
from tashihiki_server.snapshot.manifest import (
    FileFacts,
    Snapshot,
    copy_file,
    damaged,
    facts_of,
    read_snapshot,
)

logger = logging.getLogger(__name__)

CATALOGUE_FILE = "catalogue.sqlite3"
Advanced = Callable[[float], None]

_FILES = (CATALOGUE_FILE, SETTINGS_FILE)
_NEW = ".new."
_DELETED = ".deleted."
# Where the parts of the work end, as shares of the whole.
_COPIED, _CHECKED = 0.6, 0.9
# Left for the writes that go on meanwhile.
_SPARE_BYTES = 1 << 20


class SnapshotStore:
    """The folder of all snapshots. Safe to use from many threads."""

    def __init__(self, root: Path) -> None:
        """Opens the folder, which need not exist, and clears away what was cut short."""
        self._root = root
        self._lock = threading.Lock()
        for pattern in (f"*/{_NEW}*", f"*/{_DELETED}*"):
            for left in root.glob(pattern):
                shutil.rmtree(left, ignore_errors=True)

    def create(
        self,
        collection: Collection,
        folder: Path,
        name: str = "",
        advanced: Advanced = lambda _: None,
    ) -> Snapshot:
        """Copies a collection while it serves, and reads the copy once through.

        Args:
            collection: that is copied.
            folder: that it is in.
            name: of the snapshot; the time when empty.
            advanced: told the share that is done; what it raises ends the work without a trace.

        Raises:
            InvalidArgumentError: NAME_INVALID.
            AlreadyExistsError: SNAPSHOT_EXISTS.
            FailedPreconditionError: CATALOGUE_DAMAGED when the copy, and so the collection, is.
            ResourceExhaustedError: DISK_FULL.
        """
        if name:
            check_name(name, "name", "snapshot")
        now = time.time()
        final = self._root / collection.settings.name / (name or self._free_name(collection, now))
        self._check_free(final)
        with _disk_full_translated(), self._working_folder(final) as work:
            _check_room(work, folder / CATALOGUE_FILE)
            settings, count = _copy(collection, work, advanced)
            settings.write(work)
            files = _facts(work, lambda share: advanced(_CHECKED + (1 - _CHECKED) * share))
            snapshot = Snapshot(settings.name, final.name, now, count, settings.encoder, files)
            snapshot.write(work)
            sync_tree(work)
            self._commit(work, final)
        logger.info("%s: snapshot %s of %d items", settings.name, final.name, count)
        return snapshot

    def _free_name(self, collection: Collection, now: float) -> str:
        stem = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
        names = [stem, *(f"{stem}-{number}" for number in range(2, 100))]
        taken = self._root / collection.settings.name
        return next((name for name in names if not (taken / name).exists()), stem)

    def _check_free(self, final: Path) -> None:
        if final.exists():
            raise AlreadyExistsError(
                f"there is a snapshot {final.name!r} of {final.parent.name} already",
                reason="SNAPSHOT_EXISTS",
                field="name",
                remedy="Choose another name, or delete the one that is there.",
            )

    @contextmanager
    def _working_folder(self, final: Path) -> Iterator[Path]:
        with self._lock:
            final.parent.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=f"{_NEW}{final.name}.", dir=final.parent))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
            self._drop_if_empty(final.parent)

    def _commit(self, work: Path, final: Path) -> None:
        with self._lock:
            self._check_free(final)
            work.replace(final)
            sync(final.parent)
            sync(self._root)
            sync(self._root.parent)

    def _drop_if_empty(self, folder: Path) -> None:
        with self._lock:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def folders(self, collection: str = "") -> list[Path]:
        """The folder of every snapshot, by collection and name; also of damaged ones.

        Args:
            collection: whose snapshots; of every collection, also of deleted ones, when empty.
        """
        return sorted(
            folder
            for folder in self._root.glob("*/*")
            if is_name(folder.name)
            and is_name(folder.parent.name)
            and collection in ("", folder.parent.name)
        )

    def snapshots(self, collection: str = "") -> list[Snapshot]:
        """Snapshots by collection and time; each damaged one is a line in the log.

        Args:
            collection: as in `folders`.
        """
        found = []
        for folder in self.folders(collection):
            try:
                found.append(_read(folder))
            except FailedPreconditionError as error:
                logger.error("%s", error.message)
        return sorted(found, key=lambda s: (s.collection, s.create_time, s.name))

    def find(self, collection: str, name: str) -> Snapshot:
        """A snapshot by name; its files are not looked at.

        Raises:
            NotFoundError: UNKNOWN_SNAPSHOT.
            FailedPreconditionError: SNAPSHOT_DAMAGED.
        """
        return _read(self._folder(collection, name))

    def _folder(self, collection: str, name: str) -> Path:
        folder = self._root / collection / name
        if not (is_name(collection) and is_name(name) and folder.is_dir()):
            known = ", ".join(found.name for found in self.folders(collection))
            raise NotFoundError(
                f"no snapshot {name!r} of {collection!r}",
                reason="UNKNOWN_SNAPSHOT",
                field="name",
                remedy=f"There is {known}." if collection and known else "ListSnapshots tells all.",
                details={"candidates": known} if collection and known else {},
            )
        return folder

    def delete(self, collection: str, name: str) -> None:
        """Deletes a snapshot, also a damaged one.

        Raises:
            NotFoundError: UNKNOWN_SNAPSHOT.
        """
        with self._lock:
            folder = self._folder(collection, name)
            grave = Path(tempfile.mkdtemp(prefix=_DELETED, dir=folder.parent))
            folder.replace(grave)
            sync(folder.parent)
        shutil.rmtree(grave, ignore_errors=True)
        self._drop_if_empty(folder.parent)

    def settings(self, collection: str, name: str) -> CollectionSettings:
        """The settings of the collection that a snapshot is of, as they were.

        Raises:
            NotFoundError: UNKNOWN_SNAPSHOT.
            FailedPreconditionError: SNAPSHOT_DAMAGED.
        """
        folder = self._folder(collection, name)
        try:
            _compare(_read(folder), folder, SETTINGS_FILE, facts_of(folder / SETTINGS_FILE))
            return read_settings(folder)
        except (OSError, ValueError) as error:
            raise damaged(folder, str(error)) from error

    def extract(
        self,
        collection: str,
        name: str,
        target: Path,
        *,
        dimension: int,
        advanced: Advanced = lambda _: None,
    ) -> None:
        """Copies a snapshot's catalogue whose checksum holds, and reads the copy once through.

        The copy is a catalogue of its own: its etags, request ids and indexes are no others'.

        Args:
            collection, name: of the snapshot.
            target: folder that takes the catalogue.
            dimension: of its embeddings.
            advanced: told the share that is done; what it raises ends the work.

        Raises:
            NotFoundError: UNKNOWN_SNAPSHOT.
            FailedPreconditionError: SNAPSHOT_DAMAGED.
            ResourceExhaustedError: DISK_FULL.
        """
        folder = self._folder(collection, name)
        snapshot = _read(folder)
        source, path = folder / CATALOGUE_FILE, target / CATALOGUE_FILE
        if not source.exists():
            raise damaged(folder, f"{CATALOGUE_FILE} is missing")
        with _disk_full_translated():
            _check_room(target, source)
            copied = _Meter(source.stat().st_size, lambda share: advanced(_COPIED * share))
            _compare(snapshot, folder, CATALOGUE_FILE, copy_file(source, path, copied.add))
        try:
            opened = SqliteCatalogue(path, encoder=snapshot.encoder, dimension=dimension)
            with closing(opened) as catalogue:
                catalogue.begin_history()
            count = check_contents(
                path,
                encoder=snapshot.encoder,
                dimension=dimension,
                advanced=lambda share: advanced(_COPIED + (1 - _COPIED) * share),
            )
        except FailedPreconditionError as error:
            raise damaged(folder, error.message) from error
        if count != snapshot.item_count:
            raise damaged(folder, f"it has {count} items where {snapshot.item_count} were written")

    def check(self, folder: Path, advanced: Advanced = lambda _: None) -> Snapshot:
        """Compares every file of a snapshot with its checksum.

        Raises:
            FailedPreconditionError: SNAPSHOT_DAMAGED.
        """
        snapshot = _read(folder)
        read = _Meter(snapshot.size_bytes, advanced)
        for name in _FILES:
            try:
                _compare(snapshot, folder, name, facts_of(folder / name, read.add))
            except OSError as error:
                raise damaged(folder, str(error)) from error
        return snapshot


class _Meter:
    """Bytes that are done, as a share of all."""

    def __init__(self, total: int, advanced: Advanced) -> None:
        self._total = max(1, total)
        self._done = 0
        self._advanced = advanced

    def add(self, count: int) -> None:
        self._done += count
        self._advanced(min(1.0, self._done / self._total))


def _read(folder: Path) -> Snapshot:
    snapshot = read_snapshot(folder)
    if (snapshot.collection, snapshot.name) != (folder.parent.name, folder.name):
        raise damaged(folder, f"it is the snapshot {snapshot.name} of {snapshot.collection}")
    if set(snapshot.files) != set(_FILES):
        raise damaged(folder, "it does not say what it is made of")
    return snapshot


def _compare(snapshot: Snapshot, folder: Path, name: str, found: FileFacts) -> None:
    if found != snapshot.files[name]:
        raise damaged(folder, f"{name} has changed since it was written")


def _copy(collection: Collection, work: Path, advanced: Advanced) -> tuple[CollectionSettings, int]:
    """Copies the catalogue; the settings are those of the moment that was copied."""
    path = work / CATALOGUE_FILE
    settings, manifest = collection.settings, collection.encoder.manifest
    collection.catalogue.backup(path, lambda share: advanced(_COPIED * share))
    try:
        count = check_contents(
            path,
            encoder=manifest.fingerprint,
            dimension=manifest.dimension,
            advanced=lambda share: advanced(_COPIED + (_CHECKED - _COPIED) * share),
        )
    except FailedPreconditionError as error:
        raise FailedPreconditionError(
            f"the collection {settings.name} is damaged, as its copy shows: {error.message}",
            reason="CATALOGUE_DAMAGED",
            field="collection",
            remedy="Stop the server and run `tashihiki verify`; restore an older snapshot.",
        ) from error
    for left in work.iterdir():
        if left.name != CATALOGUE_FILE:
            left.unlink()
    return settings, count


def _facts(work: Path, advanced: Advanced) -> dict[str, FileFacts]:
    read = _Meter(sum((work / name).stat().st_size for name in _FILES), advanced)
    return {name: facts_of(work / name, read.add) for name in _FILES}


def _check_room(folder: Path, source: Path) -> None:
    needed = source.stat().st_size + _SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise _full(f"the copy needs {needed:,} bytes and {free:,} are free")


@contextmanager
def _disk_full_translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _full(str(error)) from error


def _full(why: str) -> ResourceExhaustedError:
    return ResourceExhaustedError(
        f"the snapshot cannot be written: {why}",
        reason="DISK_FULL",
        remedy="Make room in the data folder, for example by deleting snapshots, and try again.",
    )
