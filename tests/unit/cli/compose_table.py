"""Where commands, options and their defaults are not those of docker compose, and why: for 2.40 and for 5.5."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import click

from tests.unit.cli import flag_table

MISSING = {
    "bridge": "config prints the model that it converts: docker compose bridge reads that",
}
"""Commands that composer does not have; what is below them is not there either."""

DEFAULTS = {
    "--ansi": "auto, unless COMPOSE_ANSI or the configuration says something else",
    "--parallel": "no limit, unless COMPOSE_PARALLEL_LIMIT or the configuration says something else",
    "attach --detach-keys": "docker compose takes Docker's, which are these, where it shows none",
    "config --output": "the default is prose: to stdout",
    "convert --format": "yaml is what config prints without a format",
    "create --pull": "policy means the pull_policy of each service, which is what no value means",
    "exec --interactive": "what is hidden is on or off by what the terminal is",
    "exec --no-tty": "true stands for: where standard output is no terminal",
    "exec --tty": "as exec --interactive",
    "ps --format": "psFormat of Docker's configuration file comes before table",
    "run --no-TTY": "as with exec",
    "run --no-tty": "as with exec",
    "run --pull": "as with create",
    "run --tty": "as with exec",
    "stats --all": "the default is prose: shows just running",
    "stats --format": "table is what stats prints without a format",
    "up --pull": "as with create",
    "version --format": "pretty is what version prints without a format",
}
"""Options whose default is written in another way, and means the same."""


LIST = Path(__file__).with_name("flags_of_compose_5.5.txt")
LINE = re.compile(r"  (?:(-\w) )?(--[\w-]+)(?: (?!hidden)(\w+))?(?: =(\S+))?( hidden)?")


class Theirs(NamedTuple):
    """An option of docker compose. ``kind`` is None where it takes no value."""

    name: str
    letter: str | None
    kind: str | None
    default: str | None = None
    hidden: bool = False


def listed() -> dict[str, list[Theirs]]:
    """Return the options of docker compose 5.5 by their command."""
    found: dict[str, list[Theirs]] = {}
    for line in LIST.read_text().splitlines():
        if not line.startswith(" "):
            flags = found.setdefault("" if line == "(global)" else line, [])
            continue
        parts = LINE.fullmatch(line)
        assert parts is not None, line
        letter, name, kind, default, hidden = parts.groups()
        flags.append(Theirs(name, letter, kind, default, bool(hidden)))
    return found


def commands() -> dict[str, click.Command]:
    """Return our commands by the words that lead to them, with the other names that docker compose has for some."""
    found = {" ".join(path): command for path, command in flag_table.commands()}
    return found | {"convert": found["config"]}


def is_missing(path: str) -> bool:
    return any(path == name or path.startswith(f"{name} ") for name in MISSING)


def options(command: click.Command) -> dict[str, click.Option]:
    return {
        name: option
        for option in command.params
        if isinstance(option, click.Option)
        for name in (*option.opts, *option.secondary_opts)
    }


def key(path: str, flag: Theirs) -> str:
    return f"{path} {flag.name}".strip()


def complaints(path: str, command: click.Command, flag: Theirs) -> list[str]:
    """Return what is different about an option of a command of ours."""
    option = options(command).get(flag.name)
    if option is None:
        return ["it is not there"]
    found = []
    if flag.letter and flag.letter not in option.opts:
        found.append(f"it is not {flag.letter}")
    if option.is_flag is not (flag.kind is None):
        found.append("one takes a value")
    ours = default(command, option)
    if not flag.hidden and key(path, flag) not in DEFAULTS and ours != (flag.default or ""):
        found.append(f"its default is {ours!r}")
    return found


def default(command: click.Command, option: click.Option) -> str:
    """Return what an option is when it is not given, as help of docker compose shows it: empty for nothing."""
    with command.make_context("composer", [], resilient_parsing=True) as ctx:
        value = ctx.params.get(option.name or "")
    if value is None or value is False or value == ():
        return ""
    return "true" if value is True else str(value)
