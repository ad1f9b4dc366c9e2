"""``--progress plain``: a line per phase, in Docker Compose's form, and the output of builders: for pipes and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.cli import safe as safely
from composer.cli.display.phases import Phases
from composer.cli.safe import safe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from composer.cli.safe import Safe
    from composer.engine.operations.row import Resource
    from composer.engine.progress import Progress


class PlainDisplay:
    """Shows `` RESOURCE Phase details``: one space between, and one at the end where there are no details."""

    def __init__(self, stream: TextIO | Safe, output: TextIO | Safe | None = None) -> None:
        self._stream, self._output = safe(stream), safe(output if output is not None else stream)
        self._phases = Phases()
        self.shown: set[str] = set()

    def begin(self, resources: Sequence[Resource]) -> None:
        """Nothing is shown before it happens."""

    def progress(self, event: Progress) -> None:
        if event.advance is not None and event.advance.is_warning:
            self.warn(event.advance.line)
            return
        if event.advance is not None and event.advance.line:
            self.shown.add(event.advance.line)
            self._output.write(safely.line(event.advance.line) + "\n")
            self._output.flush()
        for phase in self._phases.of(event._replace(advance=None)):
            self.shown.add(phase.detail.strip())
            self._write(f" {phase.resource} {phase.shown} {phase.detail}")

    def warn(self, sentence: str) -> None:
        self._write(f"warning: {sentence}")

    def _write(self, line: str) -> None:
        self._stream.write(safely.line(line) + "\n")
        self._stream.flush()

    def settle(self) -> None:
        """There is nothing that moves."""

    def close(self) -> None:
        """There is nothing to finish."""
