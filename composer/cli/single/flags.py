"""Flags of the docker CLI that are one thing in a table: what they are called, and what they set.

A row of `Flag` with a ``path`` sets that attribute of a service (``("healthcheck", "interval")`` is one inside of
another); ``read`` makes its value of the text. One without a path is read by the command itself, under its ``name``.
A flag that cannot be honoured is `refused`: it is known, and says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Decorated = Callable[..., Any]


class Flag(NamedTuple):
    """``kind``: one value, ``many`` of them, a ``switch``, or ``on`` (a switch that is on: ``--no-…`` ends it)."""

    names: tuple[str, ...]
    help: str
    path: tuple[str, ...] = ()
    metavar: str = ""
    kind: str = "one"
    read: Callable[[Any], Any] | None = None
    choices: tuple[str, ...] = ()
    default: Any = None

    @property
    def name(self) -> str:
        """What the value is called among those of the command: the longest of its spellings."""
        return max(self.names, key=len).strip("-").replace("-", "_")

    def option(self) -> Decorated:
        more: dict[str, Any] = {"help": self.help, "default": self.default}
        spellings = list(self.names)
        if self.kind == "switch":
            more = {"help": self.help, "is_flag": True}
        elif self.kind == "on":
            spellings[-1] = f"{spellings[-1]}/--no-{spellings[-1].strip('-')}"
            more = {"help": self.help, "default": True, "show_default": True}
        elif self.kind == "many":
            more = {"help": self.help, "multiple": True, "metavar": self.metavar}
        elif self.choices:
            more["type"] = click.Choice(self.choices)
        else:
            more["metavar"] = self.metavar
        return click.option(*spellings, self.name, cls=Option, **more)


class Option(click.Option):
    """Takes ``--flag=true`` and ``--flag=false``, too, as programs in Go do: see `Command`."""


class Refused(click.Option):
    """A flag of the docker CLI that is known and not supported."""

    reason = ""

    def handle_parse_result(self, ctx: click.Context, opts: Any, args: list[str]) -> Any:
        if self.name in opts:
            raise click.UsageError(f"{self.opts[-1]} is not supported: {self.reason}", ctx)
        return super().handle_parse_result(ctx, opts, args)


def refused(*names: str, reason: str, takes_value: bool = True) -> Decorated:
    """Return what makes a flag known that ends the command with a reason."""

    def add(command: Decorated) -> Decorated:
        more: dict[str, Any] = {"multiple": True} if takes_value else {"is_flag": True}
        kind = type("RefusedFlag", (Refused,), {"reason": reason})
        return click.option(*names, cls=kind, hidden=True, expose_value=False, **more)(command)

    return add


def without_effect(*names: str, reason: str) -> Decorated:
    """Return what makes a switch known that changes nothing in the docker CLI either."""

    def add(command: Decorated) -> Decorated:
        kind = type("IdleFlag", (Idle,), {"reason": reason})
        return click.option(*names, cls=kind, is_flag=True, hidden=True, expose_value=False)(command)

    return add


class Idle(click.Option):
    """A flag of the docker CLI that has no effect."""

    reason = ""


class Command(click.Command):
    """Takes ``--flag=true`` and ``--flag=false`` for switches, as programs in Go do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        switches = {
            name: option
            for option in self.params
            if isinstance(option, click.Option) and option.is_flag
            for name in option.opts
        }
        found: list[str] = []
        rest = iter(args)
        is_interspersed = self.allow_interspersed_args
        for argument in rest:
            if argument == "--" or (not is_interspersed and not argument.startswith("-")):
                found += [argument, *rest]
                break
            name, equals, value = argument.partition("=")
            option = switches.get(name) if equals else None
            found += [argument] if option is None else _switched(option, name, value.lower())
            if not is_interspersed and option is None and self._takes_next(argument):
                found += [value for value in (next(rest, None),) if value is not None]
        return super().parse_args(ctx, found)

    def _takes_next(self, argument: str) -> bool:
        """Tell whether the next argument is the value of this one."""
        if "=" in argument and argument.startswith("--"):
            return False
        for option in self.params:
            if not isinstance(option, click.Option) or option.is_flag or option.count:
                continue
            if argument in option.opts:
                return True
            is_short = not argument.startswith("--") and len(argument) > 1
            if is_short and f"-{argument[-1]}" in option.opts and self._are_switches(argument[1:-1]):
                return True
        return False

    def _are_switches(self, letters: str) -> bool:
        known = {name for o in self.params if isinstance(o, click.Option) and o.is_flag for name in o.opts}
        return all(f"-{letter}" in known for letter in letters)


_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")


def _switched(option: click.Option, name: str, value: str) -> list[str]:
    if value not in (*_TRUE, *_FALSE):
        raise click.BadParameter(f"'{value}' must be true or false", param_hint=name)
    if value in _TRUE:
        return [name]
    return [option.secondary_opts[0]] if option.secondary_opts else []


def options(flags: Sequence[Flag]) -> Callable[[Any], Any]:
    """Return what gives a command the flags of a table, in its order."""

    def add(command: Any) -> Any:
        for flag in reversed(flags):
            command = flag.option()(command)
        return command

    return add


def attributes(flags: Sequence[Flag], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a service that were set. Raises click.BadParameter."""
    found: dict[str, Any] = {}
    for flag in flags:
        value = given[flag.name]
        if not flag.path or value in (None, (), False):
            continue
        try:
            value = (
                flag.read(value) if flag.read is not None else list(value) if flag.kind == "many" else value
            )
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=flag.names[-1]) from None
        inner = found
        for key in flag.path[:-1]:
            inner = inner.setdefault(key, {})
        inner[flag.path[-1]] = value
    return found
