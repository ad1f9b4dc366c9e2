"""``--change`` of an import: Dockerfile instructions that set an image's configuration.

CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR, with the words of the OCI image
configuration as the result.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLAIN = {"USER": "User", "WORKDIR": "WorkingDir", "STOPSIGNAL": "StopSignal"}
_COMMANDS = {"CMD": "Cmd", "ENTRYPOINT": "Entrypoint"}
_SETS = {"EXPOSE": "ExposedPorts", "VOLUME": "Volumes"}


def apply_changes(config: dict[str, Any], changes: Iterable[str]) -> dict[str, Any]:
    """Return the configuration with the instructions applied. Raises click.BadParameter."""
    result = dict(config)
    for change in changes:
        word, _, rest = change.strip().partition(" ")
        word, rest = word.upper(), rest.strip()
        if word in _PLAIN and rest:
            result[_PLAIN[word]] = rest
        elif word in _COMMANDS:
            result[_COMMANDS[word]] = _command(rest, change)
        elif word in _SETS and rest:
            values = _json_list(rest, change) if rest.startswith("[") else shlex.split(rest)
            if word == "EXPOSE":
                values = [value if "/" in value else f"{value}/tcp" for value in values]
            result[_SETS[word]] = {**(result.get(_SETS[word]) or {}), **{value: {} for value in values}}
        elif word == "ENV" and rest:
            new = _pairs(rest, change)
            kept = [entry for entry in result.get("Env") or () if entry.partition("=")[0] not in new]
            result["Env"] = kept + [f"{key}={value}" for key, value in new.items()]
        elif word == "LABEL" and rest:
            result["Labels"] = {**(result.get("Labels") or {}), **_pairs(rest, change)}
        else:
            raise click.BadParameter(
                f"'{change}' must start with CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, "
                "VOLUME or WORKDIR, and have a value",
                param_hint="--change",
            )
    return result


def _command(text: str, change: str) -> list[str]:
    return _json_list(text, change) if text.startswith("[") else ["/bin/sh", "-c", text]


def _json_list(text: str, change: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(value, str) for value in found):
        raise click.BadParameter(f"'{change}' must be a JSON list of strings", param_hint="--change")
    return found


def _pairs(text: str, change: str) -> dict[str, str]:
    words = shlex.split(text)
    if len(words) >= 2 and "=" not in words[0]:
        return {words[0]: " ".join(words[1:])}
    pairs = [word.partition("=") for word in words]
    if not pairs or not all(equals and key for key, equals, _ in pairs):
        raise click.BadParameter(f"'{change}' must have KEY=VALUE", param_hint="--change")
    return {key: value for key, _, value in pairs}
