"""Every flag of docker compose is one of ours, is of its kind, and is taken and refused in the same forms."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import click
import pytest

from tests.unit.cli import flag_table

pytestmark = [pytest.mark.docker, pytest.mark.oracle, pytest.mark.timeout(180)]

# help and alpha show the whole help with --help too, and no usage of their own
OURS = frozenset(
    "alpha apply boot builder completion container doctor graph help image lint login logout migrate network plan "
    "schema system volume".split()
)
COMMANDS = {
    path: command for path, command in flag_table.commands() if len(path) < 2 and not OURS.intersection(path)
}
VALUES = {"int": "3", "bytes": "1g", "--scale": "web=1", "--filter": "status=running"}


class Theirs(NamedTuple):
    name: str
    letter: str | None
    kind: str | None


def compose(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["docker", "compose", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def their_flags(path: tuple[str, ...]) -> list[Theirs]:
    text = compose(*path, "--help").stdout
    assert text.startswith(" ".join(("Usage:  docker compose", *path))), text
    found = re.finditer(r"^ +(?:(-\w), )?(--[\w-]+)(?: (\w+))?(?:  .*)?$", text, re.M)
    return [Theirs(one[2], one[1], one[3]) for one in found]


def forms(flag: Theirs) -> list[tuple[str, ...]]:
    """Return ways of writing a flag, right and wrong."""
    if flag.kind is None:
        long = [("=true",), ("=F",), ("=0",), ("=yes",), ("=",), ("",)]
        written: list[tuple[str, ...]] = [(flag.name + end[0],) for end in long]
        if flag.letter:
            written += [(flag.letter + end,) for end in ("", "=1", "=false", "=yes", "=", "%", "=%")]
        return written
    value = VALUES.get(flag.name) or VALUES.get(flag.kind, "a")
    written = [(f"{flag.name}={value}",), (flag.name, value)]
    if flag.kind == "int":
        written += [(f"{flag.name}=x",), (f"{flag.name}=",)]
    if flag.letter:
        written += [(f"{flag.letter}={value}",), (flag.letter + value,), (flag.letter, value)]
    return written


def is_ours(command: click.Command, words: tuple[str, ...]) -> bool:
    try:
        flag_table.parse(command, *words)
    except click.UsageError:
        return False
    return True


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_flags_are_those_of_docker_compose(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    ours = {
        name: option
        for option in command.params
        if isinstance(option, click.Option)
        for name in (*option.opts, *option.secondary_opts)
    }
    theirs = their_flags(path)
    assert theirs
    tried: list[tuple[str, ...]] = [("--no-such",), ("-%",), ("---x",), ("--=x",), ("--no-such=1",)]
    for flag in theirs:
        option = ours[flag.name]
        assert option.is_flag is (flag.kind is None), flag
        assert flag.letter is None or flag.letter in option.opts, flag
        tried += [] if isinstance(option.type, click.Choice) else forms(flag)
    taken = [words for words in tried if is_ours(command, words)]
    refused = [words for words in tried if words not in taken]
    assert compose(*path, *(word for words in taken for word in words), "--help").returncode == 0
    some = {words[0].partition("=")[0]: words for words in refused}
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda words: compose(*path, *words, "--help").returncode, some.values()))
    assert [words for words, code in zip(some.values(), codes, strict=True) if code == 0] == []
