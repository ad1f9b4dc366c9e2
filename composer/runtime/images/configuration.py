"""What an image is, and its configuration, which somebody else wrote: checked field by field before it is stored.

The types are Go's, of the OCI image specification and of Docker's additions; what Go leaves out (null, an absent
key) is left out here. Readers of what is stored do not rely on it all the same: `tolerant`.
https://github.com/opencontainers/image-spec/blob/main/config.md
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import ImageError
from composer.patterns import pattern
from composer.runtime.base import signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Check = Callable[[Any], bool]
    Table = Mapping[str, tuple[Check, str]]

_MAX_DEPTH = 32
_MAX_PORTS = 1024
_PORT = pattern(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_TIME = pattern(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,18})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_LARGEST = (1 << 63) - 1


# ------------------------------------------------------------------ images

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def architecture() -> str:
    """Return this machine's architecture in Go's words, as images have it."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


class Image(NamedTuple):
    """An image that is ready to run. ``layers`` are directories for overlayfs, topmost first.

    ``programs`` are host directories that are shown at their own place, each under a writable layer (`host`).
    ``config`` is Docker's: Cmd, Entrypoint, Env, User, WorkingDir, Volumes, Healthcheck, ….
    """

    id: str
    references: tuple[str, ...]
    layers: tuple[str, ...]
    config: Mapping[str, Any]
    size_bytes: int = 0
    created: str = ""
    programs: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    """What registries call it: ``redis@sha256:…``."""
    tagged_ns: int = 0
    """Since when the name that it was found by stands for it; of several names, the newest."""
    platform: str = ""
    """``linux/arm64``, ``linux/arm/v7``."""
    manifest: str = ""
    """The digest of its manifest, as it is here."""
    index_digest: str = ""
    """The digest of the index that its name stands for; empty for an image of one platform."""
    diff_ids: tuple[str, ...] = ()
    """The digests of its layers as plain archives, lowest first."""
    others: tuple[Image, ...] = ()
    """The images of that index for other platforms."""
    others_bytes: int = 0
    """Of the layers that these have and the image itself has not."""

    @property
    def all_layers(self) -> frozenset[str]:
        """The layers of it and of the other platforms' images."""
        return frozenset(self.layers).union(*(one.layers for one in self.others))


# ------------------------------------------------------------------ shapes


def _is_text(value: Any) -> bool:
    """Tell a text that a path, a program or a terminal can be given: no zero byte, no half of a surrogate pair."""
    return isinstance(value, str) and "\0" not in value and not any("\ud800" <= c <= "\udfff" for c in value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_environment(value: Any) -> bool:
    return _is_texts(value) and all(entry and not entry.startswith("=") for entry in value)


def _is_command(value: Any) -> bool:
    return _is_texts(value) or _is_text(value)  # as one text in what old versions of Docker wrote


def _is_set(value: Any) -> bool:
    """Tell Go's ``map[string]struct{}``."""
    return isinstance(value, dict) and all(
        _is_text(key) and key and (entry is None or isinstance(entry, dict)) for key, entry in value.items()
    )


def _is_ports(value: Any) -> bool:
    return _is_set(value) and len(value) <= _MAX_PORTS and all(ports_of(key) for key in value)


def _is_labels(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_text(key) and _is_text(text) for key, text in value.items())


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and (not value or _TIME.fullmatch(value) is not None)


def _is_signal(value: Any) -> bool:
    return isinstance(value, str) and (not value or signals.number(value) is not None)


def _is_test(value: Any) -> bool:
    return _is_texts(value) and (not value or value[0] in ("", "NONE", "CMD", "CMD-SHELL"))


_TEXT = (_is_text, "a string without null bytes")
STRINGS = (_is_texts, "a list of strings")
_FLAG = (_is_flag, "a boolean")
_COUNT = (_is_count, "an integer of zero or more")
_COMMAND = (_is_command, "a list of strings")

HEALTHCHECK: Table = {
    "Test": (_is_test, "a list of strings that begins with NONE, CMD or CMD-SHELL"),
    **dict.fromkeys(("Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"), _COUNT),
}


def _is_healthcheck(value: Any) -> bool:
    return isinstance(value, dict) and next(_faults(value, HEALTHCHECK), None) is None


CONFIG: Table = {
    "Env": (_is_environment, "a list of KEY=VALUE"),
    "Entrypoint": _COMMAND,
    "Cmd": _COMMAND,
    "Shell": STRINGS,
    "OnBuild": STRINGS,
    "ExposedPorts": (_is_ports, 'a mapping such as {"80/tcp": {}}'),
    "Volumes": (_is_set, 'a mapping such as {"/data": {}}'),
    "Labels": (_is_labels, "a mapping of strings"),
    "Healthcheck": (_is_healthcheck, "a mapping with Test, Interval, …"),
    "StopSignal": (_is_signal, "the name or number of a signal"),
    "StopTimeout": _COUNT,
    **dict.fromkeys(("User", "WorkingDir", "Hostname", "Domainname", "Image", "MacAddress"), _TEXT),
    **dict.fromkeys(
        "AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce ArgsEscaped NetworkDisabled".split(),
        _FLAG,
    ),
}

_HISTORY: Table = {
    "created": (_is_time, "a time such as 2026-01-02T03:04:05Z"),
    **dict.fromkeys(("created_by", "author", "comment"), _TEXT),
    "empty_layer": _FLAG,
}

_WHOLE: Table = {
    "created": _HISTORY["created"],
    **dict.fromkeys(
        "architecture os variant os.version author comment container docker_version id parent".split(), _TEXT
    ),
    "os.features": STRINGS,
    "config": (lambda value: isinstance(value, dict), "a mapping"),
    "container_config": (lambda value: isinstance(value, dict), "a mapping"),
    "rootfs": (lambda value: isinstance(value, dict), "a mapping"),
    "history": (
        lambda value: isinstance(value, list) and all(isinstance(entry, dict) for entry in value),
        "a list of mappings",
    ),
    **dict.fromkeys(("size", "Size", "VirtualSize"), _COUNT),
}
_ROOTFS: Table = {"type": (lambda value: value == "layers", "'layers'"), "diff_ids": STRINGS}


def _faults(found: Any, table: Table, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield which fields have a value of a wrong shape, and what would be one."""
    for key, value in found.items() if isinstance(found, dict) else ():
        check, words = table.get(key, (None, ""))
        if check is not None and value is not None and not check(value):
            yield where + key, words


# ------------------------------------------------------------------ the whole


def checked(whole: Any) -> dict[str, Any]:
    """Return a configuration. Raises ImageError, which names the field that is wrong."""
    if not isinstance(whole, dict):
        raise ImageError("its configuration is not a mapping")
    if not _is_shallow(whole):
        raise ImageError(f"its configuration is nested too deeply (limit: {_MAX_DEPTH} levels)")
    for name, words in _all_faults(whole):
        raise ImageError(f"its configuration is invalid: {name} must be {words}")
    return whole


def _all_faults(whole: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _faults(whole, _WHOLE)
    config = whole.get("config") or {}
    yield from _faults(config.get("Healthcheck"), HEALTHCHECK, "config.Healthcheck.")
    yield from _faults(config, CONFIG, "config.")
    yield from _faults(whole.get("rootfs"), _ROOTFS, "rootfs.")
    for index, entry in enumerate(whole.get("history") or ()):
        yield from _faults(entry, _HISTORY, f"history[{index}].")


def _is_shallow(value: Any, depth: int = 0) -> bool:
    if depth > _MAX_DEPTH:
        return False
    if isinstance(value, dict):
        return all(_is_shallow(entry, depth + 1) for entry in value.values())
    return not isinstance(value, list) or all(_is_shallow(entry, depth + 1) for entry in value)


def tolerant(config: Any) -> dict[str, Any]:
    """Return the fields of a container's configuration that are as they must be; an image is more than one field."""
    if not isinstance(config, dict):
        return {}
    wrong = {name for name, _ in _faults(config, CONFIG)}
    kept = {key: value for key, value in config.items() if key not in wrong and value is not None}
    for key in ("Entrypoint", "Cmd"):
        if isinstance(kept.get(key), str):
            kept[key] = [kept[key]]
    return kept


# ------------------------------------------------------------------ single values


def ports_of(text: str) -> list[str]:
    """Return the ports that an entry of ExposedPorts names, as ``80/tcp``; nothing where it names none."""
    match = _PORT.fullmatch(text)
    if match is None:
        return []
    first, last = int(match[1]), int(match[2] or match[1])
    if not 0 < first <= last <= 65535:
        return []
    protocol = (match[3] or "tcp").lower()
    return [f"{number}/{protocol}" for number in range(first, last + 1)]


def exposed(config: Mapping[str, Any]) -> list[str]:
    """Return the ports that an image names, each once."""
    return sorted({port for text in config.get("ExposedPorts") or () for port in ports_of(text)})
