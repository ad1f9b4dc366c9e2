"""HTTP to registries: kept connections, proxies, redirects. Knows nothing of what is sent.

A redirect to another place loses the Authorization header and every other header that is for the registry alone
(blobs come from storage that has nothing to do with it: CVE-2021-29923's sort of leak); one from https to plain
http is refused. Bodies are read as they come; a body that ends early is an error that may be tried again.
"""

from __future__ import annotations

import base64
import http.client
import threading
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from composer.errors import PullFailed
from composer.registry.settings import is_loopback

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from composer.registry.settings import Settings

_CONNECT_S = 15.0
_IDLE_S = 60.0
_MAX_REDIRECTS = 6
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_DEFAULT_PORTS = {"http": 80, "https": 443}
_STALE = (ConnectionError, http.client.BadStatusLine, http.client.CannotSendRequest)


class RequestFailed(PullFailed):
    """Nobody answered, or the answer broke off: worth another try when ``is_transient``.

    ``retry_after`` is the header of this name: how long the registry wants to be left alone.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, is_transient: bool = True, retry_after: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.is_transient = is_transient
        self.retry_after = retry_after


class Place(NamedTuple):
    """Where a connection leads. ``host`` has its brackets, when it is an IPv6 address."""

    scheme: str
    host: str
    port: int

    @property
    def netloc(self) -> str:
        return self.host if self.port == _DEFAULT_PORTS[self.scheme] else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


class Response:
    """An answer whose body has not been read yet. Its connection goes back to the pool at the body's end."""

    def __init__(
        self, transport: Transport, place: Place, inner: http.client.HTTPResponse, connection: Connection
    ) -> None:
        self.place = place
        self.status = inner.status
        self.headers = {key.lower(): value for key, value in inner.getheaders()}
        # Several challenges may come as several headers.
        self.challenges = inner.headers.get_all("www-authenticate") or []
        self._transport, self._inner, self._connection = transport, inner, connection
        self._is_over = False
        self._left = inner.length  # None where only the end of the connection, or of the chunks, tells

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes as soon as there are some; nothing at the end. Raises RequestFailed."""
        try:
            data = self._inner.read1(size) if size else b""
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise RequestFailed(f"the connection to {self.place} broke: {reason_of(error)}") from error
        if self._left is not None:
            self._left -= len(data)
            if size and not data and self._left > 0:
                self.close()
                raise RequestFailed(f"{self.place} sent {self._left} bytes less than it said")
        if not data and size:
            self._finish()
        return data

    def body(self, limit_bytes: int) -> bytes:
        """Return the whole body, and let go of the connection. Raises PullFailed when it is too long."""
        parts, total = [], 0
        while part := self.read(1 << 16):
            parts.append(part)
            total += len(part)
            if total > limit_bytes:
                self.close()
                raise PullFailed(f"{self.place} answers with more than {limit_bytes >> 20} MiB")
        return b"".join(parts)

    def _finish(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._inner.length == 0:
            self._inner.read()  # read1 does not notice that it has read everything
        if not self._inner.will_close and self._inner.isclosed():
            self._transport.give_back(self._connection)
        else:
            self._inner.close()
            self._connection.inner.close()

    def close(self) -> None:
        """Let go of a body that is not wanted to its end."""
        if self._inner.isclosed() and self._is_over:
            return  # the connection is in the pool, or somebody else's by now
        self._is_over = True
        self._inner.close()
        self._connection.inner.close()


class Connection:
    """A kept connection; ``absolute``: a proxy wants whole URLs."""

    __slots__ = ("absolute", "headers", "inner", "key")

    def __init__(
        self,
        key: tuple[Place, str],
        inner: http.client.HTTPConnection,
        headers: Mapping[str, str],
        absolute: bool,
    ) -> None:
        self.key, self.inner, self.headers, self.absolute = key, inner, headers, absolute


class Transport:
    """Connections to any number of places. Safe to use from several threads."""

    def __init__(self, settings: Settings, *, idle_s: float = _IDLE_S) -> None:
        self._settings = settings
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._idle: dict[tuple[Place, str], list[Connection]] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}

    def close(self) -> None:
        with self._lock:
            for connections in self._idle.values():
                for connection in connections:
                    connection.inner.close()
            self._idle.clear()

    def give_back(self, connection: Connection) -> None:
        with self._lock:
            self._idle.setdefault(connection.key, []).append(connection)

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        private: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """Send a request and follow where it leads. ``private`` headers are for the first place only.

        Raises RequestFailed.
        """
        place, path = _split(url)
        start = place
        for _ in range(_MAX_REDIRECTS):
            sent = {**(headers or {}), **((private or {}) if place == start else {})}
            response = self._send(method, place, path, sent, body)
            target = response.headers.get("location")
            if response.status not in _REDIRECTS or not target or method not in ("GET", "HEAD"):
                return response
            response.body(1 << 20) if method == "GET" else response.close()
            before, (place, path) = place, _split(urljoin(f"{place}{path}", target))
            if before.scheme == "https" and place.scheme == "http":
                raise RequestFailed(
                    f"{before} leads to {place}, where nothing is encrypted", is_transient=False
                )
        raise RequestFailed(f"{start} leads in a circle", is_transient=False)

    # -------------------------------------------------------------- one request

    def _send(
        self, method: str, place: Place, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Response:
        while True:
            connection, is_fresh = self._take(place)
            target = f"{place}{path}" if connection.absolute else path
            sent = {"Host": place.netloc, "User-Agent": "composer", **connection.headers, **headers}
            try:
                connection.inner.request(method, target, body=body, headers=sent)
                inner = connection.inner.getresponse()
            except (OSError, http.client.HTTPException) as error:
                connection.inner.close()
                if not is_fresh and isinstance(error, _STALE):
                    continue  # it was closed while it waited here: that says nothing about the registry
                raise self._failed(place, error) from error
            response = Response(self, place, inner, connection)
            if method == "HEAD":
                response.read(1)
            return response

    def _failed(self, place: Place, error: Exception) -> RequestFailed:
        import ssl

        if isinstance(error, ssl.SSLCertVerificationError):
            return RequestFailed(
                f"cannot trust the certificate of {place.netloc}: {error.verify_message}",
                hint=f'set ca or insecure for registry."{place.netloc}" in composer\'s config.toml',
                is_transient=False,
            )
        is_final = isinstance(error, ssl.SSLError | ConnectionRefusedError) or _is_unknown_host(error)
        return RequestFailed(f"cannot reach {place}: {reason_of(error)}", is_transient=not is_final)

    def _take(self, place: Place) -> tuple[Connection, bool]:
        proxy = self._proxy(place)
        key = (place, proxy)
        with self._lock:
            waiting = self._idle.get(key)
            if waiting:
                return waiting.pop(), False
        return self._connect(key, place, proxy), True

    def _connect(self, key: tuple[Place, str], place: Place, proxy: str) -> Connection:
        if not proxy:
            return Connection(key, self._open(place.host, place.port, place), {}, False)
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if parts.scheme != "http" or not parts.hostname:
            raise RequestFailed(
                f"cannot use the proxy '{_without_secret(proxy)}'",
                hint="set HTTP_PROXY and HTTPS_PROXY to http://HOST:PORT",
                is_transient=False,
            )
        headers = {}
        if parts.username:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            headers = {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
        inner = self._open(_bracketed(parts.hostname), parts.port or 80, place)
        if place.scheme == "http":
            return Connection(key, inner, headers, True)
        inner.set_tunnel(place.host.strip("[]"), place.port, headers)
        return Connection(key, inner, {}, False)

    def _open(self, host: str, port: int, place: Place) -> http.client.HTTPConnection:
        """Return a connection to ``host``, which is ``place`` itself or a proxy in front of it."""
        if place.scheme == "http":
            return _Plain(host.strip("[]"), port, timeout=_CONNECT_S, idle_s=self._idle_s)
        return _secure(host.strip("[]"), port, self._context(place.netloc), self._idle_s)

    def _context(self, netloc: str) -> ssl.SSLContext:
        with self._lock:
            if netloc not in self._contexts:
                import ssl

                context = ssl.create_default_context(cafile=self._settings.host(netloc).ca)
                if self._settings.is_insecure(netloc):
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
                self._contexts[netloc] = context
            return self._contexts[netloc]

    def _proxy(self, place: Place) -> str:
        proxy = self._settings.proxies.get(place.scheme, "")
        if not proxy or is_loopback(place.netloc) or _is_excepted(place, self._settings.no_proxy):
            return ""
        return proxy


class _Plain(http.client.HTTPConnection):
    """A short time to connect, a longer one for silence while data is awaited."""

    def __init__(self, host: str, port: int, *, timeout: float, idle_s: float) -> None:
        super().__init__(host, port, timeout=timeout, blocksize=1 << 17)
        self._idle_s = idle_s

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(self._idle_s)


def _secure(host: str, port: int, context: ssl.SSLContext, idle_s: float) -> http.client.HTTPConnection:
    class Secure(http.client.HTTPSConnection):  # the class exists only where Python has ssl
        def connect(self) -> None:
            super().connect()
            self.sock.settimeout(idle_s)

    return Secure(host, port, timeout=_CONNECT_S, context=context, blocksize=1 << 17)


def _split(url: str) -> tuple[Place, str]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or port == -1:
        raise RequestFailed(f"cannot go to '{_without_secret(url)}'", is_transient=False)
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    if any(ord(letter) <= 32 or ord(letter) > 126 for letter in path):
        raise RequestFailed(f"cannot go to '{_without_secret(url)}'", is_transient=False)
    return Place(parts.scheme, _bracketed(parts.hostname), port or _DEFAULT_PORTS[parts.scheme]), path


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _without_secret(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    place, slash, path = (rest if separator else scheme).partition("/")
    shown = place.rpartition("@")[2] + slash + path.partition("?")[0]
    return scheme + separator + shown if separator else shown


def _is_excepted(place: Place, exceptions: str) -> bool:
    """Tell whether NO_PROXY names a place: ``*``, names with all below them, addresses, networks; a port each."""
    host = place.host.strip("[]").lower()
    for entry in exceptions.lower().replace(",", " ").split():
        name, colon, port = entry.rpartition(":")
        if colon and port.isdecimal() and ":" not in name.strip("[]"):
            if int(port) != place.port:
                continue
            entry = name
        entry = entry.strip("[]")
        if entry == "*" or host == entry.removeprefix(".") or host.endswith("." + entry.lstrip("*.")):
            return True
        if "/" in entry and _is_inside(host, entry):
            return True
    return False


def _is_inside(host: str, network: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _is_unknown_host(error: Exception) -> bool:
    import socket

    return isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN


def reason_of(error: Exception) -> str:
    """Return what went wrong in words, lower case and without a number in brackets."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, http.client.IncompleteRead | http.client.RemoteDisconnected):
        return "it ended too early"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


def backoff_s(attempt: int, retry_after: str = "") -> float:
    """Return how long to wait before the next try: what the registry asks for, up to a minute, or ever longer."""
    if retry_after.isdigit():
        return min(float(retry_after), 60.0)
    if retry_after:
        from email.utils import parsedate_to_datetime

        try:
            return max(0.0, min(parsedate_to_datetime(retry_after).timestamp() - time.time(), 60.0))
        except (ValueError, TypeError):
            pass  # no date either: our own pace
    return min(0.25 * 2.0**attempt, 8.0)
