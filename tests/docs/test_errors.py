"""docs/errors.md names the reasons that the sources give, and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from docs.markdown import DOCS

SOURCES = [DOCS.parent / package for package in ("client", "server", "training")]
_REASON = re.compile(r"[A-Z]+(?:_[A-Z]+)*")
_NAMED = re.compile(rf"`({_REASON.pattern})`")
# Imported into other modules, unlike the helpers that a module has for itself.
_SHARED_HELPERS = {"unknown"}


def test_the_document_names_every_reason_and_no_other() -> None:
    given = set(_reasons())
    assert len(given) > 50
    named = set(_NAMED.findall((DOCS / "errors.md").read_text(encoding="utf-8")))
    assert sorted(given - named) == [], "the document lacks these"
    assert sorted(named - given) == [], "no source gives these"


def _reasons() -> Iterator[str]:
    for path in _files():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        helpers = _SHARED_HELPERS | _helpers(tree)
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            yield from _of(call, helpers)


def _files() -> Iterator[Path]:
    for source in SOURCES:
        yield from sorted(source.rglob("*.py"))


def _helpers(tree: ast.Module) -> set[str]:
    """The functions of a module whose first argument is a reason."""
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.args.args[:1]
        if node.args.args[0].arg == "reason"
    }


def _of(call: ast.Call, helpers: set[str]) -> Iterator[str]:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "reason"]
    if isinstance(call.func, ast.Name) and call.func.id in helpers:
        given += call.args[:1]
    for value in given:
        for node in ast.walk(value):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and _REASON.fullmatch(text):
                yield text
