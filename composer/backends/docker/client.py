"""Reading from the engine: connections that are kept, the API version, and every failure as one of our errors.

What changes something goes through the Docker SDK (`sdk`): this can ask, and nothing else, which is what most commands
need, without the SDK's import. Used from several threads: each request has a connection to itself, taken from those
that are idle. A request that finds its kept connection closed (the engine was restarted meanwhile) is sent once more
on a new one.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from composer.backends.docker import failures
from composer.backends.docker.endpoint import dial
from composer.backends.docker.http import Broken, Connection, Response
from composer.errors import BackendError, Unavailable

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from composer.backends.docker.endpoint import Endpoint

    Query = Mapping[str, Any]

NEWEST = (1, 51)
"""The newest API that this code was written against: Engine 28."""
OLDEST = (1, 41)
"""Engine 20.10."""

ANSWER_S = 120.0
_PING_S = 20.0
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:@,")


class Client:
    """One engine. ``api`` is the version that both sides speak, as a pair of numbers.

    ``first`` is a connection to it that is open already; it is closed with the others.
    """

    def __init__(self, endpoint: Endpoint, first: socket.socket | None = None) -> None:
        self.endpoint = endpoint
        self._host = (
            "docker" if endpoint.url.startswith(("unix:", "ssh:")) else endpoint.url.partition("://")[2]
        )
        self._idle = [] if first is None else [Connection(first, self._host)]
        self._lock = threading.Lock()
        self._closed = False
        try:
            self.api = self._negotiate()
        except BaseException:
            self.close()
            raise

    def _negotiate(self) -> tuple[int, int]:
        response = self._send("HEAD", "/_ping", _PING_S)
        response.read()
        text = response.headers.get("api-version", "")
        major, _, minor = text.partition(".")
        if not (major.isdigit() and minor.isdigit()):
            raise failures.unreadable(self.endpoint.url)
        theirs = (int(major), int(minor))
        if theirs < OLDEST:
            raise Unavailable(
                f"the Docker Engine at '{self.endpoint.url}' is too old: it supports API {text}, "
                f"but {OLDEST[0]}.{OLDEST[1]} or newer is required",
                hint="update Docker Engine to 20.10 or newer",
            )
        return min(theirs, NEWEST)

    # ------------------------------------------------------------- requests

    def get(self, path: str, query: Query | None = None, *, timeout_s: float | None = ANSWER_S) -> Any:
        """Return the answer's JSON; None when it has none. Raises the error that the engine answers with."""
        response = self.open(path, query, timeout_s=timeout_s)
        try:
            data = response.read()
        except BaseException as error:
            response.close()
            if isinstance(error, TimeoutError):
                raise failures.slow(self.endpoint.url, timeout_s or 0) from None
            if isinstance(error, Broken):
                raise failures.lost(self.endpoint.url) from error
            raise
        try:
            return json.loads(data) if data.strip() else None
        except ValueError:
            raise failures.unreadable(self.endpoint.url) from None

    def open(
        self,
        path: str,
        query: Query | None = None,
        *,
        method: str = "GET",
        timeout_s: float | None = None,
    ) -> Response:
        """Return an answer whose body is still to be read. Raises the error that the engine answers with."""
        response = self._send(method, self._target(path, query), timeout_s)
        if response.status >= 400:
            try:
                raise failures.refused(response.status, response.read())
            except Broken as error:
                raise failures.lost(self.endpoint.url) from error
        return response

    def _target(self, path: str, query: Query | None) -> str:
        target = f"/v{self.api[0]}.{self.api[1]}{quote(path)}"
        pairs = [
            (key, one)
            for key, value in (query or {}).items()
            if value is not None
            for one in (value if isinstance(value, tuple) else (value,))
        ]
        if not pairs:
            return target
        return (
            target + "?" + "&".join(f"{key}={quote(_text(value), safe_slash=False)}" for key, value in pairs)
        )

    def _send(self, method: str, target: str, timeout_s: float | None) -> Response:
        connection = self._take()
        was_kept = connection.used
        try:
            return self._exchange(connection, method, target, timeout_s)
        except BackendError as error:
            broken = error.__cause__
            if not (was_kept and isinstance(broken, Broken) and not broken.began):
                raise
        self._drop_idle()
        return self._exchange(Connection(dial(self.endpoint), self._host), method, target, timeout_s)

    def _exchange(
        self, connection: Connection, method: str, target: str, timeout_s: float | None
    ) -> Response:
        connection.sock.settimeout(timeout_s)
        try:
            connection.send(method, target)
            return connection.receive(method, self._give_back)
        except Broken as error:
            connection.close()
            raise failures.lost(self.endpoint.url) from error
        except TimeoutError:
            connection.close()
            raise failures.slow(self.endpoint.url, timeout_s or 0) from None
        except BaseException:
            connection.close()
            raise

    # ------------------------------------------------------------- connections

    def _take(self) -> Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return Connection(dial(self.endpoint), self._host)

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _drop_idle(self) -> None:
        with self._lock:
            dropped, self._idle = self._idle, []
        for connection in dropped:
            connection.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._drop_idle()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def quote(text: str, *, safe_slash: bool = True) -> str:
    """Percent-encode for a path, or without ``safe_slash`` for a query (RFC 3986)."""
    return "".join(
        chr(byte) if byte in _UNRESERVED and (safe_slash or byte != 0x2F) else f"%{byte:02X}"
        for byte in text.encode()
    )
