"""Texts of flags as values of attributes. Each raises ValueError that says what would be right."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from composer.units import parse_duration_ns, parse_size_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"'{text}' must be a whole number") from None


def size(text: str) -> str:
    parse_size_bytes(text)
    return text


def duration(text: str) -> str:
    parse_duration_ns(text)
    return text


def in_seconds(text: str) -> str:
    return f"{number(text)}s"


def words(text: str) -> list[str]:
    return shlex.split(text)


def shell_command(text: str) -> list[str]:
    return ["CMD-SHELL", text]


def mapping(given: Iterable[str]) -> dict[str, str]:
    pairs = [entry.partition("=") for entry in given]
    if not all(key for key, _, _ in pairs):
        raise ValueError("invalid key-value pair: empty key")
    return {key: value for key, _, value in pairs}


def each(read: Callable[[str], Any]) -> Callable[[Iterable[str]], list[Any]]:
    """Return what reads every value of a flag that can be given several times."""
    return lambda given: [read(text) for text in given]


def device(text: str) -> dict[str, Any] | str:
    from composer.schema.shortforms import parse_device

    is_by_name = "=" in text and not text.startswith("/")
    return {"source": text, "target": text, "permissions": "rwm"} if is_by_name else parse_device(text)


def pair_of_device(key: str) -> Callable[[str], dict[str, Any]]:
    """Return what reads ``DEVICE:VALUE``, a limit of one device."""

    def read(text: str) -> dict[str, Any]:
        path, _, value = text.rpartition(":")
        if not path or not value:
            raise ValueError(f"'{text}' must be DEVICE:{'N' if key == 'weight' else 'RATE'}")
        return {"path": path, key: number(value) if key == "weight" else size(value)}

    return read


def ulimits(given: Iterable[str]) -> dict[str, dict[str, int]]:
    found = {}
    for text in given:
        name, equals, limit = text.partition("=")
        soft, _, hard = limit.partition(":")
        if not equals or not all(part.lstrip("-").isdecimal() for part in (soft, hard or soft)):
            raise ValueError(f"'{text}': write NAME=SOFT[:HARD]")
        found[name] = {"soft": int(soft), "hard": int(hard or soft)}
    return found


def fields(text: str) -> dict[str, str]:
    """Read ``key=value,key,"key=with,comma"``; a bare key has an empty value."""
    import csv

    try:
        (row,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError):
        raise ValueError(f"'{text}' must be KEY=VALUE,KEY=VALUE") from None
    return {key.strip().lower(): value for key, _, value in (part.partition("=") for part in row)}


def devices_of_gpus(text: str) -> str | list[dict[str, Any]]:
    """Read ``all``, a number, or ``device=ID,capabilities=NAME,count=N,driver=NAME,options=…``."""
    if text == "all":
        return text
    if text.isdecimal():
        return [{"count": int(text), "capabilities": []}]
    found: dict[str, Any] = {"capabilities": []}
    for key, value in fields(text).items():
        if key == "count":
            found["count"] = value if value == "all" else number(value)
        elif key == "device":
            found["device_ids"] = value.split(",")
        elif key == "capabilities":
            found["capabilities"] = value.split(",")
        elif key == "driver":
            found["driver"] = value
        elif key == "options":
            found["options"] = mapping(value.split(","))
        else:
            raise ValueError(f"unknown field '{key}' in '{text}'")
    return [found]
