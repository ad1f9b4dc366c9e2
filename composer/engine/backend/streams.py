"""Protocols for streams: logs, events, and interactive commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from composer.engine.observed import Event, LogPiece
    from composer.engine.wanted import ExecSpec


class LogStream(Protocol):
    """Output merged by time. Iterating ends at the end, or soon after ``close()``, from any thread."""

    def __iter__(self) -> Iterator[LogPiece]: ...
    def close(self) -> None: ...


class EventStream(Protocol):
    """Events from the moment that `Observer.events` returned: later events are never missed."""

    def next(self, timeout_s: float | None) -> Event | None:
        """Return the next event; None when ``timeout_s`` has passed, at the end, or after ``close()``."""
        ...

    def close(self) -> None: ...


class Session(Protocol):
    """A command whose input and output are connected to the caller (exec, attach).

    With ``tty`` all output is on ``stdout``. ``read`` blocks; it returns None at the end of all output.
    """

    @property
    def tty(self) -> bool: ...

    def fileno(self) -> int:
        """Return a descriptor that is readable when ``read`` would not block."""
        ...

    def read(self) -> tuple[str, bytes] | None: ...
    def write(self, data: bytes) -> None: ...
    def close_stdin(self) -> None: ...
    def resize(self, rows: int, columns: int) -> None: ...
    def signal(self, number: int) -> None: ...
    def wait(self) -> int:
        """Wait until the command exits, and return its exit code."""
        ...

    def close(self) -> None: ...


class StreamObserver(Protocol):
    """Reads logs and events."""

    def logs(
        self,
        ids: Sequence[str],
        *,
        follow: bool = False,
        since_ns: int = 0,
        until_ns: int | None = None,
        tail: int | None = None,
    ) -> LogStream:
        """Return the output of containers. ``tail`` counts lines per container.

        With ``follow`` the stream continues over restarts and ends when every container has been removed, or
        when all have stopped for good.
        """
        ...

    def events(
        self, project: str | None = None, *, since_ns: int | None = None, until_ns: int | None = None
    ) -> EventStream:
        """Return the events from now on; with ``since_ns`` also earlier ones, as far back as the backend keeps them.

        With ``until_ns`` the stream ends at that time, which may be past.
        """
        ...


class Streams(StreamObserver, Protocol):
    """Attaches to containers and executes commands in them."""

    def attach(self, id: str, *, stdin: bool = False, start: bool = False) -> Session:
        """Return the output of a container's own command from now on, and with ``stdin`` its input.

        With ``start`` it is started, nothing of its output is missed, and its input ends with the session's.
        Raises Conflict when it does not run, StartFailed as `Containers.start_container` does.
        """
        ...

    def exec(self, id: str, spec: ExecSpec) -> Session: ...
