"""The root of a container: its overlay, places in it to mount on, masks, and the pivot into it.

Runs in the container's first process, in its own mount namespace, before anything of the container runs. Every
destination is resolved inside the root by descriptor (openat2 RESOLVE_IN_ROOT), so that a symlink of an image or a
volume cannot lead outside; what is mounted on it is in `mounts`.
Order and rules: OCI runtime-spec, config-linux; CVE-2019-19921, 2021-30465, 2025-31133, 2025-52881, 2026-41579.
"""

from __future__ import annotations

import errno
import os
import stat

from composer import sysctls
from composer.runtime.base import opening, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_MAX_MOUNT_DATA = 3900  # mount(2) takes one page of options


class MountFailed(Exception):
    """A mount cannot be made; the text says which and why."""


def by_fd(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


def mount_root(path: str, overlay: Mapping[str, Any] | None) -> int:
    """Mount the container's root at ``path`` and return a descriptor of it.

    ``overlay``: ``lower`` (directories, topmost first), ``upper``, ``work``. Without one, ``path`` is the root as
    it stands and is bound onto itself, for pivot_root wants a mount point.
    """
    syscalls.mount(None, "/", None, syscalls.MS_SLAVE | syscalls.MS_REC)
    if overlay is None:
        syscalls.mount(path, path, None, syscalls.MS_BIND | syscalls.MS_REC)
    else:
        mount_overlay(path, overlay)
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def mount_overlay(path: str, overlay: Mapping[str, Any]) -> None:
    """Mount ``lower`` (directories, topmost first), with ``upper`` and ``work`` over it where there are any."""
    lower = overlay["lower"]
    data = f"lowerdir={':'.join(escape(directory) for directory in lower)}"
    if "upper" in overlay:
        data += f",upperdir={escape(overlay['upper'])},workdir={escape(overlay['work'])}"
    if len(data) < _MAX_MOUNT_DATA:
        syscalls.mount("overlay", path, "overlay", 0, data)
        return
    options = [("lowerdir+", directory) for directory in lower]
    if "upper" in overlay:
        options += [("upperdir", overlay["upper"]), ("workdir", overlay["work"])]
    fd = syscalls.overlay_mount(options)
    try:
        syscalls.move_mount(fd, path)
    finally:
        os.close(fd)


def escape(path: str) -> str:
    """Return a path as overlayfs wants it among its options."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def make_directory(root: int, path: str, *, mode: int = 0o755, resolve: int = 0) -> int:
    """Open a directory of the container, making what is missing; the descriptor is O_PATH."""
    flags = os.O_PATH | os.O_DIRECTORY
    try:
        return syscalls.openat2(root, path, flags, resolve=syscalls.RESOLVE_IN_ROOT | resolve)
    except FileNotFoundError:
        pass  # made below, one level after the other
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise MountFailed("it is not a directory in the image") from error
        raise
    parent_path, name = os.path.split(path.rstrip("/"))
    parent = make_directory(root, parent_path or "/", mode=mode, resolve=resolve)
    try:
        os.mkdir(name, mode, dir_fd=parent)
    except FileExistsError:
        pass  # a dangling symlink (refused by the open that follows), or made in the same moment
    finally:
        os.close(parent)
    try:
        return syscalls.openat2(root, path, flags, resolve=syscalls.RESOLVE_IN_ROOT | resolve)
    except FileNotFoundError as error:
        raise MountFailed("it is a dangling symlink in the image") from error


def make_file(root: int, path: str, *, resolve: int = 0) -> int:
    """Open anything of the container as a mount point (O_PATH), making an empty file where there is nothing."""
    resolve |= syscalls.RESOLVE_IN_ROOT
    try:
        return syscalls.openat2(root, path, os.O_PATH, resolve=resolve)
    except FileNotFoundError:
        pass  # made below
    parent_path, name = os.path.split(path)
    parent = make_directory(root, parent_path)
    try:
        os.mknod(name, stat.S_IFREG | 0o644, dir_fd=parent)
    except FileExistsError:
        pass  # a dangling symlink (refused by the open that follows), or made in the same moment
    finally:
        os.close(parent)
    try:
        return syscalls.openat2(root, path, os.O_PATH, resolve=resolve)
    except FileNotFoundError as error:
        raise MountFailed("it is a dangling symlink in the image") from error


def open_null(root: int) -> int:
    """Open the container's /dev/null, and make sure that it is one before that (CVE-2025-31133)."""
    fd = opening.character_device(root, "/dev/null", os.makedev(1, 3), os.O_RDWR)
    if fd is None:
        raise MountFailed("/dev/null of the container is not the null device")
    return fd


def mask_paths(root: int, masked: Sequence[str], readonly: Sequence[str]) -> None:
    """Hide ``masked`` (files behind /dev/null, directories behind an empty tmpfs), protect ``readonly``."""
    null = open_null(root)
    empty = -1
    try:
        for path in masked:
            target = _open_existing(root, path)
            if target < 0:
                continue
            if not stat.S_ISDIR(os.fstat(target).st_mode):
                syscalls.mount(by_fd(null), by_fd(target), None, syscalls.MS_BIND)
            elif empty < 0:
                empty = syscalls.new_mount("tmpfs", "tmpfs", syscalls.MS_RDONLY, "nr_blocks=1,nr_inodes=1")
                syscalls.move_mount(empty, target)
            else:
                syscalls.mount(by_fd(empty), by_fd(target), None, syscalls.MS_BIND)
            os.close(target)
        for path in readonly:
            target = _open_existing(root, path)
            if target < 0:
                continue
            copy = syscalls.clone_tree(target, recursive=True)
            syscalls.move_mount(copy, target)
            add_flags(copy, syscalls.MS_RDONLY)
            os.close(copy)
            os.close(target)
    finally:
        os.close(null)
        if empty >= 0:
            os.close(empty)


def _open_existing(root: int, path: str) -> int:
    """Open what is to be hidden or protected; -1 where there is none, or a link, which would hide another thing."""
    resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_SYMLINKS
    try:
        return syscalls.openat2(root, path, os.O_PATH, resolve=resolve)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        return -1


def add_flags(fd: int, flags: int) -> None:
    """Add ``flags`` to a mount, keeping those that the kernel has locked on it."""
    state = os.statvfs(fd)
    kept = 0
    for bit, flag in (
        (os.ST_NOSUID, syscalls.MS_NOSUID),
        (os.ST_NODEV, syscalls.MS_NODEV),
        (os.ST_NOEXEC, syscalls.MS_NOEXEC),
        (os.ST_RDONLY, syscalls.MS_RDONLY),
        (os.ST_NOATIME, syscalls.MS_NOATIME),
        (os.ST_RELATIME, syscalls.MS_RELATIME),
    ):
        if state.f_flag & bit:
            kept |= flag
    syscalls.mount(None, by_fd(fd), None, syscalls.MS_REMOUNT | syscalls.MS_BIND | flags | kept)


def is_procfs(fd: int) -> bool:
    return syscalls.filesystem_type(fd) == syscalls.PROC_SUPER_MAGIC


def set_sysctls(wanted: Mapping[str, str], shared: Mapping[str, str]) -> None:
    """Write sysctls of our own namespaces. Raises MountFailed for one that is not: ``shared`` says what is not ours."""
    for name, value in wanted.items():
        fault = sysctls.find_fault(name, shared)
        if fault:
            raise MountFailed(f"cannot set sysctl {name}: {fault[0]}")
        write_sysctl(name.split("."), value)


def write_sysctl(parts: Sequence[str], value: str) -> None:
    """Write one sysctl through the host's procfs, which no image can have replaced (CVE-2025-52881)."""
    name = ".".join(parts)
    try:
        base = os.open("/proc/sys", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if any(part in ("", ".", "..") or "/" in part for part in parts) or not is_procfs(base):
                raise MountFailed(f"cannot set sysctl {name}: no such kernel setting")
            beneath = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_XDEV
            fd = syscalls.openat2(base, "/".join(parts), os.O_WRONLY, resolve=beneath)
        finally:
            os.close(base)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise MountFailed(f"cannot set sysctl {name} to {value}: {error.strerror}") from error


def pivot(root: int, *, readonly: bool) -> None:
    """Make ``root`` the root of this process's mount namespace, and let go of the old one."""
    if readonly:
        add_flags(root, syscalls.MS_RDONLY)
    old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fchdir(root)
    syscalls.pivot_root(".", ".")
    os.fchdir(old)
    # Unmounting must not reach the host, whatever the old root's propagation is.
    syscalls.mount(None, ".", None, syscalls.MS_SLAVE | syscalls.MS_REC)
    syscalls.umount(".", syscalls.MNT_DETACH)
    os.chdir("/")
    os.close(old)
