"""What the memory backend is made of: what its parts share, its containers, and the streams that read them."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from composer.engine.inspected import Usage
from composer.engine.observed import ContainerState, Health, ObservedPort
from composer.errors import Conflict

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from tarfile import TarInfo

    from composer.engine.observed import Event, LogPiece, ObservedContainer, ObservedImage, Probe
    from composer.engine.wanted import ContainerSpec, ExecSpec
    from composer.errors import StartFailed

_PROJECT = "com.docker.compose.project"
TERMINATED = 143
_FIRST_PORT = 49153


class Behaviour(NamedTuple):
    """What a service's containers do by themselves.

    ``exits``: how the first, second, … run of a container ends at once; None runs until it is stopped, the last one
    repeats. ``health``: what the health check says after each start, in order. ``output``: lines written at start.
    ``start_error`` is raised by every start. ``stop_code`` is the exit code after a stop.
    """

    exits: tuple[int | None, ...] = (None,)
    health: tuple[Health, ...] = (Health.HEALTHY,)
    output: tuple[str, ...] = ()
    start_error: StartFailed | None = None
    stop_code: int = TERMINATED
    exec: Callable[[ExecSpec], tuple[int, bytes]] | None = None
    usage: tuple[Usage, ...] = (Usage(0, memory_limit_bytes=1 << 30, processes=1),)
    """What the first, second, … look at its counters shows; the last one repeats."""


class Container:
    """A container and what only its owner knows of it."""

    __slots__ = ("files", "lines", "probes", "runs", "samples", "seen", "spec")

    def __init__(self, spec: ContainerSpec, seen: ObservedContainer) -> None:
        self.spec, self.seen = spec, seen
        self.runs = 0
        self.lines: list[LogPiece] = []
        self.probes: list[Probe] = []
        self.samples = 0
        self.files: dict[str, tuple[TarInfo, bytes]] = {}


class Part:
    """What the parts of `MemoryBackend` have in common; it is whole only there."""

    changed: threading.Condition
    """Guards everything, and tells the streams of every change."""
    by_id: dict[str, Container]
    log: list[Event]

    def _find(self, id: str) -> Container:
        raise NotImplementedError

    def _new_id(self, kind: str, name: str) -> str:
        raise NotImplementedError

    def _called(self, method: str, name: str) -> None:
        raise NotImplementedError

    def _emit(self, kind: str, action: str, about: Container | str, **attributes: str) -> None:
        raise NotImplementedError


class LogStream:
    """Lines of several containers, merged by time."""

    def __init__(
        self,
        backend: Part,
        containers: list[Container],
        follow: bool,
        since_ns: int,
        until_ns: int | None,
        tail: int | None,
    ) -> None:
        self._backend, self._containers, self._follow = backend, containers, follow
        self._since_ns, self._until_ns = since_ns, until_ns
        self._closed = False
        self._taken = [0] * len(containers)
        # what is there now, before anybody iterates: ``tail`` counts from the moment of the call
        self._first = self._batch(tail)

    def __iter__(self) -> Iterator[LogPiece]:
        while True:
            with self._backend.changed:
                batch = self._first or self._batch(None)
                self._first = []
                if not batch and (not self._follow or self._closed or self._is_over()):
                    return
                if not batch:
                    self._backend.changed.wait()
            for line in batch:
                if self._closed:
                    return
                yield line

    def _batch(self, tail: int | None) -> list[LogPiece]:
        lines: list[LogPiece] = []
        for index, container in enumerate(self._containers):
            fresh = [line for line in container.lines[self._taken[index] :] if self._is_wanted(line)]
            self._taken[index] = len(container.lines)
            lines += fresh if tail is None else fresh[len(fresh) - min(tail, len(fresh)) :]
        return sorted(lines, key=lambda line: line.time_ns)

    def _is_wanted(self, line: LogPiece) -> bool:
        return line.time_ns >= self._since_ns and (self._until_ns is None or line.time_ns <= self._until_ns)

    def _is_over(self) -> bool:
        going_on = (
            ContainerState.RUNNING,
            ContainerState.RESTARTING,
            ContainerState.PAUSED,
            ContainerState.CREATED,
        )
        ids = self._backend.by_id
        return not any(c.seen.id in ids and c.seen.state in going_on for c in self._containers)

    def close(self) -> None:
        with self._backend.changed:
            self._closed = True
            self._backend.changed.notify_all()


class EventStream:
    """Everything that happens after it was made, or since a time, and until one."""

    def __init__(
        self,
        backend: Part,
        project: str | None,
        since_ns: int | None = None,
        until_ns: int | None = None,
    ) -> None:
        self._backend, self._project = backend, project
        self._since_ns, self._until_ns = since_ns or 0, until_ns
        self._next = len(backend.log) if since_ns is None else 0
        self._closed = False

    def next(self, timeout_s: float | None) -> Event | None:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._backend.changed:
            while not self._closed:
                while self._next < len(self._backend.log):
                    event = self._backend.log[self._next]
                    self._next += 1
                    if self._until_ns is not None and event.time_ns > self._until_ns:
                        return None
                    if self._is_wanted(event):
                        return event
                rest = None if deadline is None else deadline - time.monotonic()
                if self._until_ns is not None:
                    until_s = (self._until_ns - time.time_ns()) / 1e9
                    rest = until_s if rest is None else min(rest, until_s)
                if rest is not None and rest <= 0:
                    return None
                self._backend.changed.wait(rest)
            return None

    def _is_wanted(self, event: Event) -> bool:
        is_ours = self._project is None or event.attributes.get(_PROJECT, self._project) == self._project
        return is_ours and event.time_ns >= self._since_ns

    def close(self) -> None:
        with self._backend.changed:
            self._closed = True
            self._backend.changed.notify_all()


class Session:
    """A command that has already run; what is written to it is kept in ``received``."""

    def __init__(self, code: int, output: bytes) -> None:
        self._code, self._output = code, [output] if output else []
        self._reader, writer = os.pipe()
        os.close(writer)  # readable at once, as the end of a stream is
        self.received = b""
        self.size: tuple[int, int] | None = None
        self.tty = False

    def fileno(self) -> int:
        return self._reader

    def read(self) -> tuple[str, bytes] | None:
        return ("stdout", self._output.pop(0)) if self._output else None

    def write(self, data: bytes) -> None:
        self.received += data

    def close_stdin(self) -> None:
        """There is nobody who reads."""

    def resize(self, rows: int, columns: int) -> None:
        self.size = (rows, columns)

    def signal(self, number: int) -> None:
        self._code = 128 + number

    def wait(self) -> int:
        return self._code

    def close(self) -> None:
        if self._reader >= 0:
            os.close(self._reader)
            self._reader = -1


def has_healthcheck(spec: ContainerSpec, images: Mapping[str, ObservedImage]) -> bool:
    """Tell whether a container has a health check, of its own or of its image."""
    check = spec.attributes.get("healthcheck") or {}
    test = check.get("test")
    if check.get("disable") or (test and test[0] == "NONE"):
        return False
    image = images.get(spec.image)
    return bool(test) or bool(image and image.has_healthcheck)


def restarts(container: Container, code: int | None) -> bool:
    """Tell whether the restart policy starts a container again that ended with this code."""
    policy, _, limit = str(container.spec.attributes.get("restart") or "no").partition(":")
    if policy == "on-failure":
        return bool(code) and (not limit or container.seen.restarts < int(limit))
    return policy in ("always", "unless-stopped")


def free_port(published: str, protocol: str, taken: Mapping[tuple[str, int], str], number: int = 1) -> int:
    """Return the first host port of those asked for that is free. Raises Conflict, naming who has it.

    Where any will do, a service's containers have one after the other by their numbers, whichever starts first.
    """
    if not published or published == "0":
        wanted = range(_FIRST_PORT + max(number, 1) - 1, 65536)
    else:
        first, _, last = published.partition("-")
        wanted = range(int(first), int(last or first) + 1)
    for port in wanted:
        if (protocol, port) not in taken:
            return port
    raise Conflict(
        f"port {published}/{protocol} is already allocated by container '{taken[protocol, wanted[0]]}'",
        hint="publish another port, or stop the other container",
    )


def publish(container: Container, everybody: Iterable[Container]) -> tuple[ObservedPort, ...]:
    """Return the ports of a container that starts. Raises Conflict for a host port that is taken."""
    taken = {
        (port.protocol, port.host_port): other.seen.name
        for other in everybody
        if other is not container and other.seen.state is ContainerState.RUNNING
        for port in other.seen.ports
        if port.host_port
    }
    ports = []
    for wanted in () if container.spec.takes_over else container.spec.attributes.get("ports") or ():
        protocol = wanted.get("protocol", "tcp")
        host_port = free_port(str(wanted.get("published") or ""), protocol, taken, container.spec.number)
        taken[protocol, host_port] = container.seen.name
        ports.append(ObservedPort(protocol, int(wanted["target"]), wanted.get("host_ip", ""), host_port))
    for text in container.spec.attributes.get("expose") or ():
        number, _, protocol = str(text).partition("/")
        if number.isdigit():
            ports.append(ObservedPort(protocol or "tcp", int(number)))
    return tuple(ports)
