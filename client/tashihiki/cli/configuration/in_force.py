"""The value of every option, as a command would read it now, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import typer

from tashihiki.cli.configuration.file import Configuration
from tashihiki.cli.configuration.names import Command, CommandPath, Setting, settings_of
from tashihiki.cli.plugins import whole

Source = Literal["environment", "file", "default"]
_SOURCES: dict[str, Source] = {"ENVIRONMENT": "environment", "DEFAULT_MAP": "file"}


@dataclass(frozen=True)
class InForce:
    """An option and its value.

    Attributes:
        command: the words that name the command.
        setting: the option.
        value: as JSON and TOML can say it; None where the command decides or it has to be given.
        source: what said so.
    """

    command: CommandPath
    setting: Setting
    value: Any
    source: Source


def in_force(
    configuration: Configuration, commands: Mapping[str, Command], wanted: CommandPath = ()
) -> Iterator[InForce]:
    """The options of the commands that begin with `wanted`, command by command.

    Raises:
        typer.BadParameter: a variable of the environment has a value that its option refuses.
    """
    for path, command in whole(commands):
        if path[: len(wanted)] != wanted:
            continue
        defaults = configuration.defaults(command, path)
        context = typer.Context(command, info_name=path[-1], default_map=defaults)
        for setting in settings_of(command, path):
            value, source = setting.option.consume_value(context, {})
            if value is not None:
                try:
                    value = setting.option.process_value(context, value)
                except typer.BadParameter as error:
                    raise typer.BadParameter(error.message, param_hint=setting.variable) from None
            yield InForce(path, setting, _plain(value), _SOURCES.get(source.name, "default"))


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value] or None
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value
