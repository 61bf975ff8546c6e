"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from tashihiki.cli.completion import collection_names

# Panel of the help.
CONNECTION = "Connection"

# An option with a variable of its own choice has the same one in every command; see
# `tashihiki.cli.configuration`.
Server: TypeAlias = Annotated[
    str,
    typer.Option(
        "--server",
        rich_help_panel=CONNECTION,
        envvar="TASHIHIKI_SERVER",
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
        help="Seconds for each call.",
    ),
]
LongTimeout: TypeAlias = Annotated[
    float,
    typer.Option("--timeout", rich_help_panel=CONNECTION, min=0.001, help="Seconds for the whole."),
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
