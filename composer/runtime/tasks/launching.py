"""The clone of a container's first process, with everything that it is born with. Runs in the supervisor."""

from __future__ import annotations

import os
import signal
import socket

from composer.errors import Conflict
from composer.runtime.base import syscalls, trees
from composer.runtime.container import birth, container, sharing
from composer.runtime.streams import generations, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from composer.runtime.container.cgroups import Cgroup
    from composer.runtime.tasks.record import Record
    from composer.runtime.tasks.services import Services


class Born:
    """A first process that has just been cloned: its number, a descriptor, and our end of the conversation with it."""

    __slots__ = ("note", "pid", "pidfd", "sync")

    def __init__(self, pid: int, pidfd: int, sync: socket.socket, note: birth.Note | None) -> None:
        self.pid, self.pidfd, self.sync, self.note = pid, pidfd, sync, note


def clone(services: Services, record: Record, cgroup: Cgroup, stdin: int) -> Born:
    """Bring the first process into being; ``stdin`` (-1 for none) is closed here.

    Raises OwnerFailed when a namespace that it shares is not there, Conflict when a file system that it needs is not.
    Where it raises there is no process.
    """
    config, writers, owners = record.config, [-1, -1], dict[str, int]()
    try:
        _check_filesystems(config)
        if record.state.get("started_ns"):
            config = _without_copy_up(config)
        owners = sharing.open_owners(services.root, services.boot, config)
        if not config["process"].get("terminal") and record.extras.get("log", {}).get("keep", True):
            writers = [log.open_writer(record.bundle, stream) for stream in generations.STREAMS]
        return _clone(services, record, config, cgroup, owners, stdin, writers)
    finally:
        sharing.close(owners)
        for given in (stdin, *writers):
            if given >= 0:
                os.close(given)


def _clone(
    services: Services,
    record: Record,
    config: Mapping[str, Any],
    cgroup: Cgroup,
    owners: Mapping[str, int],
    stdin: int,
    writers: Sequence[int],
) -> Born:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    note = birth.Note()
    launch = container.Launch(
        config,
        record.bundle,
        sync=theirs,
        cgroup=cgroup,
        filter=services.filter(config),
        owners=owners,
        note=note,
        stdin=stdin,
        stdout=writers[0],
        stderr=writers[1],
    )
    try:
        pid, pidfd = syscalls.clone(container.namespace_flags(config))
        if pid == 0:
            container.run(launch)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return Born(pid, pidfd, ours, note if "pid" in owners else None)


def bury(note: birth.Note | None) -> None:
    """End and reap what a first process let be born in another's pid namespace, where the start came to nothing.

    The other's end would wait for it for ever. Its number is nobody else's: it is our child, and not reaped.
    """
    born = note.read()[0] if note is not None else 0
    if born:
        try:
            os.kill(born, signal.SIGKILL)
            os.waitpid(born, 0)
        except (ProcessLookupError, ChildProcessError):
            pass  # it was a supervisor's before this one: the keeper reaps it


def _without_copy_up(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration that fills no volume: as with Docker, only what a new container finds empty is filled."""
    mounts = [
        {**entry, "options": [option for option in entry["options"] if option != "copyup"]}
        if "copyup" in entry.get("options", ())
        else entry
        for entry in config["mounts"]
    ]
    return {**config, "mounts": mounts}


def _check_filesystems(config: Mapping[str, Any]) -> None:
    """Raise Conflict where a volume's own file system is not mounted here: its data would go to the directory below."""
    for entry in config["mounts"]:
        if "filesystem" in entry and not trees.is_mount_point(entry["source"]):
            raise Conflict(
                f"volume '{entry['filesystem']['name']}' is not mounted in the mount namespace of this project's "
                "supervisor, which differs from this command's",
                hint="run composer down, then composer up in this mount namespace",
            )
