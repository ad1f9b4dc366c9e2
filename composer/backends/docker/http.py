"""HTTP/1.1 as far as reading from a Docker Engine takes it, over a socket that somebody else opened.

Why not http.client: it costs 25 ms to import (email, ssl), a third of a whole ``ps``. The other side is one
known, well-behaved server, so this reads status, headers, and a body by length, by chunks or up to the end
(RFC 9112), and nothing more. One thread per connection at a time; `Connection.interrupt` may come from any.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PIECE_BYTES = 1 << 16
_NO_BODY = frozenset((204, 304))


class Broken(Exception):
    """The connection ended before the answer did. ``began``: part of the answer had come."""

    def __init__(self, text: str, *, began: bool) -> None:
        super().__init__(text)
        self.began = began


class Connection:
    """One connection."""

    def __init__(self, sock: socket.socket, host: str) -> None:
        self.sock = sock
        self.used = False
        self._host = host
        self.file = sock.makefile("rb")

    def send(self, method: str, target: str) -> None:
        """Write a request, which has no body: what changes something goes through the SDK."""
        head = f"{method} {target} HTTP/1.1\r\nHost: {self._host}\r\nUser-Agent: composer\r\n\r\n"
        try:
            self.sock.sendall(head.encode())
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have said why before it hung up: the answer tells

    def receive(self, method: str, finished: Callable[[Connection], None]) -> Response:
        """Read status and headers; ``finished`` gets the connection back once the body has been read."""
        status, headers = self._head()
        self.used = True
        return Response(self, method, status, headers, finished)

    def _head(self) -> tuple[int, dict[str, str]]:
        try:
            line = self.file.readline()
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Broken(str(error), began=False) from error
        if not line:
            raise Broken("the connection was closed", began=False)
        status = line.split(None, 2)[1:2]
        if not line.startswith(b"HTTP/1.") or not status or not status[0].isdigit():
            raise Broken(f"invalid response from the engine: {line[:60]!r}", began=True)
        headers: dict[str, str] = {}
        while (line := self.file.readline()) not in (b"\r\n", b"\n"):
            if not line:
                raise Broken("the connection was closed while reading the headers", began=True)
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return int(status[0]), headers

    def interrupt(self) -> None:
        """Make a read that another thread is blocked in return."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is closed already: nobody is blocked

    def close(self) -> None:
        self.file.close()
        self.sock.close()


class Response:
    """An answer: status, headers (lower case), and the body as it comes."""

    def __init__(
        self,
        connection: Connection,
        method: str,
        status: int,
        headers: dict[str, str],
        finished: Callable[[Connection], None],
    ) -> None:
        self.status, self.headers = status, headers
        self.connection = connection
        self._finished = finished
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        length = headers.get("content-length", "")
        self._left: int | None = 0 if self._chunked else int(length) if length.isdigit() else None
        self._done = False
        if method == "HEAD" or status in _NO_BODY:
            self._left = 0
            self._finish()
        elif self._left == 0 and not self._chunked:
            self._finish()

    def read(self) -> bytes:
        """Return the rest of the body."""
        pieces = []
        while piece := self.read_some():
            pieces.append(piece)
        return b"".join(pieces)

    def read_some(self) -> bytes:
        """Return what has come, at least one byte; nothing at the end of the body. Raises Broken."""
        if self._done:
            return b""
        try:
            return self._read_some()
        except (ConnectionResetError, BrokenPipeError, ValueError) as error:
            raise Broken(str(error), began=True) from error

    def _read_some(self) -> bytes:
        if self._chunked and not self._left:
            self._left = int(self.connection.file.readline().split(b";")[0], 16)
            if not self._left:
                while self.connection.file.readline() not in (b"\r\n", b"\n", b""):
                    pass  # trailers
                self._finish()
                return b""
        wanted = _PIECE_BYTES if self._left is None else min(self._left, _PIECE_BYTES)
        data: bytes = self.connection.file.read1(wanted)
        if not data:
            if self._left is None:
                self._finish()
                return b""
            raise Broken("the connection was closed while reading the response", began=True)
        if self._left is not None:
            self._left -= len(data)
            if self._chunked and not self._left:
                self.connection.file.readline()
            elif not self._left:
                self._finish()
        return data

    def lines(self) -> Iterator[bytes]:
        """Yield the body line by line, as the lines come."""
        rest = b""
        while piece := self.read_some():
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
        if rest:
            yield rest

    def _finish(self) -> None:
        self._done = True
        # without a length the end of the connection was the end of the body
        if self._left is None or self.headers.get("connection", "").lower() == "close":
            self.connection.close()
        else:
            self._finished(self.connection)

    def close(self) -> None:
        """Let go of the connection; what has not been read is lost."""
        if not self._done:
            self._done = True
            self.connection.interrupt()
            self.connection.close()
