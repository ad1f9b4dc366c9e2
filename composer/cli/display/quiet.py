"""``--progress quiet``: warnings, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.cli.safe import line, safe
from composer.engine.progress import WORKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from composer.cli.safe import Safe
    from composer.engine.operations.row import Resource
    from composer.engine.progress import Events, Progress


class QuietDisplay:
    def __init__(self, stream: TextIO | Safe) -> None:
        self._stream = safe(stream)
        self.shown: tuple[str, ...] = ()

    def begin(self, resources: Sequence[Resource]) -> None:
        """Nothing is shown before it happens."""

    def progress(self, event: Progress) -> None:
        """Errors are raised at the end; nothing is shown before."""

    def warn(self, sentence: str) -> None:
        self._stream.write(f"warning: {line(sentence)}\n")
        self._stream.flush()

    def settle(self) -> None:
        """There is nothing that moves."""

    def close(self) -> None:
        """There is nothing to finish."""


class WithoutPulls:
    """Events without how far each pull or build is (``--quiet-pull``, ``--quiet-build``): only its begin and end."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def begin(self, resources: Sequence[Resource]) -> None:
        self._events.begin(resources)

    def progress(self, event: Progress) -> None:
        if event.resource.kind != "image" or event.status != WORKING or event.advance is None:
            self._events.progress(event)

    def warn(self, sentence: str) -> None:
        self._events.warn(sentence)
