"""`tashihiki verify`: is everything in a data folder as it was written?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from tashihiki.cli.output import console, print_json, printable, table

if TYPE_CHECKING:
    from tashihiki_server.verification import Finding

app = typer.Typer(add_completion=False)
DAMAGED = 1


@app.command()
def verify(
    data: Annotated[
        Path, typer.Option(help="Data folder of the server.", envvar="TASHIHIKI_DATA")
    ] = Path("data"),
    json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Read every file of a data folder and say what is wrong.

    No server may be using the folder. The exit status is 1 if anything is damaged, and 0 if
    everything is sound or is made again at the next start.
    """
    from tashihiki_server.verification import verify as findings_of

    with _progress() as advanced:
        findings = findings_of(data, advanced)
    sound = all(finding.state != "damaged" for finding in findings)
    if json:
        print_json({"sound": sound, "findings": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
    if not sound:
        raise typer.Exit(DAMAGED)


@contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=Console(stderr=True, markup=False), transient=True) as progress:
        task = progress.add_task("reading", total=1.0)

        def advanced(part: str, share: float) -> None:
            progress.update(task, description=printable(part), completed=share)

        yield advanced


def _print(findings: list[Finding]) -> None:
    out = console()
    grid = table("part", "state", "what is so")
    for finding in findings:
        cells = (finding.part, finding.state, "" if finding.meaning else finding.fact)
        grid.add_row(*map(printable, cells))
    out.print(grid)
    # Sentences are read in lines, not in narrow columns.
    for finding in findings:
        if finding.meaning:
            out.print(f"\n{printable(finding.part)}")
            for heading, text in (
                ("what is so", finding.fact),
                ("what it means", finding.meaning),
                ("what to do", finding.remedy),
            ):
                out.print(Padding(printable(f"{heading}: {text}"), (0, 0, 0, 2), expand=False))
    damaged = sum(finding.state == "damaged" for finding in findings)
    mended = sum(finding.state == "mendable" for finding in findings)
    if damaged:
        console().print(f"\n{_parts(damaged)} damaged.")
    elif mended:
        lead = "" if any("lost writes" in f.meaning for f in findings) else "Nothing is lost: "
        console().print(f"\n{lead}{_parts(mended)} made again at the next start.")
    else:
        console().print("\nEverything is sound.")


def _parts(count: int) -> str:
    return "1 part is" if count == 1 else f"{count} parts are"


command = typer.main.get_command(app)
