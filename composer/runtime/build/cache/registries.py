"""A cache of builds in a registry, beside its images: under a name and tag of its own."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from composer import references
from composer.errors import BuildFailed, PullFailed
from composer.registry.failures import RequestFailed, backoff_s
from composer.registry.push import Outgoing, Repository
from composer.runtime.build.cache.places import MOST_MANIFESTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.registry.registry import Registries

_PIECE_BYTES = 1 << 20
_TRIES = 4


class InRegistry:
    """A cache in a registry, by the name of an image. The user's logins count, as for images."""

    def __init__(self, name: str, registries: Registries) -> None:
        """Raises ImageError for what is no name of an image."""
        self.name = name
        self._reference = references.parse(name)
        if self._reference.digest:
            raise BuildFailed(
                f"cannot keep a build cache in '{name}': it has a digest", hint="use a name and a tag"
            )
        self._registry = registries.of(self._reference)
        self._repository = Repository(self._registry, self._reference)

    def has(self, digest: str) -> bool:
        return self._repository.has(digest)

    def put(self, digest: str, path: str) -> None:
        def read(start: int, end: int) -> Iterator[bytes]:
            with open(path, "rb") as file:
                file.seek(start)
                left = end - start
                while left and (piece := file.read(min(left, _PIECE_BYTES))):
                    left -= len(piece)
                    yield piece

        self._repository.send(Outgoing(digest, os.path.getsize(path), read), lambda moved: None)

    def put_manifest(self, data: bytes) -> None:
        self._repository.put_manifest(data, json.loads(data)["mediaType"], self._reference.tag)

    def manifests(self) -> list[bytes]:
        try:
            found = self._registry.manifest(self._reference).data
        except PullFailed as error:
            if "not found" in str(error) or "unknown" in str(error):
                return []  # nothing was written there yet
            raise
        whole = json.loads(found)
        listed = whole.get("manifests") if isinstance(whole, dict) else None
        if not isinstance(listed, list):
            return [found]
        digests = [
            str(one["digest"]) for one in listed[:MOST_MANIFESTS] if isinstance(one, dict) and "digest" in one
        ]
        return [self._registry.manifest(self._reference, digest).data for digest in digests]

    def chunks(self, digest: str) -> Iterator[bytes]:
        """Yield a blob's bytes; a connection that breaks goes on where it was. Raises PullFailed."""
        offset = tries = 0
        while True:
            try:
                response, start = self._registry.blob(self._reference, digest, offset, tries)
                skipped = offset - start
                while chunk := response.read(_PIECE_BYTES):
                    if skipped:
                        chunk, skipped = chunk[skipped:], max(0, skipped - len(chunk))
                    offset += len(chunk)
                    tries = 0
                    if chunk:
                        yield chunk
                return
            except RequestFailed as error:
                tries += 1
                if not error.is_transient or tries == _TRIES:
                    raise PullFailed(f"cannot read blob {digest}: {error}", hint=error.hint) from error
                time.sleep(backoff_s(tries))
