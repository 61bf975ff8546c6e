from __future__ import annotations

import json

import pytest

from client.scripted_server import ScriptedServer
from client.shell import run
from client.test_maintenance_verbs import COPYING, RESTORING, SNAPSHOT
from client.test_verbs import DESCRIBED
from tashihiki import AlreadyExistsError, FailedPreconditionError
from tashihiki.v1 import catalog_pb2, maintenance_pb2

pytestmark = pytest.mark.usefixtures("plain_terminal")


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_snapshot_is_made_listed_and_deleted(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("CreateSnapshot", COPYING)
    server.answer("ListSnapshots", maintenance_pb2.ListSnapshotsResponse(snapshots=[SNAPSHOT]))
    assert run("snapshot", "create", "faces", "--name", "before") == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("faces before: 213 items, 5.0 GB\n", "")
    assert run("snapshot", "create", "faces", "--json") == 0
    assert json.loads(capsys.readouterr().out)["create_time"] == "2024-05-06T07:08:09+00:00"
    assert [sent.name for sent in server.received("CreateSnapshot")] == ["before", ""]
    assert server.calls[0].time_remaining == pytest.approx(3600, abs=20)
    assert run("snapshot", "list", "faces") == 0
    assert rows(capsys.readouterr().out) == [
        ["collection", "name", "made", "(UTC)", "items", "size"],
        ["faces", "before", "2024-05-06", "07:08:09", "213", "5.0", "GB"],
    ]
    assert run("snapshot", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["size_bytes"] == 5_000_000_000
    assert [sent.collection for sent in server.received("ListSnapshots")] == ["faces", ""]
    assert run("snapshot", "delete", "faces", "before") == 0
    (sent,) = server.received("DeleteSnapshot")
    assert (sent.collection, sent.name) == ("faces", "before")


def test_a_snapshot_is_restored(server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answer("RestoreSnapshot", RESTORING)
    fitted = catalog_pb2.Collection()
    fitted.CopyFrom(DESCRIBED)
    fitted.space_pending = False
    server.answer("GetCollection", *states(DESCRIBED, DESCRIBED, fitted))
    assert run("snapshot", "restore", "faces", "before", "again") == 0
    shown = capsys.readouterr()
    assert shown.out == "again: 213 items\n"
    assert shown.err == "fitting the space to 213 items …\nThe space is fitted to 213 items.\n"
    server.answer("GetCollection", *states(DESCRIBED))
    assert run("snapshot", "restore", "faces", "before", "--no-wait") == 0
    assert "still being fitted" in capsys.readouterr().err
    sent = server.received("RestoreSnapshot")
    assert [(one.collection, one.name, one.target) for one in sent] == [
        ("faces", "before", "again"),
        ("faces", "before", "faces"),
    ]
    taken = AlreadyExistsError("It is there.", reason="COLLECTION_EXISTS")
    server.answer("RestoreSnapshot", [RESTORING[0], taken])
    assert run("snapshot", "restore", "faces", "before", "again") == 1
    assert capsys.readouterr().err == "error: COLLECTION_EXISTS: It is there.\n"


def test_a_long_wait_for_a_fit_is_not_silent(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tashihiki.cli.fitted_space._TELL_SECONDS", 0.0)
    fitted = catalog_pb2.Collection()
    fitted.CopyFrom(DESCRIBED)
    fitted.space_pending = False
    server.answer("RestoreSnapshot", RESTORING)
    server.answer("GetCollection", *states(DESCRIBED, DESCRIBED, fitted))
    assert run("snapshot", "restore", "faces", "before", "again") == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("still fitting after ") for line in lines] == [False, True, False]


def described(change: catalog_pb2.EncoderChange | None) -> catalog_pb2.Collection:
    return catalog_pb2.Collection(
        name="faces", encoder="f00d", previous_encoder="beef", encoder_change=change
    )


CHANGING = described(catalog_pb2.EncoderChange(encoder="cafe", done_count=10, total_count=213))
FULL = described(
    catalog_pb2.EncoderChange(
        encoder="cafe", done_count=11, total_count=213, fault="the disk is full"
    )
)
DONE = catalog_pb2.Collection(name="faces", encoder="cafe", previous_encoder="f00d")


def states(*collections: catalog_pb2.Collection) -> list[catalog_pb2.GetCollectionResponse]:
    return [catalog_pb2.GetCollectionResponse(collection=one) for one in collections]


def test_a_change_of_encoder_is_begun_and_watched(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("ChangeEncoder", maintenance_pb2.ChangeEncoderResponse(collection=CHANGING))
    assert run("encoder", "change", "faces", "cafe") == 0
    expected = [
        ["in", "force", "f00d"],
        ["before", "beef"],
        ["changing", "to", "cafe:", "10", "of", "213", "items"],
    ]
    assert rows(capsys.readouterr().out) == expected
    (sent,) = server.received("ChangeEncoder")
    assert (sent.collection, sent.encoder) == ("faces", "cafe")
    server.answer("GetCollection", *states(CHANGING))
    assert run("encoder", "status", "faces") == 0
    assert rows(capsys.readouterr().out) == expected
    assert run("encoder", "status", "faces", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "encoder": "f00d",
        "previous_encoder": "beef",
        "encoder_change": {"encoder": "cafe", "done_count": 10, "total_count": 213, "fault": ""},
    }


def test_waiting_ends_with_the_change(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tashihiki.cli.encoder.POLL_SECONDS", 0.01)
    server.answer("ChangeEncoder", maintenance_pb2.ChangeEncoderResponse(collection=CHANGING))
    server.answer("GetCollection", *states(CHANGING, CHANGING, DONE))
    assert run("encoder", "change", "faces", "cafe", "--wait") == 0
    assert rows(capsys.readouterr().out) == [["in", "force", "cafe"], ["before", "f00d"]]
    assert len(server.received("GetCollection")) == 3
    server.answer("RollBackEncoder", maintenance_pb2.RollBackEncoderResponse(collection=CHANGING))
    server.answer("GetCollection", *states(CHANGING, FULL))
    assert run("encoder", "rollback", "faces", "--wait") == 1
    assert "stopped: the disk is full" in capsys.readouterr().out
    server.answer("GetCollection", *states(CHANGING, described(None)))
    assert run("encoder", "change", "faces", "cafe", "--wait") == 1
    assert capsys.readouterr().err == "error: the change was cancelled\n"
    nothing_to_do = maintenance_pb2.ChangeEncoderResponse(collection=DONE)
    server.answer("ChangeEncoder", nothing_to_do)
    assert run("encoder", "change", "faces", "cafe", "--wait") == 0


def test_a_change_of_encoder_is_rolled_back_and_cancelled(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("RollBackEncoder", maintenance_pb2.RollBackEncoderResponse(collection=CHANGING))
    cancelled = maintenance_pb2.CancelEncoderChangeResponse(collection=described(None))
    server.answer("CancelEncoderChange", cancelled)
    assert run("encoder", "rollback", "faces") == 0
    assert "changing to" in capsys.readouterr().out
    assert run("encoder", "cancel", "faces") == 0
    assert "changing to" not in capsys.readouterr().out
    error = FailedPreconditionError("No.", reason="ITEM_WITHOUT_PICTURE", remedy="Send it.")
    server.answer("ChangeEncoder", error)
    assert run("encoder", "change", "faces", "cafe") == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: ITEM_WITHOUT_PICTURE: No.",
        "  help: Send it.",
    ]


def test_a_collection_is_described_with_its_index(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("GetCollection", catalog_pb2.GetCollectionResponse(collection=DESCRIBED))
    assert run("collections", "faces") == 0
    shown = rows(capsys.readouterr().out)
    for row in (
        "encoder before beef",
        "changing to cafe: 10 of 213 items",
        "target recall 0.95",
        "index cells, 200 items; 13 newer, 4 removed; being built",
        "measured setting neighbours recall ms",
        "cells 32 10 0.9925 1.100 *",
        "index 0.15 100 0.5000 0.000",
    ):
        assert row.split() in shown
    assert run("collections", "faces", "--json") == 0
    described = json.loads(capsys.readouterr().out)
    assert described["index"]["route"] == "cells"
    assert described["index"]["curve"][0]["recall"] == 0.9925
    assert described["encoder_change"]["done_count"] == 10


def test_a_damaged_collection_is_listed_with_its_fault(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = catalog_pb2.Collection(name="faces", fault="CATALOGUE_DAMAGED: A row is lost.")
    sound = catalog_pb2.Collection(name="items")
    answer = catalog_pb2.ListCollectionsResponse(collections=[damaged, sound])
    server.answer("ListCollections", answer)
    assert run("collections") == 0
    shown = capsys.readouterr().out
    assert shown.endswith("faces cannot be used: CATALOGUE_DAMAGED: A row is lost.\n")
    assert shown.count("cannot be used") == 1


@pytest.mark.parametrize(
    "args",
    [
        ["snapshot", "create"],
        ["snapshot", "restore", "faces"],
        ["snapshot", "drop", "faces"],
        ["encoder", "change", "faces"],
        ["encoder", "status"],
    ],
)
def test_usage_errors_exit_with_2(args: list[str], server: ScriptedServer) -> None:
    assert run(*args) == 2
    assert not server.calls
