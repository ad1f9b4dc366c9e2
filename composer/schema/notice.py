"""A warning of the loader: what it says, where, and what `composer lint` calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from composer.errors import Mark


class Notice(NamedTuple):
    """A warning of the loader, and where. ``rule`` is what ``composer lint`` calls it."""

    message: str
    at: Mark | None = None
    hint: str | None = None
    rule: str = "loading"

    def __str__(self) -> str:
        return f"{self.at}: {self.message}" if self.at else self.message
