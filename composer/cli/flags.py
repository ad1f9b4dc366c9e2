"""Flags as Go's programs read them (https://pkg.go.dev/github.com/spf13/pflag): the one place that parses words.

Words become other words, which click reads in one way only: ``--name=value``, ``--flag``, then ``--`` and what is no
option. So ``-t=0``, ``-dt5``, ``-it``, ``--flag=false``, a value that begins with ``-`` and options behind what is no
option mean what they mean to Docker Compose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
"""What strconv.ParseBool reads."""
DOCKER = "docker"
"""The word that our launcher ``docker`` puts before what it was told."""
COMPOSE = "compose"
"""The word that a program puts behind the ``docker`` that it was told to run; once said, it is in ``ctx.meta``."""

_HELP = click.Option(["-h", "--help"], is_flag=True)


def canonical(command: click.Command, words: Sequence[str], ctx: click.Context) -> list[str]:
    """Return the words of a command, those of its subcommand included. Raises click.UsageError."""
    options, rest = split(command, words, ctx)
    if isinstance(command, click.Group):
        below = command.get_command(ctx, rest[0]) if rest else None
        if rest and below is None and ctx.parent is not None:
            raise click.UsageError(unknown_below(command, rest[0], ctx), ctx)
        if below is not None:
            rest[1:] = canonical(below, rest[1:], click.Context(below, parent=ctx, info_name=rest[0]))
        return [*options, *rest]
    return [*options, *(("--", *rest) if rest else ())]


def split(command: click.Command, words: Sequence[str], ctx: click.Context) -> tuple[list[str], list[str]]:
    """Return the options in click's words, and the remaining words: of a group, those from its subcommand on."""
    try:
        reading = _Reading(command)
        rest = reading.read(words)
    except click.NoSuchOption as error:
        raise _explained(error, command, words, ctx) from None
    except click.UsageError as error:
        error.ctx = ctx
        raise
    return reading.options(), rest


class _Reading:
    """One pass over a command's words."""

    def __init__(self, command: click.Command) -> None:
        self._names: dict[str, tuple[click.Option, bool]] = dict.fromkeys(_HELP.opts, (_HELP, True))
        for option in command.params:
            if isinstance(option, click.Option):
                self._names |= dict.fromkeys(option.opts, (option, True))
                self._names |= dict.fromkeys(option.secondary_opts, (option, False))
        self._is_mixed = not isinstance(command, click.Group) and command.context_settings.get(
            "allow_interspersed_args", True
        )
        self._values: list[str] = []
        self._flags: dict[click.Option, bool] = {}

    def read(self, words: Sequence[str]) -> list[str]:
        """Read the options and return the remaining words."""
        rest: list[str] = []
        pending = list(words)
        while pending:
            word = pending.pop(0)
            if word == "--":
                return [*rest, *pending]
            if len(word) < 2 or word[0] != "-":
                rest.append(word)
                if not self._is_mixed:
                    return [*rest, *pending]
            elif word[1] == "-":
                self._long(word, pending)
            else:
                self._short(word, pending)
        return rest

    def options(self) -> list[str]:
        """Return what was read in click's words. Of a flag that is there more than once, the last one counts."""
        found = list(self._values)
        for option, value in self._flags.items():
            if value:
                found.append(_name(option.opts))
            elif option.secondary_opts:
                found.append(_name(option.secondary_opts))
        return found

    def _long(self, word: str, pending: list[str]) -> None:
        name, equals, value = word.partition("=")
        if len(name) == 2 or name[2] == "-":
            raise click.UsageError(f"invalid option '{word}': its name is missing")
        if name not in self._names:
            raise click.NoSuchOption(name, f"unknown flag: {name}{near(name, self._shown())}")
        option, is_on = self._names[name]
        if option.is_flag:
            self._set(option, name, value if equals else "true", is_on)
        elif equals:
            self._put(option, value)
        elif option._flag_needs_value:
            self._put_optional(option, name, pending)
        else:
            self._put(option, _next(name, pending))

    def _short(self, word: str, pending: list[str]) -> None:
        letters = word[1:]
        while letters:
            name = f"-{letters[0]}"
            if name not in self._names:
                raise click.NoSuchOption(name, f"unknown shorthand flag: '{name[1:]}' in {word}")
            option, is_on = self._names[name]
            if len(letters) > 2 and letters[1] == "=":
                value, letters = letters[2:], ""
            elif option.is_flag:
                value, letters = "true", letters[1:]
            else:
                value, letters = letters[1:] or _next(name, pending), ""
            if option.is_flag:
                self._set(option, name, value, is_on)
            else:
                self._put(option, value)

    def _set(self, option: click.Option, name: str, value: str, is_on: bool) -> None:
        if value not in BOOLEANS:
            raise click.BadOptionUsage(name, f"invalid value for {name}: '{value}' must be true or false")
        self._flags[option] = BOOLEANS[value] is is_on

    def _put(self, option: click.Option, value: str) -> None:
        name = _name(option.opts)
        self._values.append(f"{name}={value}" if name.startswith("--") else f"{name}{value}")

    def _put_optional(self, option: click.Option, name: str, pending: list[str]) -> None:
        """Put an option that may stand alone: what follows is its value, as long as that is no option."""
        if pending and not pending[0].startswith("-"):
            self._put(option, pending.pop(0))
        else:
            self._values.append(name)

    def _shown(self) -> list[str]:
        """Return the names that help shows."""
        return [name for name, (option, _) in self._names.items() if not option.hidden]


class Misplaced(click.UsageError):
    """An option that is there, but not for the command that it was given to. ``hint`` says where it goes."""

    def __init__(self, message: str, ctx: click.Context, *, hint: str) -> None:
        super().__init__(message, ctx)
        self.hint = hint


def near(name: str, known: Iterable[str]) -> str:
    """Return the question whether the nearest of the known names was meant; empty where none is near.

    Dashes do not count: they would make any two options look alike.
    """
    from difflib import get_close_matches

    bare = {each.lstrip("-"): each for each in known if len(each.lstrip("-")) > 1}
    found = get_close_matches(name.lstrip("-"), bare, n=1, cutoff=0.7)
    return f"; did you mean '{bare[found[0]]}'?" if found else ""


def unknown_below(group: click.Group, word: str, ctx: click.Context) -> str:
    """Return the sentence for a subcommand that a group does not have."""
    from composer.cli.unknown_verbs import BELOW

    path = ctx.command_path.removeprefix("composer ")
    if f"{path} {word}" in BELOW:
        return f"unknown command '{path} {word}': {BELOW[f'{path} {word}']}"
    return f"unknown command '{path} {word}'{near(word, group.list_commands(ctx))}"


def _explained(
    error: click.NoSuchOption, command: click.Command, words: Sequence[str], ctx: click.Context
) -> click.UsageError:
    """Return the error for an unknown option; one that is known before the command, or behind it, says that."""
    name, root = error.option_name, ctx.find_root()
    outer = _option(root.command, name)
    if command is not root.command and outer is not None and name not in ("-v", "--version"):
        value = "" if outer.is_flag else f" {outer.make_metavar(ctx)}"
        path = ctx.command_path.removeprefix("composer ")
        return Misplaced(
            f"{name} is a global option: it must come before the command",
            ctx,
            hint=f"use composer {name}{value} {path}",
        )
    if isinstance(command, click.Group):
        verb = next((word for word in words if word in command.list_commands(ctx)), None)
        below = command.get_command(ctx, verb) if verb is not None else None
        if below is not None and _option(below, name) is not None:
            return Misplaced(
                f"{name} is an option of {verb}: it must come after the command",
                ctx,
                hint=f"use {ctx.command_path} {verb} {name}",
            )
    error.ctx = ctx
    return error


def _option(command: click.Command, name: str) -> click.Option | None:
    """Return the option that has a name, of those that help shows."""
    options = (each for each in command.params if isinstance(each, click.Option) and not each.hidden)
    return next((each for each in options if name in (*each.opts, *each.secondary_opts)), None)


def _next(name: str, pending: list[str]) -> str:
    if not pending:
        within = name if name.startswith("--") else f"'{name[1:]}' in {name}"
        raise click.BadOptionUsage(name, f"flag needs an argument: {within}")
    return pending.pop(0)


def _name(names: Sequence[str]) -> str:
    return next((name for name in names if name.startswith("--")), names[0])
