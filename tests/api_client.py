"""A client of Docker's REST API for tests: HTTP/1.1 over a Unix socket, streams both ways, connections taken over."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from tests import forked

VERSION = "1.51"
_TIMEOUT_S = 60.0


class Answer(NamedTuple):
    """An answer that is whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """What an error says."""
        return str(self.json["message"])

    @property
    def lines(self) -> list[Any]:
        """The documents of a stream of them."""
        return list(documents([self.body]))


class Refused(AssertionError):
    """An answer with another status than the one that was expected."""

    def __init__(self, wanted: object, answer: Answer) -> None:
        super().__init__(f"status {answer.status}, not {wanted}: {answer.body[:2000]!r}")
        self.answer = answer


def documents(pieces: Iterable[bytes]) -> Iterator[Any]:
    """Yield the JSON documents of a stream; several may be in one piece, and one in several."""
    decoder = json.JSONDecoder()
    text = ""
    for piece in pieces:
        text += piece.decode("utf-8", "surrogateescape")
        while text := text.lstrip():
            try:
                found, end = decoder.raw_decode(text)
            except ValueError:
                break  # the rest of it comes with the next piece
            text = text[end:]
            yield found
    assert not text.strip(), f"the stream ends within a document: {text[:500]!r}"


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Return the stream's number and the contents of each frame of a multiplexed stream."""
    found = []
    while data:
        size = int.from_bytes(data[4:8], "big")
        assert len(data) >= 8 + size, "the stream ends within a frame"
        found.append((data[0], data[8 : 8 + size]))
        data = data[8 + size :]
    return found


class Stream:
    """An answer that comes piece by piece; or a connection that was taken over, where `is_upgraded`."""

    def __init__(self, connection: socket.socket, method: str) -> None:
        self.connection = connection
        self._buffer = b""
        head = self._until(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 100"):
            head = self._until(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").splitlines()
        self.status = int(first.split()[1])
        pairs = (line.partition(":")[::2] for line in lines if line)
        self.headers: Mapping[str, str] = {name.strip().lower(): value.strip() for name, value in pairs}
        self.is_upgraded = self.status == 101
        self._empty = method == "HEAD" or self.status in (204, 304)
        self._body = self._pieces()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fill(self) -> bool:
        data = self.connection.recv(1 << 16)
        self._buffer += data
        return bool(data)

    def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            if not self._fill():
                raise ConnectionError(f"the connection ended; so far: {self._buffer[:500]!r}")
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def pieces(self) -> Iterator[bytes]:
        """Return the body as it comes: always the rest of it. Raises ConnectionError where it breaks off."""
        return self._body

    def _pieces(self) -> Iterator[bytes]:
        if self._empty:
            return
        if self.headers.get("transfer-encoding") == "chunked":
            yield from self._chunks()
        elif "content-length" in self.headers:
            yield from self._counted(int(self.headers["content-length"]))
        else:
            while self._buffer or self._fill():
                found, self._buffer = self._buffer, b""
                yield found

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._until(b"\r\n").partition(b";")[0], 16):
            yield from self._counted(size)
            assert self._until(b"\r\n") == b""
        while self._until(b"\r\n"):
            pass  # trailers

    def _counted(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._buffer and not self._fill():
                raise ConnectionError(f"the connection ended, and {size} bytes are missing")
            found, self._buffer = self._buffer[:size], self._buffer[size:]
            size -= len(found)
            yield found

    def documents(self) -> Iterator[Any]:
        """Yield the JSON documents of the body as they come."""
        return documents(self.pieces())

    def read(self) -> bytes:
        return b"".join(self.pieces())

    def answer(self) -> Answer:
        return Answer(self.status, self.headers, self.read())

    # -------------------------------------------------------------- taken over

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def end_writing(self) -> None:
        self.connection.shutdown(socket.SHUT_WR)

    def receive(self, size: int = 1 << 16) -> bytes:
        """Return what comes next, empty at the end."""
        if not self._buffer:
            self._fill()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def receive_until(self, text: bytes) -> bytes:
        """Return everything up to a text, and the text."""
        found = b""
        while text not in found:
            piece = self.receive()
            if not piece:
                raise ConnectionError(f"the connection ended; so far: {found[-500:]!r}")
            found += piece
        return found

    def close(self) -> None:
        self.connection.close()


class Client:
    """A client of one server; each request has a connection of its own."""

    def __init__(
        self, path: str | os.PathLike[str], *, version: str = VERSION, timeout_s: float = _TIMEOUT_S
    ) -> None:
        """``version`` comes before each path; an empty one leaves that out."""
        self.path, self.version, self.timeout_s = os.fspath(path), version, timeout_s

    @property
    def host(self) -> str:
        """What DOCKER_HOST is for this server."""
        return f"unix://{self.path}"

    def at(self, version: str) -> Client:
        """Return a client that speaks another version."""
        return Client(self.path, version=version, timeout_s=self.timeout_s)

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout_s)
            connection.connect(self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        upgrade: str = "",
    ) -> Stream:
        """Send a request and return what comes.

        ``body`` is sent as it is where it is bytes, in chunks where it is an iterable of bytes, and as JSON otherwise.
        Query values that are dictionaries become JSON, lists become several parameters, and None none.
        """
        connection = self.connect()
        try:
            lines = dict(headers or {})
            data, pieces = _encoded(body, lines)
            if upgrade:
                lines.update({"Connection": "Upgrade", "Upgrade": upgrade})
            head = [f"{method} {self._target(path, query)} HTTP/1.1", "Host: docker"]
            head += [f"{name}: {value}" for name, value in lines.items()]
            connection.sendall("\r\n".join([*head, "", ""]).encode())
            _send_body(connection, data, pieces)
            return Stream(connection, method)
        except BaseException:
            connection.close()
            raise

    def _target(self, path: str, query: Mapping[str, Any] | None) -> str:
        prefix = f"/v{self.version}" if self.version else ""
        pairs = [pair for name, value in (query or {}).items() for pair in _pairs(name, value)]
        return prefix + quote(path, safe="/:@%") + (f"?{urlencode(pairs)}" if pairs else "")

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        status: int | tuple[int, ...] | None = None,
    ) -> Answer:
        """Send a request and return the whole answer. Raises Refused where its status is not ``status``."""
        with self.open(method, path, query, body=body, headers=headers) as stream:
            answer = stream.answer()
        wanted = (status,) if isinstance(status, int) else status
        if wanted is not None and answer.status not in wanted:
            raise Refused(status, answer)
        return answer

    def get(self, path: str, query: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """Return the document of an answer with status 200."""
        return self.ask("GET", path, query, **{"status": 200, **more}).json

    def post(
        self, path: str, query: Mapping[str, Any] | None = None, body: Any = None, **more: Any
    ) -> Answer:
        """Return an answer with one of the statuses of success."""
        return self.ask("POST", path, query, body=body, **{"status": (200, 201, 204), **more})

    def delete(self, path: str, query: Mapping[str, Any] | None = None, **more: Any) -> Answer:
        return self.ask("DELETE", path, query, **{"status": (200, 204), **more})


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _pairs(name, one)
    elif isinstance(value, dict):
        yield name, json.dumps(value)
    elif isinstance(value, bool):
        yield name, "1" if value else "0"
    else:
        yield name, str(value)


def _encoded(body: Any, headers: dict[str, str]) -> tuple[bytes, Iterable[bytes] | None]:
    """Return what is sent at once, and what is sent in chunks."""
    if body is None:
        return b"", None
    if isinstance(body, (bytes, bytearray)):
        headers["Content-Length"] = str(len(body))
        return bytes(body), None
    if isinstance(body, (dict, list, str, int, float)):
        data = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
        headers["Content-Length"] = str(len(data))
        return data, None
    headers["Transfer-Encoding"] = "chunked"
    return b"", body


def _send_body(connection: socket.socket, data: bytes, pieces: Iterable[bytes] | None) -> None:
    try:
        connection.sendall(data)
        if pieces is None:
            return
        for piece in pieces:
            if piece:
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        return  # it was refused before the end: the answer says why


def credentials(user: str, password: str, server: str = "") -> str:
    """Return what X-Registry-Auth has for a login."""
    document = {"username": user, "password": password, "serveraddress": server}
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


class Server:
    """A server of its own process: ``composer serve``."""

    def __init__(
        self, start: Callable[[], subprocess.Popen[bytes]], path: pathlib.Path, log: pathlib.Path
    ) -> None:
        self._start, self.path, self._log = start, path, log
        self.process = start()
        await_answer(self)

    def replace(self) -> None:
        """Kill the server, and start another one."""
        self.process.kill()
        self.process.wait()
        self.process = self._start()
        await_answer(self)

    def clear(self) -> None:
        """Remove all containers and networks, so that nothing of them stays on the machine."""
        client = self.client()
        for container in client.get("/containers/json", {"all": 1}):
            client.ask("DELETE", f"/containers/{container['Id']}", {"force": 1, "v": 1})
        for network in client.get("/networks", {"filters": {"type": ["custom"]}}):
            client.ask("DELETE", f"/networks/{network['Id']}")

    def client(self, version: str = VERSION) -> Client:
        return Client(self.path, version=version)

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not stop:\n{self.log()[-4000:]}") from None


@contextmanager
def served(
    directory: pathlib.Path, environment: Mapping[str, str] | None = None, arguments: Iterable[str] = ()
) -> Iterator[Server]:
    """Run a server with its socket and its log in a directory; ``environment`` (COMPOSER_ROOT) is added to ours."""
    path, log = directory / "api.sock", directory / "api.log"

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "composer",
                    "serve",
                    "--socket",
                    str(path),
                    "--log-requests",
                    *arguments,
                ],
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    server = Server(start, path, log)
    try:
        yield server
        assert server.process.poll() is None, f"the server has ended by itself:\n{server.log()[-4000:]}"
        log_text = server.log()
        assert "Traceback" not in log_text, log_text[max(0, log_text.index("Traceback") - 1000) :][:6000]
        server.clear()
    finally:
        server.stop()
        _remove_default_network(directory, {**os.environ, **(environment or {})})


def _remove_default_network(directory: pathlib.Path, environment: Mapping[str, str]) -> None:
    """Remove what no client can: its bridge and rules would stay for the tests that come after."""
    words = ["--backend", "namespace", "network"]
    listed = forked.run([*words, "ls", "-q"], cwd=directory, env=environment, timeout=60).stdout
    if listed:
        forked.run([*words, "rm", *listed.split()], cwd=directory, env=environment, timeout=60)


def await_answer(server: Server) -> None:
    """Wait until the server answers; its end, or half a minute without an answer, is a failure."""
    deadline = time.monotonic() + 30
    ended = os.pidfd_open(server.process.pid)
    try:
        while time.monotonic() < deadline:
            try:
                if server.client().ask("GET", "/_ping").status == 200:
                    return
            except OSError:
                if select.select([ended], [], [], 0.02)[0]:
                    break
    finally:
        os.close(ended)
    raise AssertionError(f"the server does not answer:\n{server.log()[-4000:]}")
