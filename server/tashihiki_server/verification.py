"""Checks every file of a data folder, and says in words what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from tashihiki.errors import FailedPreconditionError, TashihikiError
from tashihiki_server.bounds import is_name
from tashihiki_server.catalogue.examination import examine
from tashihiki_server.catalogue.witness import WITNESS_FILE, Witness
from tashihiki_server.collection.derived import DERIVED_FOLDER, INDEX_FOLDER, SPACES_FOLDER
from tashihiki_server.collection.fits import FitStore
from tashihiki_server.collection.settings import read_settings
from tashihiki_server.data_folder import (
    COLLECTIONS,
    ENCODERS,
    FORMAT,
    FORMAT_FILE,
    SNAPSHOTS,
    UPGRADES,
    lock_folder,
    read_format,
    unusable,
)
from tashihiki_server.encoder.manifest import Manifest, read_manifest
from tashihiki_server.encoder.shelf import read_bundle
from tashihiki_server.encoder_change import CHANGE_FILE, read_change
from tashihiki_server.index.generation import DamagedIndexError, check_generation
from tashihiki_server.library import SHIPPED_ENCODER
from tashihiki_server.snapshot.contents import check_contents
from tashihiki_server.snapshot.store import CATALOGUE_FILE, SnapshotStore

State: TypeAlias = Literal["sound", "mendable", "damaged"]
# Told what is looked at, and the share of it that is done.
Advanced: TypeAlias = Callable[[str, float], None]

_HARMLESS = "nothing is lost"
# Of items whose pictures are damaged.
MAX_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """What was found of one part of a data folder.

    Attributes:
        part: which, by its path in the folder.
        state: `sound`; `mendable`, where the next start makes it again from what is sound; or
            `damaged`.
        fact: what is so, in words.
        meaning: what follows from it; "" for what is sound.
        remedy: what to do; "" for what is sound.
    """

    part: str
    state: State
    fact: str
    meaning: str = ""
    remedy: str = ""


def verify(folder: Path, advanced: Advanced = lambda part, share: None) -> list[Finding]:
    """Reads every file of a data folder that no server uses.

    Args:
        folder: of the data.
        advanced: told how far it is.

    Returns:
        One finding or more for each part, in the order in which a start reads them.

    Raises:
        FailedPreconditionError: DATA_FOLDER_IN_USE, or DATA_FOLDER_UNUSABLE where there is none or
            it is another folder.
    """
    if not folder.is_dir():
        raise unusable(folder, "there is no such folder", "Name the server's folder with --data.")
    try:
        # Before the lock, which would be left in somebody's folder of photos.
        if not any((folder / name).exists() for name in (FORMAT_FILE, COLLECTIONS)):
            why = f"it is no data folder, since it has no {FORMAT_FILE}"
            raise unusable(folder, why, "Name the server's folder with --data; is its disk there?")
        with closing(lock_folder(folder)):
            return list(_Verification(folder, advanced).findings())
    except OSError as error:
        raise unusable(folder, str(error)) from error


class _Verification:
    def __init__(self, folder: Path, advanced: Advanced) -> None:
        self._folder = folder
        self._advanced = advanced
        self._encoders: dict[str, Manifest] = {}

    def findings(self) -> Iterator[Finding]:
        found = self._format()
        yield found
        # Nothing is known of what another release wrote.
        if found.state == "damaged" and isinstance(read_format(self._folder), int):
            return
        yield from self._bundles()
        for folder in _folders(self._folder / COLLECTIONS):
            yield from self._collection(folder)
        yield from self._snapshots()

    def _format(self) -> Finding:
        found = read_format(self._folder)
        if found == FORMAT:
            return Finding(FORMAT_FILE, "sound", f"format {found}")
        if isinstance(found, int):
            if found in UPGRADES:
                fact = f"format {found}, which the next start takes to {FORMAT}"
                return Finding(FORMAT_FILE, "sound", fact)
            return Finding(
                FORMAT_FILE,
                "damaged",
                f"format {found}, where this release reads {FORMAT}",
                "this release does not open the folder",
                "use the release that wrote it",
            )
        return Finding(
            FORMAT_FILE,
            "damaged",
            f"it is {found}",
            "the server does not start",
            f'if this release wrote the folder, write {{"format": {FORMAT}}} into it',
        )

    def _bundles(self) -> Iterator[Finding]:
        for folder in _folders(self._folder / ENCODERS):
            part = f"{ENCODERS}/{folder.name}"
            self._advanced(part, 0.0)
            try:
                manifest = self._encoders[folder.name] = read_bundle(folder)
            except FailedPreconditionError as error:
                yield self._damaged_bundle(folder, part, error)
            else:
                yield Finding(part, "sound", f"encoder {manifest.name}, {manifest.version}")

    def _damaged_bundle(self, folder: Path, part: str, error: TashihikiError) -> Finding:
        shipped = read_manifest(SHIPPED_ENCODER)
        if shipped.fingerprint == folder.name:
            self._encoders[folder.name] = shipped
            remedy = "is installed again at the next start"
            return Finding(part, "mendable", error.message, _HARMLESS, remedy)
        return Finding(
            part,
            "damaged",
            error.message,
            "collections of this encoder cannot be used",
            "give the bundle to `tashihiki serve` with --encoder",
        )

    def _collection(self, folder: Path) -> Iterator[Finding]:
        part = f"{COLLECTIONS}/{folder.name}"
        self._advanced(part, 0.0)
        if not is_name(folder.name):
            yield Finding(part, "sound", "no collection; servers pass it over")
            return
        unusable_now = "the collection cannot be used; the others are served"
        restore = "restore a snapshot or a backup, or delete the collection"
        try:
            settings = read_settings(folder)
            if settings.name != folder.name:
                raise ValueError(f"they are the settings of {settings.name!r}")
        except (OSError, ValueError) as error:
            fact = f"its settings cannot be read: {error}"
            yield Finding(part, "damaged", fact, unusable_now, restore)
            return
        if (manifest := self._encoders.get(settings.encoder)) is None:
            yield Finding(
                part,
                "damaged",
                f"its encoder, {settings.encoder}, is not there or damaged",
                unusable_now,
                "give the bundle to `tashihiki serve` with --encoder",
            )
            return
        try:
            yield from self._catalogue(folder, part, manifest)
        except TashihikiError as error:
            yield Finding(part, "damaged", error.message, unusable_now, error.remedy or restore)
        except Exception as error:
            # Whatever a damaged file makes the code that reads it raise.
            yield Finding(part, "damaged", repr(error), unusable_now, restore)
        yield from self._previous_embeddings(folder, part, settings.previous_encoder)
        if (folder / CHANGE_FILE).exists():
            yield self._change(folder, part, settings.encoder)
        yield from self._derived(folder, part)

    def _catalogue(self, folder: Path, part: str, manifest: Manifest) -> Iterator[Finding]:
        path = folder / CATALOGUE_FILE
        if not path.exists():
            raise _catalogue_damaged(f"{CATALOGUE_FILE} is missing")
        file = examine(path)
        lost: list[str] = []
        if not file.older:
            count = check_contents(
                path,
                encoder=manifest.fingerprint,
                dimension=manifest.dimension,
                advanced=partial(self._advanced, part),
                pictureless=lost.append,
            )
        if file.faults:
            raise _catalogue_damaged(f"SQLite finds {CATALOGUE_FILE} damaged: {file.faults}")
        if file.older:
            fact = f"{file.count:,} items; it is brought up to date at the next start"
            yield Finding(part, "sound", fact)
            return
        if lost:
            yield _without_pictures(part, lost, count)
        else:
            yield Finding(part, "sound", f"{count:,} items, every checksum holds")
        witness = Witness(folder / WITNESS_FILE)
        if witness.read() is None and (witness.exists or file.generation):
            yield Finding(
                f"{part}/{WITNESS_FILE}",
                "mendable",
                "it cannot be read" if witness.exists else "it is missing",
                "lost writes would not be noticed",
                "is written again at the next start",
            )

    def _previous_embeddings(self, folder: Path, part: str, encoder: str) -> Iterator[Finding]:
        manifest = self._encoders.get(encoder)
        if manifest is None or not (folder / CATALOGUE_FILE).exists():
            return
        name = f"{part}, embeddings of {encoder}"
        try:
            count = check_contents(
                folder / CATALOGUE_FILE,
                encoder=encoder,
                dimension=manifest.dimension,
                incomplete=True,
                advanced=partial(self._advanced, part),
                # They are told of with the collection.
                pictureless=lambda identifier: None,
            )
            yield Finding(name, "sound", f"{count:,} embeddings of the previous encoder")
        except Exception as error:
            # Whatever a damaged file makes the code that reads it raise.
            fact = error.message if isinstance(error, TashihikiError) else repr(error)
            yield _mendable(name, fact, "are made again when the encoder is rolled back")

    def _change(self, folder: Path, part: str, in_force: str) -> Finding:
        name = f"{part}/{CHANGE_FILE}"
        try:
            target = read_change(folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            fact = f"it cannot be read: {error}"
            return _mendable(name, fact, "is deleted at the next start; ask for the change again")
        if target in self._encoders or target == in_force:
            return Finding(name, "sound", f"the encoder is being changed to {target}")
        return Finding(
            name,
            "damaged",
            f"the encoder is being changed to {target}, which is not there or damaged",
            "the collection keeps its encoder until the other one is there",
            "give the bundle to `tashihiki serve` with --encoder, or cancel the change",
        )

    def _derived(self, folder: Path, part: str) -> Iterator[Finding]:
        for place in _folders(folder / DERIVED_FOLDER):
            stem = f"{part}/{DERIVED_FOLDER}/{place.name}"
            if (manifest := self._encoders.get(place.name)) is not None:
                yield from self._spaces(place / SPACES_FOLDER, stem, manifest)
            yield from self._indexes(place / INDEX_FOLDER, stem)

    def _spaces(self, root: Path, stem: str, manifest: Manifest) -> Iterator[Finding]:
        store = FitStore(root, manifest.fingerprint, manifest.dimension)
        for space in _folders(root):
            name = f"{stem}/{root.name}/{space.name}"
            try:
                store.read(space)
            except TashihikiError as error:
                yield _mendable(name, error.message, "is fitted again after the next start")
            else:
                yield Finding(name, "sound", "a fitted space")

    def _indexes(self, root: Path, stem: str) -> Iterator[Finding]:
        for index in _folders(root):
            name = f"{stem}/{root.name}/{index.name}"
            try:
                check_generation(index)
            except DamagedIndexError as error:
                yield _mendable(name, str(error), "is built again after the next start")
            else:
                yield Finding(name, "sound", "an index")

    def _snapshots(self) -> Iterator[Finding]:
        store = SnapshotStore(self._folder / SNAPSHOTS)
        for folder in store.folders():
            part = f"{SNAPSHOTS}/{folder.parent.name}/{folder.name}"
            try:
                snapshot = store.check(folder, partial(self._advanced, part))
            except FailedPreconditionError as error:
                yield Finding(
                    part,
                    "damaged",
                    error.message,
                    "it cannot be restored; the collection is not touched by that",
                    "delete it and make another",
                )
            else:
                yield Finding(part, "sound", f"{snapshot.item_count:,} items")


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _mendable(part: str, fact: str, remedy: str) -> Finding:
    return Finding(part, "mendable", fact, _HARMLESS, remedy)


def _without_pictures(part: str, lost: list[str], count: int) -> Finding:
    more = f" and {len(lost) - MAX_NAMED} more" if len(lost) > MAX_NAMED else ""
    named = ", ".join(map(repr, lost[:MAX_NAMED]))
    return Finding(
        part,
        "damaged",
        f"the pictures of {len(lost):,} of {count:,} items have changed or are missing:"
        f" {named}{more}",
        "hits come without them, an item or a list that is asked for with them is refused, and so"
        " is a change of encoder; everything else is served, vectors and labels are sound",
        "send these items again with their photos, as `tashihiki index` does, or restore a"
        " snapshot",
    )


def _catalogue_damaged(message: str) -> FailedPreconditionError:
    return FailedPreconditionError(message, reason="CATALOGUE_DAMAGED")
