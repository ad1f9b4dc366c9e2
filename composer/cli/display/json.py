"""``--progress json``: one JSON object per line, with Docker Compose's keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from composer.cli.display import advance
from composer.cli.display.phases import Phases
from composer.cli.safe import safe
from composer.engine.progress import DONE, FAILED, WARNING, WORKING, is_under_way

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from composer.cli.safe import Safe
    from composer.engine.operations.row import Resource
    from composer.engine.progress import Progress

_STATUS = {WORKING: "Working", DONE: "Done", FAILED: "Error", WARNING: "Warning"}


class JsonDisplay:
    def __init__(self, stream: TextIO | Safe) -> None:
        self._stream = safe(stream)
        self._phases = Phases()
        self.shown: tuple[str, ...] = ()

    def begin(self, resources: Sequence[Resource]) -> None:
        """Nothing is shown before it happens."""

    def progress(self, event: Progress) -> None:
        if event.advance is not None and event.advance.is_warning:
            self.warn(event.advance.line)
            return
        if event.advance is not None and event.advance.line and not event.advance.what:
            return  # of a build, the steps are enough
        for phase in self._phases.of(event):
            self._show(phase)

    def _show(self, event: Progress) -> None:
        # more steps may follow: what a phase has come to is done all the same
        is_reached = event.status == WORKING and not event.is_quoted and not is_under_way(event.text)
        status = DONE if is_reached else event.status
        line: dict[str, str | int] = {
            "id": str(event.resource),
            "status": _STATUS[status],
            "text": event.shown,
        }
        if event.detail:
            line["details"] = event.detail
        if event.advance is not None:
            line["details"] = advance.text(event.advance)
            if event.advance.total:
                current, total = event.advance.done, event.advance.total
                line |= {"current": current, "total": total, "percent": current * 100 // total}
        self._write(line)

    def warn(self, sentence: str) -> None:
        self._write({"level": "warning", "message": sentence})

    def _write(self, line: Mapping[str, str | int]) -> None:
        self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._stream.flush()

    def settle(self) -> None:
        """There is nothing that moves."""

    def close(self) -> None:
        """There is nothing to finish."""
