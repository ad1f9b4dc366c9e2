"""What files are copied from: an open directory, less what is ignored in it.

It is a context of the user's, who may change it while we read, or the root of a stage or an image. Every path is
looked up below the directory, link by link, with the directory as its root, and what was found is opened with a look-up
that follows no link at all (openat2: RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS): a race ends in an error, never elsewhere.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from composer.runtime.base import opening
from composer.runtime.build.context.ignore import Ignore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from composer.runtime.build.context.patterns import State

    Hides = Callable[[str, bool], bool]

_MAX_LINKS = 255


class Way(NamedTuple):
    """Where a path leads: ``path`` has no link in it. ``state`` is None where nothing is there."""

    path: str
    state: os.stat_result | None

    @property
    def is_directory(self) -> bool:
        return self.state is not None and stat.S_ISDIR(self.state.st_mode)


class Tree:
    """A directory to copy from. ``owner`` (uid, gid) stands for the owners of all files, as in a local context.

    The descriptor (O_PATH or O_RDONLY) stays the caller's. Paths are relative to it; ``""`` is the directory itself.
    """

    def __init__(
        self, fd: int, ignore: Ignore | None = None, *, owner: tuple[int, int] | None = None
    ) -> None:
        self.fd = fd
        self.ignore = ignore or Ignore()
        self.owner = owner

    def look_up(self, path: str, *, follow: bool = True) -> Way:
        """Return where a path leads to, links followed inside the tree; with ``follow`` the last one too.

        What is ignored is not there, and neither is what a link that is ignored leads to. Raises OSError.
        """
        way = look_up(self.fd, path, follow=follow, is_hidden=self._hides if self.ignore else None)
        if way.is_directory and not self.holds(way.path):
            return Way(way.path, None)
        return way

    def _hides(self, path: str, is_directory: bool) -> bool:
        # of a directory it is seen when the whole way is known: an exception may be for something in it
        return not is_directory and self.ignore.excludes(path)

    def holds(self, directory: str) -> bool:
        """Tell whether a directory is there for the build: it is not ignored, or something in it is not."""
        if not directory or not self.ignore or not self.ignore.excludes(directory):
            return True
        return self.ignore.may_keep_below(directory) and self._holds_something(directory)

    def _holds_something(self, directory: str) -> bool:
        """Look for anything below an ignored directory that is not ignored."""
        waiting = [(directory, self.ignore.descend(directory))]
        while waiting:
            path, above = waiting.pop()
            try:
                fd = self.open_directory(path)
            except OSError as error:
                if error.errno in _GONE:
                    continue
                raise
            try:
                names = listed(fd)
            finally:
                os.close(fd)
            for name, is_directory in names:
                below = f"{path}/{name}"
                is_ignored, state = self.ignore.step(below, above)
                if not is_ignored:
                    return True
                if is_directory and self.ignore.may_keep_below(below):
                    waiting.append((below, state))
        return False

    def open_directory(self, path: str) -> int:
        """Open a directory whose path has no links, for listing. Raises OSError."""
        return opening.directory_below(self.fd, path or ".")

    def entries(self, path: str, fd: int, above: State) -> Iterator[tuple[str, bool, State]]:
        """Yield name, whether it is a directory, and its state, of what the build sees in an open directory."""
        if not self.ignore:
            for name, is_directory in listed(fd):
                yield name, is_directory, above
            return
        for name, is_directory in listed(fd):
            below = f"{path}/{name}" if path else name
            is_ignored, state = self.ignore.step(below, above)
            if is_ignored and not (
                is_directory and self.ignore.may_keep_below(below) and self._holds_something(below)
            ):
                continue
            yield name, is_directory, state


_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def listed(fd: int) -> list[tuple[str, bool]]:
    """Return the names in an open directory, sorted, each with whether it is a directory itself."""
    with os.scandir(fd) as entries:
        return sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)


def place_of(fd: int, path: str) -> int:
    """Open the place (O_PATH) of a path without links below a directory. Raises OSError."""
    return opening.place_below(fd, path) if path else os.dup(fd)


def look_up(root: int, path: str, *, follow: bool = True, is_hidden: Hides | None = None) -> Way:
    """Return where a path leads to with an open directory as its root; ``..`` and links stay inside.

    From what is missing on, the path is taken as it is written. Raises OSError: a component that is no directory, too
    many links.
    """
    found: list[str] = []
    waiting = path.split("/")[::-1]
    present = -1  # how many components are there, where one is missing
    links = 0
    while waiting:
        name = waiting.pop()
        if name in ("", "."):
            continue
        if name == "..":
            del found[-1:]
            present = -1 if len(found) <= present else present
            continue
        found.append(name)
        if present >= 0:
            continue
        here, is_last = "/".join(found), not any(part not in ("", ".") for part in waiting)
        state, link = _looked_at(root, here)
        if state is None or (is_hidden is not None and is_hidden(here, stat.S_ISDIR(state.st_mode))):
            present = len(found) - 1
        elif link is not None and (follow or not is_last):
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), f"/{path.strip('/')}")
            found = [] if link.startswith("/") else found[:-1]
            waiting += link.split("/")[::-1]
        elif not stat.S_ISDIR(state.st_mode) and not is_last:
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), f"/{here}")
    end = "/".join(found)
    return Way(end, None if present >= 0 else _looked_at(root, end)[0])


def _looked_at(root: int, path: str) -> tuple[os.stat_result | None, str | None]:
    """Return the attributes of a path without links, and where it leads to if it is a link itself."""
    try:
        place = place_of(root, path)
    except FileNotFoundError:
        return None, None
    try:
        state = os.fstat(place)
        return state, os.readlink("", dir_fd=place) if stat.S_ISLNK(state.st_mode) else None
    finally:
        os.close(place)
