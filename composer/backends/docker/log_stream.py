"""What containers wrote, as the engine keeps it: merged by time, or followed as it comes.

The engine ends the stream of a container when the container ends. Following goes on over restarts all the same:
the events say when one starts again, and it is followed from the moment at which its last line was written.
"""

from __future__ import annotations

import heapq
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from composer.backends.docker import failures, reading
from composer.backends.docker.event_stream import EngineEvents
from composer.backends.docker.http import Broken
from composer.engine.observed import ContainerState, LogPiece
from composer.errors import BackendError, NotFound, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from composer.backends.docker.client import Client
    from composer.backends.docker.http import Response

_STREAMS = {0: "stdout", 1: "stdout", 2: "stderr"}
_HEADER_BYTES = 8
_ACTIVE = (ContainerState.RUNNING, ContainerState.RESTARTING, ContainerState.PAUSED)


class _Source:
    """The output of one container, in one request."""

    def __init__(self, response: Response, id: str, *, tty: bool) -> None:
        self._response, self._id, self._tty = response, id, tty

    def lines(self) -> Iterator[LogPiece]:
        pieces = (
            (("stdout", line + b"\n") for line in self._response.lines()) if self._tty else self._frames()
        )
        for stream, data in pieces:
            stamp, _, text = data.partition(b" ")
            yield LogPiece(self._id, reading.time_ns(stamp.decode("latin-1")), stream, text)

    def _frames(self) -> Iterator[tuple[str, bytes]]:
        """Yield stream and content of each frame (Engine API, "Attach to a container": stream format)."""
        buffer = bytearray()
        while piece := self._response.read_some():
            buffer += piece
            while len(buffer) >= _HEADER_BYTES:
                end = _HEADER_BYTES + int.from_bytes(buffer[4:8], "big")
                if len(buffer) < end:
                    break
                yield _STREAMS.get(buffer[0], "stdout"), bytes(buffer[_HEADER_BYTES:end])
                del buffer[:end]

    def interrupt(self) -> None:
        """End the iteration that another thread is in."""
        self._response.connection.interrupt()

    def close(self) -> None:
        self._response.close()


class EngineLogs:
    """See the module. Iterate once."""

    def __init__(
        self,
        client: Client,
        ids: Sequence[str],
        *,
        follow: bool,
        since_ns: int,
        until_ns: int | None,
        tail: int | None,
    ) -> None:
        self._client = client
        self._ids = list(ids)
        self._follow, self._since_ns, self._until_ns, self._tail = follow, since_ns, until_ns, tail
        self._queue: SimpleQueue[tuple[str, LogPiece | BackendError | None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._sources: dict[str, _Source] = {}
        self._last_ns: dict[str, int] = {}
        self._events: EngineEvents | None = None
        self._closed = False

    def __iter__(self) -> Iterator[LogPiece]:
        return self._followed() if self._follow else self._past()

    # ------------------------------------------------------------- what is there

    def _past(self) -> Iterator[LogPiece]:
        sources = [self._open(id, follow=False, since_ns=self._since_ns, tail=self._tail) for id in self._ids]
        try:
            yield from heapq.merge(
                *(self._checked(s.lines()) for s in sources if s), key=lambda line: line.time_ns
            )
        finally:
            for source in sources:
                if source is not None:
                    source.close()

    def _checked(self, lines: Iterator[LogPiece]) -> Iterator[LogPiece]:
        try:
            for line in lines:
                if self._closed:
                    return
                if line.time_ns >= self._since_ns:
                    yield line
        except Broken as error:
            if not self._closed:
                raise failures.lost(self._client.endpoint.url) from error

    def _open(self, id: str, *, follow: bool, since_ns: int, tail: int | None) -> _Source | None:
        """Return a container's output; None when the container is gone, or keeps none."""
        client = self._client
        query = {
            "stdout": True,
            "stderr": True,
            "timestamps": True,
            "follow": follow or None,
            "since": _stamp(since_ns),
            "until": _stamp(self._until_ns),
            "tail": tail,
        }
        try:
            tty = bool(client.get(f"/containers/{id}/json")["Config"].get("Tty"))
            return _Source(client.open(f"/containers/{id}/logs", query), id, tty=tty)
        except (NotFound, Unsupported):
            return None
        except BackendError as error:
            if "does not support reading" in str(error):
                return None
            raise

    # ------------------------------------------------------------- following

    def _followed(self) -> Iterator[LogPiece]:
        """Yield lines of all containers as they come, until none of them runs and none will."""
        self._events = EngineEvents(self._client, None)
        threading.Thread(target=self._watch, args=(self._events,), name="log events", daemon=True).start()
        running: set[str] = set()
        for id in self._ids:
            if self._begin(id, self._since_ns, self._tail):
                running.add(id)
        try:
            while not self._closed and (running or self._any_active()):
                id, found = self._queue.get()
                if isinstance(found, LogPiece):
                    yield found
                elif isinstance(found, BackendError):
                    raise found
                elif id and self._resume(id, running):
                    running.add(id)
            if not self._closed:
                yield from self._rest()
        finally:
            self.close()

    def _any_active(self) -> bool:
        return any(self._state(id) in _ACTIVE for id in self._ids)

    def _state(self, id: str) -> ContainerState | None:
        try:
            return reading.from_inspection(self._client.get(f"/containers/{id}/json")).state
        except NotFound:
            return None

    def _resume(self, id: str, running: set[str]) -> bool:
        """Follow a container again from its last line, where its stream has ended and it runs all the same."""
        with self._lock:
            if id in self._sources:
                return False
        running.discard(id)
        if self._state(id) not in (ContainerState.RUNNING, ContainerState.PAUSED):
            return False
        return self._begin(id, self._next_ns(id), None)

    def _next_ns(self, id: str) -> int:
        return self._last_ns[id] + 1 if id in self._last_ns else self._since_ns

    def _rest(self) -> Iterator[LogPiece]:
        """Yield what was written in a run that was over before it could be followed."""
        for id in self._ids:
            # with none of its lines shown, ``tail`` may be why: then there is nothing to catch up with
            if self._tail is not None and id not in self._last_ns:
                continue
            source = self._open(id, follow=False, since_ns=self._next_ns(id), tail=None)
            if source is not None:
                try:
                    yield from (
                        line for line in self._checked(source.lines()) if line.time_ns >= self._next_ns(id)
                    )
                finally:
                    source.close()

    def _begin(self, id: str, since_ns: int, tail: int | None) -> bool:
        source = self._open(id, follow=True, since_ns=since_ns, tail=tail)
        if source is None:
            return False
        with self._lock:
            self._sources[id] = source
        threading.Thread(
            target=self._pump, args=(id, source, since_ns), name="docker logs", daemon=True
        ).start()
        return True

    def _pump(self, id: str, source: _Source, since_ns: int) -> None:
        error: BackendError | None = None
        try:
            for line in source.lines():
                # the engine's "since" is no finer than what it has of a time; a line is shown once
                if line.time_ns >= since_ns:
                    self._last_ns[id] = max(self._last_ns.get(id, 0), line.time_ns)
                    self._queue.put((id, line))
        except (Broken, OSError) as broken:
            if not self._closed:
                error = failures.lost(self._client.endpoint.url)
                error.__cause__ = broken
        finally:
            with self._lock:
                self._sources.pop(id, None)
            source.close()
            self._queue.put((id, error))

    def _watch(self, events: EngineEvents) -> None:
        """Wake the reader for what may make it begin again, or end."""
        wanted = {"start", "die", "destroy"}
        try:
            while (event := events.next(None)) is not None:
                if event.kind == "container" and event.action in wanted and event.id in self._ids:
                    self._queue.put((event.id if event.action == "start" else "", None))
        except BackendError as error:
            self._queue.put(("", error))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._events is not None:
            self._events.close()
        with self._lock:
            for source in self._sources.values():
                source.interrupt()
        self._queue.put(("", None))


def _stamp(time_ns: int | None) -> str | None:
    """Seconds with nine decimals, as the engine takes a moment."""
    return None if not time_ns else f"{time_ns // 1_000_000_000}.{time_ns % 1_000_000_000:09d}"
