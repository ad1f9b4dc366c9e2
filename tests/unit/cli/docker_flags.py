"""The flags of the docker CLI beside ours: which we have, which are refused with a reason, which do nothing.

``tests/data/docker_cli_28.json`` is what the CLI's own help says; a test of the engine holds it to that.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping

import click

from composer.cli.single.flags import Idle, Refused

DATA = pathlib.Path(__file__).parents[2] / "data/docker_cli_28.json"
GROUPS = ("container", "image", "network", "volume", "system")
HEAD = """
## Flags of the docker CLI

The commands on single objects have the names and flags of the docker CLI 28. This table lists what is different. A flag
that is refused ends the command with the reason, and so does `volume update`, which is of Docker Swarm. All switches
accept `--flag=true` and `--flag=false`.

| command | flags | refused | without effect |
| --- | --- | --- | --- |
"""


def known() -> dict[str, list[str]]:
    """Return the flags of each command of the docker CLI."""
    found: dict[str, list[str]] = json.loads(DATA.read_text())
    return found


def from_help(docker: str, engine: str) -> dict[str, list[str]]:
    """Return the same by asking the CLI itself: it shows what the engine can do."""
    environment = {**os.environ, "DOCKER_HOST": engine}

    def help_of(*words: str) -> str:
        done = subprocess.run(
            [docker, *words, "--help"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
            env=environment,
        )
        return done.stdout

    found = {}
    for group in GROUPS:
        section = help_of(group).partition("Commands:")[2].partition("\nRun ")[0]
        for name in re.findall(r"^  ([a-z-]+) ", section, re.MULTILINE):
            options = help_of(group, name).partition("Options:")[2]
            flags = re.findall(r"^ {2,6}(?:-\w, )?(--[a-z0-9-]+)", options, re.MULTILINE)
            found[f"{group} {name}"] = sorted(set(flags) - {"--help"})
    return found


def options_of(command: click.Command) -> dict[str, click.Option]:
    return {
        name: option
        for option in command.params
        if isinstance(option, click.Option)
        for name in (*option.opts, *option.secondary_opts)
    }


def absent(commands: Mapping[str, click.Command]) -> Iterator[str]:
    """Yield the commands and flags that nothing of ours knows."""
    for name, flags in known().items():
        if name not in commands:
            yield name
            continue
        yield from (f"{name} {flag}" for flag in flags if flag not in options_of(commands[name]))


def section(commands: Mapping[str, click.Command]) -> str:
    rows = [_row(name, flags, commands[name]) for name, flags in known().items()]
    return HEAD + "".join(rows)


def _row(name: str, flags: list[str], command: click.Command) -> str:
    options = options_of(command)
    refused = [(flag, o.reason) for flag in flags if isinstance(o := options[flag], Refused)]
    idle = [(flag, o.reason) for flag in flags if isinstance(o := options[flag], Idle)]
    had = len(flags) - len(refused) - len(idle)
    counted = f"{had} of {len(flags)}" if had != len(flags) else f"all {had}" if had else "none"
    return f"| `{name}` | {counted} | {_told(refused)} | {_told(idle)} |\n"


def _told(pairs: Iterable[tuple[str, str]]) -> str:
    return "; ".join(f"`{flag}`: {reason}" for flag, reason in pairs)
