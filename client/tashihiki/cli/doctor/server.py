"""Does the server answer, is it of this release, and are its collections sound?"""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from tashihiki._address import complete_address
from tashihiki.catalog import Collection
from tashihiki.cli.doctor.check import Check, Finding, State, Target
from tashihiki.client import Client
from tashihiki.errors import DeadlineExceededError, UnavailableError, UnknownError
from tashihiki.release import VERSION_KEY, installed_version
from tashihiki.results import HealthStatus
from tashihiki.status import from_rpc_error

HEALTH = "/grpc.health.v1.Health/Check"


def _server(target: Target) -> Iterator[Finding]:
    part = f"server {target.server}"
    with Client(target.server, timeout=target.timeout) as client:
        try:
            health = client.health()
        except UnavailableError as error:
            yield _unreachable(part, target, error.message)
            return
        except DeadlineExceededError:
            yield _unreachable(part, target, f"no answer within {target.timeout:g} s")
            return
        except UnknownError as error:
            # gRPC's answer where it cannot read the address, or no gRPC server is there.
            yield Finding(part, "fault", error.message, "Name a Tashihiki server as host:port.")
            return
        if health is HealthStatus.SERVING:
            yield Finding(part, "ok", "serving")
        else:
            remedy = "Wait until it has started, or start it again where it is stopping."
            yield Finding(part, "fault", f"its health is {health.name}", remedy)
        yield _version(part, target)
        collections = client.list_collections()
    if not collections:
        remedy = "Fill one with `tashihiki index`."
        yield Finding(part, "ok", "no collections", remedy)
    for collection in collections:
        yield _collection(collection)


def _unreachable(part: str, target: Target, fact: str) -> Finding:
    state: State = "fault" if target.server_named else "warning"
    remedy = "Start one with `tashihiki serve`, or name another with --server."
    return Finding(part, state, fact, remedy)


def _version(part: str, target: Target) -> Finding:
    ours, theirs = installed_version(), _told_version(target)
    if theirs == ours:
        return Finding(part, "ok", f"version {theirs}, as here")
    fact = f"version {theirs}" if theirs else "does not tell its version"
    remedy = "Install the same release on both sides."
    return Finding(part, "warning", f"{fact}, here it is {ours}", remedy)


def _told_version(target: Target) -> str:
    with grpc.insecure_channel(complete_address(target.server)) as channel:
        ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(HEALTH)
        try:
            # An empty message asks for the whole server.
            _, call = ask.with_call(b"", timeout=target.timeout)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        told = dict(call.trailing_metadata() or ()).get(VERSION_KEY, "")
    return told if isinstance(told, str) else told.decode()


def _collection(collection: Collection) -> Finding:
    part = f"collection {collection.name}"
    if collection.fault:
        return Finding(
            part, "fault", collection.fault, "`tashihiki verify` says what is wrong in its files."
        )
    facts = [f"{collection.item_count} items"]
    if collection.space_pending:
        facts.append("a space is being fitted")
    if collection.index is not None and collection.index.pending:
        facts.append("an index is being built")
    change = collection.encoder_change
    if change is not None and change.fault:
        remedy = "Mend what it names, or give up with `tashihiki encoder cancel`."
        return Finding(part, "warning", f"its change of encoder stopped: {change.fault}", remedy)
    return Finding(part, "ok", ", ".join(facts))


CHECKS = (Check("server", _server),)
