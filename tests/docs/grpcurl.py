"""Stands in for `grpcurl`, which pip cannot install: all that it knows, it asks the server for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


def install(folder: Path) -> None:
    """Puts a command `grpcurl` into a folder."""
    command = folder / "grpcurl"
    tests = Path(__file__).parents[1]
    command.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(tests)!r})\n"
        "from docs.grpcurl import main\nmain(sys.argv[1:])\n"
    )
    command.chmod(0o755)


def main(words: Sequence[str]) -> None:
    """Lists the services, or makes one unary call with a request in JSON."""
    parser = argparse.ArgumentParser("grpcurl", allow_abbrev=False)
    parser.add_argument("-plaintext", action="store_true", required=True)
    parser.add_argument("-d", dest="data", default="{}")
    parser.add_argument("address")
    parser.add_argument("symbol")
    given = parser.parse_args(words)
    with grpc.insecure_channel(given.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        if given.symbol == "list":
            print("\n".join(database.get_services()))  # noqa: T201
            return
        service, _, name = given.symbol.partition("/")
        method = DescriptorPool(database).FindServiceByName(service).methods_by_name[name]
        request = json_format.Parse(given.data, GetMessageClass(method.input_type)())
        call: grpc.UnaryUnaryMultiCallable[bytes, Message] = channel.unary_unary(
            f"/{given.symbol}",
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        answer = call(request.SerializeToString())
        print(json_format.MessageToJson(answer))  # noqa: T201
