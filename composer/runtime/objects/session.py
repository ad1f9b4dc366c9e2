"""A command inside a container with its input and output here: pipes, or a terminal of the container."""

from __future__ import annotations

import errno
import os
import select
import threading
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.runtime.base import wire
from composer.runtime.container import console
from composer.runtime.objects.client import SupervisorLost, checked

if TYPE_CHECKING:
    import socket

    from composer.runtime.objects.client import Client

_CHUNK_BYTES = 1 << 16


class ExecSession:
    """One `exec`. The program's ends of the pipes belong to it alone, so their end is its end."""

    def __init__(
        self, client: Client, request: dict[str, Any], *, tty: bool, interactive: bool, detach: bool = False
    ) -> None:
        """With ``detach`` nothing of it is connected: what it writes is for nobody, and ends with nobody."""
        self._connection: socket.socket = client.take()
        self.tty = tty
        self._exit_code: int | None = None
        self._input = ProgramInput()
        self._outputs: dict[int, str] = {}
        self._poll = select.epoll()
        theirs: list[int] = []
        if detach:
            request = {**request, "detached": True}
        elif not tty:
            theirs = self._make_pipes(interactive)
        try:
            wire.send(self._connection, request, theirs)
            self._await_start()
        except OSError as error:
            raise SupervisorLost("lost connection to the supervisor while starting the command") from error
        finally:
            wire.close_all(theirs)
        self._poll.register(self._connection.fileno(), select.EPOLLIN)

    def _make_pipes(self, interactive: bool) -> list[int]:
        theirs = []
        if interactive:
            reader, writer = os.pipe2(os.O_CLOEXEC)
            self._input = ProgramInput(writer)
        else:
            reader = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        theirs.append(reader)
        for stream in ("stdout", "stderr"):
            reader, writer = os.pipe2(os.O_CLOEXEC)
            self._add_output(reader, stream)
            theirs.append(writer)
        return theirs

    def _add_output(self, fd: int, stream: str) -> None:
        os.set_blocking(fd, False)
        self._outputs[fd] = stream
        self._poll.register(fd, select.EPOLLIN)

    def _await_start(self) -> None:
        answer, descriptors = wire.receive(self._connection)
        if answer is None:
            raise SupervisorLost("lost connection to the supervisor while starting the command")
        try:
            checked(answer)
        except errors.BackendError:
            self.close()
            raise
        if self.tty and descriptors:
            self._input = ProgramInput(os.dup(descriptors[0]))
            self._add_output(descriptors[0], "stdout")

    def fileno(self) -> int:
        return self._poll.fileno()

    def read(self) -> tuple[str, bytes] | None:
        while True:
            ready = [fd for fd, _ in self._poll.poll(0 if self._exit_code is not None else -1)]
            for fd in ready:
                if fd in self._outputs:
                    stream = self._outputs[fd]
                    data = self._read_output(fd)
                    if data:
                        return stream, data
            if self._connection.fileno() in ready:
                self._hear()
            if self._exit_code is not None and not any(fd in self._outputs for fd in ready):
                return None

    def _read_output(self, fd: int) -> bytes:
        try:
            data = os.read(fd, _CHUNK_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno != errno.EIO:  # a terminal that nobody has open any more
                raise
            data = b""
        if not data:
            self._poll.unregister(fd)
            del self._outputs[fd]
            os.close(fd)
        return data

    def _hear(self) -> None:
        answer, _ = wire.receive(self._connection)
        self._poll.unregister(self._connection.fileno())
        if answer is None:
            raise SupervisorLost("lost connection to the supervisor; exit code of the command unknown")
        self._exit_code = int(answer["exit_code"])

    def write(self, data: bytes) -> None:
        self._input.write(data)

    def close_stdin(self) -> None:
        if self.tty:
            self.write(b"\x04")  # the end of file of a terminal
        else:
            self._input.close()

    def resize(self, rows: int, columns: int) -> None:
        if self.tty:
            self._input.resize(rows, columns)

    def signal(self, number: int) -> None:
        wire.send(self._connection, {"op": "signal", "signal": number})

    def wait(self) -> int:
        """Return the exit code; output that nobody has read is dropped."""
        while self._exit_code is None and self.read() is not None:
            pass
        if self._exit_code is None:
            raise SupervisorLost("the command exited, but its exit code is unknown")
        return self._exit_code

    def close(self) -> None:
        for fd in self._outputs:
            os.close(fd)
        self._outputs.clear()
        self._input.close()
        if self._connection.fileno() >= 0:
            self._connection.close()
        self._poll.close()


class ProgramInput:
    """What writes to a program: a pipe, or its terminal. Safe for threads: one may write while another closes it.

    A number that is written to after its end would be some other file by then.
    """

    def __init__(self, fd: int = -1) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        if fd >= 0:
            os.set_blocking(fd, False)

    def write(self, data: bytes) -> None:
        """Write all of it. The input may be full, or not be read any more, or be closed meanwhile."""
        view = memoryview(data)
        while view:
            with self._lock:
                if self._fd < 0:
                    return
                try:
                    view = view[os.write(self._fd, view) :]
                    continue
                except BlockingIOError:
                    fd = self._fd
                except OSError as error:
                    if error.errno not in (errno.EPIPE, errno.EIO):
                        raise
                    return
            # not for long: it may be closed
            wire.await_writable(fd, _LOOK_S)

    def resize(self, rows: int, columns: int) -> None:
        with self._lock:
            if self._fd >= 0:
                console.set_size(self._fd, rows, columns)

    def close(self) -> None:
        with self._lock:
            fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


_LOOK_S = 0.1
