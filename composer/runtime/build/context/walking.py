"""The walk through what was selected: every file and directory once, sorted, in the order in which it is copied.

Directories that are only on the way to what is included are met when something in them is. Their descriptors are open
while they are being walked; beyond some depth the outer ones are closed, and opened again on the way back.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from composer.runtime.build.context.reading import Unstable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.runtime.build.context.patterns import Patterns, State
    from composer.runtime.build.context.selecting import Source
    from composer.runtime.build.context.trees import Tree

ENTER, LEAVE, FILE = "enter", "leave", "file"
_MOST_OPEN = 64
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Step(NamedTuple):
    """One step of a walk: a directory is entered or left, or something else is met.

    ``fd`` is the directory itself where one is entered, else the one that has the entry ``name``. ``path`` is relative
    to the source. ``is_included`` is false of a directory that is only on the way.
    """

    kind: str
    fd: int
    name: str
    path: str
    is_included: bool = True


class _Level:
    """A directory on the way down."""

    __slots__ = (
        "entries",
        "excluded",
        "fd",
        "identity",
        "included",
        "is_included",
        "is_met",
        "path",
    )

    def __init__(self, fd: int, path: str) -> None:
        self.fd, self.path = fd, path
        found = os.fstat(fd)
        self.identity = (found.st_dev, found.st_ino)
        self.entries: Iterator[tuple[str, bool, State]] = iter(())
        self.included: State = ()
        self.excluded: State = ()
        self.is_included = self.is_met = True


class Walk:
    """A walk through one source that is a directory. Close it, or use it as a context manager."""

    def __init__(self, tree: Tree, source: Source, excludes: Patterns | None) -> None:
        self._tree = tree
        self._top = source.path
        self._includes, self._excludes = source.includes, excludes
        self._levels: list[_Level] = []
        self.at = source.path
        """The path in the tree that was looked at last: errors of the kernel have names only."""

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, *_: object) -> None:
        for level in self._levels:
            if level.fd >= 0:
                os.close(level.fd)
        self._levels.clear()

    def steps(self) -> Iterator[Step]:
        """Yield the steps, the source's own first. Raises OSError; `at` says of what."""
        top = _Level(self._tree.open_directory(self._top), "")
        self._levels.append(top)
        top.entries = self._tree.entries(self._top, top.fd, self._tree.ignore.descend(self._top))
        yield Step(ENTER, top.fd, "", "")
        while self._levels:
            level = self._levels[-1]
            entry = next(level.entries, None)
            if entry is not None:
                yield from self._met(level, *entry)
                continue
            self._levels.pop()
            os.close(level.fd)
            if level.is_met:
                yield Step(LEAVE, -1, "", level.path)
            if self._levels and self._levels[-1].fd < 0:
                self._reopen(self._levels[-1])

    def _met(self, level: _Level, name: str, is_directory: bool, ignored: State) -> Iterator[Step]:
        path = f"{level.path}/{name}" if level.path else name
        self.at = self._where(path)
        included, excluded = level.included, level.excluded
        is_included = True
        if self._includes is not None:
            is_included, included = self._includes.step(path, included)
        if self._excludes is not None:
            is_excluded, excluded = self._excludes.step(path, excluded)
            if is_excluded:
                is_included = False
                if not (is_directory and self._excludes.may_take_back_below(path)):
                    return
        if not is_directory:
            if is_included:
                yield from self._flushed()
                yield Step(FILE, level.fd, name, path)
            return
        if not is_included and self._includes is not None and not self._includes.may_match_below(path):
            return
        below = self._enter(level, name, path, ignored)
        if below is None:
            return
        below.included, below.excluded, below.is_included = included, excluded, is_included
        below.is_met = False
        if is_included:
            yield from self._flushed()

    def _enter(self, level: _Level, name: str, path: str, ignored: State) -> _Level | None:
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=level.fd)
        except FileNotFoundError:
            return None  # it went since it was listed
        except NotADirectoryError:
            raise Unstable from None
        below = _Level(fd, path)
        self._levels.append(below)
        below.entries = self._tree.entries(self._where(path), fd, ignored)
        if len(self._levels) > _MOST_OPEN:
            outer = self._levels[-1 - _MOST_OPEN]
            os.close(outer.fd)
            outer.fd = -1
        return below

    def _flushed(self) -> Iterator[Step]:
        """Yield the directories above that have not been met yet."""
        for level in self._levels:
            if not level.is_met:
                level.is_met = True
                if level.fd < 0:
                    self._reopen(level)
                yield Step(ENTER, level.fd, level.path.rpartition("/")[2], level.path, level.is_included)

    def _reopen(self, level: _Level) -> None:
        level.fd = self._tree.open_directory(self._where(level.path))
        found = os.fstat(level.fd)
        if (found.st_dev, found.st_ino) != level.identity:
            raise Unstable

    def _where(self, path: str) -> str:
        return f"{self._top}/{path}" if self._top and path else self._top or path
