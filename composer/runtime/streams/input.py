"""What is written to a running container: the pipe behind its stdin (`stdin_open`), open until somebody closes it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from composer.runtime.streams.holding import Holder


class Input:
    """The writing end of one container's stdin; ``writer`` is -1 when it has none, or when it was closed."""

    __slots__ = ("_holder", "_key", "writer")

    def __init__(self, holder: Holder, id: str) -> None:
        self._holder, self._key = holder, f"{id}/stdin"
        self.writer = -1

    def adopt(self, writer: int) -> None:
        """Take over what an earlier supervisor opened; -1 for nothing."""
        self.writer = writer

    def open(self) -> int:
        """Return the reading end for the container."""
        reader, self.writer = os.pipe2(os.O_CLOEXEC)
        self._holder.hold({self._key: self.writer})
        return reader

    def lend(self) -> int:
        """Return a duplicate of what writes to the container; -1 when nothing does."""
        return os.dup(self.writer) if self.writer >= 0 else -1

    def close(self) -> None:
        if self.writer >= 0:
            self._holder.drop(self._key)
            os.close(self.writer)
            self.writer = -1
