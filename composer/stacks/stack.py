"""A project as a stack of a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer import errors
from composer.stacks.opened import Opened
from composer.stacks.service import Service

if TYPE_CHECKING:
    from types import TracebackType


class Stack(Opened):
    """One project, started and taken down by a program. Safe for threads; use as a context manager, or close it.

    At the end of the block it is taken down, with its volumes, if `up` or a service of it made something in it.
    """

    def __getitem__(self, service: str) -> Service:
        """Return a service. Raises UnknownService."""
        known = {**(self.project.tree.get("services") or {}), **self.project.disabled}
        if service not in known:
            raise errors.no_such_service(service, known)
        return Service(self, service)

    def __enter__(self) -> Stack:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._made:
                self.down()
        finally:
            self.close()

    def __repr__(self) -> str:
        return f"<Stack {self.name}>"
