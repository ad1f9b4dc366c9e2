"""A tree of files copied with all that belongs to them, sharing their blocks where the file system can.

Owners, modes, times, extended attributes, hard links within the tree, devices, holes: what a database or an overlay's
layer is made of. Everything is reached by descriptor, without following links. Nobody else may write meanwhile.
A mount in the tree is an error: what is mounted there belongs to somebody else.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from composer.errors import BackendError
from composer.runtime.base import making, syscalls, trees

if TYPE_CHECKING:
    from collections.abc import Iterator

_FICLONE = 0x40049409
_NOT_SHARED = (errno.EOPNOTSUPP, errno.EXDEV, errno.ENOTTY, errno.EINVAL, errno.ENOSYS)
_SMALL_BYTES = 128 * 1024
_PIECE_BYTES = 64 << 20
_DEEPEST = 400
"""Two descriptors are open for each directory on the way."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def shares_blocks(directory: str) -> bool:
    """Tell whether files of a directory can be copied without their contents (FICLONE)."""
    with (
        making.temporary_file(directory) as (source, fd),
        making.temporary_file(directory) as (_, other),
    ):
        os.write(fd, b"x" * 4096)
        with open(source, "rb") as file:
            return _clone(file.fileno(), other)


def _clone(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _NOT_SHARED:
            return False
        raise
    return True


def copy_tree(source: str, target: str, *, shared: bool) -> int:
    """Copy a directory with all below it to ``target``, which must not be there; return the bytes of its files.

    ``shared``: without the contents, where that can be.
    """
    with contextlib.ExitStack() as resources:
        above = _opened(resources, os.open(source, _DIRECTORY & ~os.O_NOFOLLOW))
        os.mkdir(target, 0o700)
        return _Copy(above, _opened(resources, os.open(target, _DIRECTORY)), shared=shared).run()


def _opened(resources: contextlib.ExitStack, fd: int) -> int:
    resources.callback(os.close, fd)
    return fd


class _Level:
    """A directory on its way: where it is read, where it is written, and what is left of it."""

    def __init__(self, source: int, target: int, path: str) -> None:
        self.source, self.target, self.path = source, target, path
        self.names: Iterator[str] = iter(os.listdir(source))


class _Copy:
    def __init__(self, source: int, target: int, *, shared: bool) -> None:
        self._shared, self._bytes = shared, 0
        self._top = target
        self._device, self._mount = os.fstat(source).st_dev, trees.mount_id(source)
        self._links: dict[tuple[int, int], str] = {}
        self._stack = [_Level(source, target, "")]

    def run(self) -> int:
        try:
            while self._stack:
                level = self._stack[-1]
                name = next(level.names, None)
                if name is None:
                    self._finish(self._stack.pop())
                else:
                    self._entry(level, name)
        finally:
            for level in self._stack[1:]:
                os.close(level.source)
                os.close(level.target)
        return self._bytes

    def _finish(self, level: _Level) -> None:
        """A directory has its times once nothing is put into it any more."""
        try:
            _same(level.source, level.target, os.fstat(level.source))
        finally:
            if self._stack:
                os.close(level.source)
                os.close(level.target)

    def _entry(self, level: _Level, name: str) -> None:
        found = os.lstat(name, dir_fd=level.source)
        path = f"{level.path}{name}"
        if stat.S_ISDIR(found.st_mode):
            self._enter(level, name, path)
            return
        if found.st_nlink > 1:
            first = self._links.setdefault((found.st_dev, found.st_ino), path)
            if first != path:
                os.link(first, name, src_dir_fd=self._top, dst_dir_fd=level.target, follow_symlinks=False)
                return
        if stat.S_ISREG(found.st_mode):
            self._file(level, name)
        elif stat.S_ISLNK(found.st_mode):
            os.symlink(os.readlink(name, dir_fd=level.source), name, dir_fd=level.target)
            _same_by_name(level, name, found)
        else:
            os.mknod(name, found.st_mode, found.st_rdev, dir_fd=level.target)
            _same_by_name(level, name, found)

    def _enter(self, level: _Level, name: str, path: str) -> None:
        if len(self._stack) > _DEEPEST:
            raise BackendError(f"cannot copy '{path}': directories are nested deeper than {_DEEPEST}")
        source = os.open(name, _DIRECTORY, dir_fd=level.source)
        try:
            if os.fstat(source).st_dev != self._device or trees.mount_id(source) != self._mount:
                raise BackendError(
                    f"cannot copy '{path}': another file system is mounted there", hint="unmount it first"
                )
            os.mkdir(name, 0o700, dir_fd=level.target)
            target = os.open(name, _DIRECTORY, dir_fd=level.target)
        except BaseException:
            os.close(source)
            raise
        self._stack.append(_Level(source, target, f"{path}/"))

    def _file(self, level: _Level, name: str) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        source = os.open(name, _FILE, dir_fd=level.source)
        try:
            found = os.fstat(source)
            target = os.open(name, flags, 0o600, dir_fd=level.target)
            try:
                if not (self._shared and _clone(source, target)):
                    _contents(source, target, found.st_size)
                _same(source, target, found)
            finally:
                os.close(target)
        finally:
            os.close(source)
        self._bytes += found.st_blocks * 512


def _contents(source: int, target: int, size: int) -> None:
    """Copy what is no hole."""
    if size <= _SMALL_BYTES:
        data = os.pread(source, size, 0)
        if os.write(target, data) != size:
            _range(source, target, 0, size)
        return
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(source, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break  # the rest is a hole
        end = min(os.lseek(source, offset, os.SEEK_HOLE), size)
        _range(source, target, offset, end)
        offset = end
    os.ftruncate(target, size)


def _range(source: int, target: int, begin: int, end: int) -> None:
    while begin < end:
        try:
            count = os.copy_file_range(source, target, min(_PIECE_BYTES, end - begin), begin, begin)
        except OSError as error:
            if error.errno not in _NOT_SHARED:
                raise
            count = os.pwrite(target, os.pread(source, min(1 << 20, end - begin), begin), begin)
        if not count:
            return  # it has become shorter
        begin += count


def _same(source: int, target: int, found: os.stat_result) -> None:
    """Give an open file the owner, the mode, the attributes and the times of another."""
    os.fchown(target, found.st_uid, found.st_gid)  # first: it takes setuid and capabilities away
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    _same_attributes(source, target)
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _same_attributes(source: int | str, target: int | str) -> None:
    follow = isinstance(source, int)
    try:
        names = os.listxattr(source, follow_symlinks=follow)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return
        raise
    for name in names:
        value = os.getxattr(source, name, follow_symlinks=follow)
        os.setxattr(target, name, value, follow_symlinks=follow)


def _same_by_name(level: _Level, name: str, found: os.stat_result) -> None:
    """The same for what cannot be opened without harm."""
    os.chown(name, found.st_uid, found.st_gid, dir_fd=level.target, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=level.target)
    _same_attributes(f"/proc/self/fd/{level.source}/{name}", f"/proc/self/fd/{level.target}/{name}")
    os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=level.target, follow_symlinks=False)


def flush(directory: str) -> None:
    """Write everything of a directory's file system to the disk."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syscalls.syncfs(fd)
    finally:
        os.close(fd)


def same_directory(source: str, target: str) -> None:
    """Give a directory that is there what another has: owner, mode, attributes, times."""
    with contextlib.ExitStack() as resources:
        one = _opened(resources, os.open(source, _DIRECTORY))
        other = _opened(resources, os.open(target, _DIRECTORY))
        _same(one, other, os.fstat(one))
