"""Who asked for a start, and is answered when the program has been executed, or could not be."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


class Starter:
    """With ``wants_input`` it is lent the container's input, which then ends when it is closed there.

    It is lent before the program runs: a program that ends at once is started and over as for anybody else.
    """

    __slots__ = ("_lent", "_reply", "wants_input")

    def __init__(
        self, reply: Callable[[dict[str, Any], Sequence[int]], None], *, wants_input: bool = False
    ) -> None:
        self._reply = reply
        self.wants_input = wants_input
        self._lent = -1

    def take(self, lend: Callable[[], int]) -> None:
        """Get the input descriptor, from what returns a duplicate of it."""
        if self.wants_input and self._lent < 0:
            self._lent = lend()

    def started(self, *, terminal: bool, warnings: Sequence[str] = (), already: bool = False) -> None:
        answer: dict[str, Any] = {"ok": True, "warnings": list(warnings), "already": already}
        if self.wants_input:
            answer |= {"lent": True, "tty": terminal}
        self._reply(answer, (self._lent,) if self._lent >= 0 else ())
        self._let_go()

    def failed(self, answer: dict[str, Any]) -> None:
        self._reply(answer, ())
        self._let_go()

    def _let_go(self) -> None:
        if self._lent >= 0:
            os.close(self._lent)
            self._lent = -1
