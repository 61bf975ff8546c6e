"""Changes a collection's encoder while it serves.

The kept pictures are embedded again beside the embeddings in force. Then a second collection is
opened on the same catalogue, its space is fitted and its index built, it takes over what was
written meanwhile, and one moment puts it in the place of the first.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tashihiki.errors import FailedPreconditionError, ResourceExhaustedError, TashihikiError
from tashihiki_server.catalogue.base import Catalogue
from tashihiki_server.collection.collection import Collection
from tashihiki_server.collection.derived import forget_derived
from tashihiki_server.collection.encoder_progress import EncoderProgress
from tashihiki_server.collection.settings import CollectionSettings
from tashihiki_server.durable import json_checksum, read_json, sync, write_json
from tashihiki_server.encoder.base import Encoder
from tashihiki_server.encoder.embedder import Embedder
from tashihiki_server.images import ImageLimits
from tashihiki_server.space.base import Vectors

logger = logging.getLogger(__name__)

CHANGE_FILE = "change.json"
# After the first failure; what was embedded is kept. Each further rest is twice as long, since a
# try may fit a space and what failed often mostly fails again.
RETRY_SECONDS = 10.0
LONGEST_RETRY_SECONDS = 600.0
# Written in one transaction, and few enough to be embedded while writes wait.
BATCH = 16
_NICE = 10

# Opens a collection on the same catalogue file, with these settings and this encoder.
Opener = Callable[[CollectionSettings, Encoder], Collection]


class EncoderChange:
    """One change of one collection, on a thread of its own until it is stopped or done."""

    def __init__(
        self,
        folder: Path,
        serving: Collection,
        target: str,
        *,
        encoder: Callable[[str], Encoder],
        beside: Opener,
        switch: Callable[[Collection], None],
        done: Callable[[], None],
    ) -> None:
        """Does nothing yet.

        Args:
            folder: of the collection.
            serving: the collection as it is.
            target: fingerprint of the encoder to change to.
            encoder: finds an encoder by its fingerprint.
            beside: opens the collection that is to serve.
            switch: puts it in the place of the one that serves; called while writes wait.
            done: called last.
        """
        self._folder = folder
        self._serving = serving
        self._target = target
        self._encoder = encoder
        self._beside = beside
        self._switch = switch
        self._done = done
        self._embedder = Embedder(ImageLimits(), 1)
        # Threads of their own, so that nothing else that is started by the change is slow.
        self._workers = ThreadPoolExecutor(
            len(os.sched_getaffinity(0)),
            thread_name_prefix="embed-again",
            initializer=_lower_priority,
        )
        self._fault = ""
        self._dropped = False
        # Its own lock, so that whoever stops the change need not wait for a fit to end.
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._candidate: Collection | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"encoder-{serving.settings.name}", daemon=True
        )

    @property
    def under_way(self) -> bool:
        """Whether the collection still has the encoder that it had."""
        return not self._serving.replaced

    def begin(self) -> None:
        """Makes the change known to later starts, and begins.

        Raises:
            ResourceExhaustedError: DISK_FULL.
        """
        try:
            content = {"encoder": self._target}
            write_json(self._folder / CHANGE_FILE, {**content, "checksum": json_checksum(content)})
        except OSError as error:
            raise ResourceExhaustedError(
                f"the change cannot be noted: {error}",
                reason="DISK_FULL",
                remedy="Make room in the data folder, or check its permissions.",
            ) from error
        self.go_on()

    def go_on(self) -> None:
        """Begins, or goes on where an earlier process ended."""
        self._serving.tell_encoder_progress(self.progress)
        self._thread.start()

    def progress(self) -> EncoderProgress:
        """How far it is."""
        done = 0
        with suppress(TashihikiError):
            done = self._serving.catalogue.embedding_counts().get(self._target, 0)
        return EncoderProgress(self._target, done, len(self._serving), self._fault)

    def stop(self) -> None:
        """Ends the thread and waits for it; a later process goes on, unless this is `cancel`."""
        self._stopped.set()
        with self._lock:
            candidate = self._candidate
        if candidate is not None:
            candidate.close()  # Ends the fit or build that the thread waits for.
        self._thread.join()

    def cancel(self) -> bool:
        """Ends the change without a trace; False where it was done before it could be ended."""
        self.stop()
        if not self.under_way:
            return False
        self._serving.tell_encoder_progress(lambda: None)
        _unlink(self._folder / CHANGE_FILE)
        forget_other_encoders(self._folder, self._serving)
        return True

    # The thread

    def _run(self) -> None:
        with self._workers:
            self._run_until_done()

    def _run_until_done(self) -> None:
        name = self._serving.settings.name
        rest = RETRY_SECONDS
        while not self._stopped.is_set():
            try:
                self._change()
                return
            except _StoppedError:
                return
            except Exception as error:
                if self._stopped.is_set():
                    return
                self._fault = _in_words(error)
                expected = isinstance(error, (TashihikiError, OSError))
                logger.error(
                    "%s: the encoder cannot be changed yet, tried again in %.0f s: %s",
                    name,
                    rest,
                    self._fault,
                    exc_info=None if expected else error,
                )
            self._stopped.wait(rest)
            rest = min(2 * rest, LONGEST_RETRY_SECONDS)

    def _change(self) -> None:
        serving = self._serving
        encoder = self._encoder(self._target)
        self._embed_missing(encoder)
        self._fault = ""
        settings = replace(
            serving.settings, encoder=self._target, previous_encoder=serving.settings.encoder
        )
        serving.follow()
        candidate = self._open_beside(settings, encoder)
        try:
            self._make_ready(candidate, encoder)
            with serving.writes_held():
                self._catch_up(candidate, encoder, at_once=True)
                self._check_complete(candidate)
                self._write(settings)
                candidate.serve_from_now()
                self._switch(candidate)
                serving.retire()
        except BaseException:
            candidate.close()
            raise
        finally:
            serving.unfollow()
            with self._lock:
                self._candidate = None
        logger.info("%s: the encoder is now %s", settings.name, self._target)
        _unlink(self._folder / CHANGE_FILE)
        forget_other_encoders(self._folder, candidate)
        self._done()

    def _write(self, settings: CollectionSettings) -> None:
        try:
            settings.write(self._folder)
        except OSError:
            # The new ones may be there, though the disk did not say so; the next start would
            # then miss the embeddings of what is written until then.
            self._serving.settings.write(self._folder)
            raise

    def _open_beside(self, settings: CollectionSettings, encoder: Encoder) -> Collection:
        try:
            candidate = self._beside(settings, encoder)
        except FailedPreconditionError as error:
            if error.reason == "CATALOGUE_DAMAGED" and not self._dropped:
                # Embeddings that are damaged can be made again, once.
                self._dropped = True
                self._serving.catalogue.drop_embeddings(self._target)
            raise
        with self._lock:
            self._candidate = candidate
        if self._stopped.is_set():
            candidate.close()
            raise _StoppedError
        return candidate

    def _make_ready(self, candidate: Collection, encoder: Encoder) -> None:
        """Waits for space, prototypes and index, and makes up for most of what was written."""
        candidate.settle()
        self._check_stopped()
        kinds = candidate.state.space.kind, self._serving.state.space.kind
        if candidate.space_pending and kinds == ("sum", "factored"):
            raise _cannot("its space could not be fitted; the server's log has the cause")
        candidate.hold_fits()
        before = count = self._catch_up(candidate, encoder)
        while count > BATCH:
            self._check_stopped()
            count = self._catch_up(candidate, encoder)
            if count >= before:
                break  # Writes are faster than the encoder, so they have to wait.
            before = count

    def _catch_up(self, candidate: Collection, encoder: Encoder, *, at_once: bool = False) -> int:
        """Takes over what was written since the last time; returns how many items that were.

        Args:
            candidate: that takes it over.
            encoder: that embeds it.
            at_once: whether writes wait for it.
        """
        ids = set(self._serving.followed())
        ids.update(self._embed_missing(encoder, at_once=at_once))
        candidate.absorb(sorted(ids))
        return len(ids)

    def _check_complete(self, candidate: Collection) -> None:
        missing = self._serving.catalogue.without_embedding(self._target, 1)
        if missing or len(candidate) != len(self._serving):
            raise _cannot("some items were not taken over")

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise _StoppedError

    # Embeddings

    def _embed_missing(self, encoder: Encoder, *, at_once: bool = False) -> list[str]:
        """Embeds as many items as lack an embedding now; what is written meanwhile may be left.

        Args:
            encoder: that embeds them.
            at_once: on all cores.

        Returns:
            The ids of the items.

        Raises:
            FailedPreconditionError: with what is wrong with the items that it cannot embed.
        """
        catalogue, progress = self._serving.catalogue, self.progress()
        failed: dict[str, str] = {}
        embedded: list[str] = []
        while len(embedded) < progress.total - progress.done:
            lacking = catalogue.without_embedding(self._target, BATCH + len(failed))
            ids = [identifier for identifier in lacking if identifier not in failed][:BATCH]
            if not ids:
                break
            self._embed(ids, encoder, failed, at_once)
            embedded += ids
        if failed:
            identifier, why = next(iter(failed.items()))
            count = _items(len(failed))
            raise _cannot(f"{count} cannot be embedded, for example {identifier!r}: {why}")
        return embedded

    def _embed(
        self, ids: list[str], encoder: Encoder, failed: dict[str, str], at_once: bool
    ) -> None:
        catalogue = self._serving.catalogue
        made: dict[str, tuple[int, Future[Vectors]]] = {}
        for identifier, (version, jpeg) in catalogue.pictures(ids).items():
            self._check_stopped()
            embedding = self._workers.submit(self._embed_one, encoder, jpeg)
            made[identifier] = (version, embedding)
            if not at_once:
                wait([embedding])
        embeddings: dict[str, tuple[int, Vectors]] = {}
        for identifier, (version, embedding) in made.items():
            try:
                embeddings[identifier] = (version, embedding.result())
            except TashihikiError as error:
                failed[identifier] = error.message
        catalogue.write_embeddings(self._target, embeddings)

    def _embed_one(self, encoder: Encoder, jpeg: bytes) -> Vectors:
        if not jpeg:
            raise _cannot("it was given as a vector; send a picture, or delete it")
        return self._embedder.embed(encoder, jpeg, "picture")


class _StoppedError(Exception):
    """Nobody wants the change any more, for now."""


def pending_change(folder: Path, in_force: str) -> str:
    """The fingerprint of the encoder that a collection is being changed to; "" for none.

    A note of the change that is damaged, or was carried out, is deleted; the first with a line in
    the log, since the change has to be asked for again.

    Args:
        folder: of the collection.
        in_force: fingerprint of its encoder.
    """
    try:
        if (target := read_change(folder)) != in_force:
            return target
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.error("%s: the change of encoder is given up: %s", folder / CHANGE_FILE, error)
    _unlink(folder / CHANGE_FILE)
    return ""


def read_change(folder: Path) -> str:
    """The fingerprint in the note of a change.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError: for none, or a damaged one.
    """
    content = read_json(folder / CHANGE_FILE)
    if content.pop("checksum") != json_checksum(content):
        raise ValueError("it has changed since it was written")
    return str(content["encoder"])


def check_pictures(catalogue: Catalogue, encoder: str) -> None:
    """Refuses a change of items that there is nothing to embed again of.

    Raises:
        FailedPreconditionError: ITEM_WITHOUT_PICTURE.
    """
    count, ids = catalogue.without_picture(encoder, 1)
    if count:
        raise FailedPreconditionError(
            f"{_items(count)}, for example {ids[0]!r}, {'was' if count == 1 else 'were'} given as"
            " a vector and cannot be embedded again",
            reason="ITEM_WITHOUT_PICTURE",
            field="collection",
            remedy="Send pictures of them or delete them, or make another collection.",
            details={"count": str(count), "id": ids[0]},
        )


def forget_other_encoders(folder: Path, serving: Collection, *, kept: str = "") -> None:
    """Drops what is of other encoders than the present one and the one before.

    Args:
        folder: of the collection.
        serving: the collection.
        kept: fingerprint of another encoder whose embeddings stay, or "".
    """
    settings = serving.settings
    wanted = {settings.encoder, settings.previous_encoder, kept}
    try:
        for encoder in serving.catalogue.embedding_counts().keys() - wanted:
            serving.catalogue.drop_embeddings(encoder)
    except TashihikiError as error:
        # They take room and nothing else; the next start drops them.
        logger.warning("%s: embeddings of another encoder stay: %s", settings.name, error)
    forget_derived(folder, wanted)


def _in_words(error: Exception) -> str:
    if isinstance(error, TashihikiError):
        return error.message
    if isinstance(error, OSError):
        return str(error) or type(error).__name__
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    return f"the server failed in a way that it did not expect ({what})"


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count:,} items"


def _cannot(why: str) -> FailedPreconditionError:
    return FailedPreconditionError(why, reason="ENCODER_CHANGE_FAILED")


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
        sync(path.parent)
    except OSError as error:
        logger.warning("%s cannot be deleted: %s", path, error)


def _lower_priority() -> None:
    # Of this thread alone, on Linux.
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
