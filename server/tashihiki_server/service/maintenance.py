"""MaintenanceService, apart from its transport."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

from tashihiki.v1 import maintenance_pb2
from tashihiki_server.encoder.embedder import Embedder
from tashihiki_server.library import Library
from tashihiki_server.service.collection_messages import collection_message
from tashihiki_server.service.messages import timestamp
from tashihiki_server.service.reporting import reported
from tashihiki_server.snapshot.manifest import Snapshot

_Response = TypeVar("_Response")
_Result = TypeVar("_Result")


class MaintenanceApi:
    """One method for each RPC: request in, response out, `TashihikiError` raised."""

    def __init__(self, library: Library, embedder: Embedder) -> None:
        self._library = library
        self._embedder = embedder

    # Snapshots

    def create_snapshot(
        self, request: maintenance_pb2.CreateSnapshotRequest
    ) -> Generator[maintenance_pb2.CreateSnapshotResponse, None, None]:
        """Copies a collection while it serves."""
        work = reported(
            lambda advanced: self._library.snapshot(request.collection, request.name, advanced)
        )
        snapshot = yield from _told(work, maintenance_pb2.CreateSnapshotResponse)
        yield maintenance_pb2.CreateSnapshotResponse(
            done_share=1.0, snapshot=snapshot_message(snapshot)
        )

    def list_snapshots(
        self, request: maintenance_pb2.ListSnapshotsRequest
    ) -> maintenance_pb2.ListSnapshotsResponse:
        """Snapshots by collection and time."""
        found = self._library.snapshots.snapshots(request.collection)
        return maintenance_pb2.ListSnapshotsResponse(
            snapshots=[snapshot_message(snapshot) for snapshot in found]
        )

    def delete_snapshot(
        self, request: maintenance_pb2.DeleteSnapshotRequest
    ) -> maintenance_pb2.DeleteSnapshotResponse:
        """Deletes a snapshot, also a damaged one."""
        self._library.snapshots.delete(request.collection, request.name)
        return maintenance_pb2.DeleteSnapshotResponse()

    def restore_snapshot(
        self, request: maintenance_pb2.RestoreSnapshotRequest
    ) -> Generator[maintenance_pb2.RestoreSnapshotResponse, None, None]:
        """Makes a new collection of a snapshot."""
        work = reported(
            lambda advanced: self._library.restore(
                request.collection, request.name, request.target, advanced
            )
        )
        collection = yield from _told(work, maintenance_pb2.RestoreSnapshotResponse)
        yield maintenance_pb2.RestoreSnapshotResponse(
            done_share=1.0, collection=collection_message(collection)
        )

    # Changes of encoder

    def change_encoder(
        self, request: maintenance_pb2.ChangeEncoderRequest
    ) -> maintenance_pb2.ChangeEncoderResponse:
        """Begins to embed every item again."""
        collection = self._library.change_encoder(request.collection, request.encoder)
        return maintenance_pb2.ChangeEncoderResponse(collection=collection_message(collection))

    def roll_back_encoder(
        self, request: maintenance_pb2.RollBackEncoderRequest
    ) -> maintenance_pb2.RollBackEncoderResponse:
        """Goes back to the encoder before."""
        collection = self._library.roll_back_encoder(request.collection)
        return maintenance_pb2.RollBackEncoderResponse(collection=collection_message(collection))

    def cancel_encoder_change(
        self, request: maintenance_pb2.CancelEncoderChangeRequest
    ) -> maintenance_pb2.CancelEncoderChangeResponse:
        """Ends a change that is under way."""
        collection = self._library.cancel_encoder_change(request.collection)
        return maintenance_pb2.CancelEncoderChangeResponse(
            collection=collection_message(collection)
        )


def _told(
    work: Generator[float, None, _Result], response: Callable[..., _Response]
) -> Generator[_Response, None, _Result]:
    """The shares that are done, each as a response; returns what the work does."""
    with closing(work):
        while True:
            try:
                share = next(work)
            except StopIteration as end:
                result: _Result = end.value
                return result
            yield response(done_share=share)


def snapshot_message(snapshot: Snapshot) -> maintenance_pb2.Snapshot:
    """A snapshot, without what its files are."""
    return maintenance_pb2.Snapshot(
        collection=snapshot.collection,
        name=snapshot.name,
        create_time=timestamp(snapshot.create_time),
        item_count=snapshot.item_count,
        size_bytes=snapshot.size_bytes,
        encoder=snapshot.encoder,
    )
