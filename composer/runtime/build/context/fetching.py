"""URLs as sources and contexts: one file, fetched over HTTP(S) into a directory of ours, and checked.

Redirects, proxies and certificates are the transport's affair (`composer.registry.transport`).
"""

from __future__ import annotations

import base64
import hashlib
import os
import posixpath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from composer.errors import BuildFailed, PullFailed
from composer.patterns import pattern
from composer.registry.failures import RequestFailed, backoff_s
from composer.runtime.build.context.downloads import Known

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.registry.transport import Response, Transport
    from composer.runtime.build.context.downloads import Downloads

_TRIES = 5
_MAX_BYTES = 64 << 30
_BLOCK_BYTES = 1 << 18
_UNNAMED = "__unnamed__"
_CHECKSUM = pattern("(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})")


class Fetched(NamedTuple):
    """A file that was fetched: its name in the directory, its SHA-256 (``sha256:…``), and its length."""

    name: str
    digest: str
    size_bytes: int


def is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def fetch(
    url: str,
    directory: int,
    transport: Transport,
    *,
    wait: Callable[[float], None],
    name: str = "",
    checksum: str = "",
    limit_bytes: int = _MAX_BYTES,
    downloads: Downloads | None = None,
) -> Fetched:
    """Fetch a URL into an open directory: a new file of mode 0600 whose time is Last-Modified, or 1970.

    Its name is ``name``, else the last part of the URL's path, else what the server calls it. ``wait`` is told how many
    seconds to wait before another try. What ``downloads`` keeps is fetched again if it has changed. Raises BuildFailed.
    """
    if checksum and not _CHECKSUM.fullmatch(checksum):
        raise BuildFailed(
            f"invalid checksum '{checksum}'", hint="write --checksum=sha256:HEX, 64 digits of it"
        )
    one = _Fetch(url, directory, transport, name, checksum, limit_bytes)
    if downloads is not None:
        one.keep_in(downloads)
    for attempt in range(_TRIES):
        try:
            return one.run()
        except RequestFailed as error:
            if not error.is_transient or attempt == _TRIES - 1:
                raise one.failed(str(error), error.hint) from error
            wait(backoff_s(attempt, error.retry_after))
        except PullFailed as error:
            raise one.failed(str(error), error.hint) from error
    raise AssertionError("the last try returns or raises")


class _Fetch:
    """One URL on its way into a directory."""

    def __init__(
        self, url: str, directory: int, transport: Transport, name: str, checksum: str, limit_bytes: int
    ) -> None:
        self._url, self._private = _without_login(url)
        self._directory, self._transport = directory, transport
        self._name, self._checksum, self._limit_bytes = name, checksum, limit_bytes
        self._whole_url = url
        self._downloads: Downloads | None = None
        self._known: Known | None = None

    def keep_in(self, downloads: Downloads) -> None:
        self._downloads = downloads
        if not self._checksum or self._checksum.startswith("sha256:"):
            self._known = downloads.known(self._whole_url)

    def failed(self, message: str, hint: str | None = None) -> BuildFailed:
        return BuildFailed(f"cannot fetch '{self._url}': {message}", hint=hint)

    def run(self) -> Fetched:
        known = self._known
        if known is not None and self._checksum == known.digest and (found := self._handed_out(known)):
            return found
        headers = {"If-None-Match": known.etag} if known is not None and known.etag else {}
        response = self._transport.request("GET", self._url, headers, private=self._private)
        try:
            if known is not None and headers and response.status == 304:
                if found := self._handed_out(known):
                    self._check(known.digest)
                    return found
                self._known = None
                raise RequestFailed("the file that is kept of it has gone")
            if response.status != 200:
                raise RequestFailed(
                    f"invalid response status {response.status}",
                    is_transient=response.status >= 500 or response.status == 429,
                    retry_after=response.headers.get("retry-after") or "",
                )
            name = self._name or _name(self._url, response.headers)
            return self._received(response, name)
        finally:
            response.close()

    def _received(self, response: Response, name: str) -> Fetched:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(name, flags, 0o600, dir_fd=self._directory)
            try:
                size_bytes, digest = self._contents(response, fd)
                os.fchmod(fd, 0o600)
                time_ns = _modified_ns(response.headers)
                os.utime(fd, ns=(time_ns, time_ns))
            except BaseException:
                os.unlink(name, dir_fd=self._directory)
                raise
            finally:
                os.close(fd)
        except OSError as error:
            raise self.failed(f"cannot write it: {error.strerror}") from error
        if self._downloads is not None and (etag := response.headers.get("etag") or ""):
            kept = Known(etag, digest, size_bytes, _name(self._url, response.headers))
            self._downloads.keep(self._whole_url, kept, self._directory, name)
        return Fetched(name, digest, size_bytes)

    def _handed_out(self, known: Known) -> Fetched | None:
        assert self._downloads is not None
        name = self._name or known.name
        if not self._downloads.hand_out(self._whole_url, known, self._directory, name):
            return None
        return Fetched(name, known.digest, known.size_bytes)

    def _check(self, found: str) -> None:
        if self._checksum and found != self._checksum:
            raise BuildFailed(
                f"digest mismatch for '{self._url}': {found} (expected: {self._checksum})",
                hint="check the URL, and correct --checksum if the file was meant to change",
            )

    def _contents(self, response: Response, fd: int) -> tuple[int, str]:
        algorithm = self._checksum.partition(":")[0] or "sha256"
        checked, plain = hashlib.new(algorithm), hashlib.sha256()
        size_bytes = 0
        while piece := response.read(_BLOCK_BYTES):
            size_bytes += len(piece)
            if size_bytes > self._limit_bytes:
                raise self.failed(f"it is too large (limit: {self._limit_bytes >> 20} MiB)")
            plain.update(piece)
            if self._checksum:
                checked.update(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(fd, view) :]
        self._check(f"{algorithm}:{checked.hexdigest()}")
        return size_bytes, f"sha256:{plain.hexdigest()}"


def _without_login(url: str) -> tuple[str, Mapping[str, str]]:
    """Split a login off a URL; it becomes a header for the place itself alone, and is in no message."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BuildFailed("invalid URL", hint="write https://HOST/PATH") from None
    login, at, place = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    plain = unquote(login) if ":" in login else f"{unquote(login)}:"
    header = base64.b64encode(plain.encode()).decode()
    return urlunsplit(parts._replace(netloc=place)), {"Authorization": f"Basic {header}"}


def _name(url: str, headers: Mapping[str, str]) -> str:
    """Return what the file is called: never a path, and never nothing."""
    for name in (unquote(urlsplit(url).path), _disposition(headers.get("content-disposition") or "")):
        base = posixpath.basename(name.rstrip("/"))
        if base not in ("", ".", "..") and "\0" not in base and len(os.fsencode(base)) <= 255:
            return base
    return _UNNAMED


def _disposition(header: str) -> str:
    from email.message import Message

    message = Message()
    message["content-disposition"] = header.replace("\r", " ").replace("\n", " ")
    return message.get_filename() or ""


def _modified_ns(headers: Mapping[str, str]) -> int:
    from email.utils import parsedate_to_datetime

    try:
        found = parsedate_to_datetime(headers.get("last-modified") or "").timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0  # it says nothing, or nothing that is a date
    return max(0, int(found)) * 1_000_000_000
