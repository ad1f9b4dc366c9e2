"""Getting ready for starts while the command still reads and plans: what takes time, and shows nowhere.

A supervisor is started where the owner has neither a supervisor nor containers: no keeper is on record. One that turns
out not to be needed ends by itself when the command does, and leaves nothing.

Moving a process between cgroups waits for an RCU grace period, 6 to 16 ms, unless another move ended less than one
such period ago. So a thread moves this process into the cgroup that it is already in, every 8 ms for 200 ms. Where no
version 1 hierarchy is mounted, nothing is done: cgroup v2 can start a process directly in its cgroup.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from composer.runtime.base import claims

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.runtime.objects.client import Client

_PAUSE_S = 0.008
_MOVES = 25


def expect_starts(root: str, owner: str, client: Callable[[], Client] | None) -> None:
    """Begin to get ready, and return. Raises ComposerError, OSError, or RuntimeError where there can be no thread.

    ``client`` returns the owner's, where containers may be created too.
    """
    if client is not None and not os.path.exists(f"{claims.directory(root, owner)}/keeper"):
        client().begin()
    # It imports nothing: an interrupt may leave the lock of imports to the main thread.
    threading.Thread(target=_keep_moves_fast, name="moves", daemon=True).start()


def _keep_moves_fast() -> None:
    try:
        place = own_cgroup()
        if not place:
            return
        with open(f"{place}/cgroup.procs", "wb", buffering=0) as file:
            for _ in range(_MOVES):
                file.write(b"0")
                time.sleep(_PAUSE_S)
    except OSError:
        return  # not ours to move


def own_cgroup(directory: str = "/proc/self") -> str:
    """Return where this process is in one of the version 1 hierarchies; empty where there are none."""
    with open(f"{directory}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        mounts = [line.split(" - cgroup ") for line in file if " - cgroup " in line]
    with open(f"{directory}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        ours = [line.rstrip("\n").split(":", 2) for line in file]
    for mount, filesystem in mounts:
        _, _, _, root, point, *_ = mount.split(" ")
        kinds = set(filesystem.rstrip("\n").split(" ")[-1].split(","))
        for _, controllers, path in ours:
            above = root.rstrip("/")
            if controllers and set(controllers.split(",")) <= kinds and f"{path}/".startswith(f"{above}/"):
                return f"{point}{path.removeprefix(above)}".rstrip("/")
    return ""
