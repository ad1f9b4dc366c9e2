"""A scripted engine on a socket of its own: answers requests with what a test says, and keeps what it was asked."""

from __future__ import annotations

import json
import pathlib
import socket
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from composer.backends.docker.client import Client
from composer.backends.docker.endpoint import Endpoint


class Asked(NamedTuple):
    method: str
    target: str
    body: bytes


Reply = Callable[[Asked], bytes]


def answer(status: int = 200, value: Any = None, headers: str = "") -> bytes:
    body = b"" if value is None else json.dumps(value).encode()
    return f"HTTP/1.1 {status} Word\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def ping(version: str = "1.51") -> bytes:
    return f"HTTP/1.1 200 OK\r\nApi-Version: {version}\r\nContent-Length: 0\r\n\r\n".encode()


class Engine:
    """Replies come from ``reply``; an empty one hangs up without a word."""

    def __init__(self, directory: pathlib.Path, reply: Reply, version: str = "1.51") -> None:
        self.url = f"unix://{directory}/engine.sock"
        self.asked: list[Asked] = []
        self.answered = threading.Event()
        self.connections = 0
        self._reply, self._version = reply, version
        self._open: list[socket.socket] = []
        self._clients: list[Client] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{directory}/engine.sock")
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def client(self) -> Client:
        self._clients.append(Client(Endpoint(self.url)))
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
            self._answer(connection)
        except OSError:
            pass  # the client hung up

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file:
            while line := file.readline():
                method, target, _ = line.decode().split()
                length = 0
                while (header := file.readline()) not in (b"\r\n", b""):
                    name, _, value = header.decode().partition(":")
                    if name.lower() == "content-length":
                        length = int(value)
                asked = Asked(method, target, file.read(length))
                if target == "/_ping":
                    connection.sendall(ping(self._version))
                    continue
                self.asked.append(asked)
                reply = self._reply(asked)
                if not reply:
                    return
                connection.sendall(reply)
                self.answered.set()

    def hang_up(self) -> None:
        """Close every connection, as an engine does that is restarted."""
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed already
        self._open.clear()

    def close(self) -> None:
        self._listener.close()
        for client in self._clients:
            client.close()
        self.hang_up()
