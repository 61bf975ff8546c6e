"""`tashihiki doctor`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.padding import Padding

from tashihiki.cli.configuration.file import configuration_of
from tashihiki.cli.doctor import installation, server
from tashihiki.cli.doctor.check import Finding, Target, examine, further_checks
from tashihiki.cli.failure import FAILED
from tashihiki.cli.options import DEFAULT_SERVER, Json, Server, Timeout
from tashihiki.cli.output import console, print_json, printable, table

# Enough for a server that is there.
TIMEOUT = 5.0

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="TASHIHIKI_DATA",
        show_default="none is looked at",
        help="Data folder of a server, to look at too.",
    ),
]


def doctor(
    context: typer.Context,
    data: Data = None,
    json: Json = False,
    server_address: Server = DEFAULT_SERVER,
    timeout: Timeout = TIMEOUT,
) -> None:
    """Check the installation, this machine and the server, and say what to mend.

    The exit code is 1 if something does not work, and 0 if there are warnings at most. A server
    that does not answer is a warning, unless --server names it.
    """
    source = context.get_parameter_source("server_address")
    target = Target(
        server=server_address,
        server_named=source is not None and source.name == "COMMANDLINE",
        timeout=timeout,
        data=data,
        configuration_fault=configuration_of(context).fault,
    )
    checks = [*installation.CHECKS, *further_checks(), *server.CHECKS]
    found = list(examine(target, checks))
    sound = all(finding.state != "fault" for finding in found)
    if json:
        print_json({"sound": sound, "findings": [asdict(finding) for finding in found]})
    else:
        _print(found)
    if not sound:
        raise typer.Exit(FAILED)


def _print(found: list[Finding]) -> None:
    grid = table("part", "state", "what is so")
    for one in found:
        grid.add_row(*(printable(text) for text in (one.part, one.state, one.fact)))
    out = console()
    out.print(grid)
    # Sentences are read in lines, not in narrow columns.
    for one in found:
        if one.remedy and one.state != "ok":
            out.print(f"\n{printable(one.part)}")
            out.print(Padding(printable(f"what to do: {one.remedy}"), (0, 0, 0, 2), expand=False))
    counts = {state: sum(one.state == state for one in found) for state in ("fault", "warning")}
    if any(counts.values()):
        said = [f"{count} {state}{'s' * (count > 1)}" for state, count in counts.items() if count]
        out.print(f"\n{', '.join(said)}.")
    else:
        out.print("\nEverything is in order.")
