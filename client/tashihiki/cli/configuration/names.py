"""What an option is called in the configuration file and in the environment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from typer.core import TyperCommand, TyperGroup, TyperOption

Command: TypeAlias = TyperCommand | TyperGroup
# The words that name a command, as `("snapshot", "create")`.
CommandPath: TypeAlias = tuple[str, ...]

PREFIX = "TASHIHIKI"
# Only who types it answers a question; a file or the environment would answer all of them.
_TYPED_ONLY = "--yes"


@dataclass(frozen=True)
class Setting:
    """An option of a command under all its names.

    Attributes:
        option: as the command line reads it.
        key: in the command's table of the file: the option without its dashes in front.
        variable: the environment variable.
        shared: whether other commands read the same variable; the file then has the key outside
            every table too.
    """

    option: TyperOption
    key: str
    variable: str
    shared: bool

    @property
    def shared_key(self) -> str:
        """The key outside every table, where the setting is shared."""
        return self.variable.removeprefix(f"{PREFIX}_").lower().replace("_", "-")


def settings_of(command: Command, path: CommandPath) -> list[Setting]:
    """The options of a command that a file may say, in its order."""
    return [_setting(option, path) for option in _options(command)]


def name_variables(command: Command, path: CommandPath) -> None:
    """Gives every option below `command` that has no environment variable one of its own."""
    for option in _options(command):
        if option.envvar is None:
            option.envvar = _variable(path, _key(option))
            # Help names those that several commands share; `tashihiki config` names all.
            option.show_envvar = False
    for name, below in subcommands(command):
        name_variables(below, (*path, name))


def subcommands(command: Command) -> Iterator[tuple[str, Command]]:
    """The commands of a group by their names; none of a command."""
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            if isinstance(below, TyperCommand | TyperGroup):
                yield name, below


def _options(command: Command) -> list[TyperOption]:
    return [
        option
        for option in command.params
        if isinstance(option, TyperOption) and _TYPED_ONLY not in option.opts
    ]


def _setting(option: TyperOption, path: CommandPath) -> Setting:
    own = _variable(path, _key(option))
    variable = option.envvar if isinstance(option.envvar, str) else own
    return Setting(option, _key(option), variable, shared=variable != own)


def _key(option: TyperOption) -> str:
    return max(option.opts, key=len).lstrip("-")


def _variable(path: CommandPath, key: str) -> str:
    return "_".join((PREFIX, *path, key)).replace("-", "_").upper()
