"""``up --timeline FILE``: when each thing was pulled, created, started, healthy, in seconds from the beginning."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.engine.operations.row import Resource
    from composer.engine.progress import Events, Progress

VERSION = 1


class Timeline:
    """Events on their way to the display, with the time of each change of phase."""

    def __init__(self, events: Events, clock: Callable[[], float] = time.monotonic) -> None:
        self._events, self._clock = events, clock
        self._start_s = clock()
        self._began = time.time()
        self._phases: dict[Resource, list[dict[str, Any]]] = {}

    def begin(self, resources: Sequence[Resource]) -> None:
        self._events.begin(resources)

    def progress(self, event: Progress) -> None:
        phases = self._phases.setdefault(event.resource, [])
        if not phases or phases[-1]["phase"] != event.text:
            phases.append({"phase": event.text, "at_s": round(self._clock() - self._start_s, 4)})
        self._events.progress(event)

    def warn(self, sentence: str) -> None:
        self._events.warn(sentence)

    def document(self, project: str) -> dict[str, Any]:
        """Return everything that was seen; ``began`` is Unix seconds."""
        return {
            "version": VERSION,
            "project": project,
            "began": round(self._began, 3),
            "total_s": round(self._clock() - self._start_s, 4),
            "resources": [
                {"kind": resource.kind, "name": resource.name, "phases": phases}
                for resource, phases in self._phases.items()
            ],
        }

    def write(self, path: str, project: str) -> None:
        """Write the document. Raises ProjectError."""
        from composer.errors import ProjectError

        try:
            with open(path, "w", encoding="utf-8") as file:
                json.dump(self.document(project), file, indent=2, ensure_ascii=False)
                file.write("\n")
        except OSError as error:
            raise ProjectError(f"cannot write '{path}': {(error.strerror or str(error)).lower()}") from None
