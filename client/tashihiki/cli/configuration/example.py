"""A configuration file with every option in a comment."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby

from tashihiki.cli.configuration.in_force import InForce

_HEAD = """\
# Options of `tashihiki`. A flag counts before an environment variable, that before this file.
# Paths start from the working directory.
"""


def example_file(found: Iterable[InForce]) -> str:
    """TOML with the options as they are in force, commented out, and what each is for."""
    every = list(found)
    lines = [_HEAD]
    # The first one; a command may have none of its own.
    shared: dict[str, InForce] = {}
    for one in every:
        if one.setting.shared and one.value is not None:
            shared.setdefault(one.setting.shared_key, one)
    if shared:
        lines.append("# For every command that has the option, unless its own table says more.")
        for key, one in shared.items():
            own = [
                other for other in every if other.setting.key == key and not other.setting.shared
            ]
            if own:
                names = ", ".join(f"`{' '.join(other.command)}`" for other in own)
                lines.append(f"# Not for {names}, whose own table alone says it:")
            lines.append(_line(key, one))
        lines.append("")
    for path, ours in groupby(every, key=lambda one: one.command):
        lines.append(f"[{'.'.join(path)}]")
        for one in ours:
            if help_text := one.setting.option.help:
                lines.append(f"# {' '.join(help_text.split())}")
            lines.append(_line(one.setting.key, one))
        lines.append("")
    return "\n".join(lines)


def _line(key: str, one: InForce) -> str:
    # What JSON writes of text, numbers, truth values and lists is TOML too.
    value = "" if one.value is None else json.dumps(one.value, ensure_ascii=False)
    return f"# {key} = {value}".rstrip()
