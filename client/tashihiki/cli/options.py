"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from tashihiki._address import complete_address
from tashihiki.cli.completion import collection_names
from tashihiki.errors import InvalidArgumentError

# Panel of the help.
CONNECTION = "Connection"

# A year in seconds; gRPC's clock runs over long before infinity.
_LONGEST = 365 * 24 * 3600.0


def checked_address(address: str | None) -> str | None:
    """`address`, where somebody might be found at it.

    Raises:
        typer.BadParameter: it is empty, a URL, or has characters that no address has.
    """
    if address is None:
        return None
    if not address.strip() or not address.isprintable():
        raise typer.BadParameter(f"{address!r} is no address. Write host:port.")
    try:
        complete_address(address)
    except InvalidArgumentError as error:
        raise typer.BadParameter(f"{error.message}. {error.remedy}") from None
    return address


def checked_timeout(seconds: float) -> float:
    """`seconds`, where they are a number and at most a year.

    Raises:
        typer.BadParameter: they are neither.
    """
    # Nothing compares with NaN.
    if not seconds <= _LONGEST:
        raise typer.BadParameter(f"{seconds} is not at most {_LONGEST:.0f} seconds, a year.")
    return seconds


# An option with a variable of its own choice has the same one in every command; see
# `tashihiki.cli.configuration`.
Server: TypeAlias = Annotated[
    str,
    typer.Option(
        "--server",
        rich_help_panel=CONNECTION,
        envvar="TASHIHIKI_SERVER",
        callback=checked_address,
        help="The server's host:port.",
    ),
]
Timeout: TypeAlias = Annotated[
    float,
    typer.Option(
        "--timeout",
        rich_help_panel=CONNECTION,
        envvar="TASHIHIKI_TIMEOUT",
        min=0.001,
        callback=checked_timeout,
        help="Seconds for each call.",
    ),
]
LongTimeout: TypeAlias = Annotated[
    float,
    typer.Option(
        "--timeout",
        rich_help_panel=CONNECTION,
        min=0.001,
        callback=checked_timeout,
        help="Seconds for the whole.",
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Where: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--where", help="Only these items: `colour in (red, blue) and metadata.price < 20`."
    ),
]
CollectionName: TypeAlias = Annotated[
    str, typer.Argument(help="The collection's name.", autocompletion=collection_names)
]

DEFAULT_SERVER = "localhost:50051"
DEFAULT_TIMEOUT = 10.0
DEFAULT_LONG_TIMEOUT = 3600.0
