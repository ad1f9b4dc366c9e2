"""What is written to a running container: the pipe behind its stdin (`stdin_open`), open until somebody closes it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from composer.backends.namespace.runtime.task import Task


class Input:
    """The writing end of one container's stdin; ``writer`` is -1 when it has none, or when it was closed."""

    __slots__ = ("_task", "writer")

    def __init__(self, task: Task) -> None:
        self._task = task
        self.writer = -1

    def open(self) -> int:
        """Return the reading end for the container, -1 where it wants none."""
        own, process = self._task.own, self._task.config["process"]
        if not own.get("stdin") or process.get("terminal"):
            return -1
        reader, self.writer = os.pipe2(os.O_CLOEXEC)
        self._task.supervisor.keeper.hold({f"{self._task.id}/stdin": self.writer})
        return reader

    def lend(self, console: int, *, once: bool) -> int:
        """Return a duplicate of what writes to the container; -1 when nothing does.

        With ``once``, that is the last: the container's input ends when whoever got it closes it.
        """
        source = console if console >= 0 else self.writer
        if source < 0:
            return -1
        lent = os.dup(source)
        if once and source == self.writer:
            self.close()
        return lent

    def close(self) -> None:
        if self.writer >= 0:
            self._task.supervisor.keeper.drop(f"{self._task.id}/stdin")
            os.close(self.writer)
            self.writer = -1
