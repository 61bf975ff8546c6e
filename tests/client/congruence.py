"""The same request to the real server and to the fake one, and what of the answers must agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from grpc_status import rpc_status

from calls import failure_of
from serving import Served
from tashihiki.testing import FakeServer
from tiny_encoder import DIMENSION

# Fields that mean the same and need not hold the same; docs/testing.md tells of each.
DIFFERENT = {
    "Collection": {"encoder", "generation", "create_time", "index", "space_diagnostics"},
    "Item": {"create_time", "update_time", "vector", "thumbnail"},
    "Hit": {"similarity", "contributions", "blocks", "posterior", "thumbnail"},
    "SearchResponse": {
        *("norm", "generation", "route", "vector", "blocks", "next_page_token", "timings"),
    },
}
# What the fake refuses; docs/testing.md tells of each.
NOT_IN_FAKE = {
    "rpc": {
        *("FindDuplicates", "SuggestLabels", "SampleItems"),
        *("CreateSnapshot", "ListSnapshots", "DeleteSnapshot", "RestoreSnapshot"),
        *("ChangeEncoder", "RollBackEncoder", "CancelEncoderChange"),
    },
    "option": {"rerank", "diversity"},
}
_DIFFERENT = frozenset().union(*DIFFERENT.values())
_ROOM = [("grpc.max_receive_message_length", 64 * 2**20)]


@dataclass
class Side:
    """One of the two servers.

    Attributes:
        served: as `calls` takes it; the library is the real server's in both.
        etags: in the order in which they were first told, which must be the same on both sides.
    """

    served: Served
    etags: list[str] = field(default_factory=list)

    def outcome(self, ask: Callable[[Served], Message]) -> dict[str, Any]:
        """What the call came to, without what may differ."""
        try:
            answer = ask(self.served)
        except grpc.RpcError as error:
            return {"failure": told(error)}
        return cast(dict[str, Any], self._comparable(_dict(answer)))

    def _comparable(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: self._etag(part) if key in ("etag", "etags") else self._comparable(part)
                for key, part in sorted(value.items())
                if key not in _DIFFERENT
            }
        if isinstance(value, list):
            return [self._comparable(part) for part in value]
        return value

    def _etag(self, value: str | list[str]) -> Any:
        if isinstance(value, list):
            return [self._etag(one) for one in value]
        if value and value not in self.etags:
            self.etags.append(value)
        return self.etags.index(value) if value else value


@dataclass
class Both:
    """The real server and the fake one."""

    real: Side
    fake: Side

    def agree(self, ask: Callable[[Served], Message]) -> dict[str, Any]:
        """Asks both; returns what they have in common, which is all that must not differ."""
        real = self.real.outcome(ask)
        assert self.fake.outcome(ask) == real
        return real


@contextmanager
def beside(real: Served) -> Iterator[Both]:
    """A fake server beside a real one, until the block ends."""
    with (
        FakeServer(dimension=DIMENSION) as fake,
        grpc.insecure_channel(fake.address, _ROOM) as channel,
    ):
        yield Both(Side(real), Side(Served(real.library, fake.address, channel)))


def _dict(answer: Message) -> dict[str, Any]:
    content: dict[str, Any] = json_format.MessageToDict(answer, preserving_proto_field_name=True)
    # Which hits are equally good is another matter.
    content.get("hits", []).sort(key=lambda hit: hit["id"])
    return content


def calling(method: str, request: Message) -> Callable[[Served], Message]:
    """A call of SearchService or CatalogService."""

    def call(served: Served) -> Message:
        stub = served.search if hasattr(served.search, method) else served.catalog
        answer: Message = getattr(stub, method)(request)
        return answer

    return call


def told(error: grpc.RpcError) -> dict[str, Any]:
    """What a failed call said."""
    status = rpc_status.from_call(cast(grpc.Call, error))
    assert status is not None, error
    return vars(failure_of(status))
