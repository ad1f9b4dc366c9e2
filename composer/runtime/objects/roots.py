"""Opening the root of a container from outside, for whoever reads or writes files in it.

    running      the root of its first process, as it sees it: volumes, tmpfs, everything. Nothing of ours enters it
    stopped      its overlay and its bind mounts, mounted in a mount namespace that only a child of ours is in
    to be read   the same without the use of its own layer: whoever starts it mounts that, at any moment

What comes back is a descriptor to look names up from with openat2(RESOLVE_IN_ROOT), never a path. The child holds
the mounts for as long as it is needed and does nothing else; when it ends, however, they are gone.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.runtime.base import files, records, state, status, syscalls, trees, wire
from composer.runtime.container import cgroups, container, mounts, rootfs
from composer.runtime.objects import filesystems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MAX_MOUNT_DATA = 3900


class Opened:
    """A container's root, open: ``fd`` until `close`."""

    def __init__(self, fd: int, resources: ExitStack) -> None:
        self.fd = fd
        self._resources = resources

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._resources.close()


def open_root(bundle: str, *, writable: bool = False) -> Opened:
    """Open a container's root with all that is mounted in it. Raises Conflict where it cannot be written now."""
    current = records.state(bundle) or {}
    process = _process(current)
    with ExitStack() as resources:
        if process is not None:
            fd = resources.enter_context(_descriptor(process))
        else:
            if writable and _is_being_started(current):
                raise errors.Conflict(
                    "the container is being started", hint="stop it first, or wait until it is running"
                )
            fd = resources.enter_context(held(lambda: _mount_all(bundle, writable=writable)))
        return Opened(fd, resources.pop_all())


def open_own_files(bundle: str) -> Opened:
    """Open a container's root as its own layer and its image make it, without what is mounted in it."""
    current = records.state(bundle) or {}
    with ExitStack() as resources:
        process = _process(current)
        if process is not None:
            pidfd = resources.enter_context(_descriptor(os.pidfd_open(int(current["pid"]))))
            os.close(process)
            if files.start_time(int(current["pid"])) != current.get("start_ticks"):
                raise errors.Conflict("the container has just exited", hint="try again")
            fd = resources.enter_context(held(lambda: _clone_root(pidfd)))
        else:
            fd = resources.enter_context(held(lambda: _mount_layers(bundle, _config(bundle))))
        return Opened(fd, resources.pop_all())


def _process(current: Mapping[str, Any]) -> int | None:
    """Return a descriptor of the root of a container's first process; None when it has none."""
    pid = int(current.get("pid") or 0)
    if not pid or current.get("status") not in (status.RUNNING, status.PAUSED):
        return None
    if current.get("boot_id") != files.boot_id():
        return None
    try:
        fd = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return None  # it has just ended
    if files.start_time(pid) != current.get("start_ticks"):
        os.close(fd)
        return None  # the number is somebody else's by now
    return fd


def _is_being_started(current: Mapping[str, Any]) -> bool:
    """Tell whether the container's layers are in use, or may be at any moment."""
    if current.get("status") in status.ACTIVE:
        return True
    pid = int(current.get("pid") or 0)
    return bool(current.get("prepared") and pid and files.start_time(pid) == current.get("start_ticks"))


@contextmanager
def _descriptor(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


def _config(bundle: str) -> dict[str, Any]:
    return state.config_of(bundle)


# ------------------------------------------------------------------ the child that holds mounts


@contextmanager
def held(mount: Callable[[], int]) -> Iterator[int]:
    """Let a child call ``mount``; yield the descriptor that this returned there. The child ends with the context."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        _hold(mount, theirs)
    theirs.close()
    descriptors: list[int] = []
    try:
        message, descriptors = wire.receive(ours)
        if message is None or not descriptors:
            reason = (message or {}).get("error") or "its helper process exited unexpectedly"
            raise errors.BackendError(f"cannot open the container's files: {reason}")
        yield descriptors[0]
    finally:
        wire.close_all(descriptors)
        ours.close()  # the child's word to go
        os.waitpid(pid, 0)


def _hold(mount: Callable[[], int], sync: socket.socket) -> None:
    """The child: mount, hand the descriptor over, wait for the end. Never returns, and loads nothing more."""
    try:
        container.forget_imports()
        fd = mount()
        wire.send(sync, {"mounted": True}, [fd])
        sync.recv(1)
    except BaseException as error:
        # only the text: a traceback would read source files, perhaps of the container
        try:
            wire.send(sync, {"error": getattr(error, "strerror", None) or str(error)})
        except OSError:
            pass  # nobody is listening any more
    finally:
        os._exit(0)


def _mount_all(bundle: str, *, writable: bool) -> int:
    """Mount a container's overlay, and into it what is bound there; return the root's descriptor."""
    config = _config(bundle)
    target, overlay = f"{bundle}/{config['root']['path']}", records.extras(config)["overlay"]
    syscalls.unshare(syscalls.CLONE_NEWNS)
    if not writable:
        syscalls.mount(None, "/", None, syscalls.MS_SLAVE | syscalls.MS_REC)
        overlay = _for_reading(target, overlay)
    root = rootfs.mount_root(target, overlay)
    inner = {**config, "linux": {}}  # devices are made by starts
    making = mounts.Mounts(root, inner, _NO_CGROUP, os.path.dirname(os.path.dirname(bundle)))
    for entry in config["mounts"]:
        is_missing = entry["type"] == "bind" and not os.path.lexists(entry["source"])
        if entry["type"] not in ("bind", "overlay") or is_missing:
            continue  # /etc/hosts and its like are written by the first start
        _mount_filesystem(entry)
        making.apply([entry if writable else _only_read(entry)])
    making.finish()
    if config["root"].get("readonly"):
        flags = syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY
        syscalls.mount(None, rootfs.by_fd(root), None, flags)
    return root


def _mount_filesystem(entry: Mapping[str, Any]) -> None:
    """Mount the file system that a volume is, in this namespace alone, where no running container has it mounted."""
    if "filesystem" in entry and not trees.is_mount_point(entry["source"]):
        given = dict(entry["filesystem"])
        filesystems.mount(given.pop("name"), filesystems.Filesystem(**given), entry["source"])


def _for_reading(target: str, overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return an overlay that shows the same, with another place for mount points that are still to be made.

    The container's own upper directory may be in use by now, and mounting it once more would take the working
    directory away from that mount: whatever the container wants to change from then on is an error to it.
    """
    syscalls.mount("tmpfs", target, "tmpfs", 0, "mode=700")
    for name in ("upper", "work"):
        os.mkdir(f"{target}/{name}")
    top = os.stat(overlay["upper"])
    os.chown(f"{target}/upper", top.st_uid, top.st_gid)
    os.chmod(f"{target}/upper", top.st_mode & 0o7777)
    lower = [overlay["upper"], *overlay["lower"]]
    return {"lower": lower, "upper": f"{target}/upper", "work": f"{target}/work"}


def _only_read(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a mount of the host's programs with a layer over them, without the use of that layer."""
    if entry["type"] != "overlay":
        return entry
    return {**entry, "options": ["ro", *entry["options"]]}


def _mount_layers(bundle: str, config: Mapping[str, Any]) -> int:
    """Mount a container's layers read-only; its own is not in use as an upper one, so nothing can be disturbed."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount(None, "/", None, syscalls.MS_SLAVE | syscalls.MS_REC)
    overlay = records.extras(config)["overlay"]
    layers = [overlay["upper"], *overlay["lower"]]
    target = f"{bundle}/{config['root']['path']}"
    data = "lowerdir=" + ":".join(rootfs.escape(layer) for layer in layers)
    if len(data) < _MAX_MOUNT_DATA:
        syscalls.mount("overlay", target, "overlay", syscalls.MS_RDONLY, data)
    else:
        fd = syscalls.overlay_mount([("lowerdir+", layer) for layer in layers])
        syscalls.move_mount(fd, target)
    return os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _clone_root(pidfd: int) -> int:
    """Return a detached copy of the root mount of a running container, with nothing that is mounted in it."""
    syscalls.setns(pidfd, syscalls.CLONE_NEWNS)
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return syscalls.clone_tree(root)


# Nothing of what is mounted here has to do with cgroups.
_NO_CGROUP = cgroups.Cgroup(cgroups.Hierarchies({}, None, frozenset()), "")
