"""Commands of the other packages, imported only when they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points

import typer

from tashihiki.cli.failure import FAILED, reporting

GROUP = "tashihiki.commands"

# Help for commands whose packages may not be installed.
_HELP = {
    "serve": "Serve collections over gRPC.",
    "demo": "Draw pictures to try things with.",
    "index": "Fill a collection from a catalogue of pictures.",
    "verify": "Check a data folder, and say what is wrong with it.",
    "export": "Write a collection to a Parquet file and a folder of pictures.",
    "train": "Train an encoder on labelled pictures.",
    "evaluate": "Measure composed queries on labelled pictures.",
}
# Packages that no extra is called after.
_EXTRAS = {"tashihiki_evaluation": "training"}
_PASS_THROUGH = {"ignore_unknown_options": True, "allow_extra_args": True}


def installed_commands() -> list[EntryPoint]:
    """The entry points, one for each name, in the order of their names."""
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    return [found[name] for name in sorted(found)]


def add_commands(app: typer.Typer, entries: Iterable[EntryPoint]) -> None:
    """Registers a command for each entry point without importing it."""
    for entry in entries:
        app.command(
            entry.name,
            help=_HELP.get(entry.name, f"From {_package(entry)}."),
            # The command's own --help answers, not one for this shell around it.
            add_help_option=False,
            context_settings=_PASS_THROUGH,
        )(_delegate(entry))


def _delegate(entry: EntryPoint) -> Callable[[typer.Context], None]:
    def run(context: typer.Context) -> None:
        with reporting(), _naming_the_extra(entry):
            code = entry.load()(
                args=list(context.args), prog_name=f"tashihiki {entry.name}", standalone_mode=False
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
        typer.echo(
            f"error: {entry.name} needs more than is installed ({missing}):"
            f" pip install 'tashihiki[{extra}]'\n"
            f"  from the checkout: pip install -e '.[{extra}]'",
            err=True,
        )
        raise typer.Exit(FAILED) from None


def _package(entry: EntryPoint) -> str:
    return entry.value.partition(":")[0].partition(".")[0]


def _extra(entry: EntryPoint) -> str:
    package = _package(entry)
    return _EXTRAS.get(package, package.removeprefix("tashihiki_"))
