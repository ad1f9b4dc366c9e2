"""The push side of one repository: what is there already, mounts, uploads that go on after a cut, manifests.

    HEAD blob ──404──► POST ?mount=&from= ──202──► POST ──► PUT whole, or PATCH pieces and PUT ──► PUT manifest

A blob goes in one request where the registry does not ask for pieces: every registry takes that. When a connection
breaks, the registry is asked how much it has (GET of the upload), and the rest follows; where it does not know the
upload any more, a new one begins. https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from composer.errors import ImageError, PullFailed, PushFailed
from composer.patterns import pattern
from composer.registry.endpoint import discard, errors_in
from composer.registry.failures import RequestFailed, backoff_s
from composer.registry.registry import TRIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from composer.references import Reference
    from composer.registry.endpoint import Said
    from composer.registry.registry import Registry
    from composer.registry.transport import Response

    Moved = Callable[[int], None]

_PIECE_BYTES = 32 << 20  # what is sent again at most after a cut, where the registry takes pieces
_LEAST_PIECE_BYTES = 1 << 20
_COMMIT_S = 300.0  # a registry hashes, or copies, the whole blob before it answers
_RANGE = pattern(r"(?:bytes=)?0-(\d+)")
_TRANSIENT = frozenset((408, 425, 429))
_FORGOTTEN = frozenset(("BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"))
_BYTES = {"Content-Type": "application/octet-stream"}

T = TypeVar("T")


class Outgoing(NamedTuple):
    """A blob to send. ``read`` yields its bytes from one offset to another, as often as it is called."""

    digest: str
    size_bytes: int
    read: Callable[[int, int], Iterator[bytes]]


class ManifestRefused(PushFailed):
    """The registry does not take a manifest of this form."""


class BlobsMissing(PushFailed):
    """The registry lacks a blob of the manifest: it was removed after it was found there."""


class _Restart(RequestFailed):
    """The registry does not know the upload any more."""


class _Upload:
    """An upload that the registry has opened. ``offset`` is how many bytes it has confirmed."""

    def __init__(self, url: str, piece_bytes: int) -> None:
        self.url, self.piece_bytes = url, piece_bytes
        self.offset = 0

    def follow(self, response: Response) -> None:
        """Go on where the last answer leads: the registry may keep its state in the URL. Raises PushFailed."""
        found = response.location
        if found:
            if urlsplit(self.url).scheme == "https" and urlsplit(found).scheme == "http":
                raise PushFailed(
                    f"{response.place} directs the upload to {urlsplit(found).netloc} without encryption",
                    hint="set the external URL of the registry to https",
                )
            self.url = found

    def completed(self, digest: str) -> str:
        """Return the URL that ends the upload."""
        bare = self.url.partition("#")[0]
        return f"{bare}{'&' if '?' in bare else '?'}digest={quote(digest, safe=':')}"


class Repository:
    """Where an image is pushed to. Safe to use from several threads. Methods raise PullFailed or PushFailed."""

    def __init__(self, registry: Registry, reference: Reference) -> None:
        self._endpoint, self._pause = registry.itself, registry.pause
        self._path, self._host = reference.path, reference.host
        self._scope = self._endpoint.scope(self._path, "pull,push")

    # -------------------------------------------------------------- what is there

    def has(self, digest: str) -> bool:
        """Tell whether a blob is in the repository."""
        return self._has(f"blobs/{digest}")

    def has_manifest(self, digest: str, media_type: str) -> bool:
        """Tell whether a manifest is in the repository."""
        return self._has(f"manifests/{digest}", {"Accept": media_type})

    def _has(self, what: str, headers: Mapping[str, str] | None = None) -> bool:
        def look() -> bool:
            response = self._ask("HEAD", self._endpoint.url(self._path, what), headers)
            if response.status == 404:
                return False
            if response.status != 200:
                raise self._refusal(response)
            return True

        return self._tried(look)

    def mount(self, digest: str, source: str) -> bool:
        """Have the registry take a blob from another repository of its own; tell whether it did.

        That it does not is no failure: the blob is sent then.
        """
        url = f"{self._uploads()}?{urlencode({'mount': digest, 'from': source})}"
        scope = f"{self._scope} {self._endpoint.scope(source)}"
        try:
            response = self._endpoint.ask("POST", url, scope, {"Content-Length": "0"})
            discard(response)
            if response.status == 201:
                return response.headers.get("docker-content-digest", digest) == digest
            if response.status == 202 and response.location:
                self._cancel(_Upload(response.location, 0))
        except ImageError:
            pass  # such as no token for both repositories
        return False

    # -------------------------------------------------------------- blobs

    def send(self, blob: Outgoing, moved: Moved) -> None:
        """Upload a blob. ``moved`` is told how many bytes have gone out, and less again after a cut."""
        upload: _Upload | None = None
        piece_bytes, failures, best = 0, 0, 0
        try:
            while True:
                try:
                    if upload is None:
                        upload = self._begin(piece_bytes)
                    elif failures:
                        self._resume(upload)
                    if upload.offset > best:
                        best, failures = upload.offset, 0
                    self._transfer(upload, blob, moved)
                    return
                except RequestFailed as error:
                    failures += 1
                    if failures >= TRIES or not error.is_transient:
                        raise
                    if upload is not None:
                        if failures > 1 and not upload.piece_bytes:
                            # a proxy that takes no large bodies may hang up instead of answering 413
                            upload.piece_bytes = _PIECE_BYTES
                        piece_bytes = upload.piece_bytes
                    if isinstance(error, _Restart) and upload is not None:
                        self._cancel(upload)
                        upload = None
                        if self.has(blob.digest):
                            return  # only the last answer was lost
                    self._pause(backoff_s(failures, error.retry_after))
        except ImageError:
            if upload is not None:
                self._cancel(upload)
            raise

    def _begin(self, piece_bytes: int) -> _Upload:
        response = self._ask("POST", self._uploads(), {"Content-Length": "0"})
        if response.status != 202:
            raise self._refusal(response)
        discard(response)
        if not response.location:
            raise PushFailed(f"{self._host} opened an upload without a Location")
        upload = _Upload(self._uploads(), piece_bytes)
        upload.follow(response)
        least = response.headers.get("oci-chunk-min-length", "")
        if least.isascii() and least.isdigit() and not piece_bytes:
            upload.piece_bytes = max(int(least[:18]), _PIECE_BYTES)
        return upload

    def _resume(self, upload: _Upload) -> None:
        """Ask how much of an upload the registry has."""
        response = self._ask("GET", upload.url)
        if response.status != 204:
            raise self._refusal(response, restarts=True)
        upload.offset = _confirmed(response)
        upload.follow(response)

    def _transfer(self, upload: _Upload, blob: Outgoing, moved: Moved) -> None:
        if upload.offset > blob.size_bytes:
            raise _Restart(f"{self._host} has more bytes of the upload than were sent")
        is_whole = upload.offset == 0 and (not upload.piece_bytes or blob.size_bytes <= upload.piece_bytes)
        while not is_whole and upload.offset < blob.size_bytes:
            self._piece(upload, blob, moved)
        start = 0 if is_whole else blob.size_bytes
        response = self._put(upload.completed(blob.digest), blob, (start, blob.size_bytes), moved)
        if response.status == 413 and is_whole and blob.size_bytes > _LEAST_PIECE_BYTES:
            discard(response)
            upload.piece_bytes = max(min(blob.size_bytes // 2, _PIECE_BYTES), _LEAST_PIECE_BYTES)
            self._transfer(upload, blob, moved)
            return
        if response.status not in (200, 201, 204):
            raise self._uncommitted(response, blob)
        discard(response)
        stated = response.headers.get("docker-content-digest", blob.digest)
        if stated != blob.digest and stated.startswith("sha256:"):
            raise PushFailed(f"{self._host} stored blob {blob.digest} as {stated}")
        moved(blob.size_bytes)

    def _piece(self, upload: _Upload, blob: Outgoing, moved: Moved) -> None:
        """Send the next piece, or all the rest where the registry does not care."""
        start = upload.offset
        end = min(start + upload.piece_bytes, blob.size_bytes) if upload.piece_bytes else blob.size_bytes
        headers = {"Content-Range": f"{start}-{end - 1}"}
        response = self._put(upload.url, blob, (start, end), moved, method="PATCH", headers=headers)
        if response.status == 413 and end - start > _LEAST_PIECE_BYTES:
            discard(response)
            upload.piece_bytes = max((end - start) // 2, _LEAST_PIECE_BYTES)
            return
        if response.status not in (200, 201, 202, 204):
            raise self._refusal(response, restarts=True)
        discard(response)
        upload.follow(response)
        upload.offset = _confirmed(response, otherwise=end)
        if not start < upload.offset <= end:
            raise _Restart(f"{self._host} confirmed {upload.offset} of {end} bytes of an upload")

    def _put(
        self,
        url: str,
        blob: Outgoing,
        part: tuple[int, int],
        moved: Moved,
        *,
        method: str = "PUT",
        headers: Mapping[str, str] = _BYTES,
    ) -> Response:
        start, end = part

        def body() -> Iterator[bytes]:
            position = start
            for chunk in blob.read(start, end):
                moved(position)
                yield chunk
                position += len(chunk)

        length = {"Content-Length": str(end - start)}
        return self._ask(method, url, {**_BYTES, **headers, **length}, body if end > start else None)

    def _uncommitted(self, response: Response, blob: Outgoing) -> PullFailed | PushFailed:
        """Return why a blob was not accepted: damaged on the way, or here already."""
        said = errors_in(response)
        if "DIGEST_INVALID" in said.codes or "SIZE_INVALID" in said.codes:
            digest = hashlib.sha256()
            for chunk in blob.read(0, blob.size_bytes):
                digest.update(chunk)
            if f"sha256:{digest.hexdigest()}" != blob.digest:
                return PushFailed(
                    f"blob {blob.digest} is damaged in the store",
                    hint="remove the image, and pull or build it again",
                )
            return _Restart(f"digest mismatch: {self._host} received other bytes of blob {blob.digest}")
        return self._refused(response, said, restarts=True)

    def _cancel(self, upload: _Upload) -> None:
        """Let the registry forget an upload; one that stays is removed by the registry, some day."""
        try:
            discard(self._ask("DELETE", upload.url))
        except ImageError:
            pass

    # -------------------------------------------------------------- manifests

    def put_manifest(self, data: bytes, media_type: str, name: str) -> str:
        """Store a manifest under a tag or its digest, after everything that it names; return its digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        url = self._endpoint.url(self._path, f"manifests/{name}")
        headers = {"Content-Type": media_type, "Content-Length": str(len(data))}

        def put() -> str:
            response = self._ask("PUT", url, headers, lambda: iter((data,)))
            if response.status not in (200, 201, 202):
                raise self._unwanted(response)
            discard(response)
            stated = response.headers.get("docker-content-digest", digest)
            if stated != digest and stated.startswith("sha256:"):
                raise RequestFailed(f"manifest digest mismatch: {self._host} stored {stated}, not {digest}")
            return digest

        return self._tried(put)

    def _unwanted(self, response: Response) -> PullFailed | PushFailed:
        said = errors_in(response)
        if "MANIFEST_BLOB_UNKNOWN" in said.codes or "BLOB_UNKNOWN" in said.codes:
            return BlobsMissing(f"{self._host} lacks a blob of the image{said}", hint="push it again")
        if response.status == 415 or (
            response.status == 400 and said.codes & {"MANIFEST_INVALID", "UNSUPPORTED"}
        ):
            return ManifestRefused(f"{self._host} does not accept the manifest{said}")
        return self._refused(response, said)

    # -------------------------------------------------------------- requests

    def _uploads(self) -> str:
        return self._endpoint.url(self._path, "blobs/uploads/")

    def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Iterator[bytes]] | None = None,
    ) -> Response:
        if method in ("PUT", "PATCH") and body is None:
            headers = {**(headers or {}), "Content-Length": "0"}
        idle_s = _COMMIT_S if method == "PUT" else None
        return self._endpoint.ask(method, url, self._scope, headers or {}, body, idle_s=idle_s)

    def _tried(self, work: Callable[[], T]) -> T:
        for attempt in range(1, TRIES + 1):
            try:
                return work()
            except RequestFailed as error:
                if attempt == TRIES or not error.is_transient:
                    raise
                self._pause(backoff_s(attempt, error.retry_after))
        raise AssertionError("the last try returns or raises")

    def _refusal(self, response: Response, *, restarts: bool = False) -> PullFailed | PushFailed:
        return self._refused(response, errors_in(response), restarts=restarts)

    def _refused(self, response: Response, said: Said, *, restarts: bool = False) -> PullFailed | PushFailed:
        """Return what an answer means. ``restarts``: it is about an upload, which may begin anew."""
        status = response.status
        if status in (401, 403):
            login = f"composer login {'' if self._host == 'docker.io' else self._host}".rstrip()
            return PushFailed(
                "push access denied, repository does not exist or may require authorization: "
                f"{self._host}: {said.text or 'unauthorized'}",
                hint=self._endpoint.auth.complaint() or f"check the image name, and run {login}",
            )
        after = response.headers.get("retry-after", "")
        if status >= 500 or status in _TRANSIENT:
            what = "too many requests to" if status == 429 else "returned status"
            words = f"{what} {self._host}" if status == 429 else f"{self._host} {what} {status}"
            return RequestFailed(f"{words}{said}", retry_after=after)
        if restarts and status == 416:
            return RequestFailed(f"{self._host} expects another part of the upload{said}")
        if restarts and (status in (404, 410) or said.codes & _FORGOTTEN):
            return _Restart(f"{self._host} does not know the upload any more{said}")
        if status == 405:
            return PushFailed(f"{self._host} does not accept pushes{said}")
        if status == 413:
            return PushFailed(f"{self._host} does not accept requests of this size{said}")
        if status == 404:
            return PushFailed(
                f"repository '{self._path}' not found on {self._host}{said}", hint="check the image name"
            )
        return PushFailed(f"{self._host} returned status {status}{said}")


def _confirmed(response: Response, otherwise: int = 0) -> int:
    """Return how many bytes the registry says it has; it says ``0-0`` for none as well as for one."""
    found = _RANGE.fullmatch(response.headers.get("range", "").strip())
    if found is None:
        return otherwise
    last = int(found[1][:18])
    return last + 1 if last else int(otherwise == 1)
