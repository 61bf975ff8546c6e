"""What a shell's completion is answered, by the protocol that its script speaks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from client.scripted_server import ScriptedServer
from tashihiki.v1 import catalog_pb2, maintenance_pb2

COMMAND = str(Path(sys.executable).with_name("tashihiki"))


def completed(server: str, line: str, shell: str = "bash") -> list[str]:
    """The words for the place after the last blank of `line`."""
    bash = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    # zsh reads the same variable as fish, and no action.
    fish = {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    asked = {"_TASHIHIKI_COMPLETE": f"complete_{shell}", "TASHIHIKI_SERVER": server}
    done = subprocess.run(
        [COMMAND],
        env={**os.environ, **asked, **(bash if shell == "bash" else fish)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


@pytest.fixture
def stocked(server: ScriptedServer) -> ScriptedServer:
    collections = [catalog_pb2.Collection(name=name) for name in ("faces", "items")]
    server.answer("ListCollections", catalog_pb2.ListCollectionsResponse(collections=collections))
    facets = [catalog_pb2.FacetSummary(facet=name) for name in ("colour", "product")]
    server.answer("ListAttributes", catalog_pb2.ListAttributesResponse(facets=facets))
    snapshots = [
        maintenance_pb2.Snapshot(collection="gone", name=name) for name in ("monday", "tuesday")
    ]
    server.answer("ListSnapshots", maintenance_pb2.ListSnapshotsResponse(snapshots=snapshots))
    return server


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tashihiki attr", ["attributes"]),
        ("tashihiki search ", ["faces", "items"]),
        ("tashihiki search it", ["items"]),
        ("tashihiki export f", ["faces"]),
        ("tashihiki search items red --group-by ", ["colour", "product"]),
        ("tashihiki attributes items --facet c", ["colour"]),
        ("tashihiki snapshot delete ", ["gone"]),
        ("tashihiki snapshot restore gone t", ["tuesday"]),
        ("tashihiki serve --max-i", ["--max-image-bytes", "--max-image-pixels"]),
    ],
)
def test_names_of_the_server_are_completed(
    line: str, words: list[str], stocked: ScriptedServer
) -> None:
    assert completed(stocked.target, line) == words


def test_the_facets_are_those_of_the_collection_before(stocked: ScriptedServer) -> None:
    assert completed(stocked.target, "tashihiki search items red --group-by p", "fish") == [
        "product"
    ]
    assert [request.collection for request in stocked.received("ListAttributes")] == ["items"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_no_shell_is_given_a_name_that_it_would_run(shell: str, server: ScriptedServer) -> None:
    wicked = (
        *(r"\$(touch x)", "$(touch x)", "`touch x`", "a;b", "a|b", "a&b", "a>b", "a b", "a*"),
        *("a?", "[a]", "{a,b}", "~a", "!a", "#a", "a\\", "a'b", 'a"b', "=ls", "-a", "a:b"),
        *("a\n", "a\nb", "a\tb", "a\x1b[2J", ""),
    )
    facets = [catalog_pb2.FacetSummary(facet=name) for name in (*wicked, "farbe_2.größe-色")]
    server.answer("ListAttributes", catalog_pb2.ListAttributesResponse(facets=facets))
    line = "tashihiki attributes items --facet "
    (answer,) = completed(server.target, line, shell)
    wanted = "farbe_2.größe-色"
    assert answer == (f"""_arguments '*: :(("{wanted}"))'""" if shell == "zsh" else wanted)


def test_without_a_server_there_is_nothing_and_no_noise() -> None:
    assert completed("127.0.0.1:1", "tashihiki search ") == []
    assert completed("http://no.address", "tashihiki snapshot delete a ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_asks_the_command(shell: str) -> None:
    done = subprocess.run(
        [COMMAND],
        env={**os.environ, "_TASHIHIKI_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert f"_TASHIHIKI_COMPLETE=complete_{shell}" in done.stdout
