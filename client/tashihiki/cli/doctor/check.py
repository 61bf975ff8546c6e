"""A check of the installation, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal

from tashihiki.errors import InvalidArgumentError, TashihikiError

# Checks of the packages that a client does without.
GROUP = "tashihiki.checks"

State = Literal["ok", "warning", "fault"]


@dataclass(frozen=True)
class Finding:
    """What is so of one part.

    Attributes:
        part: what was looked at.
        state: `ok`; `warning`, it works but not as it could; `fault`, something does not work.
        fact: what is so.
        remedy: what to do about it, or "".
    """

    part: str
    state: State
    fact: str
    remedy: str = ""


@dataclass(frozen=True)
class Target:
    """What is to be looked at.

    Attributes:
        server: host and port.
        server_named: whether --server asks for it, so that it has to be there.
        timeout: seconds for each call to it.
        data: a server's data folder, or None.
        configuration_fault: why the configuration file cannot be used, or None.
    """

    server: str
    server_named: bool
    timeout: float
    data: Path | None = None
    configuration_fault: InvalidArgumentError | None = None


@dataclass(frozen=True)
class Check:
    """One look at a part; `look` may raise, which is then the part's fault."""

    part: str
    look: Callable[[Target], Iterable[Finding]]


def examine(target: Target, checks: Iterable[Check]) -> Iterator[Finding]:
    """The findings of all checks; what a check raises becomes its finding."""
    for check in checks:
        try:
            yield from check.look(target)
        except TashihikiError as error:
            yield Finding(check.part, "fault", error.headline, error.remedy)
        except Exception as error:
            # A doctor that falls ill itself helps nobody.
            yield Finding(check.part, "fault", f"{type(error).__name__}: {error}")


def further_checks() -> Iterator[Check]:
    """Those of the other packages; where one cannot be imported, a check that says so."""
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            found: Sequence[Check] = entry.load()
        except ModuleNotFoundError:
            # The check of the installed packages names what is missing.
            continue
        except Exception as error:
            yield _unloadable(entry.name, error)
            continue
        yield from found


def _unloadable(name: str, error: Exception) -> Check:
    finding = Finding(
        name, "fault", f"its checks cannot be loaded: {error}", "Install the package again."
    )
    return Check(name, lambda target: [finding])
