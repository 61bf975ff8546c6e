"""The folders of collections: a crash leaves all of one or nothing."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

from tashihiki.errors import ResourceExhaustedError, TashihikiError
from tashihiki_server.bounds import is_name
from tashihiki_server.collection.settings import CollectionSettings
from tashihiki_server.data_folder import COLLECTIONS, unusable
from tashihiki_server.durable import sync, sync_tree

logger = logging.getLogger(__name__)

_NEW = ".new."
_DELETED = ".deleted."


class CollectionFolders:
    """Those under one data folder."""

    def __init__(self, data: Path) -> None:
        """Touches nothing yet."""
        self._data = data
        self._root = data / COLLECTIONS
        self._graves: dict[str, Path] = {}

    def prepare(self) -> None:
        """Makes the folder that they are in.

        Raises:
            OSError: where the disk does not take it.
        """
        self._root.mkdir(exist_ok=True)

    def __getitem__(self, name: str) -> Path:
        return self._root / name

    def __iter__(self) -> Iterator[Path]:
        """The folders of collections, by name; clears what was cut short."""
        for folder in sorted(self._root.iterdir()):
            if folder.name.startswith((_NEW, _DELETED)):
                shutil.rmtree(folder, ignore_errors=True)
            elif is_name(folder.name) and folder.is_dir():
                yield folder
            else:
                logger.warning("%s is no collection and is passed over", folder)

    def publish(self, settings: CollectionSettings, fill: Callable[[Path], object]) -> Path:
        """Makes the folder of a new collection by one rename.

        Args:
            settings: of the collection, whose name is free.
            fill: puts the catalogue into the folder that it is given.

        Raises:
            ResourceExhaustedError: DISK_FULL.
        """
        work, final = self._work(settings.name), self[settings.name]
        try:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            settings.write(work)
            fill(work)
            sync_tree(work)
            work.replace(final)
            try:
                sync(self._root)
            except OSError:
                self._undo(settings.name)
                raise
        except OSError as error:
            raise ResourceExhaustedError(
                f"the collection cannot be written: {error}",
                reason="DISK_FULL",
                remedy="Make room in the data folder, or check its permissions.",
            ) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return final

    def take_back(self, name: str) -> None:
        """Removes what `publish` made, so that the name is free."""
        self._undo(name)
        shutil.rmtree(self._work(name), ignore_errors=True)

    def _work(self, name: str) -> Path:
        return self._root / f"{_NEW}{name}"

    def _undo(self, name: str) -> None:
        try:
            self[name].replace(self._work(name))
        except OSError:
            shutil.rmtree(self[name], ignore_errors=True)

    def bury(self, name: str) -> TashihikiError | None:
        """Takes a collection's folder out of the way for good; `clear` removes it.

        Returns:
            What is wrong where the disk has not confirmed it and the folder cannot be put back.

        Raises:
            TashihikiError: what is wrong where the folder is where it was.
        """
        place, grave = self[name], self._free_grave(name)
        try:
            place.replace(grave)
        except FileNotFoundError as error:
            # Somebody has deleted it already, unless the disk is gone.
            if not self._root.is_dir():
                raise self._not_deleted(name, error) from error
        except OSError as error:
            raise self._not_deleted(name, error) from error
        self._graves[name] = grave
        try:
            sync(self._root)
        except OSError as error:
            failure = self._not_deleted(name, error)
            try:
                grave.replace(place)
            except OSError as stuck:
                logger.error("collection %s: not served, half deleted: %s", name, stuck)
                return failure
            with suppress(OSError):
                sync(self._root)
            raise failure from error
        return None

    def clear(self, name: str) -> None:
        """Removes a buried folder, and what was made in its place before it was let go of."""
        shutil.rmtree(self._graves.pop(name), ignore_errors=True)
        shutil.rmtree(self[name], ignore_errors=True)

    def _free_grave(self, name: str) -> Path:
        # One that cannot be cleared, for example for its permissions, stays and is passed by.
        for number in count():
            grave = self._root / (f"{_DELETED}{name}.{number}" if number else f"{_DELETED}{name}")
            shutil.rmtree(grave, ignore_errors=True)
            if not os.path.lexists(grave):
                return grave
        raise AssertionError

    def _not_deleted(self, name: str, error: OSError) -> TashihikiError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return ResourceExhaustedError(
                f"the collection {name} cannot be deleted: {error}",
                reason="DISK_FULL",
                remedy="Make room in the data folder, and delete it again.",
            )
        return unusable(self._data, f"the collection {name} cannot be deleted: {error}")
