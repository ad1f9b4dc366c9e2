"""``--progress quiet``: warnings, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from composer.engine.events import Progress
    from composer.engine.operations import Resource


class QuietDisplay:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def begin(self, resources: Sequence[Resource]) -> None:
        """Nothing is shown before it happens."""

    def progress(self, event: Progress) -> None:
        """Errors are raised at the end; nothing is shown before."""

    def warn(self, sentence: str) -> None:
        self._stream.write(f"warning: {sentence}\n")
        self._stream.flush()

    def settle(self) -> None:
        """There is nothing that moves."""

    def close(self) -> None:
        """There is nothing to finish."""
