"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Server: TypeAlias = Annotated[
    str, typer.Option("--server", envvar="TASHIHIKI_SERVER", help="The server's host:port.")
]
Timeout: TypeAlias = Annotated[
    float, typer.Option("--timeout", min=0.001, help="Seconds for each call.")
]
LongTimeout: TypeAlias = Annotated[
    float, typer.Option("--timeout", min=0.001, help="Seconds for the whole.")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Where: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--where", help="Only these items: `colour in (red, blue) and metadata.price < 20`."
    ),
]
CollectionName: TypeAlias = Annotated[str, typer.Argument(help="The collection's name.")]

DEFAULT_SERVER = "localhost:50051"
DEFAULT_TIMEOUT = 10.0
DEFAULT_LONG_TIMEOUT = 3600.0
