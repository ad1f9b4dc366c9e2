"""``up --timeline FILE``: when the command did what, and each thing was pulled, created, started, healthy.

All times are seconds from the start of the process. The phases of the command itself, each until the next one begins:

    interpreter  imports  loading  opening  observing  planning  executing  starting

``opening`` is the choice of the backend and the wait for the project's lock; ``executing`` is the plan's, and
``starting`` what follows the first request to start a container. A phase that comes again is listed again.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.engine.backend import Backend
    from composer.engine.engine import Engine
    from composer.engine.observed import Observed
    from composer.engine.operations.row import Resource
    from composer.engine.progress import Events, Progress

VERSION = 1


class Timeline:
    """The phases of a command, and of the resources that it works on. It is for the file ``path``.

    ``began`` is when the interpreter ran our first line, and the processor time until then: the kernel tells when a
    process was started only to a hundredth of a second. None in a process of others, whose start does not matter.
    """

    def __init__(
        self,
        path: str,
        began: tuple[float, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._clock = clock
        now_s = clock()
        self._start_s = began[0] - began[1] if began is not None else now_s
        self._began = time.time() - (now_s - self._start_s)
        self._command: list[dict[str, Any]] = []
        self._resources: dict[Resource, list[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        if began is not None:
            self._append(self._command, "interpreter", self._start_s)
            self._append(self._command, "imports", began[0])
        self.enter("loading")

    def enter(self, phase: str) -> None:
        """Begin a phase of the command, unless it has begun. For any thread."""
        with self._lock:
            self._append(self._command, phase, self._clock())

    def changed(self, resource: Resource, phase: str) -> None:
        """Note a phase of a resource."""
        self._append(self._resources.setdefault(resource, []), phase, self._clock())

    def _append(self, phases: list[dict[str, Any]], phase: str, now_s: float) -> None:
        if not phases or phases[-1]["phase"] != phase:
            phases.append({"phase": phase, "at_s": round(now_s - self._start_s, 4)})

    def watching(self, engine: Engine) -> Engine:
        """Return an engine whose events and requests are noted."""
        backend = cast("Backend", _WatchedBackend(engine.backend, self))
        return engine._replace(backend=backend, events=_WatchedEvents(engine.events, self))

    def document(self, project: str) -> dict[str, Any]:
        """Return everything that was seen; ``began`` is Unix seconds."""
        return {
            "version": VERSION,
            "project": project,
            "began": round(self._began, 3),
            "total_s": round(self._clock() - self._start_s, 4),
            "command": self._command,
            "resources": [
                {"kind": resource.kind, "name": resource.name, "phases": phases}
                for resource, phases in self._resources.items()
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


class _WatchedEvents:
    """Events on their way to the display."""

    def __init__(self, events: Events, timeline: Timeline) -> None:
        self._events, self._timeline = events, timeline

    def begin(self, resources: Sequence[Resource]) -> None:
        self._timeline.enter("executing")
        self._events.begin(resources)

    def progress(self, event: Progress) -> None:
        self._timeline.changed(event.resource, event.text)
        self._events.progress(event)

    def warn(self, sentence: str) -> None:
        self._events.warn(sentence)


class _WatchedBackend:
    """A backend, with the calls noted that begin a phase of the command. All others are the backend's own."""

    def __init__(self, backend: Backend, timeline: Timeline) -> None:
        self._backend, self._timeline = backend, timeline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def observe(self, project: str) -> Observed:
        self._timeline.enter("observing")
        found = self._backend.observe(project)
        self._timeline.enter("planning")
        return found

    def start_container(self, id: str) -> None:
        self._timeline.enter("starting")
        self._backend.start_container(id)
