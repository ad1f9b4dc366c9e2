"""``--progress plain``: a line per change, for files, pipes and CI logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.cli import safe as safely
from composer.cli.safe import safe
from composer.engine.progress import FAILED, SKIPPED, WARNING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from composer.cli.safe import Safe
    from composer.engine.operations.row import Resource
    from composer.engine.progress import Progress

_WITH_DETAIL = frozenset((FAILED, SKIPPED, WARNING))


class PlainDisplay:
    """Repeats nothing: a resource that says the same again is not shown again."""

    def __init__(self, stream: TextIO | Safe) -> None:
        self._stream = safe(stream)
        self._last: dict[Resource, tuple[str, str]] = {}

    def begin(self, resources: Sequence[Resource]) -> None:
        """Nothing is shown before it happens."""

    def progress(self, event: Progress) -> None:
        detail = event.detail if event.status in _WITH_DETAIL else ""
        if self._last.get(event.resource) == (event.text, detail):
            return
        self._last[event.resource] = (event.text, detail)
        self._write(f" {event.resource}  {event.text.capitalize()}{f': {detail}' if detail else ''}")

    def warn(self, sentence: str) -> None:
        self._write(f"warning: {sentence}")

    def _write(self, line: str) -> None:
        self._stream.write(safely.line(line) + "\n")
        self._stream.flush()

    def settle(self) -> None:
        """There is nothing that moves."""

    def close(self) -> None:
        """There is nothing to finish."""
