"""docs/rpc.md: services, messages and enumerations, from the comments of the contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
    SourceCodeInfo,
)

from reference.pages import entry, joined, page

# What to read first.
_ORDER = ("search", "composition", "filter", "catalog", "discovery", "maintenance")
_PACKAGE = ".tashihiki.v1."
_INTRODUCTION = """\
The contract of package `tashihiki.v1`, file by file; the files lie in
[`proto/tashihiki/v1`](../proto/tashihiki/v1). [Errors](errors.md) lists the reasons. In Python,
[the client](client.md) speaks it for you."""

# Places of what a message is made of among the numbers of a path; descriptor.proto has them.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_FIELDS, _METHODS, _VALUES = 2, 2, 2


@dataclass(frozen=True)
class _Comments:
    """The comments of a file, by the paths of what they are about."""

    file: FileDescriptorProto

    def about(self, *path: int) -> str:
        """The comment in front of something, its lines made paragraphs again."""
        return "".join(_unwrapped(one.leading_comments) for one in self._at(path))

    def ahead(self, *path: int) -> str:
        """A comment that stands by itself above something."""
        detached = [text for one in self._at(path) for text in one.leading_detached_comments]
        return joined(map(_unwrapped, detached))

    def _at(self, path: Sequence[int]) -> Iterator[SourceCodeInfo.Location]:
        wanted = list(path)
        return (one for one in self.file.source_code_info.location if list(one.path) == wanted)


def contract_page(described: FileDescriptorSet) -> str:
    """The page of the files of a contract."""
    callers = _callers(described)
    files = {file.name.rpartition("/")[2].removesuffix(".proto"): file for file in described.file}
    order = [*_ORDER, *sorted(set(files) - set(_ORDER))]
    parts = [_INTRODUCTION, *(_file(files[name], callers) for name in order)]
    return page("The contract", "proto/tashihiki/v1", parts)


def _callers(described: FileDescriptorSet) -> dict[str, str]:
    """What a message that has no comment is for: the method that takes or returns it."""
    found = {}
    for service in (one for file in described.file for one in file.service):
        for method in service.method:
            name = f"{service.name}.{method.name}"
            link = f"[{name}](#{name.replace('.', '').lower()})"
            found[method.input_type] = f"What {link} takes."
            found[method.output_type] = f"What {link} returns."
    return found


def _file(file: FileDescriptorProto, callers: Mapping[str, str]) -> str:
    comments = _Comments(file)
    return joined(
        [
            f"## {file.name}",
            *(_service(one, n, comments) for n, one in enumerate(file.service)),
            *(_message(one, n, comments, callers) for n, one in enumerate(file.message_type)),
            *(_enum(one, n, comments) for n, one in enumerate(file.enum_type)),
        ]
    )


def _service(service: ServiceDescriptorProto, number: int, comments: _Comments) -> str:
    methods = (
        joined([_method(one, service.name), comments.about(_SERVICES, number, _METHODS, place)])
        for place, one in enumerate(service.method)
    )
    return joined([f"### {service.name}", comments.about(_SERVICES, number), *methods])


def _method(method: MethodDescriptorProto, service: str) -> str:
    answer = _linked(method.output_type)
    stream = "a stream of " if method.server_streaming else ""
    takes = f"Takes {_linked(method.input_type)}, returns {stream}{answer}."
    return joined([f"#### {service}.{method.name}", takes])


def _message(
    message: DescriptorProto, number: int, comments: _Comments, callers: Mapping[str, str]
) -> str:
    path = (_MESSAGES, number)
    purpose = comments.about(*path) or callers.get(f"{_PACKAGE}{message.name}", "")
    fields = _entries(message, path, comments) or "It has no fields."
    return joined([f"### {message.name}", purpose, fields])


def _entries(message: DescriptorProto, path: tuple[int, int], comments: _Comments) -> str:
    """The fields, those of a oneof together."""
    maps = {one.name: one for one in message.nested_type if one.options.map_entry}
    parts: list[str] = []
    for choice, group in groupby(enumerate(message.field), lambda pair: _choice(pair[1])):
        depth = 0 if choice is None else 1
        lines = [] if choice is None else [f"- one of (`{message.oneof_decl[choice].name}`):"]
        for place, field in group:
            where = (*path, _FIELDS, place)
            if above := comments.ahead(*where):
                parts += ["\n".join(lines), above]
                lines = []
            head = f"`{field.name}`, {_type(field, maps)}"
            lines.append(entry(head, comments.about(*where), depth))
        parts.append("\n".join(lines))
    return _lists(parts)


def _lists(parts: Iterable[str]) -> str:
    """Entries that follow each other make one list; a sentence stands by itself."""
    text = ""
    for part in filter(None, parts):
        both = part.startswith("-") and text.rpartition("\n\n")[2].lstrip().startswith("-")
        text += ("\n" if both else "\n\n" if text else "") + part
    return text


def _choice(field: FieldDescriptorProto) -> int | None:
    real = field.HasField("oneof_index") and not field.proto3_optional
    return field.oneof_index if real else None


def _enum(enum: EnumDescriptorProto, number: int, comments: _Comments) -> str:
    path = (_ENUMS, number)
    values = (
        entry(f"`{one.name}` = {one.number}", comments.about(*path, _VALUES, place))
        for place, one in enumerate(enum.value)
    )
    return joined([f"### {enum.name}", comments.about(*path), "\n".join(values)])


def _type(field: FieldDescriptorProto, maps: dict[str, DescriptorProto]) -> str:
    kind = field.type_name.rpartition(".")[2]
    if kind in maps:
        key, value = maps[kind].field
        return f"map from {_type(key, {})} to {_type(value, {})}"
    plain = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    name = _linked(field.type_name) if field.type_name else plain
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {name}"
    return f"optional {name}" if field.proto3_optional else name


def _linked(type_name: str) -> str:
    name = type_name.removeprefix(_PACKAGE)
    if name == type_name:
        return f"`{type_name.lstrip('.')}`"
    return f"[{name}](#{name.lower()})"


def _unwrapped(comment: str) -> str:
    """Lines joined to paragraphs and to the entries of lists."""
    text, listing = "", False
    for line in comment.rstrip().splitlines():
        words = line.strip()
        begins = words.startswith("- ")
        hangs = line.startswith("  ")
        if begins:
            text += f"\n{words}"
        elif not words or (listing and not hangs):
            text += f"\n\n{words}"
        else:
            text += words if not text or text.endswith("\n") else f" {words}"
        listing = begins or (listing and hangs)
    return text
