"""Does a configuration file say only what commands understand?"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperGroup

from tashihiki.cli.configuration.file import Configuration
from tashihiki.cli.configuration.names import (
    Command,
    CommandPath,
    Setting,
    settings_of,
    subcommands,
)
from tashihiki.cli.plugins import loaded, whole
from tashihiki.errors import InvalidArgumentError

# What an option's type is written as; every other type is text.
_WRITTEN: dict[Any, tuple[str, tuple[type, ...]]] = {
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
}
_TEXT: tuple[str, tuple[type, ...]] = ("text in quotes", (str,))


def check_configuration(configuration: Configuration, root: TyperGroup) -> None:
    """Compares what the file says with the commands that it names.

    Commands of packages that are not installed whole are passed over.

    Raises:
        InvalidArgumentError: CONFIGURATION_INVALID, with the key as its field.
    """
    if configuration.file is None:
        return
    commands = dict(subcommands(root))
    tables = {name: value for name, value in configuration.content.items() if name in commands}
    for name, table in tables.items():
        command = loaded(commands[name])
        if command is not None:
            _check_table(configuration.file, command, (name,), table)
    others = {key: value for key, value in configuration.content.items() if key not in tables}
    if others:
        _check_shared(configuration.file, others, commands)


def _check_table(file: Path, command: Command, path: CommandPath, table: Any) -> None:
    if not isinstance(table, Mapping):
        _refuse(file, path, "is not a table", f"Write [{'.'.join(path)}] and its options below.")
    settings = {setting.key: setting for setting in settings_of(command, path)}
    below = dict(subcommands(command))
    for key, value in table.items():
        if key in below:
            _check_table(file, below[key], (*path, key), value)
        elif key in settings:
            _check_value(file, command, (*path, key), settings[key], value)
        else:
            _refuse_unknown(file, (*path, key), [*settings, *below])


def _check_shared(file: Path, content: Mapping[str, Any], commands: Mapping[str, Command]) -> None:
    shared: dict[str, list[tuple[Command, Setting]]] = {}
    for path, command in whole(commands):
        for setting in settings_of(command, path):
            if setting.shared:
                shared.setdefault(setting.shared_key, []).append((command, setting))
    for key, value in content.items():
        if key not in shared:
            _refuse_unknown(file, (key,), [*shared, *commands])
        for command, setting in shared[key]:
            _check_value(file, command, (key,), setting, value)


def _check_value(
    file: Path, command: Command, place: CommandPath, setting: Setting, value: Any
) -> None:
    kind = _kind(command, setting)
    many = get_origin(kind) is list
    name, written = _WRITTEN.get(next(iter(get_args(kind)), None) if many else kind, _TEXT)
    wanted = f"a list, each {name}" if many else name
    values = value if many and isinstance(value, list) else [value]
    right = isinstance(value, list) == many and all(
        # A truth value is a number to Python.
        isinstance(one, written) and (bool in written or not isinstance(one, bool))
        for one in values
    )
    if not right:
        _refuse(file, place, f"is {value!r}", f"Write {wanted}.")
    try:
        setting.option.process_value(typer.Context(command, info_name=place[0]), value)
    except typer.BadParameter as error:
        why = error.message.removeprefix("Value error, ")
        _refuse(file, place, f"is {value!r}: {why}", "Write another value.")


def _kind(command: Command, setting: Setting) -> Any:
    """The type that the command's function gives the option, without None."""
    assert command.callback is not None
    kind = get_type_hints(inspect.unwrap(command.callback))[setting.option.name]
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    return kind


def _refuse_unknown(file: Path, place: CommandPath, known: Iterable[str]) -> NoReturn:
    near = get_close_matches(place[-1].replace("_", "-"), known, 1)
    guess = f"Did you mean `{near[0]}`? " if near else ""
    where = " ".join(place[:-1])
    listed = f"`tashihiki config {where} --all`" if where else "`tashihiki config --example`"
    _refuse(file, place, "is not known", f"{guess}{listed} names what is.")


def _refuse(file: Path, place: CommandPath, what: str, remedy: str) -> NoReturn:
    raise InvalidArgumentError(
        f"in {file}, {'.'.join(place)} {what}",
        reason="CONFIGURATION_INVALID",
        field=".".join(place),
        remedy=remedy,
    )
