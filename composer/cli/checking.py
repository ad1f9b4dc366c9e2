"""``--check`` of builds: the findings in Dockerfiles are counted, and the command ends with 1 where there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.cli.context import Context
    from composer.engine.operations.row import Resource
    from composer.engine.progress import Events, Progress


class Findings:
    """Events that pass through, with a count of the warnings of builds among them."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self.count = 0

    def begin(self, resources: Sequence[Resource]) -> None:
        self._events.begin(resources)

    def progress(self, event: Progress) -> None:
        if event.advance is not None and event.advance.is_warning:
            self.count += 1
        self._events.progress(event)

    def warn(self, sentence: str) -> None:
        self._events.warn(sentence)


def conclude(context: Context, count: int) -> None:
    """Print how many findings there are. Raises SystemExit where there are any."""
    if not count:
        context.write("Check complete, no warnings found.")
        return
    context.write(
        f"Check complete, {'1 warning has' if count == 1 else f'{count} warnings have'} been found!"
    )
    raise SystemExit(1)
