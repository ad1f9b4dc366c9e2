"""Unpacking a layer into a directory, as overlayfs wants it, from an archive that nobody has reason to trust.

Parents are resolved with openat2(RESOLVE_IN_ROOT), names are made with O_EXCL and O_NOFOLLOW below them, hard
links are looked up the same way: whatever an archive says, nothing outside the directory is read or changed.
Whiteouts become devices 0:0 and opaque directories an extended attribute (Documentation/filesystems/overlayfs;
https://github.com/opencontainers/image-spec/blob/main/layer.md).
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from composer.errors import ImageError
from composer.runtime.base import syscalls, trees

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from composer.runtime.images.tar import Entry, Reader

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_OPAQUE_XATTR = "trusted.overlay.opaque"
_KEPT_XATTRS = ("security.capability", "system.posix_acl_access", "system.posix_acl_default")
_MAX_DEPTH = 250  # deeper than any image, and shallow enough to remove with one descriptor for each level
_MAX_OPEN = 64
_MAX_ID = (1 << 32) - 2
_CHECK_EVERY_BYTES = 64 << 20
_CHECK_EVERY_ENTRIES = 10_000
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Bounds(NamedTuple):
    """What an archive may use. The last two are left free on the disk, whatever the first two allow."""

    size_bytes: int = 128 << 30
    entries: int = 8_000_000
    free_bytes: int = 256 << 20
    free_inodes: int = 10_000


_BOUNDS = Bounds()


def unpack(reader: Reader, directory: str, *, below: Iterable[str] = (), bounds: Bounds = _BOUNDS) -> int:
    """Unpack all entries into ``directory``, which exists and is empty; return the bytes of file contents.

    ``below`` are the directories of the layers underneath, topmost first: they give the attributes of
    directories that the archive leaves out, and the files that hard links lead to. Raises ImageError.
    """
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        unpacking = _Unpacking(root, below, bounds)
        try:
            for entry in reader:
                unpacking.add(entry, reader)
            unpacking.finish()
        finally:
            unpacking.close()
        return unpacking.size_bytes
    finally:
        os.close(root)


def unpack_over(
    reader: Reader,
    root: int,
    *,
    owner: tuple[int, int] | None = None,
    epoch_ns: int | None = None,
    bounds: Bounds = _BOUNDS,
) -> int:
    """Unpack over what an open directory has: a file of a container's view, and no layer. Return the bytes of contents.

    Links are resolved with that directory as the root. ``owner`` (uid, gid) replaces those of the archive; times after
    ``epoch_ns`` become it. What stands for a removed file in a layer is refused. Raises ImageError.
    """
    unpacking = _UnpackingOver(root, (), bounds)
    try:
        for entry in reader:
            uid, gid = owner or (entry.uid, entry.gid)
            time_ns = entry.mtime_ns if epoch_ns is None else min(entry.mtime_ns, epoch_ns)
            unpacking.add(entry._replace(uid=uid, gid=gid, mtime_ns=time_ns), reader)
        unpacking.finish()
    finally:
        unpacking.close()
    return unpacking.size_bytes


class _Unpacking:
    """One archive on its way into one directory."""

    def __init__(self, root: int, below: Iterable[str], bounds: Bounds) -> None:
        self._root = root
        self._below = below
        self._bounds = bounds
        self._base_depth = _depth(root)
        self._open: dict[str, int] = {}  # directories by clean name: most entries follow a neighbour
        self._times: dict[str, int] = {}  # of directories, set at the end: what is made inside changes them
        self._entries = self._check_entries = 0
        self._check_bytes = 0
        self.size_bytes = 0

    def close(self) -> None:
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    def add(self, entry: Entry, reader: Reader) -> None:
        self._account(entry)
        path = clean(entry.name)
        try:
            if not path:
                if entry.kind == "5":
                    self._set_attributes(self._root, ".", entry)
                    self._times[""] = entry.mtime_ns
                return
            parent_path, _, name = path.rpartition("/")
            if name.startswith(_WHITEOUT):
                self._whiteout(parent_path, name)
                return
            make = _MAKERS.get(entry.kind)
            if make is None:
                raise ImageError(f"cannot unpack '{entry.name}': unknown entry type '{entry.kind}'")
            make(self, self._directory(parent_path), path, name, entry, reader)
        except OSError as error:
            raise ImageError(f"cannot unpack '{entry.name}': {_reason(error)}") from error

    def finish(self) -> None:
        """Set the directories' times. One that was replaced meanwhile has its own, or none."""
        for path, mtime_ns in self._times.items():
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            try:
                fd = syscalls.openat2(self._root, path or ".", flags)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    continue
                raise ImageError(f"cannot unpack '{path}': {_reason(error)}") from error
            try:
                os.utime(fd, ns=(mtime_ns, mtime_ns))
            finally:
                os.close(fd)

    def _account(self, entry: Entry) -> None:
        self._entries += 1
        self.size_bytes += entry.size
        if self._entries > self._bounds.entries:
            raise ImageError(f"the archive has too many entries (limit: {self._bounds.entries})")
        if self.size_bytes > self._bounds.size_bytes:
            raise ImageError(
                f"the unpacked archive is too large (limit: {self._bounds.size_bytes >> 20} MiB)"
            )
        if max(entry.uid, entry.gid) > _MAX_ID:
            raise ImageError(f"cannot unpack '{entry.name}': its owner is out of range")
        if self.size_bytes >= self._check_bytes or self._entries >= self._check_entries:
            self._check_space(entry.size)

    def _check_space(self, wanted: int) -> None:
        disk = os.fstatvfs(self._root)
        free_inodes = disk.f_favail if disk.f_files else self._bounds.free_inodes + 1  # btrfs counts none
        if (
            disk.f_bavail * disk.f_frsize < wanted + self._bounds.free_bytes
            or free_inodes < self._bounds.free_inodes
        ):
            raise ImageError(
                "no space left on device",
                hint="free up disk space, or set COMPOSER_ROOT to a directory on another disk",
            )
        self._check_bytes = self.size_bytes + _CHECK_EVERY_BYTES
        self._check_entries = self._entries + _CHECK_EVERY_ENTRIES

    # -------------------------------------------------------------- directories

    def _directory(self, path: str) -> int:
        """Return a descriptor of a directory inside, made when missing. It stays open as long as the cache likes."""
        fd = self._open.get(path)
        if fd is not None:
            return fd
        if not path:
            fd = os.dup(self._root)
        else:
            fd = self._existing(path)
            if fd < 0:
                fd = self._missing(path)
        if len(self._open) >= _MAX_OPEN:
            os.close(self._open.pop(next(iter(self._open))))
        self._open[path] = fd
        return fd

    def _existing(self, path: str) -> int:
        try:
            return self._opened(path)
        except FileNotFoundError:
            return -1

    def _opened(self, path: str) -> int:
        fd = syscalls.openat2(self._root, path, os.O_PATH | os.O_DIRECTORY)
        if _depth(fd) - self._base_depth > _MAX_DEPTH:
            os.close(fd)
            raise OSError(errno.ENAMETOOLONG, f"it is nested more than {_MAX_DEPTH} directories deep")
        return fd

    def _missing(self, path: str) -> int:
        parent_path, _, name = path.rpartition("/")
        parent = self._directory(parent_path)
        try:
            os.mkdir(name, 0o755, dir_fd=parent)
        except FileExistsError:
            raise OSError(errno.ENOTDIR, "a parent directory is a dangling symlink") from None
        mode, uid, gid, mtime_ns = self._attributes_below(path)
        os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
        os.chmod(name, mode, dir_fd=parent)
        if mtime_ns:
            self._times.setdefault(path, mtime_ns)
        return self._opened(path)

    def _attributes_below(self, path: str) -> tuple[int, int, int, int]:
        """Return mode, owner and time of a directory as the layers below have it, for it will hide theirs."""
        for layer in self._below:
            fd = _open_inside(layer, path, os.O_PATH | os.O_DIRECTORY)
            if fd >= 0:
                found = os.fstat(fd)
                os.close(fd)
                return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_mtime_ns
        return 0o755, os.geteuid(), os.getegid(), 0

    def _make_room(self, parent: int, name: str) -> None:
        """Remove what is in the way of a later entry of the same name."""
        found = os.lstat(f"/proc/self/fd/{parent}/{name}")
        if stat.S_ISREG(found.st_mode):
            os.unlink(name, dir_fd=parent)
            return
        # Names that led through it lead elsewhere now.
        for path in [path for path, fd in self._open.items() if fd != parent]:
            os.close(self._open.pop(path))
        if stat.S_ISDIR(found.st_mode):
            trees.remove_tree(f"/proc/self/fd/{parent}/{name}")
        else:
            os.unlink(name, dir_fd=parent)

    # -------------------------------------------------------------- whiteouts

    def _whiteout(self, parent_path: str, name: str) -> None:
        if name == _OPAQUE:
            _set_opaque(self._directory(parent_path), ".")
            return
        hidden = name.removeprefix(_WHITEOUT)
        if hidden.startswith(_WHITEOUT):
            return  # what aufs kept beside the layer
        if hidden in ("", ".", ".."):
            raise ImageError(f"cannot unpack '{parent_path}/{name}': whiteout for a file that does not exist")
        parent = self._directory(parent_path)
        try:
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=parent)
        except FileExistsError:
            # It hides what the layers below have, not what this layer itself has put there.
            if stat.S_ISDIR(os.lstat(f"/proc/self/fd/{parent}/{hidden}").st_mode):
                _set_opaque(parent, hidden)

    # -------------------------------------------------------------- one method per type

    def _make(self, parent: int, name: str, make: Callable[[], None]) -> None:
        try:
            make()
        except FileExistsError:
            self._make_room(parent, name)
            make()

    def make_file(self, parent: int, path: str, name: str, entry: Entry, reader: Reader) -> None:
        try:
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        except FileExistsError:
            self._make_room(parent, name)
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        try:
            for piece in reader.contents():
                while piece:
                    piece = piece[os.write(fd, piece) :]
            os.fchown(fd, entry.uid, entry.gid)
            if entry.xattrs:
                _set_xattrs(fd, entry)
            os.fchmod(fd, entry.mode)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def make_directory(self, parent: int, path: str, name: str, entry: Entry, reader: Reader) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            found = os.lstat(f"/proc/self/fd/{parent}/{name}")
            if not stat.S_ISDIR(found.st_mode):
                self._make_room(parent, name)
                os.mkdir(name, 0o700, dir_fd=parent)
                if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
                    _set_opaque(parent, name)  # it replaces what the whiteout hid, and is not merged with it
        self._set_attributes(parent, name, entry)
        self._times[path] = entry.mtime_ns

    def make_symlink(self, parent: int, path: str, name: str, entry: Entry, reader: Reader) -> None:
        self._make(parent, name, lambda: os.symlink(entry.link, name, dir_fd=parent))
        self._set_attributes(parent, name, entry, mode=False)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)

    def make_hard_link(self, parent: int, path: str, name: str, entry: Entry, reader: Reader) -> None:
        target = clean(entry.link)
        target_parent, _, target_name = target.rpartition("/")
        source = self._existing(target_parent) if target_parent else os.dup(self._root)
        if source < 0 or not _has(source, target_name):
            if source >= 0:
                os.close(source)
            self._copy_from_below(parent, name, target)
            return
        try:
            if _is_same(source, target_name, parent, name):
                return
            self._make(
                parent,
                name,
                lambda: os.link(
                    target_name, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False
                ),
            )
        finally:
            os.close(source)

    def make_node(self, parent: int, path: str, name: str, entry: Entry, reader: Reader) -> None:
        kind = {"3": stat.S_IFCHR, "4": stat.S_IFBLK, "6": stat.S_IFIFO}[entry.kind]
        if max(entry.device) > _MAX_ID:
            raise OSError(errno.EINVAL, "its device number is out of range")
        number = os.makedev(*entry.device) if entry.kind != "6" else 0
        self._make(parent, name, lambda: os.mknod(name, kind | 0o600, number, dir_fd=parent))
        self._set_attributes(parent, name, entry)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)

    def _copy_from_below(self, parent: int, name: str, target: str) -> None:
        """A hard link to something of a lower layer: overlayfs would copy it up, and so do we.

        Only a regular file is opened, and only when it is known to be one: a device of the layer below is a device
        of this machine, and to open a watchdog is to arm it.
        """
        for layer in self._below:
            place = _open_inside(layer, target, os.O_PATH | os.O_NOFOLLOW)
            if place < 0:
                continue
            try:
                found = os.fstat(place)
                if stat.S_ISDIR(found.st_mode) or (stat.S_ISCHR(found.st_mode) and found.st_rdev == 0):
                    break  # a directory has one name, and a whiteout says that it is gone
                if stat.S_ISREG(found.st_mode):
                    self.size_bytes += found.st_size
                if _has(parent, name):
                    self._make_room(parent, name)
                _copy(place, found, parent, name)
                return
            finally:
                os.close(place)
        raise OSError(errno.ENOENT, f"hard link target '{target}' does not exist")

    def _set_attributes(self, parent: int, name: str, entry: Entry, *, mode: bool = True) -> None:
        os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        if entry.xattrs:
            _set_xattrs(f"/proc/self/fd/{parent}/{name}", entry)
        if mode:
            os.chmod(name, entry.mode, dir_fd=parent)


class _UnpackingOver(_Unpacking):
    """One archive on its way over what is there already: whiteouts are of layers alone."""

    def add(self, entry: Entry, reader: Reader) -> None:
        is_whiteout = entry.kind == "3" and entry.device == (0, 0)
        if is_whiteout or any(part.startswith(_WHITEOUT) for part in entry.name.split("/")):
            raise ImageError(
                f"cannot unpack '{entry.name}': in a layer it stands for a removed file",
                hint="leave it out of the archive, or add the layer as part of an image",
            )
        if clean(entry.name):
            super().add(entry, reader)  # the directory itself keeps its attributes


_MAKERS = {
    "0": _Unpacking.make_file,
    "1": _Unpacking.make_hard_link,
    "2": _Unpacking.make_symlink,
    "3": _Unpacking.make_node,
    "4": _Unpacking.make_node,
    "5": _Unpacking.make_directory,
    "6": _Unpacking.make_node,
}


def clean(name: str) -> str:
    """Return a name without ``/`` at its ends, empty parts and dots. Raises ImageError for one with ``..``."""
    parts = [part for part in name.split("/") if part and part != "."]
    if ".." in parts:
        raise ImageError(f"cannot unpack '{name}': its path points outside of the archive")
    if len(parts) > _MAX_DEPTH:
        raise ImageError(
            f"cannot unpack '{name[:80]}…': it is nested more than {_MAX_DEPTH} directories deep"
        )
    return "/".join(parts)


def _set_xattrs(target: int | str, entry: Entry) -> None:
    """Set those that belong to a container's files; never overlayfs's own, which would redirect look-ups."""
    for key, value in entry.xattrs.items():
        is_user = key.startswith("user.") and not key.startswith("user.overlay.")
        if not is_user and key not in _KEPT_XATTRS:
            continue
        if "\0" in key:
            raise ImageError(
                f"cannot unpack '{entry.name}': the name of an extended attribute has a null byte"
            )
        try:
            if isinstance(target, int):
                os.setxattr(target, key, value)
            else:
                os.setxattr(target, key, value, follow_symlinks=False)
        except OSError as error:
            # user.* exists for files and directories only, and not on every file system (xattr(7)).
            if error.errno != errno.ENOTSUP and not (is_user and error.errno == errno.EPERM):
                raise


def _set_opaque(parent: int, name: str) -> None:
    os.setxattr(f"/proc/self/fd/{parent}/{name}", _OPAQUE_XATTR, b"y", follow_symlinks=False)


def _copy(place: int, found: os.stat_result, parent: int, name: str) -> None:
    """Copy a file that is open as a path only (O_PATH)."""
    if stat.S_ISREG(found.st_mode):
        source = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _copy_file(source, found, parent, name)
        finally:
            os.close(source)
        return
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink("", dir_fd=place), name, dir_fd=parent)
    else:
        os.mknod(name, stat.S_IFMT(found.st_mode) | 0o600, found.st_rdev, dir_fd=parent)
    os.chown(name, found.st_uid, found.st_gid, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=parent)
    os.utime(name, ns=(found.st_mtime_ns, found.st_mtime_ns), dir_fd=parent, follow_symlinks=False)


def _copy_file(source: int, found: os.stat_result, parent: int, name: str) -> None:
    fd = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
    try:
        while os.sendfile(fd, source, None, 1 << 24):
            pass  # until the end of the file
        os.fchown(fd, found.st_uid, found.st_gid)
        for key in os.listxattr(source):
            os.setxattr(fd, key, os.getxattr(source, key))
        os.fchmod(fd, stat.S_IMODE(found.st_mode))
        os.utime(fd, ns=(found.st_mtime_ns, found.st_mtime_ns))
    finally:
        os.close(fd)


def _open_inside(directory: str, path: str, flags: int) -> int:
    """Open a path inside another layer; -1 when it has none there."""
    root = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return syscalls.openat2(root, path, flags)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            return -1
        raise
    finally:
        os.close(root)


def _has(parent: int, name: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{parent}/{name}")


def _is_same(source: int, source_name: str, parent: int, name: str) -> bool:
    try:
        found = os.lstat(f"/proc/self/fd/{parent}/{name}")
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.lstat(f"/proc/self/fd/{source}/{source_name}"))


def _depth(fd: int) -> int:
    return os.readlink(f"/proc/self/fd/{fd}").count("/")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).removeprefix("open: ")
