"""Is what the package needs installed, in versions that it works with?"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tashihiki.cli.doctor.check import Check, Finding, Target
from tashihiki.cli.extras import install_command
from tashihiki.release import PACKAGE, installed_version

# Those that people install; "" is the client.
EXTRAS = ("", "sheet", "server", "training")


@dataclass(frozen=True)
class _Package:
    """A requirement and the version that is there, "" where none is."""

    requirement: Requirement
    installed: str

    @property
    def fits(self) -> bool:
        return bool(self.installed) and self.requirement.specifier.contains(
            self.installed, prereleases=True
        )

    def __str__(self) -> str:
        there = self.installed or "missing"
        return f"{self.requirement.name} {there} (needs {self.requirement.specifier})"


def _python(target: Target) -> Iterator[Finding]:
    found, wanted = platform.python_version(), metadata(PACKAGE)["Requires-Python"]
    fact = f"{platform.python_implementation()} {found}, needs {wanted}"
    if SpecifierSet(wanted).contains(found, prereleases=True):
        yield Finding("Python", "ok", fact)
    else:
        yield Finding("Python", "fault", fact, f"Install Python {wanted}.")


def _packages(target: Target) -> Iterator[Finding]:
    yield Finding("tashihiki", "ok", installed_version())
    for extra in EXTRAS:
        yield _extra(extra, [_package(requirement) for requirement in _required(extra)])


def _extra(extra: str, packages: list[_Package]) -> Finding:
    part = f"packages of {extra or 'client'}"
    wrong = [package for package in packages if not package.fits]
    command = f"from the checkout: {install_command(extra)}"
    if not wrong:
        return Finding(part, "ok", f"{len(packages)} installed, all in versions that fit")
    # Which extras were asked for is written nowhere; some of their packages come with others.
    if extra and sum(not package.installed for package in packages) * 2 >= len(packages):
        return Finding(part, "ok", f"not installed; {command}")
    fact = ", ".join(str(package) for package in wrong)
    return Finding(part, "fault", fact, command)


def _required(extra: str) -> Iterator[Requirement]:
    for line in requires(PACKAGE) or []:
        requirement = Requirement(line)
        marker = requirement.marker
        # A requirement of an extra is none without it.
        always = marker is None or marker.evaluate({"extra": ""})
        if requirement.name == PACKAGE:
            continue
        if always if not extra else not always and marker and marker.evaluate({"extra": extra}):
            yield requirement


def _package(requirement: Requirement) -> _Package:
    try:
        return _Package(requirement, version(requirement.name))
    except PackageNotFoundError:
        return _Package(requirement, "")


def _configuration(target: Target) -> Iterator[Finding]:
    fault = target.configuration_fault
    if fault is not None:
        yield Finding("configuration", "fault", fault.headline, fault.remedy)


CHECKS = (
    Check("configuration", _configuration),
    Check("Python", _python),
    Check("packages", _packages),
)
