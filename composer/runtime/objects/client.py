"""Talking to a project's supervisor, and starting one where there is none.

A connection serves one request at a time; threads take one each from a pool. When the supervisor dies under a
request, its keeper starts another: the request is sent again, for each is safe to repeat.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.runtime.base import claims, files, records, state, syscalls, wire
from composer.runtime.supervision import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from composer.runtime.base.record_types import KeeperRecord

_ANSWER_S = 10.0
_ATTEMPTS = 3
# Longer than a keeper ever pauses before it starts a supervisor again: never two supervisors for one project.
_COMING_BACK_ATTEMPTS = 800


_LOCK_PATIENCE_S = 60.0
_LOCK_PAUSE_S = 0.01


def _holder(fd: int) -> str:
    """Return who has a lock on an open file, in words: proc(5), locks."""
    inode = str(os.fstat(fd).st_ino)
    with open("/proc/locks", encoding="utf-8") as file:
        for line in file:
            fields = line.split()
            if len(fields) > 5 and fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
                return f"process {fields[4]}"
    return "another process"


class Abandoned(Exception):
    """Who asked does not want the answer any more."""


class SupervisorLost(errors.BackendError):
    """The supervisor went away in the middle of a request that cannot be repeated (exec)."""


class Client:
    """The supervisor of one project, as seen from the command line. Thread-safe."""

    def __init__(
        self, paths: state.Paths, project: str, before_start: Callable[[], None] = lambda: None
    ) -> None:
        """``before_start`` is called before a supervisor is started, which goes on with what it finds."""
        self._paths = paths
        self._before_start = before_start
        self._project = project
        self._directory = paths.project(project)
        self._place = paths.supervision(project)
        self._lock = threading.Lock()
        self._idle: list[tuple[socket.socket, float]] = []
        """Connections that nobody uses, the one that was used last at the end, each with the time of that."""
        self._watched: dict[int, int] = {}
        self._begun: tuple[int, int] | None = None
        """A keeper that is starting: the PID of our child, and a pipe that ends once the supervisor listens."""

    def begin(self) -> None:
        """Start a supervisor where there is none, and do not wait for it. The first request waits."""
        with self._lock:
            lock = self._locked_directory()
            try:
                if not self._is_supervised():
                    state.make_directory(self._directory)
                    self._before_start()
                    self._begun = self._spawned(lock)
            finally:
                os.close(lock)

    def _await_begun(self) -> None:
        if self._begun is not None:
            (pid, ready), self._begun = self._begun, None
            os.waitpid(pid, 0)
            wire.await_readable((ready,), _ANSWER_S)
            os.close(ready)

    def ask(self, request: Mapping[str, Any], *, until: int = -1) -> dict[str, Any]:
        """Send one request and return the answer. Raises what the supervisor says, as the class it names.

        ``until`` is a descriptor: Abandoned is raised when it can be read before the answer has come.
        """
        answer, descriptors = self.ask_for(request, until=until)
        wire.close_all(descriptors)
        return answer

    def ask_for(self, request: Mapping[str, Any], *, until: int = -1) -> tuple[dict[str, Any], list[int]]:
        """Send one request and return the answer with the descriptors that came with it, the caller's to close."""
        for attempt in range(_ATTEMPTS):
            connection = self.take()
            try:
                wire.send(connection, request)
                if until >= 0 and connection.fileno() not in wire.await_readable(
                    (until, connection.fileno())
                ):
                    raise Abandoned
                answer, descriptors = wire.receive(connection)
            except Abandoned:
                connection.close()  # the answer may come at any time
                raise
            except OSError:
                answer, descriptors = None, []
            if answer is not None:
                self.give_back(connection)
                return checked(answer), descriptors
            connection.close()
            self._drop_idle()
            if attempt + 1 == _ATTEMPTS:
                break
        raise errors.Unavailable(
            f"the supervisor of project '{self._project}' crashes on request '{request['op']}'",
            hint=f"see {self._directory}/supervisor.log",
        )

    @contextlib.contextmanager
    def exchanging(self) -> Iterator[Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """Yield what sends requests over a connection that ends with the block, or with this process."""
        connection = self.take()
        while _exchanged(connection, {"op": "hello"}) is None:
            # it has waited here while its supervisor went, and so have the others; one that cannot be had raises
            connection.close()
            self._drop_idle()
            connection = self.take()

        def ask(request: Mapping[str, Any]) -> dict[str, Any]:
            answer = _exchanged(connection, request)
            if answer is None:
                raise SupervisorLost("lost connection to the supervisor")
            return checked(answer)

        with connection:
            yield ask

    def take(self) -> socket.socket:
        """Return a connection of one's own, starting the supervisor where it is needed."""
        with self._lock:
            if self._idle:
                return self._idle.pop()[0]
            return self._connect()

    def give_back(self, connection: socket.socket) -> None:
        with self._lock:
            self._idle.append((connection, time.monotonic()))

    def rest(self, unused_s: float, *, kept: int = 0) -> None:
        """Close the connections that nobody has used for a while, but for ``kept`` of them.

        A supervisor without anything to do ends with the last one.
        """
        limit = time.monotonic() - unused_s
        with self._lock:
            while len(self._idle) > kept and self._idle[0][1] < limit:
                self._idle.pop(0)[0].close()

    def _drop_idle(self) -> None:
        """Close the connections that wait here: one that broke says that the supervisor of all of them has gone."""
        with self._lock:
            for connection, _ in self._idle:
                connection.close()
            self._idle.clear()

    def _connect(self) -> socket.socket:
        """Connect under the project's lock: a supervisor that holds it is on its way out, and then a new one starts."""
        self._await_begun()
        lock = self._locked_directory()
        try:
            connection = self._try_connect()
            if connection is None:
                self._start(lock)
                connection = self._try_connect()
            if connection is None:
                raise errors.Unavailable(
                    f"cannot start the supervisor of project '{self._project}'",
                    hint=f"see {self._directory}/supervisor.log",
                )
            return connection
        finally:
            os.close(lock)

    def _locked_directory(self) -> int:
        """Lock who may start a supervisor, or end as one. Not in the run state, which others clean up."""
        while True:
            state.make_directory(self._place)
            try:
                fd = os.open(self._place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # an ending supervisor removed it between the two calls
            try:
                self._take_lock(fd)
            except BaseException:
                os.close(fd)
                raise
            try:
                current = os.stat(self._place)
            except FileNotFoundError:
                current = None
            if current is not None and os.path.samestat(current, os.fstat(fd)):
                return fd
            os.close(fd)

    def _take_lock(self, fd: int) -> None:
        """Take the lock, for which nobody should have to wait for long. Raises Unavailable, naming who has it."""
        pause, until = threading.Event(), time.monotonic() + _LOCK_PATIENCE_S
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise errors.Unavailable(
                        f"the supervisor of project '{self._project}' is being started or stopped by "
                        f"{_holder(fd)} for {_LOCK_PATIENCE_S:g} s",
                        hint="end that process, and try again",
                    ) from None
                pause.wait(_LOCK_PAUSE_S)
            else:
                return

    def _try_connect(self) -> socket.socket | None:
        state.make_directory(self._directory)
        try:
            directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None  # removed in this moment
        try:
            return self._connect_in(directory)
        finally:
            os.close(directory)

    def _connect_in(self, directory: int) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.settimeout(_ANSWER_S)
        try:
            connection.connect(wire.address(directory, wire.SOCKET))
            wire.send(connection, {"op": "hello"})
            answer, _ = wire.receive(connection)
        except (FileNotFoundError, ConnectionError, BrokenPipeError):
            answer = None
        except TimeoutError:
            connection.close()
            raise errors.Unavailable(
                f"the supervisor of project '{self._project}' is not responding",
                hint=f"see {self._directory}/supervisor.log",
            ) from None
        if answer is None:
            connection.close()
            return None
        if answer.get("version") != wire.VERSION:
            connection.close()
            raise errors.Unavailable(
                f"the supervisor of project '{self._project}' uses unsupported protocol version "
                f"{answer.get('version')}",
                hint="use the composer version that started the project, or stop the project with it first",
            )
        connection.settimeout(None)
        self._watch(int(answer["pid"]))
        keeper = self._keeper()
        if keeper is not None:
            self._watch(int(keeper["pid"]))
        return connection

    def _keeper(self) -> KeeperRecord | None:
        """Return the keeper's record; one of an earlier version has it in the run state."""
        found = (records.keeper(place) for place in (self._place, self._directory))
        return next((record for record in found if record is not None), None)

    def _watch(self, pid: int) -> None:
        if pid not in self._watched:
            try:
                self._watched[pid] = os.pidfd_open(pid)
            except ProcessLookupError:
                pass  # it is gone already

    def _start(self, lock: int) -> None:
        """Start a keeper, which starts a supervisor; return when that listens, or has failed to."""
        if self._is_coming_back():
            return
        self._before_start()
        self._begun = self._spawned(lock)
        self._await_begun()

    def _spawned(self, lock: int) -> tuple[int, int]:
        """Start a keeper. Return the PID of our child, and a pipe that ends once the supervisor listens."""
        from composer.runtime.supervision import code

        interpreter = os.path.realpath(sys.executable)
        image = spawn.Image(
            syscalls.memfd("composer", code.runtime_zip(f"{self._paths.root}/cache")),
            spawn.seal_interpreter(interpreter),
            interpreter,
        )
        ready, writer = os.pipe2(os.O_CLOEXEC)
        try:
            state.make_directory(self._paths.containers())
            # The lock goes along, and is let go when the supervisor listens: should this command be killed
            # meanwhile, the next waits instead of starting a second supervisor.
            ready_fds = f"{writer},{lock}"
            arguments = [self._project, self._paths.root, self._directory, ready_fds, "-1"]
            pid = spawn.daemon(image, arguments, [writer, lock], f"{self._directory}/supervisor.log")
        except BaseException:
            os.close(ready)
            raise
        finally:
            for fd in (writer, image.code, image.directory):
                os.close(fd)
        return pid, ready

    def _is_coming_back(self) -> bool:
        """Wait for a supervisor that its keeper starts again, or that lost its socket; False when there is none."""
        pause = threading.Event()
        for _ in range(_COMING_BACK_ATTEMPTS):
            if not self._is_supervised():
                return False
            connection = self._try_connect()
            if connection is not None:
                self._idle.append((connection, time.monotonic()))
                return True
            # Its socket appears by rename: there is no descriptor to wait on, and it takes tens of milliseconds.
            pause.wait(0.01)
        raise errors.Unavailable(
            f"the supervisor of project '{self._project}' did not restart",
            hint=f"see {self._directory}/supervisor.log",
        )

    def _is_supervised(self) -> bool:
        """Tell whether the project has a supervisor, or a keeper that is going to start one."""
        if any(claims.is_claimed(self._paths.root, self._project, role) for role in ("keeper", "supervisor")):
            return True
        record = self._keeper()
        if record is None or record.get("boot_id", files.boot_id()) != files.boot_id():
            return False
        return bool(files.start_time(int(record["pid"])) == record["start_ticks"])

    def close(self, *, wait: bool = False) -> None:
        """Close the connections; with ``wait`` return when an idle supervisor has gone, so that nothing is left."""
        with self._lock:
            if wait and self._begun is not None:
                self._greet_begun()
            for connection, _ in self._idle:
                connection.close()
            self._idle.clear()
            watched, self._watched = list(self._watched.values()), {}
        # not under the lock: a thread that still uses a connection needs it to return that
        for fd in watched:
            if wait:
                wire.await_readable((fd,), _ANSWER_S)
            os.close(fd)

    def _greet_begun(self) -> None:
        """Connect to a supervisor that nobody needed after all: it ends with the last connection."""
        try:
            self._idle.append((self._connect(), time.monotonic()))
        except (errors.ComposerError, OSError):
            pass  # it did not come, or ends by itself when nobody comes


def _exchanged(connection: socket.socket, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the answer to a request; None where the other side has gone."""
    try:
        wire.send(connection, request)
        answer, descriptors = wire.receive(connection)
    except OSError:
        return None
    wire.close_all(descriptors)
    return answer


def checked(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer, or raise the error that it carries."""
    if "error" not in answer:
        return answer
    message, hint = str(answer["error"]), answer.get("hint")
    kind = answer.get("kind", "BackendError")
    if kind == "StartFailed":
        raise errors.StartFailed(message, int(answer.get("exit_code") or 125), hint=hint)
    if kind == "Unsupported":
        raise errors.Unsupported("", message, hint=hint)
    found = getattr(errors, kind, errors.BackendError)
    raise found(message, hint=hint)
