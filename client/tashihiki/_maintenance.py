"""The verbs of MaintenanceService, for both clients."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing, closing
from typing import TypeVar

from tashihiki import _maintenance_calls
from tashihiki._calls import Call
from tashihiki._connection import LONG_TIMEOUT, AsyncConnection, Connection
from tashihiki._maintenance_calls import Step
from tashihiki.catalog import Collection
from tashihiki.snapshots import Snapshot

Result = TypeVar("Result")


class MaintenanceVerbs:
    """Snapshots and changes of encoder, for threads."""

    _connection: Connection

    def create_snapshot(
        self,
        collection: str,
        name: str = "",
        *,
        progress: Callable[[float], None] | None = None,
        timeout: float = LONG_TIMEOUT,
    ) -> Snapshot:
        """Copies a collection as it is at one moment into the server's data folder.

        Args:
            collection: the collection's name; it goes on serving.
            name: 1 to 63 of a-z, 0-9, `-` and `_`; the time when empty.
            progress: called with the share that is done, from 0 to 1.
            timeout: seconds for the whole copy.
        """
        call = _maintenance_calls.create_snapshot(collection, name)
        return self._finish(call, progress, timeout)

    def list_snapshots(
        self, collection: str = "", *, timeout: float | None = None
    ) -> list[Snapshot]:
        """The snapshots by collection and time, oldest first.

        Args:
            collection: only those of this one; those of all, also of deleted ones, when empty.
        """
        return self._connection.run(_maintenance_calls.list_snapshots(collection), timeout)

    def delete_snapshot(self, collection: str, name: str, *, timeout: float | None = None) -> None:
        """Deletes a snapshot; NotFoundError when it is not there."""
        call = _maintenance_calls.delete_snapshot(collection, name)
        self._connection.run(call, timeout)

    def restore_snapshot(
        self,
        collection: str,
        name: str,
        target: str,
        *,
        progress: Callable[[float], None] | None = None,
        timeout: float = LONG_TIMEOUT,
    ) -> Collection:
        """Makes a new collection of a snapshot whose checksums hold.

        Args:
            collection: the collection that the snapshot is of.
            name: of the snapshot.
            target: of the collection to make; AlreadyExistsError when it is taken.
            progress: called with the share that is done, from 0 to 1.
            timeout: seconds for the whole restoration.
        """
        call = _maintenance_calls.restore_snapshot(collection, name, target)
        return self._finish(call, progress, timeout)

    def change_encoder(
        self, collection: str, encoder: str, *, timeout: float | None = None
    ) -> Collection:
        """Begins to embed every item again by another encoder, and returns at once.

        The old embeddings answer until all new ones are there. `get_collection` tells how far
        it is (`encoder_change`); when that is None again, `encoder` says whether it came to
        its end.

        Args:
            collection: the collection's name.
            encoder: an encoder's name or fingerprint.
        """
        call = _maintenance_calls.change_encoder(collection, encoder)
        return self._connection.run(call, timeout)

    def roll_back_encoder(self, collection: str, *, timeout: float | None = None) -> Collection:
        """Goes back to the encoder before the last change; what was written since is embedded."""
        call = _maintenance_calls.roll_back_encoder(collection)
        return self._connection.run(call, timeout)

    def cancel_encoder_change(self, collection: str, *, timeout: float | None = None) -> Collection:
        """Ends a change of encoder that is under way; the encoder in force stays."""
        call = _maintenance_calls.cancel_encoder_change(collection)
        return self._connection.run(call, timeout)

    def _finish(
        self, call: Call[Step[Result]], progress: Callable[[float], None] | None, timeout: float
    ) -> Result:
        result: Result | None = None
        with closing(self._connection.stream(call, timeout)) as steps:
            for step in steps:
                if progress is not None:
                    progress(step.done_share)
                result = step.result
        if result is None:
            raise _maintenance_calls.incomplete_answer()
        return result


class AsyncMaintenanceVerbs:
    """Snapshots and changes of encoder, for asyncio."""

    _connection: AsyncConnection

    async def create_snapshot(
        self,
        collection: str,
        name: str = "",
        *,
        progress: Callable[[float], None] | None = None,
        timeout: float = LONG_TIMEOUT,
    ) -> Snapshot:
        """Copies a collection as it is at one moment into the server's data folder.

        Args:
            collection: the collection's name; it goes on serving.
            name: 1 to 63 of a-z, 0-9, `-` and `_`; the time when empty.
            progress: called with the share that is done, from 0 to 1.
            timeout: seconds for the whole copy.
        """
        call = _maintenance_calls.create_snapshot(collection, name)
        return await self._finish(call, progress, timeout)

    async def list_snapshots(
        self, collection: str = "", *, timeout: float | None = None
    ) -> list[Snapshot]:
        """The snapshots by collection and time, oldest first.

        Args:
            collection: only those of this one; those of all, also of deleted ones, when empty.
        """
        return await self._connection.run(_maintenance_calls.list_snapshots(collection), timeout)

    async def delete_snapshot(
        self, collection: str, name: str, *, timeout: float | None = None
    ) -> None:
        """Deletes a snapshot; NotFoundError when it is not there."""
        call = _maintenance_calls.delete_snapshot(collection, name)
        await self._connection.run(call, timeout)

    async def restore_snapshot(
        self,
        collection: str,
        name: str,
        target: str,
        *,
        progress: Callable[[float], None] | None = None,
        timeout: float = LONG_TIMEOUT,
    ) -> Collection:
        """Makes a new collection of a snapshot whose checksums hold.

        Args:
            collection: the collection that the snapshot is of.
            name: of the snapshot.
            target: of the collection to make; AlreadyExistsError when it is taken.
            progress: called with the share that is done, from 0 to 1.
            timeout: seconds for the whole restoration.
        """
        call = _maintenance_calls.restore_snapshot(collection, name, target)
        return await self._finish(call, progress, timeout)

    async def change_encoder(
        self, collection: str, encoder: str, *, timeout: float | None = None
    ) -> Collection:
        """Begins to embed every item again by another encoder, and returns at once.

        The old embeddings answer until all new ones are there. `get_collection` tells how far
        it is (`encoder_change`); when that is None again, `encoder` says whether it came to
        its end.

        Args:
            collection: the collection's name.
            encoder: an encoder's name or fingerprint.
        """
        call = _maintenance_calls.change_encoder(collection, encoder)
        return await self._connection.run(call, timeout)

    async def roll_back_encoder(
        self, collection: str, *, timeout: float | None = None
    ) -> Collection:
        """Goes back to the encoder before the last change; what was written since is embedded."""
        call = _maintenance_calls.roll_back_encoder(collection)
        return await self._connection.run(call, timeout)

    async def cancel_encoder_change(
        self, collection: str, *, timeout: float | None = None
    ) -> Collection:
        """Ends a change of encoder that is under way; the encoder in force stays."""
        call = _maintenance_calls.cancel_encoder_change(collection)
        return await self._connection.run(call, timeout)

    async def _finish(
        self, call: Call[Step[Result]], progress: Callable[[float], None] | None, timeout: float
    ) -> Result:
        result: Result | None = None
        async with aclosing(self._connection.stream(call, timeout)) as steps:
            async for step in steps:
                if progress is not None:
                    progress(step.done_share)
                result = step.result
        if result is None:
            raise _maintenance_calls.incomplete_answer()
        return result
