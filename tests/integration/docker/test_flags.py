"""Every command and flag of docker compose is one of ours, with its letter, kind and default, and in the same forms."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import click
import pytest

from tests.unit.cli import compose_table, flag_table
from tests.unit.cli.compose_table import Theirs

pytestmark = [pytest.mark.docker, pytest.mark.oracle, pytest.mark.timeout(180)]

COMMANDS = compose_table.commands()
OF_BOTH = [path for path in COMMANDS if path in compose_table.listed() or path.partition(" ")[0] == "alpha"]
OF_BOTH.remove("convert")  # of which there is no help
OF_GROUPS = ("", "alpha", "bridge")
"""Whose help lists commands; alpha itself is in no list."""
VALUES = {"int": "3", "bytes": "1g", "--scale": "web=1", "--filter": "status=running"}


def compose(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["docker", "compose", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def paragraphs(path: str, title: str) -> Iterator[str]:
    """Yield the entries below a title of the help, each with its further lines joined."""
    text = compose(*path.split(), "--help").stdout
    assert text.startswith(f"Usage:  docker compose {path}".rstrip()), text
    for block in re.findall(rf"^{title}:\n((?:  .*\n)+)", text, re.M):
        yield from (re.sub(r"\n +", " ", one) for one in re.split(r"\n(?= {2,6}-| {2}\w)", block.rstrip()))


@cache
def their_commands() -> list[str]:
    listed = [
        f"{path} {entry.split()[0]}".strip()
        for path in OF_GROUPS
        for entry in paragraphs(path, "(?:Management )?Commands")
    ]
    return sorted({*OF_GROUPS, *listed})


def their_flags(path: str) -> list[Theirs]:
    found = []
    for entry in paragraphs(path, "Options"):
        parts = re.match(r" +(?:(-\w), )?(--[\w-]+)(?: (\w+))?(?:  |$)", entry)
        assert parts is not None, entry
        default = re.search(r'\(default "?([^ "]+)"?\)$', entry)
        found.append(Theirs(parts[2], parts[1], parts[3], default and default[1]))
    return found


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


def test_every_command_of_docker_compose_is_here() -> None:
    theirs = their_commands()
    assert len(theirs) > 40
    assert [path for path in theirs if path not in OF_BOTH] == [
        p for p in theirs if compose_table.is_missing(p)
    ]


@pytest.mark.parametrize("path", OF_BOTH)
def test_flags_are_those_of_docker_compose(path: str) -> None:
    command = COMMANDS[path]
    ours = compose_table.options(command)
    theirs = their_flags(path)
    assert theirs
    tried: list[tuple[str, ...]] = [("--no-such",), ("-%",), ("---x",), ("--=x",), ("--no-such=1",)]
    for flag in theirs:
        assert compose_table.complaints(path, command, flag) == [], flag
        tried += [] if isinstance(ours[flag.name].type, click.Choice) else forms(flag)
    taken = [words for words in tried if is_ours(command, words)]
    refused = [words for words in tried if words not in taken]
    assert compose(*path.split(), *(word for words in taken for word in words), "--help").returncode == 0
    some = {words[0].partition("=")[0]: words for words in refused}
    with ThreadPoolExecutor(4) as pool:
        codes = list(
            pool.map(lambda words: compose(*path.split(), *words, "--help").returncode, some.values())
        )
    assert [words for words, code in zip(some.values(), codes, strict=True) if code == 0] == []
