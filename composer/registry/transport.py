"""HTTP to registries, on urllib3: who may be told what on the way, and what went wrong in words.

urllib3 keeps connections, speaks to proxies, checks certificates and counts bytes. Ours are the rules: a redirect to
another place loses the Authorization header and every other header that is for the registry alone (blobs come from
storage that has nothing to do with it: CVE-2021-29923's sort of leak); one from https to plain http is refused; each
place has its own proxy, or none, and its own certificates. urllib3's import takes 40 ms: import this module with the
first request, and not before.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import weakref
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError
from urllib3.util import Timeout, parse_url

from composer.errors import PullFailed
from composer.registry.credentials import Credentials
from composer.registry.failures import RequestFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from composer.registry.settings import Settings

    Body = bytes | Iterable[bytes]

_CONNECT_S = 15.0
_IDLE_S = 60.0
_MAX_REDIRECTS = 6
_MAX_REDIRECT_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 17
_KEPT_CONNECTIONS = 8
_DEFAULT_PORTS = {"http": 80, "https": 443}


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

    def __init__(self, url: str, place: Place, inner: urllib3.BaseHTTPResponse) -> None:
        self.url, self.place = url, place
        self.status = inner.status
        self.headers: Mapping[str, str] = inner.headers  # in whatever case
        # Several challenges may come as several headers.
        self.challenges = inner.headers.getlist("www-authenticate")
        self._inner = inner

    @property
    def location(self) -> str:
        """Where the answer leads to, as a whole URL; empty where it says nothing of it."""
        target = self.headers.get("location")
        return urljoin(self.url, target) if target else ""

    @property
    def is_redirect(self) -> bool:
        return bool(self._inner.get_redirect_location())

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes as soon as there are some; nothing at the end. Raises RequestFailed."""
        try:
            return self._inner.read1(size)
        except (HTTPError, OSError, http.client.HTTPException) as error:
            self.close()
            cause = _cause(error)
            if isinstance(cause, http.client.IncompleteRead) and cause.expected:
                raise RequestFailed(
                    f"{self.place} closed the connection {cause.expected} bytes early"
                ) from error
            raise RequestFailed(f"connection to {self.place} lost: {_words(cause)}") from error

    def body(self, limit_bytes: int) -> bytes:
        """Return the whole body, and let go of the connection. Raises PullFailed when it is too long."""
        parts, total = [], 0
        while part := self.read(1 << 16):
            parts.append(part)
            total += len(part)
            if total > limit_bytes:
                self.close()
                raise PullFailed(f"response from {self.place} exceeds {limit_bytes >> 20} MiB")
        return b"".join(parts)

    def close(self) -> None:
        """Let go of a body that is not wanted to its end."""
        self._inner.close()

    def abort(self) -> None:
        """End it for a thread that reads; for any other thread."""
        try:
            self._inner.shutdown()
        except (ValueError, RuntimeError, OSError):
            return  # it has been read to its end


class Transport:
    """Connections to any number of places. Safe to use from several threads."""

    def __init__(self, settings: Settings, *, idle_s: float = _IDLE_S) -> None:
        self._settings = settings
        self._timeout = Timeout(connect=_CONNECT_S, read=idle_s)
        self._lock = threading.Lock()
        self._pools: dict[Place, urllib3.PoolManager] = {}
        self._reading: weakref.WeakSet[Response] = weakref.WeakSet()
        self._is_aborted = False

    def abort(self) -> None:
        """End what is under way: whoever reads or asks is told that the connection is lost."""
        with self._lock:
            self._is_aborted = True
            reading = list(self._reading)
        for response in reading:
            response.abort()

    def close(self) -> None:
        with self._lock:
            for pool in self._pools.values():
                pool.clear()
            self._pools.clear()

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        private: Mapping[str, str] | None = None,
        body: Body | None = None,
        idle_s: float | None = None,
    ) -> Response:
        """Send a request, and follow where a GET or HEAD leads. ``private`` headers are for the first place only.

        A body that is an iterable goes out piece by piece: chunked, unless a Content-Length is among the
        headers. ``idle_s`` is how long the answer may take where that is longer than usual. Raises RequestFailed.
        """
        start = place = _place(url)
        for _ in range(_MAX_REDIRECTS):
            sent = {**(headers or {}), **((private or {}) if place == start else {})}
            response = self._send(method, url, place, sent, (body, idle_s))
            if not response.is_redirect or method not in ("GET", "HEAD"):
                return response
            response.body(_MAX_REDIRECT_BYTES)  # to the end, so that the connection can be used again
            url = response.location
            before, place = place, _place(url)
            if before.scheme == "https" and place.scheme == "http":
                raise RequestFailed(f"{before} redirects to {place} without encryption", is_transient=False)
        raise RequestFailed(f"redirect loop at {start}", is_transient=False)

    # -------------------------------------------------------------- one request

    def _send(
        self,
        method: str,
        url: str,
        place: Place,
        headers: Mapping[str, str],
        sent: tuple[Body | None, float | None],
    ) -> Response:
        body, idle_s = sent
        if self._is_aborted:
            raise RequestFailed(f"connection to {place} given up", is_transient=False)
        try:
            inner = self._pool(place).urlopen(
                method,
                url,
                body=body,
                headers={"User-Agent": "composer", **headers},
                redirect=False,
                retries=False,
                timeout=self._timeout if idle_s is None else Timeout(connect=_CONNECT_S, read=idle_s),
                preload_content=False,
                decode_content=False,
            )
            if method == "HEAD":
                inner.drain_conn()  # there is no body whose end would let go of the connection
        except (HTTPError, OSError, http.client.HTTPException) as error:
            if isinstance(_cause(error), http.client.InvalidURL):
                raise _no_place(url) from None
            raise _failed(place, error) from error
        response = Response(url, place, inner)
        with self._lock:
            self._reading.add(response)
            if self._is_aborted:
                response.abort()
        return response

    def _pool(self, place: Place) -> urllib3.PoolManager:
        with self._lock:
            if place not in self._pools:
                self._pools[place] = self._opened(place)
            return self._pools[place]

    def _opened(self, place: Place) -> urllib3.PoolManager:
        """Return the connections to one place: its proxy and its certificates are its own."""
        context = self._context(place.netloc) if place.scheme == "https" else None
        proxy = self._settings.proxy(place.scheme, place.host, place.port)
        if not proxy:
            return urllib3.PoolManager(
                1, maxsize=_KEPT_CONNECTIONS, blocksize=_BLOCK_BYTES, ssl_context=context
            )
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if parts.scheme != "http" or not parts.hostname:
            raise RequestFailed(
                f"cannot use the proxy '{_without_secret(proxy)}'",
                hint="set HTTP_PROXY and HTTPS_PROXY to http://HOST:PORT",
                is_transient=False,
            )
        login = Credentials(unquote(parts.username or ""), unquote(parts.password or ""))
        return urllib3.ProxyManager(
            f"http://{parts.netloc.rpartition('@')[2]}",
            1,
            proxy_headers={"Proxy-Authorization": login.basic()} if login else None,
            maxsize=_KEPT_CONNECTIONS,
            blocksize=_BLOCK_BYTES,
            ssl_context=context,
        )

    def _context(self, netloc: str) -> ssl.SSLContext:
        ca = self._settings.host(netloc).ca
        try:
            context = ssl.create_default_context(cafile=ca)
        except OSError as error:
            raise RequestFailed(
                f"cannot read '{ca}', the certificates to trust for {netloc}: {_words(error)}",
                hint=f'correct ca of registry."{netloc}" in composer\'s config.toml',
                is_transient=False,
            ) from error
        if self._settings.is_insecure(netloc):
            # that it is not verified is the user's wish, and no news with each request
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _place(url: str) -> Place:
    try:
        parts = parse_url(url)
    except LocationValueError:
        raise _no_place(url) from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.host:
        raise _no_place(url)
    return Place(parts.scheme, parts.host, parts.port or _DEFAULT_PORTS[parts.scheme])


def _no_place(url: str) -> RequestFailed:
    return RequestFailed(f"invalid URL '{_without_secret(url)}'", is_transient=False)


def _without_secret(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    place, slash, path = (rest if separator else scheme).partition("/")
    shown = place.rpartition("@")[2] + slash + path.partition("?")[0]
    return scheme + separator + shown if separator else shown


# ------------------------------------------------------------------ what went wrong


def _failed(place: Place, error: Exception) -> RequestFailed:
    cause = _cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return RequestFailed(
            f"certificate verification failed for {place.netloc}: {cause.verify_message}",
            hint=f'set ca or insecure for registry."{place.netloc}" in composer\'s config.toml',
            is_transient=False,
        )
    is_unknown = isinstance(cause, socket.gaierror) and cause.errno != socket.EAI_AGAIN
    is_final = is_unknown or isinstance(cause, ssl.SSLError | ConnectionRefusedError)
    way = f"{place} through its proxy" if isinstance(error, urllib3.exceptions.ProxyError) else str(place)
    return RequestFailed(
        f"cannot reach {way}: {_words(cause)}", hint=_remedy(cause), is_transient=not is_final
    )


def _remedy(cause: BaseException) -> str | None:
    if isinstance(cause, socket.gaierror):
        return "correct the name of the host, or check the network and its DNS (HTTPS_PROXY, if there is a proxy)"
    if isinstance(cause, ConnectionRefusedError):
        return "correct the host and port, or start the server"
    return None


def _cause(error: BaseException) -> BaseException:
    """Return what an error of urllib3's stands for: that of the system, of TLS or of the protocol."""
    while isinstance(error, HTTPError):
        within = [one for one in (error.__cause__, *error.args) if isinstance(one, Exception)]
        if not within:
            break
        error = within[0]
    return error


def _words(error: BaseException) -> str:
    """Return what went wrong in words, lower case and without a number in brackets."""
    if isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
        return "timed out"
    if isinstance(error, http.client.IncompleteRead | http.client.RemoteDisconnected):
        return "unexpected end of data"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    is_name = text[1:2].isupper()  # such as EOF
    return text if is_name else text[:1].lower() + text[1:]
