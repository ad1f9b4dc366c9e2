"""An image from one repository into another, with all its platforms, byte for byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from composer.errors import PullFailed
from composer.patterns import pattern
from composer.registry.push import Outgoing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.references import Reference
    from composer.registry.push import Repository
    from composer.registry.registry import Manifest, Registry

_BLOCK = 1 << 17
_DIGEST = pattern("sha256:[0-9a-f]{64}")
_MAX_MANIFESTS = 100


def copied(registry: Registry, source: Reference, target: Repository, to: Reference) -> dict[str, Any]:
    """Copy an image; return the descriptor of its manifest or index. Raises PullFailed, PushFailed."""
    manifest = registry.manifest(source)
    _Copy(registry, source, target, is_near=source.host == to.host).manifest(manifest)
    return {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.data),
        # so that registries can tell where the layers are already
        "annotations": {f"containerd.io/distribution.source.{source.host}": source.path},
    }


def _digest(entry: Any) -> str:
    """Return the digest of a descriptor. Raises ValueError for what would be something else in a URL."""
    digest = entry["digest"]
    if not _DIGEST.fullmatch(digest):
        raise ValueError(digest)
    return str(digest)


class _Copy:
    def __init__(self, registry: Registry, source: Reference, target: Repository, *, is_near: bool) -> None:
        self._registry, self._source, self._target = registry, source, target
        self._is_near = is_near
        self._manifests = 0

    def manifest(self, manifest: Manifest) -> None:
        """Send a manifest after all that it names."""
        self._manifests += 1
        if self._manifests > _MAX_MANIFESTS:
            raise PullFailed(f"'{self._source.familiar()}' has more than {_MAX_MANIFESTS} manifests")
        try:
            document = json.loads(manifest.data)
            images = [_digest(entry) for entry in document.get("manifests") or ()]
            blobs = [
                (_digest(entry), int(entry["size"]))
                for entry in (document.get("config"), *(document.get("layers") or ()))
                if entry and not entry.get("urls")
            ]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise PullFailed(f"'{self._source.familiar()}' has an invalid manifest") from None
        for digest in images:
            self.manifest(self._registry.manifest(self._source, digest))
        for digest, size_bytes in blobs:
            self._blob(digest, size_bytes)
        self._target.put_manifest(manifest.data, manifest.media_type, manifest.digest)

    def _blob(self, digest: str, size_bytes: int) -> None:
        if self._target.has(digest) or (self._is_near and self._target.mount(digest, self._source.path)):
            return

        def read(start: int, end: int) -> Iterator[bytes]:
            response, at = self._registry.blob(self._source, digest, start, 0)
            try:
                while at < end and (data := response.read(_BLOCK)):
                    yield data[max(start - at, 0) : end - at]
                    at += len(data)
            finally:
                response.close()

        self._target.send(Outgoing(digest, size_bytes, read), lambda moved: None)
