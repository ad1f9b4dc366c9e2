"""The outcome of executing a plan. Apart from `execute`, so that having nothing to do costs no threads' import."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.errors import Cancelled, ComposerError

if TYPE_CHECKING:
    from collections.abc import Mapping

PARALLEL = 16
"""Workers unless told otherwise: more do not help a kernel, fewer would serialise slow stops."""


class Outcome(NamedTuple):
    """What came of a plan. ``done``, ``failed``, ``skipped`` and ``cancelled`` are ids of steps; ``ids`` the new
    containers'. ``failures`` has more than ``failed`` where putting things back went wrong as well.
    """

    done: tuple[int, ...] = ()
    failures: tuple[ComposerError, ...] = ()
    failed: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()
    cancelled: tuple[int, ...] = ()
    ids: Mapping[str, str] = {}

    def check(self) -> None:
        """Raise what went wrong: one error as itself, several as an ExceptionGroup; Cancelled after a Ctrl-C."""
        if len(self.failures) == 1:
            raise self.failures[0]
        if self.failures:
            raise ExceptionGroup(f"{len(self.failures)} operations failed", list(self.failures))
        if self.cancelled:
            raise Cancelled("cancelled", hint="run the command again to complete the remaining operations")
