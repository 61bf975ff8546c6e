"""The configuration file: which one it is, and what it says."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from tashihiki.cli.configuration.names import Command, CommandPath, settings_of, subcommands
from tashihiki.errors import InvalidArgumentError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "tashihiki.toml"
_KEPT_IN = "tashihiki.configuration"


@dataclass(frozen=True)
class Configuration:
    """What the file in force says.

    Attributes:
        file: where it was read, or None where there is none.
        content: tables for commands, and the keys that several of them share.
        fault: why it cannot be used; it then says nothing.
    """

    file: Path | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    fault: InvalidArgumentError | None = None

    def defaults(self, command: Command, path: CommandPath) -> dict[str, Any]:
        """What the file says of a command and those below it, as a context's default map."""
        table = self.table(path)
        found: dict[str, Any] = {}
        for setting in settings_of(command, path):
            if setting.key in table:
                found[setting.option.name] = table[setting.key]
            elif setting.shared and setting.shared_key in self.content:
                found[setting.option.name] = self.content[setting.shared_key]
        for name, below in subcommands(command):
            found[name] = self.defaults(below, (*path, name))
        return found

    def table(self, path: CommandPath) -> Mapping[str, Any]:
        """The table of a command; empty where it has none."""
        table: Any = self.content
        for name in path:
            table = table.get(name, {}) if isinstance(table, Mapping) else {}
        return table if isinstance(table, Mapping) else {}

    def keep(self, context: typer.Context) -> None:
        """Keeps it for `configuration_of`."""
        context.meta[_KEPT_IN] = self


def configuration_of(context: typer.Context) -> Configuration:
    """The configuration that the root command keeps."""
    kept = context.meta.get(_KEPT_IN)
    return kept if isinstance(kept, Configuration) else Configuration()


def usual_places() -> list[Path]:
    """Where the file is looked for when nobody names it, the first one counts."""
    return [Path(FILE_NAME), Path(typer.get_app_dir("tashihiki")) / FILE_NAME]


def read_configuration(named: Path | None) -> Configuration:
    """Reads the file that was named, else the first in the usual places.

    Raises:
        InvalidArgumentError: CONFIGURATION_NOT_FOUND or CONFIGURATION_INVALID.
    """
    file = named or next((place for place in usual_places() if _is_there(place)), None)
    if file is None:
        return Configuration()
    try:
        return Configuration(file, tomllib.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InvalidArgumentError(
            f"there is no configuration file {file}",
            reason="CONFIGURATION_NOT_FOUND",
            field="config",
            remedy="Name one that is there with --config or TASHIHIKI_CONFIG, or none;"
            " `tashihiki config --example` prints one to begin with.",
        ) from None
    # The parser calls itself for each bracket in a bracket.
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"the configuration file {file} cannot be read: {error}",
            reason="CONFIGURATION_INVALID",
            field="config",
            remedy="Mend it, or name another with --config or TASHIHIKI_CONFIG.",
        ) from error


def _is_there(place: Path) -> bool:
    """Whether it is a file; one in a folder that may not be looked into is none."""
    try:
        return place.is_file()
    except OSError:
        return False
