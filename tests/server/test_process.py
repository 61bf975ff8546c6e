"""The real command: how it starts, refuses to start, bears load, and ends."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from picture_files import landscape, save
from server_process import (
    COMMAND,
    SECONDS,
    ServerProcess,
    eventually,
    running,
    serve_to_the_end,
    small_disk,
)
from tashihiki.status import from_rpc_error
from tashihiki.v1 import catalog_pb2, composition_pb2, search_pb2
from tashihiki_server.data_folder import FORMAT
from tashihiki_server.library import Library
from tiny_encoder import DIMENSION

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SHOP = "shop"


def make_shop(server: ServerProcess) -> None:
    server.catalog.CreateCollection(
        catalog_pb2.CreateCollectionRequest(collection=catalog_pb2.Collection(name=SHOP)),
        timeout=SECONDS,
    )
    pictures = np.random.default_rng(0).integers(0, 256, (8, 9, 9, 3), dtype=np.uint8)
    items = [
        catalog_pb2.ItemInput(id=f"i{number}", image=save(picture, "PNG"))
        for number, picture in enumerate(pictures)
    ]
    server.catalog.UpsertItems(
        catalog_pb2.UpsertItemsRequest(collection=SHOP, items=items), timeout=SECONDS
    )


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, tiny_encoder_bundle: Path
) -> Iterator[ServerProcess]:
    """A server that the tests which leave it running share."""
    with running(tmp_path_factory.mktemp("shared") / "data", tiny_encoder_bundle) as shared:
        make_shop(shared)
        yield shared


@pytest.fixture(scope="module")
def slow() -> catalog_pb2.EmbedRequest:
    """A request that takes about a second: progressive pictures cannot be decoded in part."""
    picture = save(landscape(1600, 1200), "JPEG", progressive=True)
    return catalog_pb2.EmbedRequest(collection=SHOP, images=[picture] * 100)


def image_search() -> search_pb2.SearchRequest:
    term = composition_pb2.Term(image=save(landscape(800, 600), "JPEG"))
    query = composition_pb2.Query(composition=composition_pb2.Composition(terms=[term]))
    return search_pb2.SearchRequest(collection=SHOP, query=query, limit=3)


def health_stub(server: ServerProcess) -> Any:
    return health_pb2_grpc.HealthStub(server.channel)


def health(server: ServerProcess, seconds: float = SECONDS, service: str = "") -> int:
    request = health_pb2.HealthCheckRequest(service=service)
    status: int = health_stub(server).Check(request, timeout=seconds).status
    return status


# Starting


def test_port_0_announces_the_port_that_answers(server: ServerProcess) -> None:
    assert server.port > 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS):
        pass
    assert health(server) == SERVING
    for service in ("tashihiki.v1.SearchService", "tashihiki.v1.CatalogService"):
        assert health(server, service=service) == SERVING


def test_what_is_suggested_first_is_a_search_that_finds_something(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    colours = ("red", "Navy Blue", "Navy Blue")
    with running(tmp_path / "data", tiny_encoder_bundle) as server:
        make_shop(server)
        labels = [
            catalog_pb2.ItemInput(id=f"i{number}", attributes={"colour": colour, "kind": "mug"})
            for number, colour in enumerate(colours)
        ]
        request = catalog_pb2.UpsertItemsRequest(collection=SHOP, items=labels)
        server.catalog.UpsertItems(request, timeout=SECONDS)
    with running(tmp_path / "data", tiny_encoder_bundle) as server:
        assert server.process.stdout is not None
        lines = iter(server.process.stdout.readline, b"")
        line = next(text for text in map(bytes.decode, lines) if text.startswith("  tashihiki "))
        command = [COMMAND, *shlex.split(line)[1:], "--json"]
        done = subprocess.run(command, capture_output=True, check=True, timeout=SECONDS)
    answer = json.loads(done.stdout)
    assert [term["value"] for term in answer["terms"]] == ["Navy Blue"]
    assert answer["hits"]


def test_what_the_demo_lost_can_be_had_again(tmp_path: Path, tiny_encoder_bundle: Path) -> None:
    ready = tmp_path / "data" / "demo" / "ready"
    ready.parent.mkdir(parents=True)
    ready.touch()
    with running(tmp_path / "data", tiny_encoder_bundle, "--demo") as server:
        items = catalog_pb2.Collection(name="items")
        request = catalog_pb2.CreateCollectionRequest(collection=items)
        server.catalog.CreateCollection(request, timeout=SECONDS)
    with running(tmp_path / "data", tiny_encoder_bundle, "--demo") as server:
        assert server.process.stdout is not None
        server.process.terminate()
        lines = server.process.stdout.read().decode().splitlines()
    (told,) = (line for line in lines if "tashihiki index" in line)
    assert "index faces" in told
    assert "--alias jaffe" in told


def refused(data: Path, bundle: Path, address: str = "127.0.0.1:0", *options: str) -> str:
    """The error and the help with which a server that cannot start says so."""
    ended = serve_to_the_end(data, bundle, address, *options)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
    lines = ended.stderr.splitlines()
    (said,) = (number for number, line in enumerate(lines) if line.startswith("error: "))
    return " ".join(lines[said : said + 2])


def test_a_port_in_use(tmp_path: Path, tiny_encoder_bundle: Path, server: ServerProcess) -> None:
    line = refused(tmp_path / "data", tiny_encoder_bundle, f"127.0.0.1:{server.port}")
    assert "ADDRESS_IN_USE" in line
    assert f"127.0.0.1:{server.port}" in line
    assert "--address" in line
    # It is told before anything that takes long is begun.
    assert not (tmp_path / "data").exists()
    assert health(server) == SERVING


@pytest.mark.parametrize(
    "address", ["127.0.0.1:99999", "no-such-host.invalid:0", "foo..bar:0", "127.0.0.1:x"]
)
def test_an_address_that_is_none(tmp_path: Path, tiny_encoder_bundle: Path, address: str) -> None:
    line = refused(tmp_path / "data", tiny_encoder_bundle, address)
    assert address in line
    assert "ADDRESS_INVALID" in line


def test_a_data_folder_in_use(tmp_path: Path, tiny_encoder_bundle: Path) -> None:
    with running(tmp_path / "data", tiny_encoder_bundle) as first:
        line = refused(tmp_path / "data", tiny_encoder_bundle)
        assert "DATA_FOLDER_IN_USE" in line
        assert str(first.process.pid) in line
        assert "--data" in line
        assert health(first) == SERVING


def test_a_killed_server_leaves_the_folder_free(tmp_path: Path, tiny_encoder_bundle: Path) -> None:
    with running(tmp_path / "data", tiny_encoder_bundle) as first:
        make_shop(first)
        first.kill()
    with running(tmp_path / "data", tiny_encoder_bundle) as second:
        assert len(second.search.Search(image_search(), timeout=SECONDS).hits) == 3


def test_a_file_where_the_data_folder_should_be(tmp_path: Path, tiny_encoder_bundle: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert "DATA_FOLDER_UNUSABLE" in refused(tmp_path / "data", tiny_encoder_bundle)


def test_a_data_folder_that_cannot_be_made(tiny_encoder_bundle: Path) -> None:
    assert "DATA_FOLDER_UNUSABLE" in refused(Path("/proc/tashihiki"), tiny_encoder_bundle)


def test_a_data_folder_that_is_read_only(tmp_path: Path, tiny_encoder_bundle: Path) -> None:
    with small_disk(tmp_path / "disk", "ro,size=1m") as disk:
        assert "DATA_FOLDER_UNUSABLE" in refused(disk, tiny_encoder_bundle)


def test_an_encoder_that_is_none(tmp_path: Path) -> None:
    assert "ENCODER_INVALID" in refused(tmp_path / "data", tmp_path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, tiny_encoder_bundle: Path) -> Path:
    """A data folder with a collection."""
    folder = tmp_path_factory.mktemp("filled") / "data"
    library = Library(folder, tiny_encoder_bundle)
    library.create(SHOP)
    library.close()
    return folder


_GARBAGE = np.random.default_rng(0).bytes(5000)


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("format.json", b"{", "DATA_FOLDER_FORMAT"),
        ("format.json", _GARBAGE, "DATA_FOLDER_FORMAT"),
    ],
)
def test_corrupt_files(
    filled: Path,
    tmp_path: Path,
    tiny_encoder_bundle: Path,
    path: str,
    content: bytes,
    reason: str,
) -> None:
    target = filled / path
    sound = target.read_bytes()
    target.write_bytes(content)
    try:
        line = refused(filled, tiny_encoder_bundle)
    finally:
        target.write_bytes(sound)
    assert reason in line
    assert str(filled) in line


def test_a_wrong_option_is_a_usage_error(tmp_path: Path, tiny_encoder_bundle: Path) -> None:
    ended = serve_to_the_end(
        tmp_path / "data", tiny_encoder_bundle, "127.0.0.1:0", "--log-level", "loud"
    )
    assert ended.returncode == 2
    assert "log-level" in ended.stderr
    assert not (tmp_path / "data").exists()


# Load


def test_health_checks_answer_under_full_load(server: ServerProcess) -> None:
    over = threading.Event()
    answered = []

    def search() -> None:
        request = image_search()
        while not over.is_set():
            answered.append(len(server.search.Search(request, timeout=SECONDS).hits))

    with ThreadPoolExecutor(16) as pool:
        clients = [pool.submit(search) for _ in range(16)]
        eventually(lambda: len(answered) > 16, "answers")
        try:
            checks = [health(server, seconds=2.0) for _ in range(100)]
        finally:
            over.set()
        for client in clients:
            client.result()
    assert checks == [SERVING] * 100
    assert set(answered) == {3}


def test_a_deadline_that_passes_is_kept_and_the_server_serves_on(
    server: ServerProcess, slow: catalog_pb2.EmbedRequest
) -> None:
    for _ in range(3):
        with pytest.raises(grpc.RpcError) as caught:
            server.catalog.Embed(slow, timeout=0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(server.search.Search(image_search(), timeout=SECONDS).hits) == 3


def test_a_cancelled_call_leaves_the_server_serving(
    server: ServerProcess, slow: catalog_pb2.EmbedRequest
) -> None:
    call = server.catalog.Embed.future(slow, timeout=SECONDS)
    time.sleep(0.1)
    assert call.cancel()
    assert len(server.search.Search(image_search(), timeout=SECONDS).hits) == 3


def test_thirty_megabytes_are_read(server: ServerProcess) -> None:
    picture = save(landscape(2_300, 2_200), "BMP")
    request = catalog_pb2.EmbedRequest(collection=SHOP, images=[picture] * 2)
    assert request.ByteSize() > 30_000_000
    first, second = server.catalog.Embed(request, timeout=SECONDS).vectors
    assert list(first.values) == list(second.values)
    assert len(first.values) == DIMENSION


def test_a_message_over_the_limit_is_refused(server: ServerProcess) -> None:
    request = catalog_pb2.EmbedRequest(collection=SHOP, images=[bytes(65 * 2**20)])
    with pytest.raises(grpc.RpcError) as caught:
        server.catalog.Embed(request, timeout=SECONDS)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "67108864" in (caught.value.details() or "")
    assert health(server) == SERVING


@pytest.mark.parametrize("path", ["/tashihiki.v1.SearchService/Search", "/no.such.Service/Do"])
def test_bytes_that_are_no_message_are_an_error_and_no_more(
    server: ServerProcess, path: str
) -> None:
    call: Any = server.channel.unary_unary(path)
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\xff" * 100, timeout=SECONDS)
    assert caught.value.code() in (
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNKNOWN,
    )
    assert health(server) == SERVING


# Ending


@pytest.fixture
def own(tmp_path: Path, tiny_encoder_bundle: Path) -> Iterator[ServerProcess]:
    """A server of this test's own, which it may end."""
    with running(tmp_path / "data", tiny_encoder_bundle, "--grace", "30") as started:
        make_shop(started)
        yield started


def begin(server: ServerProcess, request: catalog_pb2.EmbedRequest) -> Any:
    call = server.catalog.Embed.future(request, timeout=SECONDS)
    # Until the server itself is busy with it: it has nothing else to do.
    eventually(lambda: _is_busy(server), "work")
    assert not call.done()
    return call


def _is_busy(server: ServerProcess) -> bool:
    return float(psutil.Process(server.process.pid).cpu_percent(0.05)) > 60


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_drains(
    own: ServerProcess, slow: catalog_pb2.EmbedRequest, number: signal.Signals
) -> None:
    watch = health_stub(own).Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
    assert next(watch).status == SERVING
    call = begin(own, slow)
    own.process.send_signal(number)
    assert next(watch).status == NOT_SERVING
    watch.cancel()
    with pytest.raises(grpc.RpcError) as caught:
        own.search.Search(image_search(), timeout=SECONDS)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(call.result().vectors) == 100
    assert own.process.wait(SECONDS) == 0
    assert "Traceback" not in own.log


def test_an_idle_server_ends_at_once(own: ServerProcess) -> None:
    begun = time.monotonic()
    assert own.stop() == 0
    # Far below the grace of 30 seconds, which is for calls only.
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_it_without_waiting(
    own: ServerProcess, slow: catalog_pb2.EmbedRequest, number: signal.Signals
) -> None:
    call = begin(own, slow)
    own.process.send_signal(number)
    eventually(lambda: "stopping" in own.log, "the first signal")
    own.process.send_signal(number)
    assert own.process.wait(SECONDS) == -number
    with pytest.raises(grpc.RpcError):
        call.result()


def test_a_call_beyond_the_grace_is_cut_off(
    tmp_path: Path, tiny_encoder_bundle: Path, slow: catalog_pb2.EmbedRequest
) -> None:
    with running(tmp_path / "data", tiny_encoder_bundle, "--grace", "0.1") as started:
        make_shop(started)
        call = begin(started, slow)
        assert started.stop() == 0
        with pytest.raises(grpc.RpcError) as caught:
            call.result()
        error = from_rpc_error(caught.value)
        assert error.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def test_everything_written_is_there_after_the_end(
    own: ServerProcess, tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    assert own.stop() == 0
    assert json.loads((tmp_path / "data" / "format.json").read_text()) == {"format": FORMAT}
    library = Library(tmp_path / "data", tiny_encoder_bundle)
    assert len(library.collection(SHOP)) == 8
    library.close()
