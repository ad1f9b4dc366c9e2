"""Namespaces of another container: a start joins them instead of getting its own.

A configuration names the other one as ``{"type": "network", "container": ID}`` in `linux.namespaces`. It has to run:
its first process is found by (pid, start time, boot id), and a pidfd of that is what is joined, so that no pid
that was given to somebody else can be entered. What is joined lives on without its owner, except for a pid
namespace, which the kernel empties when its first process ends. Facts: setns(2), open_tree(2), pid_namespaces(7).
"""

from __future__ import annotations

import os

from composer.backends.namespace.runtime import endpoints, files, rootfs, syscalls
from composer.backends.namespace.runtime.status import PAUSED, RESTARTING, RUNNING, STARTING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

PAUSE_S = 0.25
"""How long to wait before looking again whether an owner has come back from its own restart."""

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


def is_coming_back(root: str, config: Mapping[str, Any]) -> bool:
    """Tell whether an owner does not run now, but is going to without being asked."""
    states = (files.read_json(f"{root}/containers/{id}/state.json") or {} for id in owners(config).values())
    return any(state.get("status") in (STARTING, RESTARTING) for state in states)


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
    state = files.read_json(f"{bundle}/state.json")
    if state is None:
        raise OwnerFailed(f"{what}: it does not exist any more", "NotFound", "recreate this one too")
    pid = int(state.get("pid") or 0)
    if state.get("status") not in (RUNNING, PAUSED) or state.get("boot_id") != boot or not pid:
        raise OwnerFailed(f"{what}: it is not running", "Conflict", "start that container first")
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        raise OwnerFailed(f"{what}: it has just ended", "Conflict", "start that container first") from None
    if files.start_time(pid) != state.get("start_ticks"):
        os.close(pidfd)
        raise OwnerFailed(f"{what}: it has just ended", "Conflict", "start that container first")
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


def clone(flags: int, owner: int = -1) -> tuple[int, int]:
    """Clone into new namespaces and, where ``owner`` is a pidfd, into that one's pid namespace.

    The child is a direct child of the caller all the same. (pid, pidfd); (0, -1) in the child.
    """
    if owner < 0:
        return syscalls.clone(flags)
    ours = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(owner, syscalls.CLONE_NEWPID)
        pid = -1
        try:
            pid, child = syscalls.clone(flags)
        finally:
            if pid != 0:
                syscalls.setns(ours, syscalls.CLONE_NEWPID)
    finally:
        os.close(ours)
    return pid, child


def join(owners: Mapping[str, int]) -> int:
    """Enter the owners' namespaces, in the child; return their /dev/shm as a detached mount, or -1."""
    for kind, pidfd in owners.items():
        if kind in _FLAGS:
            syscalls.setns(pidfd, _FLAGS[kind])
    return _clone_shm(owners["ipc"]) if "ipc" in owners else -1


def _clone_shm(pidfd: int) -> int:
    """Copy the mount of an owner's /dev/shm, which only a process in its mount namespace may do.

    While there, this one follows no link of the owner's: openat2 as everywhere, and none at all.
    """
    ours = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(pidfd, syscalls.CLONE_NEWNS)
        try:
            root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_SYMLINKS
            shm = syscalls.openat2(root, "/dev/shm", os.O_PATH | os.O_DIRECTORY, resolve=resolve)
            os.close(root)
            tree = syscalls.clone_tree(shm)
            os.close(shm)
            return tree
        finally:
            syscalls.setns(ours, syscalls.CLONE_NEWNS)
    except OSError as error:
        raise rootfs.MountFailed(f"cannot share /dev/shm: {error.strerror}") from error
    finally:
        os.close(ours)


def mount_shm(root: int, tree: int) -> None:
    """Put an owner's /dev/shm into this container's root."""
    target = rootfs.make_directory(root, "/dev/shm")
    try:
        syscalls.move_mount(tree, target)
    finally:
        os.close(target)
        os.close(tree)
