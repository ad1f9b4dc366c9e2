"""The clone of a container's first process, with everything that it is born with. Runs in the supervisor."""

from __future__ import annotations

import os
import signal
import socket

from composer.errors import Conflict
from composer.runtime.base import files, syscalls, trees
from composer.runtime.container import birth, container, process, sharing
from composer.runtime.streams import generations, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from composer.runtime.supervision.task import Task


def clone(task: Task) -> socket.socket:
    """Bring the first process into being; return our end of the conversation with it.

    Sets the task's pid and pidfd. Raises OwnerFailed when a namespace that it shares is not there, Conflict when a
    file system that it needs is not.
    """
    supervisor, config = task.supervisor, task.config
    _check_filesystems(config)
    if task.state.get("started_ns"):
        config = _without_copy_up(config)
    owners = sharing.open_owners(supervisor.root, supervisor.boot, config)
    terminal = bool(config["process"].get("terminal"))
    writers = [-1, -1]
    if not terminal and task.own.get("log", {}).get("keep", True):
        writers = [log.open_writer(task.bundle, stream) for stream in generations.STREAMS]
    stdin = task.input.open()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    note = birth.Note()
    launch = container.Launch(
        config,
        task.bundle,
        sync=theirs,
        cgroup=task.cgroup,
        filter=supervisor.filter(config),
        owners=owners,
        note=note,
        stdin=stdin,
        stdout=writers[0],
        stderr=writers[1],
    )
    try:
        task.pid, task.pidfd = syscalls.clone(container.namespace_flags(config))
        if task.pid == 0:
            container.run(launch)
        note.keep_from_children()
        task.note = note if "pid" in owners else None
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        sharing.close(owners)
        for given in (stdin, *writers):
            if given >= 0:
                os.close(given)
    # Not saved yet: until it is told to start, it ends by itself when we do.
    task.state.update(pid=task.pid, start_ticks=files.start_time(task.pid))
    supervisor.keeper.hold({f"{task.id}/pidfd": task.pidfd}, task.pid)
    return ours


def succeed(task: Task) -> None:
    """Let the process that was born in another's pid namespace take the first one's place, and go on with the start."""
    note, task.note = task.note, None
    assert note is not None
    try:
        _take_born(task, note)
        task.release_if_ready()
    except process.ProcessFailed as error:
        if not task.fail_as_reported():
            task.fail(str(error), error.exit_code, "StartFailed")
    except Exception as error:
        task.supervisor.on_error(error)
        task.fail(f"{error}", 125, "StartFailed")


def _take_born(task: Task, note: birth.Note) -> None:
    """Go on with the process that a first one let be born in another's pid namespace, and which takes its place.

    Raises ProcessFailed with what the first one said, where there is none.
    """
    supervisor = task.supervisor
    supervisor.loop.forget(task.pidfd)
    supervisor.reap(task.pid, task.pidfd, wait=True)
    born, said = note.read()
    os.close(task.pidfd)
    task.pid, task.pidfd = born, -1
    if not task.pid:
        supervisor.keeper.drop(f"{task.id}/pidfd")
        reason = said.get("error") or "the container ended while it was being set up"
        raise process.ProcessFailed(reason, int(said.get("exit_code", 125)))
    task.pidfd = os.pidfd_open(task.pid)  # ours, and not reaped: the number is nobody else's
    task.state.update(pid=task.pid, start_ticks=files.start_time(task.pid))
    supervisor.keeper.hold({f"{task.id}/pidfd": task.pidfd}, task.pid)
    task.watch_exit()


def bury(task: Task) -> None:
    """End and reap what a first process let be born in another's pid namespace, where the start came to nothing.

    The other's end would wait for it for ever. Its number is nobody else's: it is our child, and not reaped.
    """
    note, task.note = task.note, None
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
                f"volume '{entry['filesystem']['name']}' is not mounted where this project's supervisor runs, which is "
                "another mount namespace than the command's",
                hint="composer down, then composer up from here",
            )
