"""Every command and every flag of it, taken from the command table itself: a new one is in it by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import click

from composer.cli import flags
from composer.cli.main import COMMANDS, composer

VALUES = {"integer": "3", "float": "3", "integer range": "3", "float range": "3", "number of seconds": "3"}


class Flag(NamedTuple):
    path: tuple[str, ...]
    """The words that lead to the command: () for the global flags."""
    command: click.Command
    option: click.Option
    name: str

    def __str__(self) -> str:
        return " ".join((*self.path, self.name))

    @property
    def is_on(self) -> bool:
        return self.name in self.option.opts

    @property
    def value(self) -> str:
        if isinstance(self.option.type, click.Choice):
            return str(self.option.type.choices[-1])
        return VALUES.get(self.option.type.name, "a=b,c")


def commands(
    command: click.Command = composer, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        names = COMMANDS if command is composer else command.list_commands(click.Context(command))
        for name in sorted(names):
            below = command.get_command(click.Context(command), name)
            assert below is not None
            yield from commands(below, (*path, name))


def table() -> list[Flag]:
    return [
        Flag(path, command, option, name)
        for path, command in commands()
        for option in command.params
        if isinstance(option, click.Option)
        for name in (*option.opts, *option.secondary_opts)
    ]


def parse(command: click.Command, *words: str) -> dict[str, object]:
    """Return what a command's words say: the value of every option, and as ``()`` the words that are none."""
    ctx = click.Context(command, info_name="composer")
    given, rest, _ = command.make_parser(ctx).parse_args(flags.canonical(command, words, ctx))
    found: dict[str, object] = {"()": tuple(rest)}
    for option in command.params:
        if isinstance(option, click.Option) and option.name:
            found.setdefault(option.name, option.get_default(ctx))
            if option.name in given:
                found[option.name] = option.type_cast_value(ctx, given[option.name])
        elif isinstance(option, click.Argument) and option.name:
            found[option.name] = given.get(option.name)
    return found
