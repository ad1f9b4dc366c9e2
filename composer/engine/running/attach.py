"""Following a project's containers while they start and run: their output, and how each of them ends.

One thread reads the event stream; it opens a log stream, with a thread of its own, for each container that
starts. What they find is told to an `Output` under one lock, so a display sees one thing at a time. The end of a
container is told after its last line.

Whoever reads the output may be slow, and then the threads that write wait for it under that lock. Nobody else takes it:
ends are seen, and containers stopped, at any speed of the reader. `Attachment.close` waits for what has ended to be
shown whole, until it is told not to.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, Protocol

from composer.engine import labels
from composer.engine.observed import ACTIVE
from composer.engine.operations.containers import CreateContainer, RemoveContainer, StopContainer
from composer.engine.operations.row import ContainerRef
from composer.errors import BackendError, NotFound, OutputFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from composer.engine.backend import Backend, LogStream
    from composer.engine.observed import Event, LogPiece, ObservedContainer
    from composer.engine.plan import Plan
    from composer.engine.running.returning import Returning


RETURNING = frozenset(("restart", "up", "scale", "start", "container restart", "boot start", "watch"))
"""Verbs of commands after which runs again, or is replaced, what they stop."""
_PATIENCE_S = 2.0
"""The longest wait for streams that were closed, or that need not be waited for."""


class Output(Protocol):
    """Where lines go. Never called by two threads at once."""

    def reserve(self, names: Collection[str]) -> None: ...
    def add(self, containers: Collection[tuple[str, str]]) -> None: ...
    def write(self, line: LogPiece) -> None: ...
    def say(self, id: str, sentence: str) -> None: ...


def _end(code: str, *, again: bool) -> str:
    return f"exited with code {code}{' (restarting)' if again else ''}"


class Death(NamedTuple):
    """A container that ended for good and was not asked to by us."""

    id: str
    service: str
    exit_code: int | None


class Return(NamedTuple):
    """Services that are to restart, because what they depend on came back by itself."""

    services: tuple[str, ...]


class Attachment:
    """Waits for the containers of ``services``; shows those of ``shown``. Open it before anything is started.

    ``deaths`` gets a `Death` for each container that ends by itself, a `Return` where ``returning`` finds that services
    restart with another one, None when the events cannot be read any more.
    ``changing`` returns the verb of another command that changes the project now, empty where none does: what ends
    meanwhile may come back.
    """

    def __init__(
        self,
        backend: Backend,
        project: str,
        services: Collection[str],
        shown: Collection[str],
        output: Output,
        changing: Callable[[], str] = lambda: "",
        returning: Returning | None = None,
    ) -> None:
        self.changing = changing
        self.deaths: SimpleQueue[Death | Return | None] = SimpleQueue()
        self._returning = returning
        self._backend, self._project = backend, project
        self._services, self._shown, self._output = frozenset(services), frozenset(shown), output
        self.failure: Exception | None = None
        """The reason why no more output can be shown: writing failed, or the reader disconnected."""
        self._showing = threading.Lock()
        self._lock = threading.Lock()
        self._ended: SimpleQueue[None] = SimpleQueue()
        """Receives an item when a thread has shown all its output, and when waiting is to end."""
        self._is_hurried = False
        self._streams: dict[str, LogStream] = {}
        self._threads: dict[threading.Thread, str] = {}
        self._runs: set[tuple[str, int]] = set()
        self._carried: set[tuple[str, int]] = set()
        """Runs that began while the stream of the run before was open, which may go on over a restart, or not."""
        self._expected: set[str] = set()
        self._ended_before: dict[str, int] = {}
        self._last_ends: dict[str, int] = {}
        self._untold: dict[str, str] = {}
        """Exit codes that events told, of containers whose output has not ended yet."""
        self._told: set[str] = set()
        """Containers whose end was told before its event was read."""
        self._restarted: set[str] = set()
        """Containers whose end was told at their next start, with the stream of the run before still open."""
        self._silent: set[str] = set()
        """Containers whose output ended, and that ran again, or were gone, when that was seen."""
        self._events = backend.events(project)
        self._pump = threading.Thread(target=self._read_events, name="attach", daemon=True)

    def open(self, plan: Plan) -> None:
        """Begin, with what is running already: only its new output is shown.

        What ``plan`` stops or removes does not end by itself: it is expected to.
        """
        observed = self._backend.observe(self._project).containers
        known = [ContainerRef.of(c) for c in observed if not labels.is_oneoff(c)]
        known += [s.operation.container for s in plan.steps if isinstance(s.operation, CreateContainer)]
        self._output.reserve([self._short(c.name) for c in known if c.service in self._shown])
        for step in plan.steps:
            if isinstance(step.operation, StopContainer | RemoveContainer):
                self._expected.add(step.operation.container.id)
        for container in observed:
            self._ended_before[container.id] = container.finished_ns
            self._last_ends[container.id] = max(container.finished_ns, self._last_word_ns(container))
            if container.state in ACTIVE and container.id not in self._expected:
                self._follow(container, since_ns=0, tail=0)
        self._pump.start()

    def _last_word_ns(self, container: ObservedContainer) -> int:
        """Return the time of the last line of a container that has ended; 0 where there is none to be shown.

        An engine that is busy reads, and dates, what was said at the end when the container is no more.
        """
        if container.state in ACTIVE or not container.finished_ns or not self._is_shown(container):
            return 0
        stream = self._backend.logs([container.id], tail=1)
        try:
            return max((line.time_ns for line in stream), default=0)
        finally:
            stream.close()

    def _is_shown(self, container: ObservedContainer) -> bool:
        return labels.service_of(container) in self._shown and not labels.is_oneoff(container)

    def _short(self, name: str) -> str:
        return name.removeprefix(f"{self._project}-")

    def close(self) -> bool:
        """Stop following, after the output of what has ended has been shown to its last line: however slow its reader.

        Tell whether all was shown: after `hurry` the reader gets a moment and no more.
        """
        active = self._drain()
        while not self._is_hurried and any(id not in active for id in tuple(self._threads.values())):
            self._ended.get()
        if self._is_hurried:
            self._join(id for id in tuple(self._threads.values()) if id not in active)
        self._events.close()
        with self._lock:
            streams = tuple(self._streams.values())
        for stream in streams:
            stream.close()
        self._join(tuple(self._threads.values()))
        return not self._threads

    def _join(self, ids: Iterable[str]) -> None:
        """Wait for the threads of containers, for a moment in all."""
        wanted, until = frozenset(ids), time.monotonic() + _PATIENCE_S
        for thread, id in tuple(self._threads.items()):
            if id in wanted:
                thread.join(max(0.0, until - time.monotonic()))

    def hurry(self) -> None:
        """Make `close` return without waiting for the reader. Safe in a signal handler."""
        self._is_hurried = True
        self._ended.put(None)

    def _drain(self) -> frozenset[str]:
        """Follow what started and ended before its event was read; return the ids of what still runs."""
        observed = self._backend.observe(self._project).containers
        for container in observed:
            if container.finished_ns != self._ended_before.get(container.id, 0):
                is_followed = any(id == container.id for id, _ in self._runs)
                since_ns = container.started_ns if is_followed else self._since_ns(container.id)
                self._follow(container, since_ns=since_ns, tail=None)
        return frozenset(c.id for c in observed if c.state in ACTIVE)

    def look_again(self, pause_s: float) -> None:
        """Wait for the next death, which is not to be judged, or for as long."""
        with suppress(Empty):
            self.deaths.get(timeout=pause_s)

    def expect_all(self) -> None:
        """Say that from now on every container that ends was asked to."""
        self.expect(self._backend.observe(self._project).containers)

    def expect(self, containers: Iterable[ObservedContainer]) -> None:
        """Say that the next end of these containers was asked for."""
        with self._lock:
            self._expected |= {container.id for container in containers}

    def is_over(self) -> bool:
        """Tell whether none of the followed containers runs any more."""
        containers = self._backend.observe(self._project).containers
        return not any(c.state in ACTIVE and self._is_followed(c) for c in containers)

    def is_back(self, id: str) -> bool:
        """Tell whether a container that ended runs again."""
        try:
            return self._backend.container(id).state in ACTIVE
        except NotFound:
            return False

    def has_ended(self, id: str) -> bool:
        """Tell whether a container is there and does not run: nobody started, replaced or removed it since."""
        try:
            return self._backend.container(id).state not in ACTIVE
        except NotFound:
            return False

    def ends(self) -> list[Death]:
        """Return how the followed containers ended since `open`, first to last, whether the events told or not.

        When none runs any more this is the whole story; the events may still be on their way.
        """
        ended = [
            c
            for c in self._backend.observe(self._project).containers
            if c.state not in ACTIVE
            and c.finished_ns != self._ended_before.get(c.id, 0)
            and c.id not in self._expected
            and self._is_followed(c)
        ]
        return [
            Death(c.id, labels.service_of(c), c.exit_code) for c in sorted(ended, key=lambda c: c.finished_ns)
        ]

    def _is_followed(self, container: ObservedContainer) -> bool:
        return labels.service_of(container) in self._services and not labels.is_oneoff(container)

    # ------------------------------------------------------------- events

    def _read_events(self) -> None:
        try:
            while (event := self._events.next(None)) is not None:
                if event.kind == "container":
                    self._receive(event)
                restarting = self._returning.see(event) if self._returning is not None else ()
                if restarting:
                    self.deaths.put(Return(restarting))
        except BackendError as error:
            self._say("", f"event stream lost: {error}")
            self.deaths.put(None)

    def _receive(self, event: Event) -> None:
        if event.action == "start":
            self._expected.discard(event.id)
            self._tell_before_start(event.id)
            try:
                container = self._backend.container(event.id)
            except BackendError:
                return  # gone again: there is nothing to follow
            self._follow(container, since_ns=self._since_ns(event.id), tail=None)
        elif event.action == "die":
            self._last_ends[event.id] = event.time_ns
            self._died(event)

    def _since_ns(self, id: str) -> int:
        """Return from when on output is of a container's present run: after the end of the one before.

        The event of the start, and the time that an engine says it was at, may be later than the first line.
        """
        return self._last_ends[id] + 1 if self._last_ends.get(id) else 0

    def _died(self, event: Event) -> None:
        service = event.attributes.get(labels.SERVICE, "")
        if event.attributes.get(labels.ONEOFF) == "True":
            return
        code = event.attributes.get("exitCode", "")
        if event.attributes.get("willRestart") == "true":
            if service in self._shown:
                sentence = _end(code or "unknown", again=True)
                threading.Thread(target=self._say, args=(event.id, sentence), daemon=True).start()
            return
        if service in self._shown:
            self._tell_code(event.id, code or "unknown")
        if service in self._services and event.id not in self._expected:
            self.deaths.put(Death(event.id, service, int(code) if code.isdigit() else None))

    # ------------------------------------------------------------- output

    def _follow(self, container: ObservedContainer, *, since_ns: int, tail: int | None) -> None:
        if not self._is_shown(container):
            return
        run = (container.id, container.started_ns)
        with self._lock:
            if container.id in self._streams:
                self._runs.add(run)
                self._carried.add(run)
            if run in self._runs:
                return
            self._runs.add(run)
            stream = self._backend.logs([container.id], follow=True, since_ns=since_ns, tail=tail)
            self._streams[container.id] = stream
            name = self._short(ContainerRef.of(container).name)
            thread = threading.Thread(
                target=self._copy, args=(container.id, name, stream), name="logs", daemon=True
            )
            self._threads[thread] = container.id
            thread.start()

    def _copy(self, id: str, name: str, stream: LogStream) -> None:
        try:
            with self._showing:
                self._output.add([(id, name)])
            for line in stream:
                with self._showing:
                    self._output.write(line)
        except BackendError as error:
            self._say(id, f"log stream lost: {error}")
        except (OutputFailed, BrokenPipeError) as error:
            self._failed(error)
        finally:
            stream.close()
        with self._lock:
            self._streams.pop(id, None)
        self._tell_end(id)
        self._threads.pop(threading.current_thread())
        self._ended.put(None)

    def _tell_code(self, id: str, code: str) -> None:
        """Remember how a container ended until its output has; say so where it has, and nobody could see the code."""
        with self._lock:
            if id in self._told:
                self._told.discard(id)
                return
            if id not in self._silent:
                self._untold[id] = code
                return
            self._silent.discard(id)
        again = self._is_coming_back(id)
        threading.Thread(target=self._say, args=(id, _end(code, again=again)), daemon=True).start()

    def _tell_before_start(self, id: str) -> None:
        """Say how the run before ended, if its output has not: an engine's stream may go on over a restart."""
        with self._lock:
            code = self._untold.pop(id, None) if id in self._streams else None
            if code is None:
                return
            self._restarted.add(id)
        threading.Thread(target=self._say, args=(id, _end(code, again=True)), daemon=True).start()

    def _tell_end(self, id: str) -> None:
        """Say how a container ended: as it is now, or as an event told where another command was faster than we."""
        try:
            container: ObservedContainer | None = self._backend.container(id)
        except BackendError:
            container = None  # removed
        if container is not None and container.state in ACTIVE:
            self._follow_again(container)
            with self._lock:
                if id in self._restarted:
                    self._restarted.discard(id)
                    return
        if container is not None and container.state not in ACTIVE:
            code = "unknown" if container.exit_code is None else str(container.exit_code)
            with self._lock:
                if self._untold.pop(id, None) is None:
                    self._told.add(id)
        else:
            with self._lock:
                told = self._untold.pop(id, None)
                if told is None:
                    self._silent.add(id)
                    return
            code = told
        self._say(id, _end(code, again=self._is_coming_back(id)))

    def _follow_again(self, container: ObservedContainer) -> None:
        """Follow a run whose beginning was left to a stream that has ended."""
        run = (container.id, container.started_ns)
        with self._lock:
            if run not in self._carried:
                return
            self._carried.discard(run)
            self._runs.discard(run)
        self._follow(container, since_ns=self._since_ns(container.id), tail=None)

    def _is_coming_back(self, id: str) -> bool:
        return self.is_back(id) or self.changing() in RETURNING

    def _say(self, id: str, sentence: str) -> None:
        if self.failure is not None:
            return
        try:
            with self._showing:
                self._output.say(id, sentence)
        except (OutputFailed, BrokenPipeError) as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Stop following all streams: their output cannot be shown any more."""
        self.failure = self.failure or error
        self.deaths.put(None)
