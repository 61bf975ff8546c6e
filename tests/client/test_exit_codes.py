"""Every exit code that docs/client.md lists, and no other, from failures as they happen."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.scripted_server import ScriptedServer
from client.shell import run
from docs.markdown import DOCS
from tashihiki import DeadlineExceededError, InternalError, NotFoundError
from tashihiki.v1 import catalog_pb2

pytestmark = pytest.mark.usefixtures("plain_terminal")

COMMAND = str(Path(sys.executable).with_name("tashihiki"))
_ROW = re.compile(r"^\| (\d+) \| (.+) \|$", re.MULTILINE)


def documented() -> dict[int, str]:
    text = (DOCS / "client.md").read_text(encoding="utf-8")
    table = text[text.index("| exit code | meaning |") :]
    return {int(code): meaning for code, meaning in _ROW.findall(table)}


def fails(server: ScriptedServer, error: Exception) -> int:
    server.answer("GetItem", error)
    return run("items", "items", "--id", "x")


def times_out(server: ScriptedServer) -> int:
    def never(request: Any, context: Any) -> catalog_pb2.GetItemResponse:
        while context.is_active():
            time.sleep(0.01)
        return catalog_pb2.GetItemResponse()

    server.answer("GetItem", never)
    return run("items", "items", "--id", "x", "--timeout", "0.1")


def spawned(*args: str) -> subprocess.Popen[bytes]:
    # A shell that runs the tests in the background has them ignore the signal. A function
    # between fork and exec could do this too, but hangs at times beside the server's threads.
    return subprocess.Popen(
        ["env", "--default-signal=INT", COMMAND, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def interrupted(server: ScriptedServer) -> int:
    def wait(request: Any, context: Any) -> catalog_pb2.ListItemsResponse:
        while context.is_active():
            time.sleep(0.01)
        return catalog_pb2.ListItemsResponse()

    server.answer("ListItems", wait)
    with spawned("items", "items") as process:
        while not server.calls:
            assert process.poll() is None, "the command ended before it called"
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert error == b""
    return process.returncode


def loses_its_reader(server: ScriptedServer) -> int:
    items = [catalog_pb2.Item(id="x" * 500) for _ in range(1000)]
    server.answer("ListItems", catalog_pb2.ListItemsResponse(items=items))
    process = spawned("items", "items", "--json", "--limit", "0")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    return process.wait(30)


def fills_its_disk(server: ScriptedServer) -> int:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [COMMAND, "config", "--example"], stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert done.stderr == b"error: [Errno 28] No space left on device\n"
    return done.returncode


def interrupted_while_imported(tmp_path: Path) -> int:
    # In the place of what takes long to import stands what interrupts at once.
    stub = tmp_path / "tashihiki"
    stub.mkdir()
    (stub / "__init__.py").write_text(
        "import signal\n"
        "try:\n    signal.raise_signal(signal.SIGINT)\n"
        "except BaseException as error:\n    raise ImportError('broken') from error\n"
    )
    places = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2] / "client")])
    done = subprocess.run(
        ["env", "--default-signal=INT", sys.executable, "-m", "tashihiki_command", "--version"],
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        timeout=60,
    )
    assert done.stderr == b""
    return done.returncode


CASES: dict[str, tuple[int, Callable[[ScriptedServer], int]]] = {
    "done": (0, lambda server: run("items", "items")),
    "help": (0, lambda server: run("search", "--help")),
    "help of another package": (0, lambda server: run("serve", "--help")),
    "not found": (1, lambda server: fails(server, NotFoundError("no", reason="UNKNOWN_ITEM"))),
    "internal": (1, lambda server: fails(server, InternalError("no", reason="INTERNAL"))),
    "late": (
        1,
        lambda server: fails(server, DeadlineExceededError("no", reason="DEADLINE_EXCEEDED")),
    ),
    "deadline": (1, times_out),
    "server down": (1, lambda server: run("items", "items", "--server", "127.0.0.1:1")),
    "down for another package": (
        1,
        lambda server: run("export", "items", "--out", "x", "--server", "127.0.0.1:1"),
    ),
    "file not found": (1, lambda server: run("index", "items", "/no/such.csv")),
    "damaged or not there": (1, lambda server: run("verify", "--data", "/no/such/folder")),
    "reader gone": (1, loses_its_reader),
    "no room for the output": (1, fills_its_disk),
    "no command": (2, lambda server: run()),
    "unknown command": (2, lambda server: run("serach")),
    "nobody to ask": (2, lambda server: run("delete", "items")),
    "unknown option": (2, lambda server: run("items", "items", "--limt", "3")),
    "wrong value": (2, lambda server: run("items", "items", "--limit", "many")),
    "wrong value for another package": (2, lambda server: run("serve", "--grace", "long")),
    "no address": (2, lambda server: run("items", "items", "--server", "")),
    "a URL": (2, lambda server: run("items", "items", "--server", "http://x")),
    "a URL for another package": (2, lambda server: run("index", "a", "b", "--server", "http://x")),
    "endless": (2, lambda server: run("items", "items", "--timeout", "inf")),
    "endless as a whole": (2, lambda server: run("duplicates", "items", "--timeout", "nan")),
    "missing argument": (2, lambda server: run("snapshot", "delete")),
    "wrong configuration": (2, lambda server: run("--config", "/no/such.toml", "items", "items")),
    "interrupted": (130, interrupted),
}


@pytest.mark.parametrize("case", CASES)
def test_a_failure_ends_with_its_code(
    case: str, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    code, happens = CASES[case]
    assert happens(server) == code
    assert "Traceback" not in capsys.readouterr().err


def test_an_interrupt_is_quiet_from_the_first_moment(tmp_path: Path) -> None:
    assert interrupted_while_imported(tmp_path) == 130


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_works_without_the_standard_streams(closed: str, server: ScriptedServer) -> None:
    for command, code in (("items items", 0), ("items items --limt 3", 2)):
        done = subprocess.run(
            ["sh", "-c", f"{COMMAND} {command} {closed}"], capture_output=True, timeout=60
        )
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr
    assert server.received("ListItems")


def test_the_document_lists_these_codes_and_no_other() -> None:
    assert list(documented()) == sorted({code for code, _ in CASES.values()})
