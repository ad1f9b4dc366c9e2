"""The devices of a container's /dev, and those that it asks for elsewhere.

Those of /dev are made in the fresh tmpfs by its own descriptor, before anything else is mounted. Where /dev is
something else, a directory of the host perhaps, nothing is made there, as with runc: it has its devices.
"""

from __future__ import annotations

import os
import stat

from composer.runtime.container import rootfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

DEVICES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))
_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
)
_KINDS = {"b": stat.S_IFBLK, "p": stat.S_IFIFO}


class Devices:
    """OCI's `linux.devices`, beyond the usual six."""

    def __init__(self, devices: Sequence[Mapping[str, Any]]) -> None:
        self._in_dev: list[tuple[str, Mapping[str, Any]]] = []
        self._others: list[tuple[str, Mapping[str, Any]]] = []
        for device in devices:
            path = "/" + os.path.normpath(device["path"]).lstrip("/")
            if path.startswith("/dev/"):
                self._in_dev.append((path.removeprefix("/dev"), device))
            else:
                self._others.append((path, device))

    def make_in_dev(self, dev: int) -> None:
        """Make the device nodes and links of /dev in the new tmpfs ``dev``, which nobody else has seen."""
        for name, major, minor in DEVICES:
            _make(dev, name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        for name, target in _LINKS:
            if name != "core" or os.path.exists(target):  # there are kernels without it
                os.symlink(target, name, dir_fd=dev)
        for path, device in self._in_dev:
            _make_wanted(dev, path, device)

    def make_others(self, root: int) -> None:
        for path, device in self._others:
            _make_wanted(root, path, device)


def _make_wanted(root: int, path: str, device: Mapping[str, Any]) -> None:
    parent_path, name = os.path.split(path)
    parent = rootfs.make_directory(root, parent_path)
    try:
        kind = _KINDS.get(device["type"], stat.S_IFCHR)
        number = os.makedev(device.get("major", 0), device.get("minor", 0))
        if _make(parent, name, kind | device.get("fileMode", 0o660), number):
            owner = device.get("uid", 0), device.get("gid", 0)
            os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
    except OSError as error:
        raise rootfs.MountFailed(f"cannot create device {device['path']}: {error.strerror}") from error
    finally:
        os.close(parent)


def _make(parent: int, name: str, mode: int, number: int) -> bool:
    """Make a node with its exact mode; False where the same one is there. Nothing that exists is replaced.

    The mode at once: a chmod afterwards follows a symlink that somebody put in the place of the node.
    """
    umask = os.umask(0)
    is_new = True
    try:
        os.mknod(name, mode, number, dir_fd=parent)
    except FileExistsError:
        is_new = False
    finally:
        os.umask(umask)
    made = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_IFMT(made.st_mode) != stat.S_IFMT(mode) or made.st_rdev != number:
        raise rootfs.MountFailed(f"cannot create device '{name}': another file exists in its place")
    return is_new
