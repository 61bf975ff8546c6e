"""docs/api.md: what `import tashihiki` offers, from the docstrings of the client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import griffe

from reference.declarations import expressions, fields, methods, quoted, signature
from reference.docstrings import markdown
from reference.pages import entry, joined, page

_CLIENT = Path(__file__).parent.parent / "client"
_INTRODUCTION = """\
Every public name of `tashihiki` and `tashihiki.testing`, by what it is for. [The client](client.md)
shows them at work; [the contract](rpc.md) is for other languages."""
# The modules in the order of reading, and their headings.
_HEADINGS = {
    "client": "Client",
    "aio": "AsyncClient",
    "composition": "Compositions",
    "filters": "Filters",
    "query": "Searches in batches",
    "results": "Answers to searches",
    "catalog": "Collections and items",
    "discovery": "Looking over a collection",
    "snapshots": "Snapshots",
    "config": "Connections",
    "errors": "Errors",
    "testing": "For your tests",
}
_ERROR = "TashihikiError"
_NAMED = """\
These have no names of their own in `tashihiki`; signatures mention them."""

Documented = griffe.Class | griffe.Function


def library_page() -> str:
    """The page."""
    package = griffe.load("tashihiki", search_paths=[_CLIENT], docstring_parser="google")
    assert isinstance(package, griffe.Module)
    public = _public(package)
    modules = {_module(one) for one in public}
    threads = methods(_class_of(package["Client"]))
    parts = [_INTRODUCTION]
    for module in [*_HEADINGS, *sorted(modules - set(_HEADINGS))]:
        members = [one for one in public if _module(one) == module]
        if members:
            heading = f"## {_HEADINGS.get(module, module)}"
            # One name says for itself what it is for.
            purpose = markdown(package[module]) if len(members) > 1 else ""
            entries = (_entry(one, threads) for one in members)
            parts.append(joined([heading, purpose, *entries]))
    named = (_named(one) for one in _mentioned(package, public))
    return page(
        "The Python library",
        "the docstrings of client/tashihiki",
        [*parts, joined(["## In signatures", _NAMED, *named])],
    )


def _public(package: griffe.Module) -> list[Documented]:
    """What `__all__` lists, here and in `testing`, in the order of the sources."""
    found = []
    for module in (package, package["testing"]):
        for name in module.exports or ():
            one = module[str(name)]
            target = one.final_target if isinstance(one, griffe.Alias) else one
            assert isinstance(target, griffe.Class | griffe.Function)
            found.append(target)
    return sorted(found, key=lambda one: (str(one.filepath), one.lineno or 0))


def _module(one: Documented) -> str:
    return one.path.split(".")[1]


def _class_of(one: griffe.Object | griffe.Alias) -> griffe.Class:
    target = one.final_target if isinstance(one, griffe.Alias) else one
    assert isinstance(target, griffe.Class)
    return target


def _entry(one: Documented, threads: Mapping[str, griffe.Function]) -> str:
    if isinstance(one, griffe.Function):
        return joined([f"### {one.name}", signature(one), markdown(one)])
    if any(str(base) == _ERROR for base in one.bases):
        member = one.all_members["code"]
        code = member.final_target if isinstance(member, griffe.Alias) else member
        assert isinstance(code, griffe.Attribute)
        status = str(code.value).rpartition(".")[2]
        return entry(f"`{one.name}`, {status}", markdown(one))
    if _module(one) == "aio":
        return joined([_class(one, {}), *_awaited(one, threads)])
    return _class(one, methods(one))


def _class(one: griffe.Class, shown: Mapping[str, griffe.Function]) -> str:
    made = one.members.get("__init__")
    constructor = ""
    if isinstance(made, griffe.Function) and "dataclass" not in one.labels:
        constructor = joined([signature(made, one.name), markdown(made)])
    entries = (_method(one, name, method) for name, method in shown.items())
    return joined([f"### {one.name}", markdown(one), constructor, fields(one), *entries])


def _method(owner: griffe.Class, name: str, method: griffe.Function) -> str:
    return joined([f"#### {owner.name}.{name}", signature(method), markdown(method)])


def _awaited(one: griffe.Class, threads: Mapping[str, griffe.Function]) -> Iterator[str]:
    """What is as in the other client in a sentence, and the rest."""
    same: dict[bool, list[str]] = {True: [], False: []}
    other = []
    for name, method in methods(one).items():
        if name in threads and _says(method) == _says(threads[name]):
            same[str(method.returns).startswith("AsyncIterator")].append(f"`{name}`")
        else:
            other.append(_method(one, name, method))
    yield f"As those of [Client](#client), awaited: {', '.join(same[False])}."
    yield f"As those of Client, but asynchronous iterators: {', '.join(same[True])}."
    yield from other


def _says(method: griffe.Function) -> tuple[str, list[str]]:
    return markdown(method), [f"{one.name}{one.default}" for one in method.parameters]


def _mentioned(package: griffe.Module, public: Iterable[Documented]) -> list[griffe.Object]:
    """Types of the client that signatures name and `__all__` does not, by name."""
    known = {one.path for one in public}
    found: dict[str, griffe.Object] = {}
    waiting = [each for one in public for each in expressions(one)]
    while waiting:
        for name in waiting.pop().iterate(flat=True):
            path = name.canonical_path if isinstance(name, griffe.ExprName) else ""
            if not path.startswith("tashihiki.") or path in known or ".v1." in path:
                continue
            known.add(path)
            one = package[path.removeprefix("tashihiki.")]
            if isinstance(one, griffe.Class):
                found[path] = one
                waiting += expressions(one)
            elif isinstance(one, griffe.Attribute) and isinstance(one.value, griffe.Expr):
                found[path] = one
                waiting.append(one.value)
    return sorted(found.values(), key=lambda one: one.name)


def _named(one: griffe.Object) -> str:
    if isinstance(one, griffe.Class):
        return _class(one, methods(one))
    assert isinstance(one, griffe.Attribute)
    line = quoted(f"{one.name} = {one.value}")
    return joined([f"### {one.name}", f"```pyi\n{line}\n```", markdown(one)])
