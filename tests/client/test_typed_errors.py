from __future__ import annotations

import grpc
import pytest

from client.scripted_server import ScriptedServer
from tashihiki import (
    AbortedError,
    AlreadyExistsError,
    AsyncClient,
    CancelledError,
    Client,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    RetryConfig,
    TashihikiError,
    UnavailableError,
    UnknownError,
)
from tashihiki._address import complete_address
from tashihiki.status import from_status, to_status

KINDS = [
    AbortedError,
    AlreadyExistsError,
    CancelledError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
    UnknownError,
]


def sample(kind: type[TashihikiError]) -> TashihikiError:
    details = {"position": "7", "candidates": "colour:red, trim:red"}
    return kind(
        "Wrong: “赤”.", reason="SO", field="query", remedy="Do.", details=details, retry_delay=1.5
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_an_error_arrives_as_it_was_raised(
    kind: type[TashihikiError], server: ScriptedServer
) -> None:
    sent = sample(kind)
    server.answer("GetCollection", sent)
    with (
        Client(server.target, retry=RetryConfig(max_attempts=1)) as client,
        pytest.raises(kind) as caught,
    ):
        client.get_collection("faces")
    async with AsyncClient(server.target, retry=RetryConfig(max_attempts=1)) as async_client:
        with pytest.raises(kind) as caught_async:
            await async_client.get_collection("faces")
    for error in (caught.value, caught_async.value):
        assert vars(error) == vars(sent)
        assert error.code is kind.code
        assert isinstance(error.__cause__, grpc.RpcError)


@pytest.mark.parametrize(
    "code",
    [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.DATA_LOSS],
)
def test_a_foreign_status_keeps_its_code_and_message(
    code: grpc.StatusCode, server: ScriptedServer, client: Client
) -> None:
    server.answer("GetCollection", lambda request, context: context.abort(code, "by a proxy"))
    with pytest.raises(UnknownError, match="by a proxy") as caught:
        client.get_collection("faces")
    assert (caught.value.code, caught.value.reason) == (code, code.name)
    assert from_status(to_status(caught.value)).code is code


def test_a_crash_of_the_server_is_an_error_too(server: ScriptedServer, client: Client) -> None:
    server.answer("GetCollection", RuntimeError("oops"))
    with pytest.raises(UnknownError, match="oops"):
        client.get_collection("faces")


def test_an_unreachable_server_is_named(server: ScriptedServer) -> None:
    server.stop()
    with Client(server.target) as client, pytest.raises(UnavailableError) as caught:
        client.get_collection("faces")
    assert str(caught.value).startswith(f"UNAVAILABLE: cannot reach {server.target} (")
    assert "tashihiki serve" in caught.value.remedy
    assert caught.value.details["cause"]


@pytest.mark.parametrize(
    ("written", "complete"),
    [
        ("localhost", "localhost:50051"),
        ("10.0.0.1", "10.0.0.1:50051"),
        ("[::1]", "[::1]:50051"),
        ("::1", "[::1]:50051"),
        ("search.example:7", "search.example:7"),
        ("dns:///search.example:7", "dns:///search.example:7"),
        ("unix:/tmp/socket", "unix:/tmp/socket"),
    ],
)
def test_an_address_without_a_port_gets_ours(written: str, complete: str) -> None:
    assert complete_address(written) == complete


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_url_is_no_address(kind: type[Client] | type[AsyncClient]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        kind("http://localhost:50051")
    assert caught.value.reason == "ADDRESS_INVALID"


def test_a_request_over_the_message_limit(server: ScriptedServer) -> None:
    options = [("grpc.max_send_message_length", 1000)]
    with Client(server.target, options=options) as client, pytest.raises(ResourceExhaustedError):
        client.embed("faces", [bytes(2000)])


def test_messages_of_many_megabytes_pass(server: ScriptedServer, client: Client) -> None:
    client.search("items", "this image", this_image=bytes(40 << 20))
    assert len(server.received("Search")[0].query.bindings.this_image) == 40 << 20
