"""Manifests and blobs of one repository: mirrors first, a login where asked for one, and as many tries as make sense.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from composer.errors import ImageError, PullFailed
from composer.registry.endpoint import Endpoint, what_is_said
from composer.registry.failures import AccessDenied, NotThere, RequestFailed, backoff_s

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.references import Reference
    from composer.registry.settings import Settings
    from composer.registry.transport import Response, Transport

TRIES = 5
"""How often something is tried before it counts as failed; for a blob, without a byte of progress."""
_MIRROR_TRIES = 2
_MAX_MANIFEST_BYTES = 4 << 20
_MAX_SMALL_BYTES = 8 << 20
_MOST_TAGS = 1000
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)

T = TypeVar("T")


class Manifest(NamedTuple):
    """A manifest or index as it came, with the digest of exactly these bytes."""

    digest: str
    media_type: str
    data: bytes


class Registry:
    """One registry for as long as a command lasts. Safe to use from several threads."""

    def __init__(
        self,
        settings: Settings,
        transport: Transport,
        host: str,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._host, self.pause = host, pause
        self._endpoints = [
            *(Endpoint(settings, transport, host, mirror) for mirror in settings.host(host).mirrors),
            Endpoint(settings, transport, host, None),
        ]

    @property
    def itself(self) -> Endpoint:
        """The registry and none of its mirrors: what is pushed goes there."""
        return self._endpoints[-1]

    # -------------------------------------------------------------- manifests

    def manifest(self, reference: Reference, digest: str = "") -> Manifest:
        """Return the manifest of a reference, or the one with ``digest`` in its repository. Raises PullFailed."""
        wanted = digest or reference.digest
        kind = f"manifests/{wanted or reference.tag}"

        def read(endpoint: Endpoint) -> Manifest:
            response = self._ask(endpoint, "GET", reference, kind, {"Accept": _ACCEPT})
            data = response.body(_MAX_MANIFEST_BYTES)
            found = f"sha256:{hashlib.sha256(data).hexdigest()}"
            stated = wanted or response.headers.get("docker-content-digest", found)
            if found != stated and stated.startswith("sha256:"):
                raise RequestFailed(
                    f"manifest digest mismatch from {endpoint.host}: got {found}, expected {stated}"
                )
            return Manifest(found, _media_type(response, data), data)

        return self._anywhere(read)

    def digest(self, reference: Reference) -> str:
        """Return the digest that a reference stands for now, without fetching more than needed. Raises PullFailed."""

        def read(endpoint: Endpoint) -> str:
            kind = f"manifests/{reference.digest or reference.tag}"
            response = self._ask(endpoint, "HEAD", reference, kind, {"Accept": _ACCEPT})
            return response.headers.get("docker-content-digest", "")

        found = self._anywhere(read)
        return found if found.startswith("sha256:") else self.manifest(reference).digest

    def tags(self, reference: Reference) -> list[str]:
        """Return the tags of a repository, at most a thousand. Raises PullFailed."""

        def read(endpoint: Endpoint) -> list[str]:
            kind = f"tags/list?n={_MOST_TAGS}"
            data = self._ask(endpoint, "GET", reference, kind, {}).body(_MAX_MANIFEST_BYTES)
            try:
                found = json.loads(data)["tags"] or []
            except (ValueError, KeyError, TypeError, RecursionError):
                raise PullFailed(f"{endpoint.host} returned no list of tags") from None
            return [tag for tag in found if isinstance(tag, str)][:_MOST_TAGS]

        return self._anywhere(read)

    # -------------------------------------------------------------- blobs

    def blob(self, reference: Reference, digest: str, offset: int, attempt: int) -> tuple[Response, int]:
        """Open a blob, from ``offset`` where the registry can; return it and the offset that it begins at.

        Tries once: the caller counts, for it knows whether there was progress. Attempts wander over the mirrors.
        Raises PullFailed or RequestFailed.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        rest = self._endpoints[min(attempt, len(self._endpoints) - 1) :]
        for endpoint in rest:
            try:
                response = self._ask(endpoint, "GET", reference, f"blobs/{digest}", headers)
                break
            except PullFailed:
                if not endpoint.is_mirror:
                    raise
        if response.status != 206:
            return response, 0
        start = response.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
        if start != str(offset):
            response.close()
            raise RequestFailed(f"{endpoint.host} returned the wrong byte range of blob {digest}")
        return response, offset

    def small_blob(self, reference: Reference, digest: str, size_bytes: int) -> bytes:
        """Return a blob that fits into memory, checked. Raises PullFailed."""
        if size_bytes > _MAX_SMALL_BYTES:
            raise PullFailed(f"its configuration has {size_bytes} bytes, which is too large")

        def read(endpoint: Endpoint) -> bytes:
            data = self._ask(endpoint, "GET", reference, f"blobs/{digest}", {}).body(_MAX_SMALL_BYTES)
            found = f"sha256:{hashlib.sha256(data).hexdigest()}"
            if found != digest or len(data) != size_bytes:
                raise RequestFailed(
                    f"blob digest mismatch from {endpoint.host}: got {found}, expected {digest}"
                )
            return data

        return self._anywhere(read)

    # -------------------------------------------------------------- tries

    def _anywhere(self, read: Callable[[Endpoint], T]) -> T:
        """Return the result of the first endpoint that succeeds, mirrors first.

        Errors of mirrors are ignored; an error of the registry itself is raised.
        """
        for endpoint in self._endpoints:
            try:
                return self._tried(endpoint, read)
            except PullFailed:
                if not endpoint.is_mirror:
                    raise
        raise AssertionError("the registry itself is the last endpoint")

    def _tried(self, endpoint: Endpoint, read: Callable[[Endpoint], T]) -> T:
        tries = _MIRROR_TRIES if endpoint.is_mirror else TRIES
        attempt = 0
        while True:
            try:
                return read(endpoint)
            except RequestFailed as error:
                attempt += 1
                if attempt == tries or not error.is_transient:
                    raise
                self.pause(backoff_s(attempt, error.retry_after))

    def _ask(
        self, endpoint: Endpoint, method: str, reference: Reference, kind: str, headers: Mapping[str, str]
    ) -> Response:
        """Send one request, logging in where that is asked for; return a good answer. Raises PullFailed."""
        path = reference.path
        response = endpoint.ask(method, endpoint.url(path, kind), endpoint.scope(path), headers)
        if response.status in (200, 206):
            return response
        raise self._refusal(endpoint, response, reference, kind)

    def _refusal(self, endpoint: Endpoint, response: Response, reference: Reference, kind: str) -> PullFailed:
        status = response.status
        said = what_is_said(response)
        name = reference.familiar()
        if status == 404:
            is_image = kind.startswith("manifests")
            what = "image" if is_image else "a part of the image"
            return (NotThere if is_image else PullFailed)(
                f"{what} not found on {endpoint.host}{': ' + said if said else ''}",
                hint=f"check the name and tag of '{name}'",
            )
        if status in (401, 403):
            hint = endpoint.auth.complaint()
            if not hint:
                login = f"composer login {'' if self._host == 'docker.io' else self._host}".rstrip()
                hint = f"check the image name; for a private repository, run {login}"
            cause = f"{endpoint.host}: {said or 'unauthorized'}"
            return AccessDenied(reference.familiar_name(), cause, hint=hint)
        after = response.headers.get("retry-after", "")
        if status == 429:
            hint = "wait, run composer login, or configure a mirror"
            return RequestFailed(
                f"too many requests to {endpoint.host}{': ' + said if said else ''}",
                hint=hint,
                retry_after=after,
            )
        if status >= 500 or status in (408, 416, 425):
            return RequestFailed(
                f"{endpoint.host} returned status {status}{': ' + said if said else ''}", retry_after=after
            )
        return PullFailed(f"{endpoint.host} returned status {status}{': ' + said if said else ''}")


class Registries:
    """The registries that a command asks, each found once. Safe to use from several threads. Close it."""

    def __init__(
        self,
        settings: Settings,
        transport: Transport | None = None,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings, self._pause, self._transport = settings, pause, transport
        self._lock = threading.Lock()
        self._known: dict[str, Registry] = {}

    def of(self, reference: Reference) -> Registry:
        with self._lock:
            found = self._known.get(reference.host)
            if found is None:
                found = self._known[reference.host] = Registry(
                    self._settings, self._opened(), reference.host, pause=self._pause
                )
            return found

    def _opened(self) -> Transport:
        if self._transport is None:
            from composer.registry.transport import Transport

            self._transport = Transport(self._settings)
        return self._transport

    def resolve(self, reference: Reference) -> str:
        """Return the digest that the registry has for a reference. Raises PullFailed."""
        try:
            return self.of(reference).digest(reference)
        except AccessDenied:
            raise
        except ImageError as error:
            raise PullFailed(f"cannot resolve '{reference.familiar()}': {error}", hint=error.hint) from error

    def abort(self) -> None:
        """End what is under way, from another thread."""
        with self._lock:
            transport = self._opened()
        transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _media_type(response: Response, data: bytes) -> str:
    """Return what kind of manifest this is: its own word before the header's."""
    try:
        own = json.loads(data).get("mediaType")
    except (ValueError, AttributeError, RecursionError):
        own = None
    return own if isinstance(own, str) else response.headers.get("content-type", "").partition(";")[0].strip()
