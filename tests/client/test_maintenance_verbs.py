from __future__ import annotations

from datetime import datetime, timezone

import pytest
from google.protobuf import json_format

from client.scripted_server import ScriptedServer
from tashihiki import AsyncClient, Client, EncoderChange, InternalError, Snapshot
from tashihiki.v1 import catalog_pb2, maintenance_pb2

SNAPSHOT = json_format.ParseDict(
    {
        "collection": "faces",
        "name": "before",
        "create_time": "2024-05-06T07:08:09Z",
        "item_count": 213,
        "size_bytes": 5_000_000_000,
        "encoder": "f00d",
    },
    maintenance_pb2.Snapshot(),
)
READ = Snapshot(
    collection="faces",
    name="before",
    create_time=datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc),
    item_count=213,
    size_bytes=5_000_000_000,
    encoder="f00d",
)
COPYING = [
    maintenance_pb2.CreateSnapshotResponse(done_share=0.25),
    maintenance_pb2.CreateSnapshotResponse(done_share=1, snapshot=SNAPSHOT),
]
RESTORING = [
    maintenance_pb2.RestoreSnapshotResponse(done_share=0.5),
    maintenance_pb2.RestoreSnapshotResponse(
        done_share=1, collection=catalog_pb2.Collection(name="again", item_count=213)
    ),
]


async def test_a_snapshot_is_made_with_progress(
    server: ScriptedServer, client: Client, async_client: AsyncClient
) -> None:
    server.answer("CreateSnapshot", COPYING)
    shares: list[float] = []
    assert client.create_snapshot("faces", "before", progress=shares.append) == READ
    assert await async_client.create_snapshot("faces", progress=shares.append) == READ
    assert shares == [0.25, 1] * 2
    first, second = server.received("CreateSnapshot")
    assert (first.collection, first.name, second.name) == ("faces", "before", "")


async def test_a_snapshot_is_restored_with_progress(
    server: ScriptedServer, client: Client, async_client: AsyncClient
) -> None:
    server.answer("RestoreSnapshot", RESTORING)
    shares: list[float] = []
    made = client.restore_snapshot("faces", "before", "again", progress=shares.append)
    same = await async_client.restore_snapshot("faces", "before", "again")
    assert (made.name, made.item_count, same) == ("again", 213, made)
    assert shares == [0.5, 1]
    sent = server.received("RestoreSnapshot")[0]
    assert (sent.collection, sent.name, sent.target) == ("faces", "before", "again")


async def test_an_answer_without_a_result_is_an_error(
    server: ScriptedServer, client: Client, async_client: AsyncClient
) -> None:
    server.answer("CreateSnapshot", COPYING[:1])
    with pytest.raises(InternalError) as caught:
        client.create_snapshot("faces")
    assert caught.value.reason == "INCOMPLETE_ANSWER"
    with pytest.raises(InternalError):
        await async_client.create_snapshot("faces")


async def test_snapshots_are_listed_and_deleted(
    server: ScriptedServer, client: Client, async_client: AsyncClient
) -> None:
    server.answer("ListSnapshots", maintenance_pb2.ListSnapshotsResponse(snapshots=[SNAPSHOT] * 2))
    assert client.list_snapshots() == [READ, READ]
    assert await async_client.list_snapshots("faces") == [READ, READ]
    assert [request.collection for request in server.received("ListSnapshots")] == ["", "faces"]
    client.delete_snapshot("faces", "before")
    await async_client.delete_snapshot("faces", "before")
    for sent in server.received("DeleteSnapshot"):
        assert (sent.collection, sent.name) == ("faces", "before")


async def test_a_change_of_encoder_is_begun_rolled_back_and_cancelled(
    server: ScriptedServer, client: Client, async_client: AsyncClient
) -> None:
    changing = json_format.ParseDict(
        {
            "name": "faces",
            "encoder": "f00d",
            "encoder_change": {
                "encoder": "cafe",
                "done_count": 10,
                "total_count": 213,
                "fault": "the disk is full",
            },
            "previous_encoder": "beef",
        },
        catalog_pb2.Collection(),
    )
    answers = {
        "ChangeEncoder": maintenance_pb2.ChangeEncoderResponse(collection=changing),
        "RollBackEncoder": maintenance_pb2.RollBackEncoderResponse(collection=changing),
        "CancelEncoderChange": maintenance_pb2.CancelEncoderChangeResponse(
            collection=catalog_pb2.Collection(name="faces", encoder="f00d")
        ),
    }
    for method, answer in answers.items():
        server.answer(method, answer)
    for found in (
        client.change_encoder("faces", "cafe"),
        client.roll_back_encoder("faces"),
        await async_client.change_encoder("faces", "cafe"),
        await async_client.roll_back_encoder("faces"),
    ):
        assert found.encoder_change == EncoderChange("cafe", 10, 213, "the disk is full")
        assert (found.encoder, found.previous_encoder) == ("f00d", "beef")
    for found in (
        client.cancel_encoder_change("faces"),
        await async_client.cancel_encoder_change("faces"),
    ):
        assert (found.encoder_change, found.previous_encoder) == (None, "")
    assert server.received("ChangeEncoder")[0].encoder == "cafe"
    assert {call.request.collection for call in server.calls} == {"faces"}
