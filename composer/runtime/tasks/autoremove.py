"""Containers that are to go when they have ended, with nobody waiting for that (``run --rm -d``).

The supervisor does what the command line does for a removal: the name, the directory and the anonymous volumes go in
one moment each; what takes time, the trees, is left to a child. A container that ended while no supervisor was there
is removed by the next command.
"""

from __future__ import annotations

import os

from composer.runtime.base import records, syscalls, trees
from composer.runtime.container import cgroups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.runtime.base.loop import Loop
    from composer.runtime.base.record_types import Meta
    from composer.runtime.tasks.record import Record
    from composer.runtime.tasks.services import Services


_CGROUP_GONE_S = 2.0


def is_due(record: Record) -> bool:
    """Tell whether a container that has ended is to go. Whoever stopped it only to start it again keeps it."""
    return bool(record.extras.get("auto_remove")) and not record.state.get("kept")


def remove(services: Services, record: Record, release: Callable[[], None]) -> None:
    """Remove a container that has ended for good; ``release`` lets go of all that the supervisor has of it."""
    root = services.root
    meta = records.meta(record.bundle)
    unused = _unused(root, meta) if meta is not None else []
    release()
    name = f"{root}/names/{record.name}"
    try:
        if os.readlink(name) == record.id:
            os.unlink(name)
    except FileNotFoundError:
        pass  # it was renamed, or removed in the same moment
    doomed = [trees.set_aside(record.bundle)]
    record.emit("destroy")
    doomed += [trees.set_aside(f"{root}/volumes/{name}") for name in unused]
    cgroup = (record.id, record.extras.get("cgroup_parent"))
    _remove_in_child(services.loop, [path for path in doomed if path is not None], cgroup)


def _unused(root: str, meta: Meta) -> list[str]:
    """Return a container's anonymous volumes without those that others have come by through ``volumes_from``."""
    anonymous = {mount["name"] for mount in meta["mounts"] if mount.get("anonymous")}
    if anonymous:
        for id in os.listdir(f"{root}/containers"):
            other = records.meta(f"{root}/containers/{id}")
            if other is None or other["id"] == meta["id"]:
                continue
            anonymous -= {mount["name"] for mount in other["mounts"] if mount["type"] == "volume"}
    return sorted(anonymous)


def _remove_in_child(loop: Loop, paths: Sequence[str], cgroup: tuple[str, str | None]) -> None:
    """Remove trees in a process of their own. What it leaves when it is killed has a name that is swept.

    And the cgroup, where it is still busy: we remove it too, but a supervisor that is killed forgets it.
    """
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.close_all_but({0, 1, 2})
            for path in paths:
                trees.remove_tree(path)
            cgroups.remove_of([cgroup], timeout_s=_CGROUP_GONE_S)
        except OSError as error:
            os.write(2, f"cannot remove {paths}: {error}\n".encode())  # the log: the next command sweeps it
        finally:
            os._exit(0)
    pidfd = os.pidfd_open(pid)

    def reap() -> None:
        loop.forget(pidfd)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)

    loop.watch(pidfd, lambda _: reap())
