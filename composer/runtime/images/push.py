"""From an image of the store to a registry: layers side by side, the configuration, and the manifest last.

    layer ──there already, or mounted──────────────────────────────┐
      └──► packed and compressed (a file for the time) ──► sent ───┴──► configuration ──► manifest (──► index)

A layer that came compressed from a registry goes as it came, so that its digest stays. What was built, imported or
committed here is compressed on the way; the store remembers the digest, and the next push to the same place asks for
that and sends nothing.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import parallel
from composer.errors import ImageError, PushFailed
from composer.registry.push import BlobsMissing, ManifestRefused, Outgoing, Repository
from composer.registry.registry import Registries
from composer.runtime.base import making
from composer.runtime.images import compressing, compression, indexes, outgoing
from composer.runtime.images.content import canonical_json
from composer.runtime.images.distributed import Distributed, Packed
from composer.runtime.images.progress import Part, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from composer.references import Reference
    from composer.registry.settings import Settings
    from composer.registry.transport import Transport
    from composer.runtime.images.content import Content, Layer, Named
    from composer.runtime.images.progress import Advance, Watcher

_UPLOADS = 3  # at once, of all images, as Docker has it
_READ_BYTES = 1 << 17  # one piece on the wire: it has 15 s to be taken
_MOUNTS = 3  # repositories that a blob is asked for
_AGAIN = 2


class Pusher:
    """Pushes for as long as a command lasts; what several images share is sent once. Safe for threads."""

    def __init__(
        self,
        content: Content,
        settings: Settings,
        transport: Transport | None = None,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._content, self._notes = content, Distributed(content)
        self._registries = Registries(settings, transport, pause=pause)
        self._slots = threading.BoundedSemaphore(_UPLOADS)
        self._lock = threading.Lock()
        self._compressing = threading.Lock()
        self._busy: dict[str, threading.Lock] = {}
        self._there: set[tuple[str, str, str]] = set()
        self._executor: Executor | None = None

    def abort(self) -> None:
        """End what is under way, from another thread."""
        self._registries.abort()

    def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
        self._registries.close()

    def push(
        self,
        named: Named,
        reference: Reference,
        tell: Callable[[Advance], None] | None = None,
        *,
        kind: str = compressing.GZIP,
        watcher: Watcher | None = None,
    ) -> str:
        """Send what a name stands for to the repository and the tag of a reference; return its digest there.

        That is the digest of its manifest, or of the index of several platforms' images, which goes after them.
        ``kind`` is how layers that are not compressed yet are. Raises PushFailed.
        """
        name = reference.familiar()
        try:
            images = [outgoing.image(self._content, id) for id in self._in_order(named)]
            for attempt in range(1, _AGAIN + 1):
                try:
                    return self._sent(_Push(self, reference, kind, watcher), images, named, tell)
                except BlobsMissing:
                    self._forget(reference)  # the registry removed it between our question and the manifest
                    if attempt == _AGAIN:
                        raise
            raise AssertionError("the last attempt returns or raises")
        except ImageError as error:
            raise PushFailed(f"cannot push image '{name}': {error}", hint=error.hint) from error
        except OSError as error:
            raise PushFailed(
                f"cannot push image '{name}': {(error.strerror or str(error)).lower()}",
                hint="free up disk space with composer image prune, or set COMPOSER_ROOT to a directory on another disk"
                if error.errno == errno.ENOSPC
                else None,
            ) from error

    def _in_order(self, named: Named) -> list[str]:
        """Return the images of a name in the order of its index."""
        if not named.index_digest:
            return [named.id]
        order = outgoing.digests(indexes.read(self._content, named.index_digest))
        by_manifest = {(self._content.record(id) or {}).get("manifest"): id for id in named.ids}
        known = [by_manifest[digest] for digest in order if digest in by_manifest]
        return list(dict.fromkeys((*known, *named.ids)))

    def _sent(
        self,
        push: _Push,
        images: Sequence[outgoing.Image],
        named: Named,
        tell: Callable[[Advance], None] | None,
    ) -> str:
        sent = push.layers(images, tell)
        if not named.index_digest:
            return push.manifest(images[0], sent[0]).digest
        described = []
        for image, blobs in zip(images, sent, strict=True):
            found = push.manifest(image, blobs, is_tagged=False)
            platform = indexes.platform_of_image(self._content, image.id)
            described.append(indexes.described(found.data, found.media_type, platform))
        return push.index(described, indexes.read(self._content, named.index_digest))

    # -------------------------------------------------------------- for the pushes

    def repository(self, reference: Reference) -> Repository:
        return Repository(self._registries.of(reference), reference)

    @property
    def content(self) -> Content:
        return self._content

    @property
    def notes(self) -> Distributed:
        return self._notes

    @contextlib.contextmanager
    def working_on(self, diff_id: str) -> Iterator[None]:
        """Have a layer for oneself, and one of the few places for work.

        Who comes second finds it in the registry, or mounts it from where it was sent to.
        """
        with self._lock:
            busy = self._busy.setdefault(diff_id, threading.Lock())
        with busy, self._slots:
            yield

    @contextlib.contextmanager
    def compressing(self, kind: str) -> Iterator[Executor]:
        """Yield the thread pool for compression; a gzip layer has it to itself.

        gzip layers are compressed one at a time, each on all processors, while the finished ones are sent. Layers that
        are compressed side by side would all be ready at the end, with only sending left. A zstd layer is compressed
        in one thread of its own.
        """
        from concurrent.futures import ThreadPoolExecutor

        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(compressing.threads(), "compress")
        with self._compressing if kind == compressing.GZIP else contextlib.nullcontext():
            yield self._executor

    def is_there(self, reference: Reference, digest: str) -> bool:
        """Tell whether this command has seen a blob in a repository."""
        with self._lock:
            return (reference.host, reference.path, digest) in self._there

    def found(self, reference: Reference, digest: str) -> None:
        with self._lock:
            self._there.add((reference.host, reference.path, digest))

    def _forget(self, reference: Reference) -> None:
        with self._lock:
            self._there = {one for one in self._there if one[:2] != reference[:2]}


class _Sending:
    """How much of a layer has gone. The size is that of the layer as it is here until its blob is known."""

    def __init__(self, layer: Layer, kind: str, watcher: Watcher | None) -> None:
        self.layer, self.kind, self._watcher = layer, kind, watcher
        self.how = "there"
        self.done_bytes, self.size_bytes = 0, layer.blob_bytes
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> None:
        self._watchers.append(watcher)

    def moved(self, done_bytes: int) -> None:
        self.done_bytes = done_bytes
        for watcher in self._watchers:
            watcher()
        if self._watcher is not None:
            self._watcher.moved(self.layer.diff_id, done_bytes, self.size_bytes)

    def is_done(self, blob: Packed) -> Packed:
        self.size_bytes = self.done_bytes = blob.size_bytes
        for watcher in self._watchers:
            watcher()
        if self._watcher is not None:
            self._watcher.ended(self.layer.diff_id, self.how)
        return blob


class _Pushed(NamedTuple):
    """A manifest that the registry has."""

    digest: str
    data: bytes
    media_type: str


class _Push:
    """What one name stands for on its way to one repository. ``kind`` is how layers are compressed that are not."""

    def __init__(self, pusher: Pusher, reference: Reference, kind: str, watcher: Watcher | None) -> None:
        self._pusher, self._reference, self._kind, self._watcher = pusher, reference, kind, watcher
        self._repository = pusher.repository(reference)

    def layers(
        self, images: Sequence[outgoing.Image], tell: Callable[[Advance], None] | None
    ) -> list[list[Packed]]:
        """Send the layers of all images; return what each image's are in the registry."""
        parts = [
            (_Sending(*pair, self._watcher), image.manifest is not None)
            for image in images
            for pair in zip(image.layers, image.kinds, strict=True)
        ]
        if self._watcher is not None:
            self._watcher.begun([Part(part.layer.diff_id, part.size_bytes) for part, _ in parts])
        progress = (
            Progress([part for part, _ in parts], tell, what="pushed") if tell is not None and parts else None
        )
        # the largest first: what is compressed last has nothing beside it while it is sent
        order = sorted(range(len(parts)), key=lambda index: -parts[index][0].size_bytes)

        def send(index: int) -> Packed:
            part, is_fixed = parts[index]
            return part.is_done(self._layer(part, as_it_is=is_fixed or bool(part.kind)))

        blobs = dict(zip(order, parallel.each(order, send, _UPLOADS, name="push"), strict=True))
        if progress is not None and tell is not None:
            tell(progress.advance())
        left = (blobs[index] for index in range(len(parts)))
        return [list(itertools.islice(left, len(image.layers))) for image in images]

    def manifest(self, image: outgoing.Image, blobs: Sequence[Packed], *, is_tagged: bool = True) -> _Pushed:
        """Send an image's configuration and its manifest, under the tag or by its digest."""
        self._config(image)
        if image.manifest is not None:
            return self._put(image.manifest, image.media_type, is_tagged)
        kinds = [kind or self._kind for kind in image.kinds]
        made = outgoing.manifest(image, list(zip(kinds, blobs, strict=True)))
        try:
            return self._put(made, outgoing.OCI_MANIFEST, is_tagged)
        except ManifestRefused as error:
            if compressing.ZSTD in kinds:
                raise ManifestRefused(str(error), hint="use --compression gzip") from error
            # a registry from before OCI
            old = outgoing.docker_manifest(image, blobs)
            return self._put(old, outgoing.DOCKER_MANIFEST, is_tagged)

    def _put(self, data: bytes, media_type: str, is_tagged: bool) -> _Pushed:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if is_tagged or not self._repository.has_manifest(digest, media_type):
            self._repository.put_manifest(data, media_type, self._reference.tag if is_tagged else digest)
        if is_tagged and self._watcher is not None:
            self._watcher.described(digest, len(data))
        return _Pushed(digest, data, media_type)

    def index(self, described: Sequence[dict[str, Any]], own: bytes) -> str:
        """Send an index of manifests that are there; return its digest.

        It is ``own``, that of the store, where this lists these very manifests.
        """
        tag = self._reference.tag
        if [one["digest"] for one in described] == outgoing.digests(own):
            data, media_type = own, str(json.loads(own).get("mediaType") or indexes.OCI_INDEX)
        else:
            is_old = any(one["mediaType"] == outgoing.DOCKER_MANIFEST for one in described)
            media_type = indexes.DOCKER_LIST if is_old else indexes.OCI_INDEX
            data = canonical_json(indexes.made(described, media_type))
        digest = self._repository.put_manifest(data, media_type, tag)
        if self._watcher is not None:
            self._watcher.described(digest, len(data))
        return digest

    def _config(self, image: outgoing.Image) -> None:
        data, reference = image.config, self._reference
        blob = Outgoing(image.id, len(data), lambda start, end: iter((data[start:end],)))
        if not self._pusher.is_there(reference, image.id):
            if not self._repository.has(image.id):
                self._repository.send(blob, lambda _: None)
            self._pusher.found(reference, image.id)

    # -------------------------------------------------------------- layers

    def _layer(self, part: _Sending, *, as_it_is: bool) -> Packed:
        layer, pusher = part.layer, self._pusher
        with pusher.working_on(layer.diff_id):
            if as_it_is:
                known = Packed(layer.blob, layer.blob_bytes)
                if not self._is_there(part, known):
                    self._send(part, known, pusher.content.blob(layer.blob))
                return known
            noted = pusher.notes.packed(layer.diff_id, self._kind)
            if noted is not None and self._is_there(part, noted):
                return noted
            with making.temporary_file(f"{pusher.content.root}/blobs") as (path, fd):
                made = self._compress(layer, fd)
                if made != noted:
                    pusher.notes.note_packed(layer.diff_id, self._kind, made)
                if made == noted or not self._is_there(part, made):
                    self._send(part, made, path)
                return made

    def _compress(self, layer: Layer, fd: int) -> Packed:
        plain = self._pusher.content.layer_chunks(layer)
        if not layer.is_packed:
            plain = compression.decompress(plain)  # xz and bzip2, which registries do not know
        digest, size = hashlib.sha256(), 0
        with self._pusher.compressing(self._kind) as executor:
            for piece in compressing.compress(self._kind, plain, executor):
                digest.update(piece)
                size += len(piece)
                view = memoryview(piece)
                while view:
                    view = view[os.write(fd, view) :]
        return Packed(f"sha256:{digest.hexdigest()}", size)

    def _send(self, part: _Sending, blob: Packed, path: str) -> None:
        part.size_bytes = blob.size_bytes

        def read(start: int, end: int) -> Iterator[bytes]:
            with open(path, "rb", buffering=0) as file:
                file.seek(start)
                while start < end and (piece := file.read(min(_READ_BYTES, end - start))):
                    start += len(piece)
                    yield piece
            if start < end:
                raise PushFailed(f"blob {blob.digest} is damaged in the store: it is too short")

        part.how = "pushed"
        self._repository.send(Outgoing(blob.digest, blob.size_bytes, read), part.moved)
        self._found(part.layer, blob)

    def _is_there(self, part: _Sending, blob: Packed) -> bool:
        """Tell whether the repository has a blob, or gets it from another one of the same registry."""
        reference, pusher, layer = self._reference, self._pusher, part.layer
        if pusher.is_there(reference, blob.digest):
            return True
        if not self._repository.has(blob.digest):
            places = pusher.notes.places(layer.diff_id, blob.digest, reference.host)
            others = [path for path in places if path != reference.path][:_MOUNTS]
            source = next((path for path in others if self._repository.mount(blob.digest, path)), None)
            if source is None:
                return False
            part.how = f"mounted from {source}"
        self._found(layer, blob)
        return True

    def _found(self, layer: Layer, blob: Packed) -> None:
        """Remember at once where a blob is: another image may wait to mount it from there."""
        reference = self._reference
        self._pusher.found(reference, blob.digest)
        self._pusher.notes.note_place([(layer.diff_id, blob.digest)], reference.host, reference.path)
