"""Which text of a request an error points into."""

from __future__ import annotations

from google.protobuf.message import Message

from tashihiki.errors import TashihikiError


def pointed(error: TashihikiError, request: Message) -> TashihikiError:
    """The error itself, with the text in which its position counts."""
    if error.position is not None:
        error.expression = _text(request, error.field)
    return error


def _text(message: Message, path: str) -> str:
    name, _, rest = path.partition(".")
    if name not in message.DESCRIPTOR.fields_by_name:
        return ""
    found = getattr(message, name)
    if isinstance(found, Message):
        return _text(found, rest)
    return found if isinstance(found, str) and not rest else ""
