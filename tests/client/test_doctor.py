from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from client.scripted_server import ScriptedServer
from client.shell import run
from serving import Served, serving
from tashihiki.cli.doctor import installation
from tashihiki.cli.doctor import server as server_checks
from tashihiki.cli.doctor.check import Check, Finding, Target, examine
from tashihiki.errors import FailedPreconditionError
from tashihiki_server.cli import checks
from tashihiki_server.data_folder import FORMAT
from tashihiki_server.library import Library

NOBODY = "127.0.0.1:1"


def target(**known: Any) -> Target:
    return Target(**{"server": NOBODY, "server_named": False, "timeout": 5.0, **known})


def parts(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    return {finding["part"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}


def test_a_sound_installation_and_its_server(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.library.create("mugs")
    assert (
        run("doctor", "--server", served.address, "--data", str(tmp_path / "data"), "--json") == 0
    )
    found = parts(capsys)
    wanted = (
        *("Python", "tashihiki", "packages of client", "packages of server"),
        *("cores", "instructions", "memory", "library skia", "library ngtpy", "library openvino"),
        *("processor", "encoder", f"data folder {tmp_path / 'data'}"),
        *(f"server {served.address}", "collection mugs"),
    )
    assert {found[part]["state"] for part in wanted} <= {"ok", "warning"}
    assert "as here" in found[f"server {served.address}"]["fact"]
    manifest = json.loads(
        (Path(checks.__file__).parents[1] / "encoder/shipped/manifest.json").read_text()
    )
    assert manifest["model_sha256"][:16] in found["encoder"]["fact"]
    assert f"{manifest['dimension']} numbers" in found["encoder"]["fact"]


def test_a_library_that_kills_its_process_is_a_fault_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "skia.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    (tmp_path / "openvino.py").write_text("raise ImportError('libGL.so.1: cannot open')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = {one.part: one for one in examine(target(), checks.CHECKS)}
    assert (found["library skia"].state, found["library skia"].fact) == (
        "fault",
        "does not load: ended by SIGILL",
    )
    assert "libfontconfig1" in found["library skia"].remedy
    assert "libGL.so.1" in found["library openvino"].fact
    assert found["library ngtpy"].state == "ok"
    assert found["encoder"].state == "fault"


def test_packages_are_compared_with_what_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "cachetools-1.0.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: cachetools\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {one.part: one for one in examine(target(), installation.CHECKS)}
    assert found["packages of server"] == Finding(
        "packages of server",
        "fault",
        "cachetools 1.0 (needs >=5.5)",
        "from the checkout: pip install -e '.[server]'",
    )
    assert found["packages of client"].state == "ok"


def test_a_server_that_is_down_is_a_fault_where_it_was_named() -> None:
    states = [
        next(examine(target(server_named=named), server_checks.CHECKS)).state
        for named in (False, True)
    ]
    assert states == ["warning", "fault"]


def test_a_server_that_takes_calls_and_never_answers_is_as_one_that_is_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        found = [
            next(
                iter(
                    examine(
                        target(server=address, server_named=named, timeout=0.3),
                        server_checks.CHECKS,
                    )
                )
            )
            for named in (False, True)
        ]
    assert [one.state for one in found] == ["warning", "fault"]
    assert {one.fact for one in found} == {"no answer within 0.3 s"}
    assert all(one.remedy for one in found)


@pytest.mark.parametrize("address", ["", "http://there", "a\nb"])
def test_an_address_that_is_none_is_refused_with_a_remedy(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("doctor", "--server", address) == 2
    assert "host:port" in capsys.readouterr().err


def test_an_address_that_grpc_cannot_read_has_a_remedy() -> None:
    (found,) = examine(target(server="dns://"), server_checks.CHECKS)
    assert (found.part, found.state) == ("server dns://", "fault")
    assert "host:port" in found.remedy


def test_each_collection_has_its_own_finding(
    open_library: Callable[..., Library], tmp_path: Path
) -> None:
    first = open_library()
    first.create("bad")
    first.create("good")
    first.close()
    (tmp_path / "data/collections/bad/collection.json").unlink()
    with serving(open_library()) as served:
        found = {
            one.part: one for one in examine(target(server=served.address), server_checks.CHECKS)
        }
    assert found["collection bad"].state == "fault"
    assert found["collection bad"].fact
    assert found["collection good"] == Finding("collection good", "ok", "0 items")


def test_a_server_of_another_release_is_a_warning(server: ScriptedServer) -> None:
    service = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(service, server._server)
    found = list(examine(target(server=server.target), server_checks.CHECKS))
    assert [one.state for one in found[:2]] == ["ok", "warning"]
    assert "does not tell its version" in found[1].fact
    service.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    (stopping, *_) = examine(target(server=server.target), server_checks.CHECKS)
    assert (stopping.state, stopping.fact) == ("fault", "its health is NOT_SERVING")


def test_a_data_folder_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer/format.json").write_text('{"format": 99}')
    (tmp_path / "file").touch()
    (tmp_path / "new").mkdir()
    look = [check for check in checks.CHECKS if check.part == "data folder"]

    def states(folder: Path) -> list[tuple[str, str]]:
        found = examine(target(data=folder), look)
        return [(one.state, one.fact) for one in found if "free" not in one.fact]

    assert states(tmp_path / "new") == [
        ("ok", "nothing is in it yet"),
        ("ok", "can be written"),
    ]
    assert states(tmp_path / "none") == [("warning", "is not there")]
    assert states(tmp_path / "file") == [("fault", "is no folder")]
    assert states(tmp_path / "newer")[0] == ("fault", f"format 99, this release reads {FORMAT}")
    # Nobody may write there, not even root.
    state, fact = states(Path("/proc"))[1]
    assert state == "fault"
    assert fact.startswith("cannot be written")


def test_a_broken_configuration_is_among_what_it_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text("[search]\nlimt = 3\n")
    # What is heavy has tests of its own.
    monkeypatch.setattr("tashihiki.cli.doctor.command.further_checks", lambda: [])
    assert run("--config", str(tmp_path / "mine.toml"), "doctor") == 1
    said = capsys.readouterr().out
    assert "search.limt" in said
    assert "Did you mean `limit`?" in said
    assert run("doctor") == 0


def test_what_a_check_raises_is_its_fault() -> None:
    def known(_: Target) -> list[Finding]:
        raise FailedPreconditionError("no room", reason="DISK_FULL", remedy="Make some.")

    def unknown(_: Target) -> list[Finding]:
        raise ZeroDivisionError("oops")

    assert list(examine(target(), [Check("a", known), Check("b", unknown)])) == [
        Finding("a", "fault", "DISK_FULL: no room.", "Make some."),
        Finding("b", "fault", "ZeroDivisionError: oops"),
    ]
