"""The user's configuration file: ``$XDG_CONFIG_HOME/composer/config.toml``, else ``~/.config/composer/config.toml``.

It holds where neither an option nor the environment says something else. It is read through its model
(`composer.documents.configuration`) once: the values are kept in the cache beside the text that they were read from,
and as long as the file has that text, no command imports a TOML reader or pydantic for it.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import ConfigError, Mark
from composer.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.documents.configuration import ConfigFile
    from composer.schema.problems import Problems

    Place = tuple[str | int, ...]

_MAX_BYTES = 1 << 20
_MAX_LINES = 1000
"""The line of an error is looked for by reading the file line by line, over and over."""


class Configuration(NamedTuple):
    """What the command takes from the file; None where it says nothing. Other parts are read where they are used."""

    backend: str | None = None
    progress: str | None = None
    ansi: str | None = None
    parallel: int | None = None
    compatibility: bool | None = None
    remove_orphans: bool | None = None
    ignore_orphans: bool | None = None


def read(path: str, cache_dir: str | None, backends: tuple[str, ...]) -> Configuration:
    """Return what the file says; nothing where there is none. Raises ProjectInvalid with every error and its line."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return Configuration()
    except OSError as error:
        raise ConfigError(f"cannot read '{path}': {(error.strerror or str(error)).lower()}") from None
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"cannot read '{path}': it is larger than {_MAX_BYTES >> 20} MiB")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"cannot read '{path}': it is not UTF-8 text") from None
    found = _kept(text, cache_dir)
    if found is None:
        found = _checked(text, path, backends)
        _keep(text, found, cache_dir)
    return found


# ------------------------------------------------------------------ what was read before


def _kept(text: str, cache_dir: str | None) -> Configuration | None:
    """Return what this version has read from the same text before."""
    if cache_dir is None:
        return None
    try:
        with open(f"{cache_dir}/config-file.json", encoding="utf-8") as file:
            kept = json.load(file)
        if (kept["version"], kept["text"]) == (__version__, text):
            return Configuration(**kept["values"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # there is none, or somebody else wrote it: the file itself is read
    return None


def _keep(text: str, found: Configuration, cache_dir: str | None) -> None:
    if cache_dir is None:
        return
    kept = {"version": __version__, "text": text, "values": found._asdict()}
    temporary = f"{cache_dir}/config-file.{os.getpid()}"
    try:
        os.makedirs(cache_dir, mode=0o700, exist_ok=True)
        with open(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            json.dump(kept, file)
        os.replace(temporary, f"{cache_dir}/config-file.json")
    except OSError:
        pass  # a cache that cannot be written costs time, and nothing else


# ------------------------------------------------------------------ reading through the model


def _checked(text: str, path: str, backends: tuple[str, ...]) -> Configuration:
    from composer.schema.problems import Problems

    problems = Problems()
    problems.read(path, text)
    model = _model(text, path, problems)
    if model is not None and model.backend not in (None, *backends):
        problems.error(
            f"backend: unknown backend '{model.backend}'",
            Mark(path, line_of(text, ("backend",)), 1),
            hint=f"available backends: {', '.join(backends)}",
        )
    problems.raise_all()
    return Configuration(**{name: getattr(model, name) for name in Configuration._fields})


def _model(text: str, path: str, problems: Problems) -> ConfigFile | None:
    """Return what the text says, or None; what is wrong with it is reported."""
    import tomllib

    from pydantic import ValidationError

    from composer.documents.configuration import ConfigFile
    from composer.documents.reading import complaints, dotted

    try:
        return ConfigFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        problems.error(*_syntax(str(error), path, text))
    except ValidationError as error:
        for one in complaints(error):
            problems.error(
                f"{dotted(one.place)}: {one.message}",
                Mark(path, line_of(text, one.place), 1),
                hint=_hint(one.place) if one.is_unknown_key else None,
            )
    return None


def _syntax(message: str, path: str, text: str) -> tuple[str, Mark]:
    """Return the message and the place of what tomllib says: ``… (at line 3, column 5)``."""
    import re

    found = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    words = message[: found.start()] if found else message
    last = text.count("\n") + 1
    line, column = (int(found[1]), int(found[2])) if found and found[1] else (last, 1)
    return f"invalid TOML: {words[:1].lower()}{words[1:]}", Mark(path, line, column)


def _hint(place: Place) -> str:
    """Return the key that was perhaps meant, or the keys that there are."""
    from composer.documents.configuration import ConfigFile, Registry
    from composer.schema.problems import did_you_mean

    known = list((Registry if place[0] == "registry" and len(place) == 3 else ConfigFile).model_fields)
    return did_you_mean(str(place[-1]), known) or f"available keys: {', '.join(known)}"


def line_of(text: str, place: Place) -> int:
    """Return the line where the statement begins that gives a place its value; 0 when that is not found.

    It ends with the first line down to which the text is TOML and has the place.
    """
    begin = 1
    for end, document in _prefixes(text):
        if _has(document, place):
            return _first_statement(text, begin, end)
        begin = end + 1
    return line_of(text, place[:-1]) if len(place) > 1 else 0


def _prefixes(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the lines down to which the text is TOML, and what it says until there."""
    import tomllib

    lines = text.splitlines(keepends=True)
    for end in range(1, min(len(lines), _MAX_LINES) + 1):
        try:
            yield end, tomllib.loads("".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue  # a value of several lines, which is not at its end


def _has(document: Any, place: Place) -> bool:
    for part in place:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _first_statement(text: str, begin: int, end: int) -> int:
    """Return the first line from ``begin`` to ``end`` that is neither empty nor a comment."""
    lines = text.splitlines()
    return next(
        (n for n in range(begin, end) if lines[n - 1].strip() and not lines[n - 1].lstrip().startswith("#")),
        end,
    )
