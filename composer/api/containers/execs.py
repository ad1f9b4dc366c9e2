"""Commands in containers as objects: a file each, so that any server knows them, and this one those that it runs.

    <run>/execs/<id>.json    the container, the command, whether it runs, its exit code

A record goes five minutes after its command has ended or was to begin, as with Docker, or with its container.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from composer.api.http.problems import Problem
from composer.runtime.base import files, state

if TYPE_CHECKING:
    from composer.api.world import World
    from composer.runtime.objects.session import ExecSession

_KEPT_S = 300.0
_LETTERS = frozenset("0123456789abcdef")
_ID_LENGTH = 64


class Running:
    """The commands that this server runs, by exec id: for the size of their terminals."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.sessions: dict[str, ExecSession] = {}


def running(world: World) -> Running:
    found: Running = world.kept("execs", Running)
    return found


def _directory(world: World) -> str:
    return f"{world.paths.run}/execs"


def _path(world: World, id: str) -> str:
    return f"{_directory(world)}/{id}.json"


def add(world: World, record: dict[str, Any]) -> str:
    """Keep a new command; return its id."""
    sweep(world)
    id = os.urandom(_ID_LENGTH // 2).hex()
    state.make_directory(_directory(world))
    write(world, id, {**record, "server": _myself(), "time_ns": time.time_ns()})
    return id


def write(world: World, id: str, record: dict[str, Any]) -> None:
    files.write_json(_path(world, id), record)


def read(world: World, id: str) -> dict[str, Any]:
    """Return a record. Raises Problem."""
    record = files.read_json(_path(world, id)) if set(id) <= _LETTERS and len(id) == _ID_LENGTH else None
    if record is None or not os.path.isdir(world.paths.container(str(record.get("container")))):
        raise Problem(404, f"No such exec instance: {id}")
    if record.get("running") and not _is_alive(record):
        # its server was killed: what became of the command nobody has seen
        record |= {"running": False, "exit_code": None}
    return record


def _myself() -> list[int]:
    return [os.getpid(), files.start_time(os.getpid()) or 0]


def _is_alive(record: dict[str, Any]) -> bool:
    server = record.get("server") or [0, 0]
    return bool(files.start_time(int(server[0])) == server[1])


def all_of(world: World) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name in state.list_directory(_directory(world)):
        record = files.read_json(f"{_directory(world)}/{name}") if name.endswith(".json") else None
        if record is not None:
            found.append((name.removesuffix(".json"), record))
    return found


def ids_of(world: World, container: str) -> list[str]:
    """Return the ids of a container's commands that have not ended."""
    return [
        id
        for id, record in all_of(world)
        if record.get("container") == container and "exit_code" not in record and _is_alive(record)
    ]


def sweep(world: World) -> None:
    """Remove the records of what ended, or was never begun, a while ago."""
    if not os.path.isdir(_directory(world)):
        return
    files.sweep_half_written(_directory(world))
    now_ns = time.time_ns()
    for id, record in all_of(world):
        is_old = now_ns - int(record.get("time_ns") or 0) > _KEPT_S * 1e9
        has_container = os.path.isdir(world.paths.container(str(record.get("container"))))
        if not has_container or (is_old and not (record.get("running") and _is_alive(record))):
            files.remove_file(_path(world, id))
