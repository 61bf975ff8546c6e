"""Commands of the other packages, imported only when they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperCommand

from tashihiki.cli.configuration.file import configuration_of
from tashihiki.cli.configuration.names import Command, CommandPath, name_variables, subcommands
from tashihiki.cli.extras import refuse_without
from tashihiki.cli.failure import reporting

GROUP = "tashihiki.commands"

# Help for commands whose packages may not be installed.
_HELP = {
    "serve": "Serve collections over gRPC.",
    "demo": "Draw pictures to try things with.",
    "index": "Fill a collection from a catalogue of pictures.",
    "verify": "Check a data folder, and say what is wrong with it.",
    "export": "Write a collection to a Parquet file and a folder of pictures.",
    "compare": "Put the answer beside a plain sum's, or beside another query's.",
    "train": "Train an encoder on labelled pictures.",
    "evaluate": "Measure composed queries on labelled pictures.",
}
# Where the list of commands shows them.
_PANELS = {
    "serve": "Server",
    "demo": "Server",
    "index": "Server",
    "verify": "Server",
    "export": "Collections",
    "compare": "Asking",
    "train": "Training and evaluation",
    "evaluate": "Training and evaluation",
}
# Packages that no extra is called after.
_EXTRAS = {"tashihiki_evaluation": "training"}


def installed_commands() -> list[EntryPoint]:
    """The entry points, one for each name, in the order of their names."""
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    return [found[name] for name in sorted(found)]


def add_commands(app: typer.Typer, entries: Iterable[EntryPoint]) -> None:
    """Registers a command for each entry point without importing it."""
    for entry in entries:
        app.command(
            entry.name,
            cls=_shell_around(entry),
            help=_HELP.get(entry.name, f"From {_package(entry)}."),
            rich_help_panel=_PANELS.get(entry.name),
            # The command's own --help answers, not one for this shell around it.
            add_help_option=False,
        )(_delegate(entry))


class PluginCommand(TyperCommand):
    """Stands for a command of another package until that is needed."""

    entry: EntryPoint

    def load(self) -> Command:
        """The command itself, whose options know their environment variables.

        Raises:
            ModuleNotFoundError: a package that it needs is not installed.
        """
        return _load(self.entry)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Leaves every word to the command itself, `--` among them."""
        ctx.args = list(args)
        return args

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: Any = None,
        **extra: Any,
    ) -> Any:
        """The context of this shell, or of the command itself where a shell asks for words."""
        command = loaded(self) if extra.get("resilient_parsing") else None
        if command is None or parent is None:
            return super().make_context(info_name, args, parent, **extra)
        defaults = configuration_of(parent).defaults(command, (self.entry.name,))
        return command.make_context(info_name, args, parent, default_map=defaults, **extra)


def loaded(command: Command) -> Command | None:
    """The command itself, and None where a package that it needs is not installed."""
    if not isinstance(command, PluginCommand):
        return command
    try:
        return command.load()
    except ModuleNotFoundError:
        return None


def whole(
    commands: Mapping[str, Command], above: CommandPath = ()
) -> Iterator[tuple[CommandPath, Command]]:
    """Every command that is no group, with its path; those that cannot be loaded are left out."""
    for name, shown in commands.items():
        command, path = loaded(shown), (*above, name)
        if command is None:
            continue
        below = dict(subcommands(command))
        if below:
            yield from whole(below, path)
        else:
            yield path, command


def _shell_around(entry: EntryPoint) -> type[PluginCommand]:
    return type("PluginCommand", (PluginCommand,), {"entry": entry})


def _load(entry: EntryPoint) -> Command:
    found: Any = entry.load()
    if isinstance(found, typer.Typer):
        found = typer.main.get_command(found)
    command: Command = found
    name_variables(command, (entry.name,))
    return command


def _delegate(entry: EntryPoint) -> Callable[[typer.Context], None]:
    def run(context: typer.Context) -> None:
        with reporting(), _naming_the_extra(entry):
            command = _load(entry)
            code = command.main(
                args=list(context.args),
                prog_name=f"tashihiki {entry.name}",
                standalone_mode=False,
                default_map=configuration_of(context).defaults(command, (entry.name,)),
            )
        if isinstance(code, int) and code:
            raise typer.Exit(code)

    return run


@contextmanager
def _naming_the_extra(entry: EntryPoint) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        missing, extra = error.name or str(error), _extra(entry)
        refuse_without(extra, entry.name, missing)


def _package(entry: EntryPoint) -> str:
    return entry.value.partition(":")[0].partition(".")[0]


def _extra(entry: EntryPoint) -> str:
    package = _package(entry)
    return _EXTRAS.get(package, package.removeprefix("tashihiki_"))
