"""A connection with a client, plain or TLS, once a thread owns it: bytes both ways, and whether it is still there."""

from __future__ import annotations

import fcntl
import select
import socket
import ssl
import struct
import threading
import time

_CHUNK_BYTES = 1 << 16
_READING_S = 0.2
_LOOK_S = 0.0002
_SIOCOUTQ = 0x5411


class Gone(Exception):
    """The client has closed its connection, or has not read for too long."""


def _unread(fd: int) -> int:
    """Return a number that is 0 when the other end of a Unix socket has received all that was sent."""
    found: int = struct.unpack("i", fcntl.ioctl(fd, _SIOCOUTQ, b"\0\0\0\0"))[0]
    return found


class Wire:
    """One connection. Reading belongs to one thread, writing to any."""

    def __init__(self, connection: socket.socket, begun: bytes = b"", *, patience_s: float = 300.0) -> None:
        """``begun`` has been received already. A client that reads nothing for ``patience_s`` is gone."""
        self._connection, self._begun = connection, begun
        self._patience_s = patience_s
        self._writing = threading.Lock()
        connection.setblocking(False)

    def fileno(self) -> int:
        return self._connection.fileno()

    @property
    def is_secure(self) -> bool:
        return isinstance(self._connection, ssl.SSLSocket)

    def has_begun(self) -> bool:
        """Tell whether there is something to receive that ``select`` cannot see."""
        connection = self._connection
        return bool(self._begun) or (isinstance(connection, ssl.SSLSocket) and connection.pending() > 0)

    def receive(self, timeout_s: float | None = None) -> bytes:
        """Return what comes next, empty at the end. Raises TimeoutError, or Gone."""
        if self._begun:
            begun, self._begun = self._begun, b""
            return begun
        while True:
            try:
                return self._connection.recv(_CHUNK_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._await(select.POLLIN, timeout_s)
            except ssl.SSLWantWriteError:
                self._await(select.POLLOUT, timeout_s)
            except ssl.SSLEOFError:
                return b""
            except OSError as error:
                raise Gone from error

    def poll(self) -> bytes | None:
        """Return what has come, empty at the end; None if there is nothing yet."""
        try:
            return self.receive(0)
        except TimeoutError:
            return None

    def send(self, data: bytes | memoryview) -> None:
        """Write all of it. Raises Gone."""
        with self._writing:
            view = memoryview(data)
            while view:
                try:
                    view = view[self._connection.send(view) :]
                except (BlockingIOError, ssl.SSLWantWriteError):
                    self._await_writable()
                except ssl.SSLWantReadError:
                    self._await(select.POLLIN, self._patience_s)
                except OSError as error:
                    raise Gone from error

    def await_reading(self) -> None:
        """Wait a moment until the client has read everything; by TCP that cannot be seen."""
        if self._connection.family != socket.AF_UNIX or self.is_secure:
            return
        deadline = time.monotonic() + _READING_S
        while _unread(self._connection.fileno()) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)

    def _await_writable(self) -> None:
        try:
            self._await(select.POLLOUT, self._patience_s)
        except TimeoutError as error:
            raise Gone from error

    def _await(self, events: int, timeout_s: float | None) -> None:
        poll = select.poll()
        poll.register(self.fileno(), events)
        if not poll.poll(None if timeout_s is None else timeout_s * 1000):
            raise TimeoutError

    def is_gone(self) -> bool:
        """Tell whether the client has closed its connection. What it has sent meanwhile stays to be received."""
        if self._begun:
            return False
        found = select.poll()
        found.register(self.fileno(), select.POLLIN | select.POLLRDHUP)
        events = found.poll(0)
        if not events:
            return False
        if events[0][1] & (select.POLLHUP | select.POLLERR):
            return True
        try:
            self._begun = self.receive(0)
        except TimeoutError:
            return False
        except Gone:
            return True
        return not self._begun

    def end_writing(self) -> None:
        """Tell the client that nothing more comes; what it sends can still be received."""
        try:
            if isinstance(self._connection, ssl.SSLSocket):
                return  # TLS knows no half of an end: closing it is the end
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has gone

    def linger(self) -> None:
        """Read what the client still sends, for a moment: closing before that would take our last words from it."""
        self.end_writing()
        try:
            for _ in range(64):
                if not self.receive(0.2):
                    return
        except (TimeoutError, Gone):
            return

    def close(self) -> None:
        self._connection.close()
