"""`tashihiki config`."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tashihiki.cli.configuration.example import example_file
from tashihiki.cli.configuration.file import Configuration, configuration_of, usual_places
from tashihiki.cli.configuration.in_force import InForce, in_force
from tashihiki.cli.configuration.names import Command, subcommands
from tashihiki.cli.options import Json
from tashihiki.cli.output import console, print_json, printable, table
from tashihiki.cli.plugins import whole

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="COMMAND", help="Only of this one, as `search` or `snapshot create`."),
]
All = Annotated[bool, typer.Option("--all", help="Show those that have their defaults too.")]
Example = Annotated[
    bool, typer.Option("--example", help="Print a file with every option, commented out.")
]


def config(
    context: typer.Context,
    command: Words = None,
    every: All = False,
    json: Json = False,
    example: Example = False,
) -> None:
    """Show which options differ from their defaults, and where each value comes from.

    A flag counts before the environment variable, that before the configuration file, and that
    before the default. Without a file that can be used, what would be in force is shown.
    """
    root = context.find_root().command
    commands = dict(subcommands(root)) if isinstance(root, TyperGroup) else {}
    configuration = configuration_of(context)
    words = tuple(command or ())
    found = list(in_force(configuration, commands, words))
    if not found:
        raise typer.BadParameter(_no_command(" ".join(words), commands), param_hint="COMMAND")
    if example:
        typer.echo(example_file(found), nl=False)
    elif json:
        place = None if configuration.file is None else str(configuration.file)
        print_json({"file": place, "options": [_json(one) for one in found]})
    else:
        _print_file(configuration)
        if every:
            _print_all(found, configuration)
        else:
            _print_changed(found, configuration, words)


def _no_command(name: str, commands: Mapping[str, Command]) -> str:
    paths = [" ".join(path) for path, _ in whole(commands)]
    near = " or ".join(get_close_matches(name, dict.fromkeys([*commands, *paths]), n=2))
    guess = f". Did you mean {near}?" if near else ""
    return f"there is no command {printable(name)}{guess}"


def _print_file(configuration: Configuration) -> None:
    out = console()
    places = [str(place) for place in usual_places()]
    if configuration.fault is not None:
        out.print("no configuration file that can be used")
    elif configuration.file is None:
        out.print(printable(f"no configuration file: {' or '.join(places)}"), soft_wrap=True)
    else:
        out.print(printable(f"configuration file: {configuration.file}"), soft_wrap=True)
        if str(configuration.file) not in places:
            out.print(printable(f"  named instead of {' or '.join(places)}"), soft_wrap=True)
        elif str(configuration.file) != places[0]:
            out.print(printable(f"  there is no {places[0]} here"), soft_wrap=True)
    out.print()


def _print_changed(
    found: list[InForce], configuration: Configuration, words: tuple[str, ...]
) -> None:
    changed: dict[tuple[str, str, str], list[str]] = {}
    for one in found:
        if one.source != "default":
            row = (f"--{one.setting.key}", _text(one), _origin(one, configuration))
            changed.setdefault(row, []).append(" ".join(one.command))
    out = console()
    if changed:
        grid = table("command", "option", "value", "from")
        for row, commands in changed.items():
            shown = ", ".join(commands) if len(commands) <= 3 else f"{len(commands)} commands"
            grid.add_row(shown, *map(printable, row))
        out.print(grid)
        out.print()
    count = sum(one.source == "default" for one in found)
    command = " ".join(["tashihiki config", *words, "--all"])
    told = "1 option has its default" if count == 1 else f"{count} options have their defaults"
    out.print(f"{told}; `{command}` lists all", soft_wrap=True)


def _print_all(found: list[InForce], configuration: Configuration) -> None:
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
    console().print(grid)


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
