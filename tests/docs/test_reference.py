"""docs/api.md and docs/rpc.md are what docstrings and the contract make, and leave nothing out."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import tashihiki
from reference.contract import contract_page
from reference.descriptors import described
from reference.library import library_page
from reference.pages import API, RPC
from tashihiki import AsyncClient, Client, testing
from tashihiki.v1 import (
    catalog_pb2,
    composition_pb2,
    discovery_pb2,
    filter_pb2,
    maintenance_pb2,
    search_pb2,
)

CONTRACT = (
    search_pb2,
    composition_pb2,
    filter_pb2,
    catalog_pb2,
    discovery_pb2,
    maintenance_pb2,
)


def headings(page: Path) -> set[str]:
    return set(re.findall(r"^#{3,4} (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", [API, RPC], ids=lambda page: page.name)
def test_a_page_is_generated(page: Path) -> None:
    made = library_page() if page == API else contract_page(described())
    assert page.read_text(encoding="utf-8") == made, "run make reference"


def test_every_public_name_is_there() -> None:
    text = API.read_text(encoding="utf-8")
    for name in [*tashihiki.__all__, *testing.__all__]:
        assert f"### {name}\n" in text or f"- `{name}`, " in text


def test_every_verb_and_argument_is_there() -> None:
    text = API.read_text(encoding="utf-8")
    verbs = {name for name, _ in inspect.getmembers(Client, callable) if not name.startswith("_")}
    assert len(verbs) > 20
    for verb in verbs:
        assert callable(getattr(AsyncClient, verb))
        section = text.partition(f"#### Client.{verb}\n")[2].partition("\n#")[0]
        for argument in inspect.signature(getattr(Client, verb)).parameters:
            assert argument == "self" or re.search(rf"\b{argument}: ", section), (verb, argument)


def test_every_method_message_and_value_of_the_contract_is_there() -> None:
    found, text = headings(RPC), RPC.read_text(encoding="utf-8")
    for file in (module.DESCRIPTOR for module in CONTRACT):
        for service in file.services_by_name.values():
            assert {f"{service.name}.{method.name}" for method in service.methods} <= found
        assert {*file.message_types_by_name, *file.enum_types_by_name} <= found
        for message in file.message_types_by_name.values():
            section = text.partition(f"### {message.name}\n")[2].partition("\n###")[0]
            assert all(f"- `{field.name}`, " in section for field in message.fields)
        for enum in file.enum_types_by_name.values():
            assert all(f"- `{value.name}` = {value.number}" in text for value in enum.values)


def test_links_of_the_contract_lead_somewhere() -> None:
    anchors = {heading.replace(".", "").lower() for heading in headings(RPC)}
    linked = set(re.findall(r"\]\(#([^)]+)\)", RPC.read_text(encoding="utf-8")))
    assert linked
    assert linked <= anchors
