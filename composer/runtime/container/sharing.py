"""Namespaces of another container: a start joins them instead of getting its own.

A configuration names the other one as ``{"type": "network", "container": ID}`` in `linux.namespaces`. It has to run:
its first process is found by (pid, start time, boot id), and a pidfd of that is what is joined, so that no pid
that was given to somebody else can be entered. What is joined lives on without its owner, except for a pid
namespace, which the kernel empties when its first process ends. Facts: setns(2), open_tree(2), pid_namespaces(7).
"""

from __future__ import annotations

import os

from composer.runtime.base import files, records, syscalls
from composer.runtime.base.status import PAUSED, RESTARTING, RUNNING, STARTING
from composer.runtime.container import rootfs
from composer.runtime.network import endpoints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

PAUSE_S = 0.25
"""How long to wait before looking again whether an owner has come back from its own restart."""

_PROC_ROOT = 1  # the inode of a procfs' root directory
_MARK = "shared"
_FLAGS = {
    "ipc": syscalls.CLONE_NEWIPC,
    "uts": syscalls.CLONE_NEWUTS,
    "network": syscalls.CLONE_NEWNET,
}


class OwnerFailed(endpoints.NetworkFailed):
    """The container whose namespaces are wanted cannot be joined."""


def owners(config: Mapping[str, Any]) -> dict[str, str]:
    """Return whose namespaces a container joins: ids by kind."""
    return {e["type"]: e["container"] for e in config["linux"]["namespaces"] if e.get("container")}


def has_own(config: Mapping[str, Any], kind: str) -> bool:
    """Tell whether a container gets a new namespace of this kind."""
    return any(e["type"] == kind and not e.get("container") for e in config["linux"]["namespaces"])


def foreign_kinds(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the kinds of namespaces that a container does not have to itself, and whose they are."""
    own = {e["type"] for e in config["linux"]["namespaces"] if not e.get("container") and not e.get("path")}
    return {kind: "another's" for kind in ("network", "ipc", "uts") if kind not in own}


def is_coming_back(root: str, config: Mapping[str, Any]) -> bool:
    """Tell whether an owner does not run now, but is going to without being asked."""
    states = [records.state(f"{root}/containers/{id}") or {} for id in owners(config).values()]
    return any(
        state.get("status") in (STARTING, RESTARTING) or not _is_program(int(state.get("pid") or 0))
        for state in states
    )


def _is_program(pid: int) -> bool:
    """Return True if a container's first process runs its program, and no longer has the runtime's privileges."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n") != syscalls.FIRST_PROCESS
    except (FileNotFoundError, ProcessLookupError):
        return True  # there is nobody to meet


def open_owners(root: str, boot: str, config: Mapping[str, Any]) -> dict[str, int]:
    """Return a pidfd of each owner's first process, by kind. Raises OwnerFailed where one does not run."""
    found: dict[str, int] = {}
    try:
        for kind, id in owners(config).items():
            bundle = f"{root}/containers/{id}"
            found[kind] = _open(bundle, boot, f"cannot join the {kind} namespace of container {id[:12]}")
            if kind == "network":
                _mark(bundle)
    except BaseException:
        close(found)
        raise
    return found


def close(owners: Mapping[str, int]) -> None:
    for fd in owners.values():
        os.close(fd)


def _open(bundle: str, boot: str, what: str) -> int:
    state = records.state(bundle)
    if state is None:
        raise OwnerFailed(f"{what}: it no longer exists", "NotFound", "recreate this container too")
    pid = int(state.get("pid") or 0)
    if state.get("status") not in (RUNNING, PAUSED) or state.get("boot_id") != boot or not pid:
        raise OwnerFailed(f"{what}: it is not running", "Conflict", "start that container first")
    if not _is_program(pid):
        raise OwnerFailed(f"{what}: it is being started", "Conflict", "try again")
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        raise OwnerFailed(f"{what}: it has just exited", "Conflict", "start that container first") from None
    if files.start_time(pid) != state.get("start_ticks"):
        os.close(pidfd)
        raise OwnerFailed(f"{what}: it has just exited", "Conflict", "start that container first")
    return pidfd


def _mark(bundle: str) -> None:
    """Note in the owner's directory that its interfaces do not go by themselves when it ends."""
    try:
        os.close(os.open(f"{bundle}/{_MARK}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except FileNotFoundError:
        raise OwnerFailed("the owner of the namespace was removed", "NotFound", None) from None


def is_marked(bundle: str) -> bool:
    """Tell whether others may still be in this container's network namespace when it ends."""
    return os.path.exists(f"{bundle}/{_MARK}")


class Trees:
    """What is taken from owners as detached mounts, -1 for nothing: their /dev/shm and their /proc."""

    __slots__ = ("proc", "shm")

    def __init__(self, shm: int = -1, proc: int = -1) -> None:
        self.shm = shm
        self.proc = proc


def join(owners: Mapping[str, int]) -> Trees:
    """Enter the owners' namespaces; return what else is theirs to share.

    Not their pid namespace: who enters that is seen by all in there, so it comes last (`join_pids`).
    """
    for kind, pidfd in owners.items():
        if kind in _FLAGS:
            syscalls.setns(pidfd, _FLAGS[kind])
    return Trees(
        shm=_clone_of(owners["ipc"], "/dev/shm") if "ipc" in owners else -1,
        proc=_clone_proc(owners["pid"]) if "pid" in owners else -1,
    )


def join_pids(owners: Mapping[str, int]) -> None:
    """Make the next cloned child a member of the owner's pid namespace."""
    syscalls.setns(owners["pid"], syscalls.CLONE_NEWPID)


def _clone_of(pidfd: int, path: str) -> int:
    """Copy a mount of an owner's, which only a process in its mount namespace may do.

    While there, this one follows no link of the owner's: openat2 as everywhere, and none at all.
    """
    ours = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(pidfd, syscalls.CLONE_NEWNS)
        try:
            root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_SYMLINKS
            found = syscalls.openat2(root, path, os.O_PATH | os.O_DIRECTORY, resolve=resolve)
            os.close(root)
            tree = syscalls.clone_tree(found)
            os.close(found)
            return tree
        finally:
            syscalls.setns(ours, syscalls.CLONE_NEWNS)
    except OSError as error:
        raise rootfs.MountFailed(f"cannot share {path}: {error.strerror}") from error
    finally:
        os.close(ours)


def _clone_proc(pidfd: int) -> int:
    """Copy an owner's procfs: a new one would show the pid namespace of this process, which is the host's.

    The owner may have put something else there, so it is looked at: the root of a procfs, of the owner's namespace.
    """
    tree = _clone_of(pidfd, "/proc")
    try:
        if not rootfs.is_procfs(tree) or os.fstat(tree).st_ino != _PROC_ROOT:
            raise rootfs.MountFailed("cannot share the pid namespace: its owner has no procfs at /proc")
        shown = os.readlink("1/ns/pid", dir_fd=tree)
        number = syscalls.number_of(pidfd)
        if shown != os.readlink(f"/proc/{number}/ns/pid"):
            raise rootfs.MountFailed(
                "cannot share the pid namespace: its owner's /proc belongs to another pid namespace"
            )
    except OSError as error:
        os.close(tree)
        raise rootfs.MountFailed(f"cannot share the pid namespace: {error.strerror}") from error
    except rootfs.MountFailed:
        os.close(tree)
        raise
    return tree


def mount_shm(root: int, tree: int) -> None:
    """Put an owner's /dev/shm into this container's root."""
    target = rootfs.make_directory(root, "/dev/shm")
    try:
        syscalls.move_mount(tree, target)
    finally:
        os.close(target)
        os.close(tree)
