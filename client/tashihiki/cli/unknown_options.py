"""Words that a command does not take, and what was meant."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperOption

from tashihiki.cli.configuration.names import Command
from tashihiki.cli.failure import WrongUsage
from tashihiki.cli.output import printable


class SignedCommand(TyperCommand):
    """A command whose expression may begin with a minus, as in `-red + mug`."""

    ignore_unknown_options = True

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the words of a command.

        Raises:
            WrongUsage: one begins with two dashes and is no option, or there is no room for
                another argument.
        """
        if not ctx.resilient_parsing:
            arguments = list(self._arguments(ctx, args))
            places = sum(isinstance(parameter, TyperArgument) for parameter in self.params)
            for word in arguments if len(arguments) > places else ():
                if word.startswith("-") and _meant(word, self):
                    raise WrongUsage(_told(word, self), ctx)
            if len(arguments) > places:
                query = printable(" ".join(arguments[places - 1 :]))
                raise WrongUsage(f"Put the query in quotes: {_in_quotes(query)}", ctx)
        rest: list[str] = super().parse_args(ctx, args)
        return rest

    def _arguments(self, ctx: Any, args: Sequence[str]) -> Iterator[str]:
        words = iter(args)
        for word in words:
            if word == "--":
                yield from words
            elif not word.startswith("--"):
                yield word
            elif (name := word.partition("=")[0]) not in _options(self):
                raise WrongUsage(_told(name, self), ctx)
            elif name == word and _takes_value(_options(self)[name]):
                next(words, None)


def _in_quotes(query: str) -> str:
    # A shell reads these between double quotes too.
    return shlex.quote(query) if set('"$`\\!') & set(query) else f'"{query}"'


def name_what_was_meant(error: Exception) -> None:
    """Has Typer's error for an unknown option ask what was meant, as for an unknown command."""
    # Typer does not export its class, and has had two.
    name, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if name and context is not None and hasattr(error, "possibilities"):
        error.message = _told(name, context.command)  # type: ignore[attr-defined]
        error.possibilities = None


def _told(word: str, command: Command) -> str:
    near = " or ".join(_meant(word, command))
    return f"No such option: {printable(word)}" + (f". Did you mean {near}?" if near else "")


def _meant(word: str, command: Command) -> list[str]:
    names = {name.lstrip("-"): name for name in _options(command)}
    typed = word.partition("=")[0].lstrip("-")
    begun = [name for bare, name in names.items() if typed and bare.startswith(typed)]
    near = [names[bare] for bare in get_close_matches(typed, names, n=2, cutoff=0.65)]
    return list(dict.fromkeys(near + begun))[:2]


def _options(command: Command) -> dict[str, TyperOption | None]:
    found: dict[str, TyperOption | None] = {
        name: option
        for option in command.params
        if isinstance(option, TyperOption)
        for name in (*option.opts, *option.secondary_opts)
        if name.startswith("--")
    }
    return {**found, "--help": None}


def _takes_value(option: TyperOption | None) -> bool:
    return option is not None and not option.is_flag and not option.count
