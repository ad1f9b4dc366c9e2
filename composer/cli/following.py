"""``composer logs --follow``: output as it comes, also of containers that take the place of those that were there.

The containers that are there are one stream, merged by time. What starts later gets a stream of its own, until
nothing that is followed runs any more and nothing that was created meanwhile is still to start.
"""

from __future__ import annotations

import threading
import time
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.cli.lines import Whole, short_name
from composer.engine.observed import ACTIVE, ContainerState, LogPiece
from composer.engine.operations.row import ContainerRef
from composer.errors import BackendError, OutputFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.cli.lines import AnyPrinter
    from composer.engine.backend import Backend, LogStream
    from composer.engine.observed import Event, ObservedContainer

_PAUSE_S = 0.1
_MOST_NEWS = 1024


class _Ended(NamedTuple):
    """A stream of output has ended, or failed."""

    stream: LogStream
    failure: Exception | None


class Following:
    """``wanted`` tells which containers of the project are meant. Make it before they are observed.

    ``changing`` returns the verb of another command that changes the project now, empty where none does.
    """

    def __init__(
        self,
        backend: Backend,
        project: str,
        wanted: Callable[[ObservedContainer], bool],
        printer: AnyPrinter,
        changing: Callable[[], str] = lambda: "",
    ) -> None:
        self._changing = changing
        self._backend, self._project, self._wanted, self._printer = backend, project, wanted, printer
        self._lock = threading.Lock()
        self._news: Queue[Exception | Event | LogPiece | _Ended | None] = Queue(_MOST_NEWS)
        # A search can take very long, and only one of the main thread can be interrupted.
        self._prints_here = isinstance(printer, Whole)
        self._open: dict[LogStream, frozenset[str]] = {}
        self._known: dict[str, int] = {}  # since when each is, or was, followed
        self._ends: dict[str, int] = {}
        self._events = backend.events(project)

    def run(self, containers: Sequence[ObservedContainer], **options: Any) -> None:
        """Show the output of ``containers`` and of what comes after them, to its end. Raises BackendError."""
        self._follow(containers, **options)
        threading.Thread(target=self._read_events, name="events", daemon=True).start()
        try:
            while (pause_s := self._next_look_s()) != 0:
                self._learn(self._next(pause_s))
        finally:
            self._events.close()
            for stream in tuple(self._open):
                stream.close()

    def _next_look_s(self) -> float | None:
        """Return how long to wait for news; None without end, 0 when all is over.

        What another command has stopped may come back as long as that one is at work.
        """
        if self._is_going_on():
            return None
        return _PAUSE_S if self._changing() or self._is_going_on() else 0

    def _next(self, timeout_s: float | None) -> Exception | Event | _Ended | None:
        """Return the next of the news; lines that come before are printed."""
        try:
            while isinstance(news := self._news.get(timeout=timeout_s), LogPiece):
                self._printer.write(news)
        except Empty:
            return None
        return news

    def _learn(self, news: Exception | Event | _Ended | None) -> None:
        if isinstance(news, _Ended):
            with self._lock:
                self._open.pop(news.stream, None)
            news = news.failure
        if isinstance(news, Exception):
            raise news
        if news is not None and news.action == "start":
            self._started(news)
        elif news is not None and news.action == "die":
            self._ends[news.id] = news.time_ns

    def _is_going_on(self) -> bool:
        """Tell whether something is followed or still to come; follow what started while its last stream ended."""
        observed = [c for c in self._backend.observe(self._project).containers if self._wanted(c)]
        for container in observed:
            is_new = container.id not in self._known
            if container.state is not ContainerState.CREATED and (is_new or container.state in ACTIVE):
                self._follow_one(container, self._since_ns(container))
        with self._lock:
            return bool(self._open) or any(c.id not in self._known for c in observed)

    def _started(self, event: Event) -> None:
        if event.time_ns <= self._known.get(event.id, 0):
            return  # seen already, when it was observed
        try:
            container = self._backend.container(event.id)
        except BackendError:
            return  # gone again
        if self._wanted(container):
            self._follow_one(container, self._since_ns(container))

    def _since_ns(self, container: ObservedContainer) -> int:
        """Return from when on output is new: the event of a start may be later than the first line of a short run."""
        if container.id not in self._known:
            return 0
        ended_ns = self._ends.get(container.id)
        return ended_ns + 1 if ended_ns else container.started_ns

    def _follow_one(self, container: ObservedContainer, since_ns: int) -> None:
        with self._lock:
            is_followed = any(container.id in ids for ids in self._open.values())
        if not is_followed:  # a stream goes on over restarts
            self._follow([container], since_ns=since_ns)

    def _follow(self, containers: Sequence[ObservedContainer], **options: Any) -> None:
        ids = [c.id for c in containers]
        with self._lock:
            self._printer.add((c.id, short_name(ContainerRef.of(c).name, self._project)) for c in containers)
            stream = self._backend.logs(ids, follow=True, **options)
            self._open[stream] = frozenset(ids)
            self._known.update(dict.fromkeys(ids, time.time_ns()))
        threading.Thread(target=self._copy, args=(stream,), name="logs", daemon=True).start()

    def _copy(self, stream: LogStream) -> None:
        failure: Exception | None = None
        try:
            for line in stream:
                if self._prints_here:
                    self._news.put(line)
                    continue
                with self._lock:
                    self._printer.write(line)
        except (BackendError, OutputFailed, BrokenPipeError) as error:
            failure = error
        finally:
            stream.close()
        self._news.put(_Ended(stream, failure))

    def _read_events(self) -> None:
        try:
            while (event := self._events.next(None)) is not None:
                if event.kind == "container":
                    self._news.put(event)
        except BackendError as error:
            self._news.put(error)
