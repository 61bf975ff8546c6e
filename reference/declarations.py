"""Signatures and fields, as the sources declare them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import griffe
from griffe import ParameterKind

from reference.docstrings import attribute_texts
from reference.pages import entry

_WIDTH = 92
_STARRED = (ParameterKind.keyword_only, ParameterKind.var_positional)


def signature(function: griffe.Function, name: str = "") -> str:
    """A block with the signature, under another name where it is given."""
    bound = isinstance(function.parent, griffe.Class)
    parameters = list(_parameters(list(function.parameters)[1 if bound else 0 :]))
    returns = "" if name or function.returns is None else f" -> {function.returns}"
    head = name or f"{_keywords(function)} {function.name}"
    line = f"{head}({', '.join(parameters)}){returns}"
    if len(line) > _WIDTH:
        rows = "".join(f"    {one},\n" for one in parameters)
        line = f"{head}(\n{rows}){returns}"
    return f"```pyi\n{quoted(line)}\n```"


def fields(one: griffe.Class) -> str:
    """The public attributes, each with its type and what the docstring says about it."""
    texts = attribute_texts(one)
    if any(str(base).endswith("Enum") for base in one.bases):
        members = ((f"`{name}`", f"`{quoted(str(one.value))}`") for name, one in _attributes(one))
        return "\n".join(entry(head, value) for head, value in members)
    lines = []
    for name, attribute in _attributes(one):
        kind = f": {attribute.annotation}" if attribute.annotation else ""
        # What `__init__` assigns is no default.
        default = f" = {attribute.value}" if kind and attribute.value is not None else ""
        head = f"`{quoted(name + kind + default)}`"
        summary = attribute.docstring.value if attribute.docstring else ""
        lines.append(entry(head, texts.pop(name, "") or " ".join(summary.split())))
    if texts:
        raise ValueError(f"{one.path} has no attributes {', '.join(texts)}")
    return "\n".join(lines)


def methods(one: griffe.Class) -> dict[str, griffe.Function]:
    """The public methods, inherited ones included, in the order of the sources."""
    found = {}
    for name, member in one.all_members.items():
        function = member.final_target if isinstance(member, griffe.Alias) else member
        if isinstance(function, griffe.Function) and not name.startswith("_"):
            found[name] = function
    return dict(sorted(found.items(), key=lambda pair: pair[0] not in one.members))


def expressions(one: griffe.Class | griffe.Function) -> Iterator[griffe.Expr]:
    """The annotations that a reader sees."""
    if isinstance(one, griffe.Function):
        found = [one.returns, *(parameter.annotation for parameter in one.parameters)]
        yield from (each for each in found if isinstance(each, griffe.Expr))
        return
    for method in methods(one).values():
        yield from expressions(method)
    made = one.members.get("__init__")
    if isinstance(made, griffe.Function):
        yield from expressions(made)
    for _, attribute in _attributes(one):
        if isinstance(attribute.annotation, griffe.Expr):
            yield attribute.annotation


def _attributes(one: griffe.Class) -> Iterator[tuple[str, griffe.Attribute]]:
    own_first = sorted(one.all_members.items(), key=lambda pair: pair[0] not in one.members)
    for name, member in own_first:
        target = member.final_target if isinstance(member, griffe.Alias) else member
        if isinstance(target, griffe.Attribute) and not name.startswith("_"):
            yield name, target


def quoted(code: str) -> str:
    """Code with the quotes of the sources, where griffe writes others."""
    return code if '"' in code else code.replace("'", '"')


def _keywords(function: griffe.Function) -> str:
    iterates = str(function.returns).startswith("AsyncIterator")
    return "async def" if "async" in function.labels and not iterates else "def"


def _parameters(parameters: Iterable[griffe.Parameter]) -> Iterator[str]:
    starred = False
    for one in parameters:
        if one.kind is ParameterKind.keyword_only and not starred:
            yield "*"
        starred = starred or one.kind in _STARRED
        kind = f": {one.annotation}" if one.annotation else ""
        if one.kind is ParameterKind.var_positional:
            yield f"*{one.name}{kind}"
        elif one.kind is ParameterKind.var_keyword:
            yield f"**{one.name}{kind}"
        else:
            yield f"{one.name}{kind}" + ("" if one.default is None else f" = {one.default}")
