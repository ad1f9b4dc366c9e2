"""What composer and a provider say to each other: the command line, the metadata, and the messages that come back.

    TYPE compose metadata                                          JSON: which options each command takes
    TYPE compose --project-name=P up|down|stop [--KEY=VALUE …] SERVICE

A provider prints JSON objects with ``type`` and ``message``. Nothing here runs a program.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import ProviderFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

UP, DOWN, STOP = "up", "down", "stop"
INFO, ERROR, DEBUG, SETENV, RAWSETENV = "info", "error", "debug", "setenv", "rawsetenv"
_KINDS = (INFO, ERROR, DEBUG, SETENV, RAWSETENV)
_MOST_CHARACTERS = 1 << 20
_MOST_BYTES_OF_VARIABLE = 128 * 1024  # Linux, MAX_ARG_STRLEN: name, "=", value and the byte that ends it
_MOST_BYTES_OF_VARIABLES = 1 << 20  # half of what Linux lets a program start with
_HINT = 'a provider prints JSON objects such as {"type": "info", "message": "…"}: report this to its author'


class Provider(NamedTuple):
    """What a service says of its provider. Each option may have several values."""

    type: str
    options: Mapping[str, Sequence[str]] = {}


class Variables(NamedTuple):
    """What a provider gives to the services that depend on its own: with the service's name before them, and as is.

    ``stops``: it can also be stopped without being removed.
    """

    prefixed: Mapping[str, str] = {}
    raw: Mapping[str, str] = {}
    stops: bool = False


class Message(NamedTuple):
    """One message of a provider; ``kind`` is one of INFO, ERROR, DEBUG, SETENV, RAWSETENV."""

    kind: str
    text: str


class Metadata(NamedTuple):
    """Which options a provider's commands take: names, and whether one is required. None: it has no such command."""

    up: Mapping[str, bool]
    down: Mapping[str, bool]
    stop: Mapping[str, bool] | None


# ------------------------------------------------------------------ what composer says


def read_metadata(data: bytes) -> Metadata | None:
    """Read the answer to ``metadata``; None where there is none that says anything: every option is passed then."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    commands = {name: found[name] for name in (UP, DOWN, STOP) if isinstance(found.get(name), dict)}
    has_parameters = any(commands.get(name, {}).get("parameters") is not None for name in (UP, DOWN))
    stop = _parameters(commands[STOP]) if STOP in commands else None
    if not found.get("description") and not has_parameters:
        return None
    return Metadata(_parameters(commands.get(UP, {})), _parameters(commands.get(DOWN, {})), stop)


def _parameters(command: Mapping[str, Any]) -> dict[str, bool]:
    listed = command.get("parameters")
    return {
        str(one["name"]): one.get("required") is True
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, dict) and "name" in one
    }


def arguments(
    provider: Provider, metadata: Metadata | None, project: str, command: str, service: str
) -> list[str] | None:
    """Return what a provider's program is called with; None where it has no such command.

    Raises ProviderFailed where a required option is missing.
    """
    known: Mapping[str, bool] | None = getattr(metadata, command) if metadata is not None else None
    if command == STOP and known is None:
        return None
    for name, is_required in (known or {}).items():
        if is_required and name not in provider.options:
            raise ProviderFailed(
                f'required parameter "{name}" is missing from provider "{provider.type}" definition',
                hint=f"add provider.options.{name} to service '{service}'",
            )
    options = [
        f"--{key}={value}"
        for key, values in sorted(provider.options.items())
        if known is None or key in known
        for value in values
    ]
    return ["compose", f"--project-name={project}", command, *options, service]


# ------------------------------------------------------------------ what a provider says


class Reader:
    """Cuts a provider's output into messages. An object may be written over several lines."""

    def __init__(self) -> None:
        self._text = ""

    def feed(self, text: str) -> Iterator[Message]:
        """Yield the messages that are complete with this piece. Raises ProviderFailed."""
        self._text = (self._text + text).lstrip()
        while self._text:
            if not self._text.startswith("{"):
                raise _invalid(self._text)
            try:
                found, end = json.JSONDecoder().raw_decode(self._text)
            except ValueError:
                if len(self._text) > _MOST_CHARACTERS:
                    raise _invalid(self._text) from None
                return  # the rest of it is to come
            except RecursionError:
                raise _invalid(self._text) from None
            yield _message(found)
            self._text = self._text[end:].lstrip()

    def end(self) -> None:
        """Say that there is no more. Raises ProviderFailed where a message is not complete."""
        if self._text:
            raise _invalid(self._text)


class Told:
    """The variables that a provider has set so far. Bounded: each of them is kept with every dependent container."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, str]] = {SETENV: {}, RAWSETENV: {}}
        self._bytes = 0

    def add(self, message: Message) -> None:
        """Keep what a message sets, if it sets anything. Raises ProviderFailed where no program could get it."""
        if message.kind not in self._values:
            return
        key, _, value = message.text.partition("=")
        size = len(message.text.encode()) + 1
        if size > _MOST_BYTES_OF_VARIABLE:
            raise ProviderFailed(
                f"variable '{key[:100]}' has {size} bytes, more than a program can get ({_MOST_BYTES_OF_VARIABLE})",
                hint="let the provider pass the path of a file instead",
            )
        self._bytes += size
        if self._bytes > _MOST_BYTES_OF_VARIABLES:
            raise ProviderFailed(
                f"the provider sets more than {_MOST_BYTES_OF_VARIABLES} bytes of variables",
                hint="let the provider pass the path of a file instead",
            )
        self._values[message.kind][key] = value

    def variables(self) -> Variables:
        return Variables(self._values[SETENV], self._values[RAWSETENV])


def _message(found: Mapping[str, Any]) -> Message:
    kind, text = found.get("type"), found.get("message", "")
    if kind not in _KINDS or not isinstance(text, str):
        raise _invalid(str(kind))
    if kind in (SETENV, RAWSETENV) and (text.find("=") < 1 or "\0" in text or not _has_bytes(text)):
        raise _invalid(
            text.replace("\0", " "), "a provider writes a variable as NAME=VALUE: report this to its author"
        )
    return Message(kind, text)


def _has_bytes(text: str) -> bool:
    """Say whether a text can be written as UTF-8: JSON can name half a character."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _invalid(text: str, hint: str = _HINT) -> ProviderFailed:
    shown = text.splitlines()[0] if text.strip() else ""
    return ProviderFailed(f"invalid response from plugin: {shown[:200]}", hint=hint)


def first_line(text: str) -> str:
    """Return what of a message stands beside a service while it is made."""
    return text.strip("\n").partition("\n")[0]


def injected(service: str, variables: Variables) -> dict[str, str]:
    """Return the variables that a service which depends on ``service`` gets."""
    prefix = f"{service.upper()}_"
    return {**{f"{prefix}{key}": value for key, value in variables.prefixed.items()}, **variables.raw}
