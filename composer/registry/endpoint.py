"""One place that serves a registry's images, and the requests to it: logged in where it asks for that.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from composer.errors import ImageError, PullFailed
from composer.registry.auth import Auth
from composer.registry.failures import RequestFailed
from composer.registry.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.registry.settings import Settings
    from composer.registry.transport import Body, Response, Transport

_HUB = "https://registry-1.docker.io"
_LOGINS = 3  # without, with what is known, and with a fresh token
_MAX_ERROR_BYTES = 64 << 10
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Endpoint:
    """One place that serves a registry's images: itself, or a mirror of it."""

    def __init__(self, settings: Settings, transport: Transport, host: str, mirror: str | None) -> None:
        self._settings, self._transport = settings, transport
        self._lock = threading.Lock()
        self.is_mirror = mirror is not None
        self._prefix = ""
        if mirror is not None:
            scheme, _, rest = mirror.partition("://")
            self.host, _, prefix = rest.partition("/")
            self._base: str | None = f"{scheme}://{self.host}"
            self._prefix = f"{prefix}/" if prefix else ""
        else:
            self.host = host
            self._base = _HUB if host == "docker.io" else None
        self.auth = Auth(settings, transport, self.host)
        custom = settings.docker.get("HttpHeaders")
        self._headers: Mapping[str, str] = (
            {str(key): str(value) for key, value in custom.items() if str(key).lower() != "user-agent"}
            if isinstance(custom, dict)
            else {}
        )

    def url(self, path: str, kind: str) -> str:
        return f"{self.root()}/v2/{self._prefix}{path}/{kind}"

    def scope(self, path: str, actions: str = "pull") -> str:
        """Return what a token has to allow; several of them are joined with spaces."""
        return f"repository:{self._prefix}{path}:{actions}"

    def ask(
        self,
        method: str,
        url: str,
        scope: str,
        headers: Mapping[str, str],
        body: Callable[[], Body] | None = None,
        *,
        idle_s: float | None = None,
    ) -> Response:
        """Send one request, logging in where that is asked for, and return the answer, whatever it is.

        ``body`` is called for each time that the request is sent. Raises PullFailed.
        """
        # An upload may lead to another place, which is told nothing that is for the registry alone.
        is_own = _origin(url) == _origin(self.root())
        authorization = self.auth.header(scope) if is_own else ""
        for _ in range(_LOGINS):
            private = {**self._headers, **({"Authorization": authorization} if authorization else {})}
            response = self._transport.request(
                method,
                url,
                headers,
                private=private if is_own else None,
                body=body() if body else None,
                idle_s=idle_s,
            )
            if response.status != 401 or not is_own:
                break
            discard(response)
            answer = self.auth.challenged(response.challenges, scope, authorization)
            if not answer:
                break
            authorization = answer
        return response

    def root(self) -> str:
        """Return scheme and host. Where plain HTTP is good enough too, find out what is spoken there."""
        if self._base is None:
            if not self._settings.is_insecure(self.host):
                self._base = f"https://{self.host}"
            else:
                with self._lock:
                    self._base = self._base or self._spoken()
        return self._base

    def _spoken(self) -> str:
        # On this machine nobody can listen, and plain HTTP saves loading ssl; elsewhere encrypted comes first.
        order = ("http", "https") if is_loopback(self.host) else ("https", "http")
        problem: RequestFailed | None = None
        for scheme in order:
            try:
                response = self._transport.request("GET", f"{scheme}://{self.host}/v2/")
            except RequestFailed as error:
                problem = problem or error
                continue
            response.close()
            if response.status != 400:  # how a server says that it was addressed without TLS
                return f"{scheme}://{self.host}"
        raise problem or PullFailed(f"{self.host} does not respond to HTTPS or HTTP")


def _origin(url: str) -> tuple[str, str, int | None]:
    """Return what credentials belong to: scheme, host and port. No place is the same as a URL that is none."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return "", url, None


def discard(response: Response) -> None:
    """Read an answer to its end, so that the connection can be used again."""
    try:
        response.body(_MAX_ERROR_BYTES)
    except ImageError:
        response.close()


class Said(NamedTuple):
    """The errors of an answer in the specification's form: their messages in one short line, and their codes."""

    text: str = ""
    codes: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Return what is added to a message of ours."""
        return f": {self.text}" if self.text else ""


def errors_in(response: Response) -> Said:
    """Return what a registry says of a request that it refuses, and let go of the answer."""
    try:
        body = response.body(_MAX_ERROR_BYTES)
        errors = json.loads(body).get("errors") or ()
        texts = [str(error.get("message") or error.get("code") or "") for error in errors]
        codes = frozenset(str(error.get("code") or "") for error in errors)
    except (ImageError, ValueError, AttributeError, TypeError, RecursionError):
        return Said()
    text = " ".join("; ".join(filter(None, texts)).split())
    return Said("".join(letter for letter in text if letter.isprintable())[:200], codes)


def what_is_said(response: Response) -> str:
    """Return the messages of an answer in one short line."""
    return errors_in(response).text
