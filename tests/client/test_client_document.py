from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from client.scripted_server import ScriptedServer
from client.test_discovery_verbs import EVENTS
from client.test_maintenance_verbs import COPYING, RESTORING
from client.test_verbs import ANSWER
from tashihiki import InvalidArgumentError, NotFoundError
from tashihiki.cli.app import main
from tashihiki.v1 import catalog_pb2, composition_pb2, search_pb2

DOCUMENT = Path(__file__).parents[2] / "docs" / "client.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = re.findall(r"^tashihiki .*$", TEXT, re.MULTILINE)


@pytest.fixture
def demo(server: ScriptedServer) -> ScriptedServer:
    item = catalog_pb2.Item(id="mug_1", attributes={"product": "mug"}, thumbnail=b"jpeg")
    vector = composition_pb2.Vector(values=[1])
    syntax = InvalidArgumentError("No.", reason="EXPRESSION_SYNTAX")
    server.answer(
        "Search",
        lambda request, context: (
            context.abort(syntax.code, "No.")
            if request.query.expression.endswith("+")
            else _answer(request)
        ),
    )
    server.answer("ListItems", catalog_pb2.ListItemsResponse(items=[item]))
    server.answer("UpsertItems", catalog_pb2.UpsertItemsResponse(upserted_count=1))
    server.answer("Embed", catalog_pb2.EmbedResponse(vectors=[vector]))
    found = catalog_pb2.GetItemResponse(item=item)
    missing = NotFoundError("No.", reason="UNKNOWN_ITEM")
    server.answer(
        "GetItem",
        lambda request, context: (
            context.abort(missing.code, "No.") if request.collection == "mugs" else found
        ),
    )
    server.answer("FindDuplicates", EVENTS)
    server.answer("CreateSnapshot", COPYING)
    server.answer("RestoreSnapshot", RESTORING)
    return server


def _answer(request: search_pb2.SearchRequest) -> search_pb2.SearchResponse:
    answer = search_pb2.SearchResponse()
    answer.CopyFrom(ANSWER)
    if request.include_timings:
        answer.timings.total_seconds = 0.001
        answer.timings.stages.add(name="look_up", seconds=0.001)
    return answer


@pytest.mark.parametrize("block", PYTHON, ids=range(len(PYTHON)))
def test_the_python_of_the_document_runs(block: str, demo: ScriptedServer) -> None:
    assert "localhost:50051" in block
    exec(compile(block.replace("localhost:50051", demo.target), str(DOCUMENT), "exec"), {})
    assert demo.calls


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_document_run(
    command: str, demo: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TASHIHIKI_SERVER", demo.target)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(command)[1:])
    assert ended.value.code == 0
