"""The command above all others, which reads the configuration before they read their options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from tashihiki.cli.configuration.check import check_configuration
from tashihiki.cli.configuration.file import Configuration, read_configuration
from tashihiki.cli.configuration.names import name_variables, subcommands
from tashihiki.cli.unknown_options import name_what_was_meant
from tashihiki.errors import InvalidArgumentError


class Root(TyperGroup):
    """Says of a refused value which variable of the environment it came from.

    Of an unknown option it asks which one was meant.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the options before the command's name."""
        try:
            rest: list[str] = super().parse_args(ctx, args)
            return rest
        except Exception as error:
            name_what_was_meant(error)
            raise

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that was asked for."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            # Help would name the option alone, which nobody may have typed.
            if error.param is not None and error.ctx is not None and error.param_hint is None:
                source = error.ctx.get_parameter_source(error.param.name)
                if source is not None and source.name == "ENVIRONMENT":
                    error.param_hint = f"{error.param.opts[0]} (variable {error.param.envvar})"
            raise
        except Exception as error:
            name_what_was_meant(error)
            raise


def configure(context: typer.Context, named: Path | None) -> Path | None:
    """Reads the configuration; what is wrong with it is kept, for the command to report."""
    root = context.command
    assert isinstance(root, TyperGroup)
    commands = dict(subcommands(root))
    for name, command in commands.items():
        name_variables(command, (name,))
    try:
        configuration = read_configuration(named)
        if not context.resilient_parsing:
            check_configuration(configuration, root)
    except InvalidArgumentError as fault:
        configuration = Configuration(fault=fault)
    configuration.keep(context)
    context.default_map = {
        name: configuration.defaults(command, (name,)) for name, command in commands.items()
    }
    return named
