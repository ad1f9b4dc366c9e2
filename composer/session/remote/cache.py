"""Directories that are there whole or not at all: what was fetched, by commit or digest, for good.

A directory is made beside its place and renamed. Commands at the same time wait for whoever came first; what a killed
one has left is removed by the next that makes the same. Nothing is ever changed or removed once it has its name: a
project's relative paths lead into it, and its containers may have written there.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from composer.errors import ProjectError
from composer.runtime.base import locking, trees

if TYPE_CHECKING:
    from collections.abc import Callable


class Cache:
    """The directories of one kind below the user's cache directory."""

    def __init__(self, base: str | None, kind: str) -> None:
        if base is None:
            raise ProjectError(
                "there is no place to keep remote files: neither HOME nor XDG_CACHE_HOME is set",
                hint="set XDG_CACHE_HOME to a directory",
            )
        self._directory = os.path.abspath(os.path.join(base, "remote", kind))

    def find(self, key: str) -> str | None:
        """Return the directory of a key, where it is there."""
        path = os.path.join(self._directory, key)
        return path if os.path.isdir(path) else None

    def get(self, key: str, make: Callable[[str], None]) -> str:
        """Return the directory of a key. ``make`` fills an empty one where it is not there yet."""
        found = self.find(key)
        if found is not None:
            return found
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            with locking.locked(os.path.join(self._directory, f".{key}.lock"), removes=True):
                return self.find(key) or self._made(key, make)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ProjectError(
                f"cannot keep remote files in '{self._directory}': {reason}",
                hint="make room, or set XDG_CACHE_HOME to a directory that can be written",
            ) from error

    def _made(self, key: str, make: Callable[[str], None]) -> str:
        begin = f".{key}.part-"
        for name in os.listdir(self._directory):
            if name.startswith(begin):  # whoever made it was killed: we have the lock
                trees.remove_tree(os.path.join(self._directory, name))
        part = tempfile.mkdtemp(prefix=begin, dir=self._directory)
        path = os.path.join(self._directory, key)
        try:
            make(part)
            os.sync()  # a name that is there after a power cut must not lead to empty files
            os.rename(part, path)
        except BaseException:
            trees.remove_tree(part)
            raise
        return path
