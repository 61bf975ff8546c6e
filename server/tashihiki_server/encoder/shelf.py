"""The encoder bundles of a data folder, by fingerprint."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from tashihiki.errors import FailedPreconditionError, NotFoundError
from tashihiki_server.durable import sync, sync_tree
from tashihiki_server.encoder.base import Encoder
from tashihiki_server.encoder.manifest import Manifest, read_manifest
from tashihiki_server.encoder.openvino import OpenVinoEncoder

logger = logging.getLogger(__name__)


class EncoderShelf:
    """A folder of bundles; each is checked before it is used. Safe to use from many threads."""

    def __init__(
        self,
        folder: Path,
        default: Path,
        spares: Sequence[Path] = (),
        open_bundle: Callable[[Path], Encoder] = OpenVinoEncoder,
    ) -> None:
        """Opens the folder, or makes it.

        Args:
            folder: of the bundles.
            default: bundle that is installed and stands for no name at all.
            spares: bundles that take the place of damaged or lost ones of their fingerprints.
            open_bundle: makes an encoder of an installed bundle.

        Raises:
            FailedPreconditionError: ENCODER_INVALID for an unsound default.
        """
        self._folder = folder
        self._spares = spares
        self._open_bundle = open_bundle
        self._lock = threading.Lock()
        self._open: dict[str, Encoder] = {}
        folder.mkdir(exist_ok=True)
        self._default = self.install(default).fingerprint

    def install(self, bundle: Path) -> Manifest:
        """Copies a bundle into the folder, also over one of its fingerprint that is damaged.

        Raises:
            FailedPreconditionError: ENCODER_INVALID.
        """
        manifest = read_manifest(bundle)
        target = self._folder / manifest.fingerprint
        if target.exists():
            try:
                if read_bundle(target) == manifest:
                    return manifest
                fault = f"{target} says other things of the same encoder"
            except FailedPreconditionError as error:
                fault = error.message
            logger.error("%s; it is installed again from %s", fault, bundle)
        work = self._folder / f".{manifest.fingerprint}"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(bundle, work)
        sync_tree(work)
        shutil.rmtree(target, ignore_errors=True)
        work.replace(target)
        sync(self._folder)
        return manifest

    def installed(self) -> list[Manifest]:
        """The sound bundles, by fingerprint; each other one is a line in the log."""
        sound = []
        for folder in sorted(self._folder.glob("[!.]*")):
            try:
                sound.append(read_bundle(folder))
            except FailedPreconditionError as error:
                logger.error("%s", error.message)
        return sound

    def find(self, name: str = "") -> Encoder:
        """An encoder by fingerprint or name; the default one for "".

        Raises:
            NotFoundError: UNKNOWN_ENCODER.
            FailedPreconditionError: ENCODER_INVALID.
        """
        # Looking a name up reads every bundle; a start with many collections shall not.
        with self._lock:
            if name in self._open:
                return self._open[name]
            if name:
                self._replace_from_spares(name)
            fingerprint = name if self._holds(name) else self._fingerprint(name)
            if fingerprint not in self._open:
                read_bundle(self._folder / fingerprint)
                self._open[fingerprint] = self._open_bundle(self._folder / fingerprint)
            return self._open[fingerprint]

    def _holds(self, fingerprint: str) -> bool:
        return fingerprint.isalnum() and (self._folder / fingerprint).is_dir()

    def _replace_from_spares(self, fingerprint: str) -> None:
        for bundle in self._spares:
            try:
                if read_manifest(bundle).fingerprint == fingerprint:
                    self.install(bundle)
            except FailedPreconditionError as error:
                logger.error("%s", error.message)

    def _fingerprint(self, name: str) -> str:
        if not name:
            return self._default
        installed = self.installed()
        matches = {m.fingerprint for m in installed if m.name == name}
        if len(matches) == 1:
            return matches.pop()
        known = ", ".join(f"{m.name} ({m.fingerprint})" for m in installed)
        problem = "more than one encoder" if matches else "no encoder"
        raise NotFoundError(
            f"{problem} {name!r}",
            reason="UNKNOWN_ENCODER",
            field="collection.encoder",
            remedy=f"The server has {known}; give a fingerprint, or restart the server with"
            " `tashihiki serve --encoder BUNDLE` to add one.",
        )


def read_bundle(folder: Path) -> Manifest:
    """The manifest of an installed bundle, checked against its files and its place.

    Raises:
        FailedPreconditionError: ENCODER_INVALID.
    """
    manifest = read_manifest(folder)
    if manifest.fingerprint != folder.name:
        raise FailedPreconditionError(
            f"{folder} holds another encoder, {manifest.fingerprint}",
            reason="ENCODER_INVALID",
            field="encoder",
            remedy="Give the bundle that was there to `tashihiki serve` with --encoder.",
        )
    return manifest
