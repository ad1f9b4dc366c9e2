"""Running more processes inside a container: `exec`, health probes, and work in its namespaces.

The supervisor's side of it: what the processes do on their way is in `entering`.
"""

from __future__ import annotations

import os
import signal
import socket

from composer.runtime.base import syscalls, wire
from composer.runtime.container import birth, entering
from composer.runtime.tasks import health

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from composer.runtime.base.loop import Loop, Timer
    from composer.runtime.tasks.first_process import FirstProcess
    from composer.runtime.tasks.services import Services


class Place:
    """Where a process is started: a running container, by its first process and its configuration."""

    __slots__ = ("cgroup", "config", "pidfd")

    def __init__(self, first: FirstProcess, config: Mapping[str, Any]) -> None:
        self.pidfd, self.cgroup, self.config = first.pidfd, first.cgroup, config


class Execution:
    """One process inside a container, until it ends. ``on_started`` gets an error message or None."""

    def __init__(
        self,
        services: Services,
        place: Place,
        spec: dict[str, Any],
        stdio: Sequence[int],
        *,
        on_started: Callable[[dict[str, Any] | None, int], None],
        on_ended: Callable[[int], None],
    ) -> None:
        self._loop, self._reaper = services.loop, services.reaper
        self._on_started = on_started
        self._on_ended = on_ended
        self._started = False
        self._signals: list[int] = []
        self._pid, self._pidfd = 0, -1
        self._note = birth.Note()
        self._sync, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self._report, report = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        filter = None if spec.get("privileged") else services.filter(place.config)
        try:
            self._helper, self._helper_fd = syscalls.clone(0)
            if self._helper == 0:
                way = entering.Way(self._note, theirs, report)
                entering.run(place.pidfd, place.cgroup, spec["process"], filter, stdio, way)
        except OSError:
            self._sync.close()
            os.close(self._report)
            raise
        finally:
            theirs.close()
            os.close(report)
        self._note.keep_from_children()
        self._loop.watch(self._helper_fd, lambda _: self._on_entered())

    def _on_entered(self) -> None:
        """The helper is done: take over the process that it let be born, or say why there is none."""
        loop = self._loop
        loop.forget(self._helper_fd)
        self._reaper.reap(self._helper, self._helper_fd, wait=True)
        os.close(self._helper_fd)
        self._helper_fd = -1
        self._pid, said = self._note.read()
        self._console = self._take_console()
        if not self._pid:
            os.close(self._report)
            reason = (
                said.get("error")
                or "cannot enter the container: it exited, or its resource limits are exhausted"
            )
            self._fail(reason, int(said.get("exit_code", 126)))
            return
        self._pidfd = os.pidfd_open(self._pid)  # a child of ours, and not reaped: the number is nobody else's
        loop.watch(self._report, lambda _: self._on_report())
        loop.watch(self._pidfd, lambda _: self._on_exit())
        for number in self._signals:
            self.signal(number)

    def _take_console(self) -> int:
        try:
            _, descriptors = wire.receive(self._sync)
        except BlockingIOError:
            return -1
        finally:
            self._sync.close()
        wire.close_all(descriptors[1:])
        return descriptors[0] if descriptors else -1

    def _on_report(self) -> None:
        try:
            failure = entering.read_report(self._report)
        except BlockingIOError:
            return
        self._close_report()
        if failure is not None:
            self._fail(failure["error"], failure["exit_code"])
            return
        self._started = True
        self._on_started(None, self._console)

    def _close_report(self) -> None:
        self._loop.forget(self._report)
        os.close(self._report)
        self._report = -1

    def _fail(self, message: str, exit_code: int) -> None:
        if self._console >= 0:
            os.close(self._console)
        self._on_started({"error": message, "kind": "StartFailed", "exit_code": exit_code}, -1)

    def _on_exit(self) -> None:
        if self._report >= 0:
            self._on_report()  # what it said is there, and then the end
        if self._report >= 0:
            # Somebody inside holds the other end, which only the program's process has: it did run.
            self._close_report()
            self._started = True
            self._on_started(None, self._console)
        self._loop.forget(self._pidfd)
        status = self._reaper.reap(self._pid, self._pidfd, wait=True)
        os.close(self._pidfd)
        self._pidfd = -1
        if self._started:
            code = 255 if status is None else os.waitstatus_to_exitcode(status)
            self._on_ended(code if code >= 0 else 128 - code)

    def signal(self, number: int) -> None:
        """Send a signal to the process; one that is still on its way gets it when it is there."""
        if self._helper_fd >= 0:
            self._signals.append(number)
        elif self._pidfd >= 0:
            try:
                syscalls.pidfd_send_signal(self._pidfd, number)
            except ProcessLookupError:
                pass  # it has just ended


def drain(loop: Loop, console: int) -> None:
    """Read what a terminal shows, for nobody, until the last who has it open is gone; then close it."""
    os.set_blocking(console, False)

    def read(_: int) -> None:
        try:
            data = os.read(console, 1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # EIO: nobody has it open any more
        if not data:
            loop.forget(console)
            os.close(console)

    loop.watch(console, read)


def probe(
    services: Services,
    place: Place,
    test: Sequence[str],
    timeout_s: float,
    done: Callable[[int, bytes], None],
) -> None:
    """Run a health check; ``done`` gets its exit code and output, once. Code -1 means that it took too long."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(writer, True)
    try:
        _Probe(services, place, test, timeout_s, done, reader, writer)
    except OSError as error:
        # No process could be made: that is a probe that failed, and not the last one.
        services.loop.forget(reader)
        wire.close_all((reader, writer))
        done(-1, f"cannot start the health check: {error.strerror}".encode())


class _Probe:
    """One health check on its way. It reports once: at its end, or when its time is up."""

    def __init__(
        self,
        services: Services,
        place: Place,
        test: Sequence[str],
        timeout_s: float,
        done: Callable[[int, bytes], None],
        reader: int,
        writer: int,
    ) -> None:
        self._loop = services.loop
        self._done = done
        self._reader = reader
        self._output = b""
        self._timer: Timer | None = None
        arguments = ["/bin/sh", "-c", test[1]] if test[0] == "CMD-SHELL" else list(test[1:])
        spec = {"process": {**place.config["process"], "args": arguments, "terminal": False}}
        self._loop.watch(reader, lambda _: self._read())
        self._execution = Execution(
            services, place, spec, (-1, writer, writer), on_started=self._on_started, on_ended=self._finish
        )
        os.close(writer)
        self._timer = self._loop.after(timeout_s, lambda: self._too_long(timeout_s))

    def _on_started(self, failure: dict[str, Any] | None, _: int) -> None:
        if failure is not None:
            self._output = str(failure["error"]).encode()
            self._finish(int(failure["exit_code"]))

    def _read(self) -> None:
        try:
            data = os.read(self._reader, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            self._loop.forget(self._reader)
        self._output = (self._output + data)[: health.MAX_OUTPUT_BYTES]

    def _too_long(self, timeout_s: float) -> None:
        self._execution.signal(signal.SIGKILL)
        self._output += f"health check exceeded timeout ({timeout_s:g}s)".encode()
        self._finish(-1)

    def _finish(self, exit_code: int) -> None:
        if self._reader < 0:
            return
        if self._timer is not None:
            self._timer.cancel()
        if exit_code != -1:
            self._read_rest()
        self._loop.forget(self._reader)
        os.close(self._reader)
        self._reader = -1
        self._done(exit_code, self._output)

    def _read_rest(self) -> None:
        while len(self._output) < health.MAX_OUTPUT_BYTES:
            try:
                data = os.read(self._reader, 1 << 16)
            except BlockingIOError:
                return  # a child of the probe still holds the pipe: not ours to wait for
            if not data:
                return
            self._output += data
