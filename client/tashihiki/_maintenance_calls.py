"""The verbs of MaintenanceService as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from tashihiki import _responses
from tashihiki._calls import Call
from tashihiki.catalog import Collection
from tashihiki.errors import InternalError
from tashihiki.snapshots import Snapshot
from tashihiki.v1 import maintenance_pb2

Result = TypeVar("Result")


@dataclass(frozen=True)
class Step(Generic[Result]):
    """How far a long task has come, from 0 to 1, and at its end what came of it."""

    done_share: float
    result: Result | None


def create_snapshot(collection: str, name: str) -> Call[Step[Snapshot]]:
    """CreateSnapshot, which is answered by a stream."""
    return _maintenance(
        "CreateSnapshot",
        maintenance_pb2.CreateSnapshotRequest(collection=collection, name=name),
        maintenance_pb2.CreateSnapshotResponse,
        lambda response: Step(
            response.done_share,
            _responses.snapshot(response.snapshot) if response.HasField("snapshot") else None,
        ),
    )


def list_snapshots(collection: str) -> Call[list[Snapshot]]:
    """ListSnapshots."""
    return _maintenance(
        "ListSnapshots",
        maintenance_pb2.ListSnapshotsRequest(collection=collection),
        maintenance_pb2.ListSnapshotsResponse,
        lambda response: list(map(_responses.snapshot, response.snapshots)),
    )


def delete_snapshot(collection: str, name: str) -> Call[None]:
    """DeleteSnapshot."""
    return _maintenance(
        "DeleteSnapshot",
        maintenance_pb2.DeleteSnapshotRequest(collection=collection, name=name),
        maintenance_pb2.DeleteSnapshotResponse,
        lambda response: None,
    )


def restore_snapshot(collection: str, name: str, target: str) -> Call[Step[Collection]]:
    """RestoreSnapshot, which is answered by a stream."""
    return _maintenance(
        "RestoreSnapshot",
        maintenance_pb2.RestoreSnapshotRequest(collection=collection, name=name, target=target),
        maintenance_pb2.RestoreSnapshotResponse,
        lambda response: Step(
            response.done_share,
            _responses.collection(response.collection) if response.HasField("collection") else None,
        ),
    )


def change_encoder(collection: str, encoder: str) -> Call[Collection]:
    """ChangeEncoder."""
    return _maintenance(
        "ChangeEncoder",
        maintenance_pb2.ChangeEncoderRequest(collection=collection, encoder=encoder),
        maintenance_pb2.ChangeEncoderResponse,
        _described,
    )


def roll_back_encoder(collection: str) -> Call[Collection]:
    """RollBackEncoder."""
    return _maintenance(
        "RollBackEncoder",
        maintenance_pb2.RollBackEncoderRequest(collection=collection),
        maintenance_pb2.RollBackEncoderResponse,
        _described,
    )


def cancel_encoder_change(collection: str) -> Call[Collection]:
    """CancelEncoderChange."""
    return _maintenance(
        "CancelEncoderChange",
        maintenance_pb2.CancelEncoderChangeRequest(collection=collection),
        maintenance_pb2.CancelEncoderChangeResponse,
        _described,
    )


def incomplete_answer() -> InternalError:
    """The error for a stream that ends without its result."""
    return InternalError(
        "The server's answer ended before its result.",
        reason="INCOMPLETE_ANSWER",
        remedy="See in the server's log what became of it, and call again.",
    )


def _described(response: Any) -> Collection:
    return _responses.collection(response.collection)


def _maintenance(
    method: str, request: Message, response_type: type[Message], read: Callable[[Any], Result]
) -> Call[Result]:
    return Call(f"/tashihiki.v1.MaintenanceService/{method}", request, response_type, read)
