"""Docstrings as Markdown."""

from __future__ import annotations

from itertools import groupby
from textwrap import dedent

import griffe
from griffe import DocstringSectionKind as Kind

from reference.pages import entry, joined

# Shown beside the declarations instead.
_ELSEWHERE = {Kind.attributes}


def markdown(one: griffe.Object) -> str:
    """What a docstring says, its attributes left out."""
    sections = one.docstring.parsed if one.docstring else []
    return joined(_section(section) for section in sections if section.kind not in _ELSEWHERE)


def attribute_texts(one: griffe.Object) -> dict[str, str]:
    """What a docstring says about each attribute, by its name."""
    sections = one.docstring.parsed if one.docstring else []
    return {
        attribute.name: _unwrapped(attribute.description)
        for section in sections
        if section.kind is Kind.attributes
        for attribute in section.value
    }


def _section(section: griffe.DocstringSection) -> str:
    if section.kind is Kind.text:
        return _text(section.value)
    if section.kind is Kind.parameters:
        return "\n".join(_described(one.name, one.description) for one in section.value)
    if section.kind is Kind.raises:
        errors = (_described(str(one.annotation), one.description) for one in section.value)
        return "Raises:\n\n" + "\n".join(errors)
    if section.kind in (Kind.returns, Kind.yields):
        what = " ".join(_unwrapped(one.description) for one in section.value)
        return f"{section.kind.value.capitalize()}: {what[:1].lower()}{what[1:]}"
    raise ValueError(f"a docstring has a section that the reference cannot show: {section.kind}")


def _described(name: str, text: str) -> str:
    return entry(f"`{name}`", _unwrapped(text))


def _text(text: str) -> str:
    """Paragraphs, and what is indented as code that runs."""
    parts = []
    for is_code, group in groupby(text.split("\n\n"), lambda part: part.startswith("    ")):
        if is_code:
            code = dedent("\n\n".join(group))
            parts.append(f"```python\n{code}\n```")
        else:
            parts += map(_unwrapped, group)
    return joined(parts)


def _unwrapped(text: str) -> str:
    return " ".join(text.split())
