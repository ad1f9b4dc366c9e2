"""The host's programs in a container (`image: host`): /usr as others see it, under a writable layer.

    container ──► overlay, writable, mounted as root         upper: the container's own
                    └► overlay, read-only, mounted as a user who is nobody     lower: the host's directory

Overlayfs asks twice: whether the container's process may, and whether whoever mounted it may. So a file that others
cannot read is nobody's to read in the container either, root included, also one that appears on the host later;
what others can do stays as it was, set-id bits and owners too. Documentation/filesystems/overlayfs, Permission model.
"""

from __future__ import annotations

import ctypes
import errno
import os
from contextlib import contextmanager

from composer.runtime.base import syscalls
from composer.runtime.container import rootfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OVERLAYFS_MAGIC = 0x794C7630
_NOBODY = 0xFFFFFFFE
"""A user id that owns no file. The user called nobody owns files on some machines."""


def mount(root: int, target: int, destination: str, options: Sequence[str]) -> tuple[int, str | None]:
    """Mount programs as an entry's options say; return the mount, open, and a warning where it is read-only.

    ``lowerdir`` is the host's directory, ``upperdir`` and ``workdir`` are the container's; ``layer`` is a directory of
    the image between them, and may come several times, topmost first. With ``ro`` the upper directory is a lower one
    too, for somebody else may have it mounted.
    """
    pairs = [option.partition("=")[::2] for option in options]
    given = dict(pairs)
    layers = "".join(f"{rootfs.escape(path)}:" for key, path in pairs if key == "layer")
    below = _mount_as_nobody(root, target, destination, given)
    try:
        escape = rootfs.escape
        if "ro" in given:
            data = f"lowerdir={escape(given['upperdir'])}:{layers}{rootfs.by_fd(below)}"
        else:
            own = f"upperdir={escape(given['upperdir'])},workdir={escape(given['workdir'])}"
            data = f"lowerdir={layers}{rootfs.by_fd(below)},{own}"
        place = syscalls.openat2(root, destination, os.O_PATH | os.O_DIRECTORY)
        try:
            syscalls.mount(
                "overlay", rootfs.by_fd(place), "overlay", syscalls.MS_RDONLY if "ro" in given else 0, data
            )
        except OSError as error:
            if error.errno != errno.EINVAL or not _is_overlay(given["lowerdir"]):
                raise
            # The kernel puts no third overlay on two: this machine's own root is one.
            return os.dup(
                below
            ), f"{destination} is mounted read-only, because it is on an overlay on this machine"
        finally:
            os.close(place)
    finally:
        os.close(below)
    return syscalls.openat2(root, destination, os.O_PATH | os.O_DIRECTORY), None


def _mount_as_nobody(root: int, target: int, destination: str, given: dict[str, str]) -> int:
    """Mount the host's directory read-only, with the rights of somebody to whom nothing belongs; return it, open."""
    empty = f"{os.path.dirname(given['upperdir'])}/empty"
    os.makedirs(empty, 0o755, exist_ok=True)  # an overlay of one layer needs another below it
    opened = [os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in (given["lowerdir"], empty)]
    try:
        # Nobody may not come by the way to them: they are named by what is open.
        data = "lowerdir=" + ":".join(rootfs.by_fd(fd) for fd in opened)
        with _as_nobody():
            syscalls.mount("overlay", rootfs.by_fd(target), "overlay", syscalls.MS_RDONLY, data)
    finally:
        for fd in opened:
            os.close(fd)
    return syscalls.openat2(root, destination, os.O_PATH | os.O_DIRECTORY)


@contextmanager
def _as_nobody() -> Iterator[None]:
    """Access files as a user who owns nothing, in this thread only. The kernel drops CAP_DAC_* with the id."""
    groups = os.getgroups()
    syscalls.set_thread_groups(())
    try:
        _set_file_ids(_NOBODY)
        yield
    finally:
        _set_file_ids(0)
        syscalls.set_thread_groups(groups)


def _set_file_ids(id: int) -> None:
    """setfsuid(2), setfsgid(2): they return no error but the id before, and change nothing for an id that is none."""
    for call in (syscalls.libc.setfsgid, syscalls.libc.setfsuid):
        call(ctypes.c_uint(id))
        if ctypes.c_uint(call(ctypes.c_uint(0xFFFFFFFF))).value != id:
            raise OSError(errno.EPERM, "cannot change the ids of file access")


def _is_overlay(path: str) -> bool:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return syscalls.filesystem_type(fd) == _OVERLAYFS_MAGIC
    finally:
        os.close(fd)
