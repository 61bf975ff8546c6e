"""The changes of encoder that are under way, one for each collection at most."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tashihiki.errors import FailedPreconditionError
from tashihiki_server.collection.collection import Collection
from tashihiki_server.collection.settings import CollectionSettings
from tashihiki_server.collection_folders import CollectionFolders
from tashihiki_server.encoder.base import Encoder
from tashihiki_server.encoder_change import EncoderChange, check_pictures, pending_change

logger = logging.getLogger(__name__)


@dataclass
class EncoderChanges:
    """Begins and ends changes. Safe to use from many threads.

    Attributes:
        folders: of the collections.
        collection: finds one by name, or raises what is wrong with it.
        encoder: finds one by fingerprint or name.
        beside: opens a collection with another encoder, of which items may lack an embedding.
        switch: puts a collection in the place of the one that serves, which it is given first.
        lock: of all that begins or ends changes.
    """

    folders: CollectionFolders
    collection: Callable[[str], Collection]
    encoder: Callable[[str], Encoder]
    beside: Callable[[CollectionSettings, Encoder], Collection]
    switch: Callable[[Collection, Collection], None]
    lock: threading.RLock = field(default_factory=threading.RLock)
    _changes: dict[str, EncoderChange] = field(default_factory=dict)

    def begin(self, name: str, encoder: str) -> Collection:
        """See `Library.change_encoder`."""
        with self.lock:
            return self._begin(name, lambda _: encoder)

    def roll_back(self, name: str) -> Collection:
        """See `Library.roll_back_encoder`."""

        def previous(collection: Collection) -> str:
            if encoder := collection.settings.previous_encoder:
                return encoder
            raise FailedPreconditionError(
                f"the encoder of {name} has never been changed",
                reason="NO_PREVIOUS_ENCODER",
                field="collection",
                remedy="Change it to the one you want.",
            )

        with self.lock:
            return self._begin(name, previous)

    def _begin(self, name: str, encoder: Callable[[Collection], str]) -> Collection:
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

        def done() -> None:
            self._changes.pop(name, None)

        return EncoderChange(
            self.folders[name],
            serving,
            target,
            encoder=self.encoder,
            beside=self.beside,
            switch=lambda collection: self.switch(serving, collection),
            done=done,
        )

    def go_on(self, collections: Iterable[Collection]) -> None:
        """Takes up the changes that the last process left."""
        for collection in collections:
            name, encoder = collection.settings.name, collection.settings.encoder
            if target := pending_change(self.folders[name], encoder):
                logger.info("%s: its encoder is being changed to %s", name, target)
                self._changes[name] = self._change(collection, target)
                self._changes[name].go_on()

    def cancel(self, name: str) -> Collection:
        """See `Library.cancel_encoder_change`."""
        with self.lock:
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

    def stop(self, name: str = "") -> None:
        """Ends the work for a collection, or for all; it can go on in another process."""
        for changed in [name] if name else list(self._changes):
            if (change := self._changes.pop(changed, None)) is not None:
                change.stop()
