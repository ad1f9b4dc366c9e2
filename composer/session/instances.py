"""Several instances of one project beside each other: a name for each, and host ports that stay its own.

`choose` keeps the ports that an instance was given in ``<state>/instances/<project>.json``, so that they are the same
from run to run. One that somebody else has taken meanwhile is replaced.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from typing import TYPE_CHECKING, Any

from composer import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

AUTO = "auto"
_FIRST, _COUNT = 20_000, 10_000
_MAIN = ("main", "master", "trunk")
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def name_of(wanted: str, directory: str) -> str:
    """Return the name of an instance; for ``auto`` that of the git worktree, of the branch, or of the directory.

    Raises ProjectError for a name of which nothing can be part of a project's name.
    """
    text = _automatic(directory) if wanted == AUTO else wanted
    clean = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")
    if not clean:
        raise errors.ProjectError(
            f"invalid instance '{wanted}'", hint="use letters, digits, '-' and '_', or auto"
        )
    return clean


def _automatic(directory: str) -> str:
    place = os.path.abspath(directory)
    while True:
        git = os.path.join(place, ".git")
        if os.path.isfile(git):
            return os.path.basename(place)  # a worktree beside the main one
        if os.path.isdir(git):
            branch = _branch(git)
            return branch if branch and branch not in _MAIN else os.path.basename(place)
        if os.path.dirname(place) == place:
            return os.path.basename(os.path.abspath(directory)) or "root"
        place = os.path.dirname(place)


def _branch(git: str) -> str:
    try:
        with open(os.path.join(git, "HEAD"), encoding="utf-8") as file:
            text = file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text.removeprefix("ref: refs/heads/") if text.startswith("ref: ") else ""


def path_of(state: str, project: str) -> str:
    return f"{state}/instances/{project}.json"


def read(state: str, project: str) -> dict[str, Any]:
    """Return what is known of an instance: ``base``, ``instance``, ``ports``; empty of one that is none."""
    try:
        with open(path_of(state, project), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(state: str, project: str, record: Mapping[str, Any]) -> None:
    path = path_of(state, project)
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(record, file)
    os.replace(temporary, path)


class Ports:
    """The host ports of one instance. ``mine`` are those that its containers publish now."""

    def __init__(self, record: Mapping[str, Any], project: str, mine: Callable[[], Collection[int]]) -> None:
        found = record.get("ports")
        self.chosen: dict[str, int] = dict(found) if isinstance(found, dict) else {}
        self._project, self._mine = project, mine
        self._taken: set[int] = set()

    def choose(self, service: str, port: Mapping[str, Any]) -> str:
        """Return the host port for a published one: that of the last run, if nobody else has it."""
        protocol = str(port.get("protocol") or "tcp")
        key = f"{service} {port.get('host_ip') or ''} {port['target']}/{protocol} {port.get('published')}"
        known = self.chosen.get(key)
        if not isinstance(known, int) or known in self._taken or not self._can_have(known, protocol):
            known = self._new(key, protocol)
        self.chosen[key] = known
        self._taken.add(known)
        return str(known)

    def _new(self, key: str, protocol: str) -> int:
        start = int.from_bytes(hashlib.sha256(f"{self._project} {key}".encode()).digest()[:4], "big")
        for step in range(_COUNT):
            number = _FIRST + (start + step) % _COUNT
            if number not in self._taken and self._can_have(number, protocol):
                return number
        raise errors.ProjectError(
            f"no free host port from {_FIRST} to {_FIRST + _COUNT - 1}", hint="take other instances down"
        )

    def _can_have(self, number: int, protocol: str) -> bool:
        return _is_free(number, protocol) or number in self._mine()


def _is_free(number: int, protocol: str) -> bool:
    with socket.socket(socket.AF_INET, _KINDS.get(protocol, socket.SOCK_STREAM)) as probe:
        if protocol == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", number))
        except OSError:
            return False
    return True
