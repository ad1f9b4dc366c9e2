"""A scripted engine on a socket of its own: answers requests with what a test says, and keeps what it was asked."""

from __future__ import annotations

import json
import pathlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from composer.backends.docker.client import Client
from composer.backends.docker.endpoint import Endpoint


class Asked(NamedTuple):
    method: str
    target: str
    body: bytes


Reply = Callable[[Asked], bytes]
Converse = Callable[[socket.socket, BinaryIO], None]
"""Speaks over a connection after its upgrade: to the socket, and from what is read of it."""


def answer(status: int = 200, value: Any = None, headers: str = "") -> bytes:
    body = b"" if value is None else json.dumps(value).encode()
    return f"HTTP/1.1 {status} Word\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def ping(version: str = "1.51") -> bytes:
    return f"HTTP/1.1 200 OK\r\nApi-Version: {version}\r\nContent-Length: 0\r\n\r\n".encode()


def upgrade(early: bytes = b"") -> bytes:
    """Return the answer that makes a connection a stream, with what comes right behind it."""
    return b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n" + early


def frame(text: bytes, stream: int = 1) -> bytes:
    return bytes((stream, 0, 0, 0)) + len(text).to_bytes(4, "big") + text


class Engine:
    """Replies come from ``reply``; an empty one hangs up without a word, an upgrade goes on with ``converse``.

    With ``port`` it is at a port of this machine, with ``tls`` too: a context, and a directory of certificates for
    the other side.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        reply: Reply,
        version: str = "1.51",
        *,
        converse: Converse | None = None,
        port: bool = False,
        tls: tuple[ssl.SSLContext, pathlib.Path] | None = None,
    ) -> None:
        self._converse, self._tls = converse, tls
        self.headers_seen: list[str] = []
        self.asked: list[Asked] = []
        self.answered = threading.Event()
        self.connections = 0
        self._reply, self._version = reply, version
        self._open: list[socket.socket] = []
        self._clients: list[Client] = []
        if not (port or tls):
            self.url = f"unix://{directory}/engine.sock"
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(f"{directory}/engine.sock")
            self._listener.listen(128)
        else:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.url = f"tcp://localhost:{self._listener.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def client(self) -> Client:
        return self.client_at(Endpoint(self.url, str(self._tls[1]) if self._tls else None))

    def client_at(self, place: Endpoint) -> Client:
        self._clients.append(Client(place))
        return self._clients[-1]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._tls[0].wrap_socket(connection, server_side=True)
            self._answer(connection)
        except OSError:
            pass  # the client hung up

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file:
            while line := file.readline():
                method, target, _ = line.decode().split()
                length, chunked = 0, False
                while (header := file.readline()) not in (b"\r\n", b""):
                    name, _, value = header.decode().partition(":")
                    self.headers_seen.append(header.decode())
                    if name.lower() == "content-length":
                        length = int(value)
                    chunked |= name.lower() == "transfer-encoding"
                asked = Asked(method, target, _chunks(file) if chunked else file.read(length))
                if target == "/_ping":
                    connection.sendall(ping(self._version))
                    continue
                self.asked.append(asked)
                reply = self._reply(asked)
                if not reply:
                    return
                connection.sendall(reply)
                self.answered.set()
                if reply.startswith(b"HTTP/1.1 101"):
                    assert self._converse is not None
                    self._converse(connection, file)
                    return

    def hang_up(self) -> None:
        """Close every connection, as an engine does that is restarted."""
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed already
        self._open.clear()

    def close(self) -> None:
        if self._accepting.is_alive():
            # a thread that waits on a descriptor which is closed would wait on the next that gets its number
            self._listener.shutdown(socket.SHUT_RDWR)
            self._accepting.join()
        self._listener.close()
        for client in self._clients:
            client.close()
        self.hang_up()


def _chunks(file: BinaryIO) -> bytes:
    """Read a body that comes in chunks."""
    found = b""
    while line := file.readline():
        size = int(line, 16)
        if not size:
            break
        found += file.read(size)
        file.readline()
    file.readline()
    return found
