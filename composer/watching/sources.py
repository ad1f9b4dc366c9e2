"""The watched files as they are, compared with what they were: what has changed is found by looking.

A notice says only where to look, so one that comes late, twice or for a whole directory does no harm. Links to what
is outside of the watched directory are followed, as long as they lead in no circle; others are files like any.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from composer.watching.rules import below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_OF_THE_KERNEL = ("/proc", "/sys", "/dev")
"""What no link is followed into."""


class Seen(NamedTuple):
    """What was at a path: the type of file, and what differs once it was changed."""

    kind: int
    stamp: tuple[int, ...]

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.kind)


class Tree:
    """One watched path, a directory or a file, that may come and go.

    ``passes_over`` tells for a directory that nothing below it matters.
    """

    def __init__(self, root: str, passes_over: Callable[[str], bool]) -> None:
        self.root = root
        self._passes_over = passes_over
        self._known: dict[str, dict[str, Seen]] = {}
        self._links: dict[str, str] = {}

    def look(self) -> dict[str, bool]:
        """Return every path that has changed, and whether something of another kind was in its place."""
        return self._look([self.root], told=False)

    def look_at(self, paths: Iterable[str]) -> dict[str, bool]:
        """Return what has changed at paths and below them. Files among these count as changed."""
        real: dict[str, str] = {}
        return self._look(sorted({name for path in paths for name in self._names(path, real)}), told=True)

    def files(self) -> Iterator[str]:
        """Yield the files that were there at the last look."""
        for directory, names in self._known.items():
            yield from (
                os.path.join(directory, name) for name, seen in names.items() if not seen.is_directory
            )

    # -------------------------------------------------------------- looking

    def _look(self, paths: Iterable[str], *, told: bool) -> dict[str, bool]:
        found: dict[str, bool] = {}
        todo = []
        for path in paths:
            todo += self._one(path, found, told=told)
            while todo:
                todo += self._entries(todo.pop(), found)
        return found

    def _one(self, path: str, found: dict[str, bool], *, told: bool) -> list[str]:
        """Compare one path with what it was; return it where what is below it must be compared."""
        parent, name = os.path.split(path)
        before, now = self._known.get(parent, {}).get(name), self._state(path)
        if now is None:
            if before is not None:
                self._gone(path, before, found)
            return []
        if before is not None and before.kind != now.kind:
            self._gone(path, before, found)
            found[path] = True
        elif now.is_directory and path == self.root:
            pass  # what is in it counts
        elif before != now or (told and not now.is_directory):
            found[path] = found.get(path, False)
        self._known.setdefault(parent, {})[name] = now
        return [path] if now.is_directory else []

    def _entries(self, directory: str, found: dict[str, bool]) -> list[str]:
        """Compare the entries of a directory; return the directories among them."""
        if directory != self.root and self._passes_over(directory):
            return []
        try:
            names = set(os.listdir(directory))
        except OSError:
            return []  # it went, or is not ours to read: copying what is in it is what would fail
        known = self._known.get(directory, {})
        for name in known.keys() - names:
            self._gone(os.path.join(directory, name), known[name], found)
        return [
            below
            for name in sorted(names)
            for below in self._one(os.path.join(directory, name), found, told=False)
        ]

    def _gone(self, path: str, before: Seen, found: dict[str, bool]) -> None:
        """Tell that a path went, with all below it. A watched directory itself is never taken from a container."""
        todo = [(path, before)]
        while todo:
            path, before = todo.pop()
            parent, name = os.path.split(path)
            self._known.get(parent, {}).pop(name, None)
            self._links.pop(path, None)
            if not (path == self.root and before.is_directory):
                found[path] = False
            if before.is_directory:
                todo += [(os.path.join(path, name), seen) for name, seen in self._known.pop(path, {}).items()]

    def _state(self, path: str) -> Seen | None:
        try:
            state = os.lstat(path)
        except OSError:
            return None
        if stat.S_ISLNK(state.st_mode) and leads_out(path, self.root):
            try:
                followed = os.stat(path)
            except OSError:
                followed = state  # it leads nowhere, and is copied as the link that it is
            if not stat.S_ISDIR(followed.st_mode):
                state = followed
            elif self._follow(path):
                return Seen(stat.S_IFDIR, (stat.S_IMODE(followed.st_mode),))
        kind = stat.S_IFMT(state.st_mode)
        if stat.S_ISDIR(kind):
            return Seen(kind, (stat.S_IMODE(state.st_mode),))
        return Seen(kind, (state.st_dev, state.st_ino, state.st_ctime_ns, state.st_size))

    # -------------------------------------------------------------- links

    def _follow(self, link: str) -> bool:
        """Take note of a link to a directory elsewhere; False where it leads in a circle."""
        target = _real(link)
        if any(below(target, place) is not None for place in _OF_THE_KERNEL):
            return False  # there is no end to it, and nothing to copy
        passed = [
            self.root,
            *(real for path, real in self._links.items() if path != link and below(link, path)),
        ]
        if any(below(place, target) is not None for place in passed):
            return False
        self._links[link] = target
        return True

    def _names(self, path: str, real: dict[str, str]) -> list[str]:
        """Return all names of a path that was told by one of them: several links may lead to the same directory."""
        directory, name = os.path.split(path)
        if directory not in real:
            real[directory] = _real(directory)
        place = os.path.join(real[directory], name)
        names = [place] if below(place, self.root) is not None else []
        for link, target in self._links.items():
            inner = below(place, target)
            if inner:
                names.append(os.path.join(link, inner))
        if not names and below(path, self.root) is not None:
            names.append(path)
        return [name for name in names if not self._is_passed_over(name)]

    def _is_passed_over(self, path: str) -> bool:
        return path != self.root and self._passes_over(path)


def leads_out(link: str, root: str) -> bool:
    """Tell whether a symbolic link leads out of a directory: it means nothing elsewhere, so its target is taken."""
    return below(_real(link), root) is None


def _real(path: str) -> str:
    """Return a path without links; one that cannot be followed, such as some of /proc, stays as it is."""
    try:
        return os.path.realpath(path)
    except OSError:
        return path
