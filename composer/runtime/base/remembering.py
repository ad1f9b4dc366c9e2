"""Records that a command reads once: the same file is not read and checked again, a new one is.

Records are written by renaming, so another content is another file. Who gets a record must not change it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
_FEW = 256


class Remembered(Generic[T]):
    """The records of a kind: ``name`` is each one's file in its directory, ``read`` reads it. For any thread."""

    def __init__(self, name: str, read: Callable[[str], T | None]) -> None:
        self._name, self._read = name, read
        self._known: dict[str, tuple[tuple[int, ...], T | None]] = {}
        self._most = _FEW

    def record(self, directory: str) -> T | None:
        """Return the record in a directory, None where there is none."""
        try:
            found = os.stat(f"{directory}/{self._name}")
        except OSError:
            self._known.pop(directory, None)
            return self._read(directory)  # it may be made from other files
        # taken before the file is read: one that takes its place meanwhile is read the next time
        file = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        known = self._known.get(directory)
        if known is None or known[0] != file:
            known = self._known[directory] = file, self._read(directory)
            if len(self._known) > self._most:
                self._forget()
        return known[1]

    def _forget(self) -> None:
        """Forget what has gone, before it is much: a server may never ask for all."""
        for directory in tuple(self._known):
            if not os.path.isdir(directory):
                self._known.pop(directory, None)
        self._most = max(_FEW, 2 * len(self._known))

    def all(self, parent: str, names: Sequence[str]) -> Iterator[T]:
        """Yield the records of all directories of that kind; what is known of others is forgotten."""
        directories = [f"{parent}/{name}" for name in names]
        if len(self._known) > len(directories):
            kept = set(directories)
            for gone in [directory for directory in tuple(self._known) if directory not in kept]:
                self._known.pop(gone, None)
        for directory in directories:
            record = self.record(directory)
            if record is not None:
                yield record
