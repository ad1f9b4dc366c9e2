"""Where files are copied to: a directory that is the root of everything written, and the directories made in it.

Paths are looked up as a process in that root would find them, links followed inside; what they lead to is then opened
without following any. Directories that are missing get mode 0755 and the owner of what is copied.
"""

from __future__ import annotations

import errno
import os
import stat

from composer.runtime.base import opening
from composer.runtime.build.context.trees import Way, look_up

_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_OPEN = 64


class NotReplaced(OSError):
    """A directory is in the way of a file, or the reverse."""

    def __init__(self, words: str) -> None:
        super().__init__(errno.EEXIST, words)


class Unwritable(OSError):
    """The target cannot be written, which is not the source's fault. ``filename`` is the path in the target."""

    def __init__(self, error: OSError, path: str) -> None:
        super().__init__(error.errno, error.strerror, path)


class Target:
    """The directory ``fd`` as the root of what is written.

    ``owner``, ``mode`` and ``time_ns`` are for the directories that are made on the way to something.
    """

    def __init__(
        self, fd: int, *, owner: tuple[int, int] = (0, 0), mode: int = 0o755, time_ns: int | None = None
    ) -> None:
        self.fd = fd
        self._owner, self._mode, self._time_ns = owner, mode, time_ns

    def look_up(self, path: str) -> Way:
        """Return where a path leads to, links followed. Raises OSError."""
        return look_up(self.fd, path)

    def make_directories(self, path: str) -> int:
        """Make a directory and those above it; return it, open. No part of ``path`` is a link. Raises OSError."""
        fd = os.open(".", _LISTED, dir_fd=self.fd)
        made: list[int] = []
        try:
            for name in path.split("/") if path else ():
                below, is_new = self._directory(fd, name)
                os.close(fd)
                fd = below
                if is_new and self._time_ns is not None:
                    made.append(os.dup(fd))
            for one in reversed(made):
                os.utime(one, ns=(self._time_ns or 0, self._time_ns or 0))
        except BaseException:
            os.close(fd)
            raise
        finally:
            for one in made:
                os.close(one)
        return fd

    def _directory(self, parent: int, name: str) -> tuple[int, bool]:
        try:
            return os.open(name, _LISTED, dir_fd=parent), False
        except FileNotFoundError:
            pass
        os.mkdir(name, 0o700, dir_fd=parent)
        fd = os.open(name, _LISTED, dir_fd=parent)
        try:
            os.fchown(fd, *self._owner)
            os.fchmod(fd, self._mode)
        except BaseException:
            os.close(fd)
            raise
        return fd, True

    def reopen(self, path: str) -> int:
        return opening.directory_below(self.fd, path or ".")


class Branch:
    """The directories that are being written, from one down; the outer ones are closed where they get many."""

    def __init__(self, target: Target, top: int, path: str) -> None:
        self._target = target
        self._levels = [(top, path)]

    @property
    def fd(self) -> int:
        """The innermost directory."""
        return self._levels[-1][0]

    @property
    def path(self) -> str:
        return self._levels[-1][1]

    def enter(self, name: str) -> bool:
        """Go into a directory, made with mode 0700 where it is missing; tell whether it was. Raises OSError."""
        parent, above = self._levels[-1]
        is_new = True
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            is_new = False
        path = f"{above}/{name}" if above else name
        try:
            fd = os.open(name, _LISTED, dir_fd=parent)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            raise NotReplaced(f"cannot copy to non-directory: /{path}") from None
        self._levels.append((fd, path))
        if len(self._levels) > _MOST_OPEN:
            outer, where = self._levels[-1 - _MOST_OPEN]
            os.close(outer)
            self._levels[-1 - _MOST_OPEN] = (-1, where)
        return is_new

    def leave(self) -> None:
        """Go back to the directory above."""
        os.close(self._levels.pop()[0])
        if self._levels and self._levels[-1][0] < 0:
            path = self._levels[-1][1]
            self._levels[-1] = (self._target.reopen(path), path)

    def close(self) -> None:
        for fd, _ in self._levels:
            if fd >= 0:
                os.close(fd)
        self._levels.clear()


def make_room(parent: int, name: str, path: str) -> None:
    """Remove what a file is to replace. Raises NotReplaced for a directory."""
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        raise NotReplaced(f"cannot replace to directory /{path} with file")
    os.unlink(name, dir_fd=parent)
