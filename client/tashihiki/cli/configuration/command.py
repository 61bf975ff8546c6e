"""`tashihiki config`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tashihiki.cli.configuration.example import example_file
from tashihiki.cli.configuration.file import Configuration, configuration_of, usual_places
from tashihiki.cli.configuration.in_force import InForce, in_force
from tashihiki.cli.configuration.names import subcommands
from tashihiki.cli.options import Json
from tashihiki.cli.output import console, print_json, printable, table

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="COMMAND", help="Only of this one, as `search` or `snapshot create`."),
]
Example = Annotated[
    bool, typer.Option("--example", help="Print a file with every option, commented out.")
]


def config(
    context: typer.Context, command: Words = None, json: Json = False, example: Example = False
) -> None:
    """Show which options are in force, and where each comes from.

    A flag counts before the environment variable, that before the configuration file, and that
    before the default. Without a file that can be used, what would be in force is shown.
    """
    root = context.find_root().command
    commands = dict(subcommands(root)) if isinstance(root, TyperGroup) else {}
    configuration = configuration_of(context)
    words = tuple(command or ())
    found = list(in_force(configuration, commands, words))
    if not found:
        raise typer.BadParameter(f"there is no command {' '.join(words)}", param_hint="COMMAND")
    if example:
        typer.echo(example_file(found), nl=False)
    elif json:
        place = None if configuration.file is None else str(configuration.file)
        print_json({"file": place, "options": [_json(one) for one in found]})
    else:
        _print(found, configuration)


def _print(found: list[InForce], configuration: Configuration) -> None:
    out = console()
    if configuration.fault is not None:
        out.print("no configuration file that can be used")
    elif configuration.file is None:
        places = " or ".join(str(place) for place in usual_places())
        out.print(printable(f"no configuration file: {places}"), soft_wrap=True)
    else:
        out.print(printable(f"configuration file: {configuration.file}"), soft_wrap=True)
    grid = table("command", "option", "value", "from", "variable")
    before: tuple[str, ...] = ()
    for one in found:
        command = "" if one.command == before else " ".join(one.command)
        before = one.command
        grid.add_row(
            command,
            f"--{one.setting.key}",
            printable(_text(one)),
            printable(_origin(one, configuration)),
            one.setting.variable,
        )
    out.print()
    out.print(grid)


def _text(one: InForce) -> str:
    if one.value is None:
        shown = one.setting.option.show_default
        return shown if isinstance(shown, str) else ""
    if isinstance(one.value, bool):
        return "true" if one.value else "false"
    return ", ".join(one.value) if isinstance(one.value, list) else str(one.value)


def _origin(one: InForce, configuration: Configuration) -> str:
    if one.source == "environment":
        return one.setting.variable
    return str(configuration.file) if one.source == "file" else "default"


def _json(one: InForce) -> dict[str, Any]:
    return {
        "command": " ".join(one.command),
        "option": f"--{one.setting.key}",
        "value": one.value,
        "source": one.source,
        "variable": one.setting.variable,
    }
