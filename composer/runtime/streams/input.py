"""What is written to a running container: the pipe behind its stdin (`stdin_open`), open until somebody closes it.

Who starts a container to talk to it is lent its input before the program runs, and gets it with the answer: a program
that ends at once is started and over as for anybody else.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from composer.runtime.supervision.task import Task


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

    def lend(self) -> int:
        """Return a duplicate of what writes to the container; -1 when nothing does."""
        console = self._task.output.console
        source = console if console >= 0 else self.writer
        return os.dup(source) if source >= 0 else -1

    def close(self) -> None:
        if self.writer >= 0:
            self._task.supervisor.keeper.drop(f"{self._task.id}/stdin")
            os.close(self.writer)
            self.writer = -1


class Starter:
    """Who asked for a start, and is answered when the program has been executed, or could not be.

    With ``wants_input`` it is lent the container's input, which then ends when it is closed there.
    """

    __slots__ = ("_lent", "_reply", "_wants_input")

    def __init__(
        self, reply: Callable[[dict[str, Any], Sequence[int]], None], *, wants_input: bool = False
    ) -> None:
        self._reply = reply
        self._wants_input = wants_input
        self._lent = -1

    def take(self, task: Task) -> None:
        """Get the input descriptor. This must happen before the program runs."""
        if self._wants_input and self._lent < 0:
            self._lent = task.input.lend()

    def started(self, task: Task, warnings: Sequence[str] = (), *, already: bool = False) -> None:
        answer: dict[str, Any] = {"ok": True, "warnings": list(warnings), "already": already}
        if self._wants_input:
            answer |= {"lent": True, "tty": bool(task.config["process"].get("terminal"))}
        self._reply(answer, (self._lent,) if self._lent >= 0 else ())
        self._let_go()
        if self._wants_input and not already:
            task.input.close()  # whoever was lent it is the last who has it

    def failed(self, answer: dict[str, Any]) -> None:
        self._reply(answer, ())
        self._let_go()

    def _let_go(self) -> None:
        if self._lent >= 0:
            os.close(self._lent)
            self._lent = -1
