"""A data folder: its lock, its encoders and its collections."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import shutil
import threading
import time
from pathlib import Path
from typing import IO

from tashihiki.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)
from tashihiki_server.catalogue.sqlite import SqliteCatalogue
from tashihiki_server.collection.background import Background
from tashihiki_server.collection.collection import Collection
from tashihiki_server.collection.settings import CollectionSettings, read_settings
from tashihiki_server.encoder.base import Encoder
from tashihiki_server.encoder.manifest import Manifest, read_manifest
from tashihiki_server.encoder.openvino import OpenVinoEncoder
from tashihiki_server.names import similar
from tashihiki_server.vocabulary import Alias

logger = logging.getLogger(__name__)

FORMAT = 1
SHIPPED_ENCODER = Path(__file__).parent / "encoder" / "shipped"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_NEW = ".new."
_DELETED = ".deleted."


class Library:
    """Everything under one data folder; one process at a time."""

    def __init__(self, folder: Path, default_encoder: Path = SHIPPED_ENCODER) -> None:
        """Opens a data folder, or makes it, and every collection in it.

        Args:
            folder: of the data.
            default_encoder: bundle for collections that name none.

        Raises:
            FailedPreconditionError: DATA_FOLDER_IN_USE, DATA_FOLDER_UNUSABLE,
                DATA_FOLDER_FORMAT or ENCODER_INVALID.
        """
        self._folder = folder
        self._lock_file = _lock(folder)
        self._lock = threading.RLock()
        self._background = Background()
        self._encoders: dict[str, Encoder] = {}
        self._collections: dict[str, Collection] = {}
        try:
            self._default = self.install(default_encoder)
            self._open_all()
        except BaseException:
            self.close()
            raise

    def _open_all(self) -> None:
        (self._folder / "collections").mkdir(exist_ok=True)
        for folder in sorted((self._folder / "collections").iterdir()):
            if folder.name.startswith((_NEW, _DELETED)):
                shutil.rmtree(folder, ignore_errors=True)  # Cut short.
                continue
            if _NAME.fullmatch(folder.name) is None:
                logger.warning("%s is no collection and is passed over", folder)
                continue
            start = time.perf_counter()
            self._collections[folder.name] = self._open(folder)
            logger.info(
                "collection %s: %d items, opened in %.1f s",
                folder.name,
                len(self._collections[folder.name]),
                time.perf_counter() - start,
            )

    def _open(self, folder: Path) -> Collection:
        try:
            settings = read_settings(folder)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise _unusable(folder, f"its settings cannot be read: {error}") from error
        encoder = self.encoder(settings.encoder)
        catalogue = SqliteCatalogue(
            folder / "catalogue.sqlite3",
            encoder=encoder.manifest.fingerprint,
            dimension=encoder.manifest.dimension,
        )
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
        manifest = read_manifest(bundle)
        target = self._folder / "encoders" / manifest.fingerprint
        if not target.exists():
            work = target.with_name(f".{manifest.fingerprint}")
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(bundle, work)
            work.replace(target)
        return manifest

    def encoders(self) -> list[Manifest]:
        """The encoders of the data folder."""
        folders = sorted((self._folder / "encoders").glob("[!.]*"))
        return [read_manifest(folder) for folder in folders]

    def encoder(self, name: str = "") -> Encoder:
        """An encoder by fingerprint or name; the default one for "".

        Raises:
            NotFoundError: UNKNOWN_ENCODER.
        """
        # Looking a name up reads every bundle; a start with many collections shall not.
        fingerprint = name if name in self._encoders else self._fingerprint(name)
        with self._lock:
            if fingerprint not in self._encoders:
                self._encoders[fingerprint] = OpenVinoEncoder(
                    self._folder / "encoders" / fingerprint
                )
            return self._encoders[fingerprint]

    def _fingerprint(self, name: str) -> str:
        if not name:
            return self._default.fingerprint
        installed = self.encoders()
        matches = {m.fingerprint for m in installed if name in (m.fingerprint, m.name)}
        if len(matches) == 1:
            return matches.pop()
        known = ", ".join(f"{m.name} ({m.fingerprint})" for m in installed)
        problem = "more than one encoder" if matches else "no encoder"
        raise NotFoundError(
            f"{problem} {name!r}",
            reason="UNKNOWN_ENCODER",
            field="collection.encoder",
            remedy=f"The server has {known}; give a fingerprint, or add one with --encoder.",
        )

    # Collections

    def collections(self) -> list[Collection]:
        """All of them, by name."""
        with self._lock:
            return [self._collections[name] for name in sorted(self._collections)]

    def collection(self, name: str) -> Collection:
        """A collection by name.

        Raises:
            NotFoundError: UNKNOWN_COLLECTION.
        """
        found = self._collections.get(name)
        if found is None:
            candidates = similar(name, self._collections) or sorted(self._collections)
            raise NotFoundError(
                f"no collection {name!r}",
                reason="UNKNOWN_COLLECTION",
                field="collection",
                remedy=f"There is {', '.join(candidates)}." if candidates else "Create it first.",
                details={"candidates": ", ".join(candidates)},
            )
        return found

    def create(
        self,
        name: str,
        *,
        encoder: str = "",
        space: str = "auto",
        keep_negative: bool = False,
        aliases: tuple[Alias, ...] = (),
    ) -> Collection:
        """Makes an empty collection.

        Raises:
            InvalidArgumentError: NAME_INVALID.
            AlreadyExistsError: COLLECTION_EXISTS.
            NotFoundError: UNKNOWN_ENCODER.
            ResourceExhaustedError: DISK_FULL.
        """
        if _NAME.fullmatch(name) is None:
            raise InvalidArgumentError(
                f"{name!r} cannot be the name of a collection",
                reason="NAME_INVALID",
                field="collection.name",
                remedy="Use 1 to 63 of a-z, 0-9, - and _, starting with a letter or digit.",
            )
        with self._lock:
            if name in self._collections:
                raise AlreadyExistsError(
                    f"there is a collection {name!r} already",
                    reason="COLLECTION_EXISTS",
                    field="collection.name",
                    remedy="Choose another name, or delete the one that is there.",
                )
            fingerprint = self.encoder(encoder).manifest.fingerprint
            settings = CollectionSettings(
                name, fingerprint, keep_negative, aliases, time.time(), space
            )
            self._collections[name] = self._create(settings)
            return self._collections[name]

    def _create(self, settings: CollectionSettings) -> Collection:
        work = self._folder / "collections" / f"{_NEW}{settings.name}"
        final = self._folder / "collections" / settings.name
        try:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            settings.write(work)
            work.replace(final)
            _sync(final.parent)
        except OSError as error:
            raise ResourceExhaustedError(
                f"the collection cannot be written: {error}",
                reason="DISK_FULL",
                remedy="Make room in the data folder, or check its permissions.",
            ) from error
        try:
            return self._open(final)
        except BaseException:
            shutil.rmtree(final, ignore_errors=True)
            raise

    def delete(self, name: str) -> None:
        """Deletes a collection with all that is in it.

        Raises:
            NotFoundError: UNKNOWN_COLLECTION.
        """
        with self._lock:
            collection = self.collection(name)
            grave = self._folder / "collections" / f"{_DELETED}{name}"
            shutil.rmtree(grave, ignore_errors=True)
            # First, so that a deletion that fails here leaves the collection as it was.
            (self._folder / "collections" / name).replace(grave)
            _sync(self._folder / "collections")
            del self._collections[name]
            collection.close()
            shutil.rmtree(grave, ignore_errors=True)

    def close(self) -> None:
        """Closes every collection and unlocks the folder."""
        for collection in self._collections.values():
            collection.close()
        self._background.close()
        self._lock_file.close()


def _sync(folder: Path) -> None:
    """Makes the names in a folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> IO[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise _unusable(folder, str(error)) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise FailedPreconditionError(
            f"the data folder {folder} is in use by process {owner}",
            reason="DATA_FOLDER_IN_USE",
            field="data",
            remedy="Stop the server that uses it, choose another folder with --data, or send photos"
            " to the server with `tashihiki index --server`.",
        ) from None
    try:
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        _check_format(folder / "format.json")
        (folder / "encoders").mkdir(exist_ok=True)
    except BaseException as error:
        file.close()
        if isinstance(error, OSError):
            raise _unusable(folder, str(error)) from error
        raise
    return file


def _check_format(path: Path) -> None:
    if not path.exists():
        path.write_text(json.dumps({"format": FORMAT}), encoding="utf-8")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["format"]
    except (ValueError, KeyError, TypeError):
        found = "unreadable"
    if found != FORMAT:
        raise FailedPreconditionError(
            f"the data folder {path.parent} has format {found}, this server reads {FORMAT}",
            reason="DATA_FOLDER_FORMAT",
            field="data",
            remedy="Use the release that wrote it, or choose another folder with --data.",
        )


def _unusable(folder: Path, why: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"the data folder {folder} cannot be used: {why}",
        reason="DATA_FOLDER_UNUSABLE",
        field="data",
        remedy="Check its permissions and the room on its disk.",
    )
