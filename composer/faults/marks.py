"""Which faults there are: a file for each, with the agent that holds it. Where that has died there is no fault."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from composer import faults
from composer.faults.wishes import Wish

if TYPE_CHECKING:
    from collections.abc import Iterator


def write(state: str, wish: Wish) -> str:
    """Note a fault of this process; return the file."""
    os.makedirs(faults.directory(state), 0o700, exist_ok=True)
    path = f"{faults.directory(state)}/{wish.id}.json"
    temporary = f"{path}.part"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump({"wish": wish._asdict(), "agent": [os.getpid(), _started(os.getpid())]}, file)
    os.replace(temporary, path)
    return path


def remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # whoever cleared all faults was faster


def all_of(state: str, project: str | None = None) -> Iterator[tuple[Wish, int]]:
    """Yield faults with the PID of the agent of each."""
    if not faults.are_noted(state):
        return
    directory = faults.directory(state)
    names = sorted(os.listdir(directory))
    for name in names:
        if not name.endswith(".json"):
            continue
        try:
            with open(f"{directory}/{name}", encoding="utf-8") as file:
                found = json.load(file)
            wish = Wish(**found["wish"])
            pid, started = found["agent"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it has just gone, or somebody has written into it
        if _started(pid) != started:
            remove(f"{directory}/{name}")
        elif project in (None, wish.project):
            yield wish, pid


def _started(pid: int) -> int:
    """Return when a process began, in ticks; 0 where there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except OSError:
        return 0
