"""From a reference to an image in the store: manifest, platform, layers side by side, and the record last.

    manifest ──► configuration ──► downloads (a few at a time) ──► unpacking, while they come ──► record, name

Layers are independent directories, so several are unpacked at once; one that needs to know what lies underneath
(a hard link to a file there, a directory that it does not state) waits for those below it.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import parallel
from composer.errors import ComposerError, ImageError, PullFailed
from composer.registry.failures import AccessDenied
from composer.registry.registry import Registries
from composer.runtime.images import adding, manifests
from composer.runtime.images.content import Content, Layer, chain_id
from composer.runtime.images.distributed import Distributed
from composer.runtime.images.download import Download, Restarted
from composer.runtime.images.progress import Part, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from composer.references import Reference
    from composer.registry.registry import Manifest, Registry
    from composer.registry.settings import Settings
    from composer.registry.transport import Transport
    from composer.runtime.images.progress import Advance, Watcher

_DOWNLOADS = 4
_UNPACKERS = 2
_MAX_INDEXES = 3
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"


class Puller:
    """Pulls for as long as a command lasts; what several images share is fetched once. Safe for threads."""

    def __init__(
        self,
        content: Content,
        settings: Settings,
        transport: Transport | None = None,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._content = content
        self._registries = Registries(settings, transport, pause=pause)
        self._lock = threading.Lock()
        self._downloads: dict[str, Download] = {}
        self._downloaders = parallel.Workers(_DOWNLOADS, "download")

    def abort(self) -> None:
        """End what is under way, from another thread."""
        self._registries.abort()

    def close(self) -> None:
        self._downloaders.close()
        self._registries.close()

    def resolve(self, reference: Reference) -> str:
        """Return the digest that the registry has for a reference. Raises PullFailed."""
        return self._registries.resolve(reference)

    def tags(self, reference: Reference) -> list[str]:
        """Return the tags of a reference's repository. Raises PullFailed."""
        return self._registries.of(reference).tags(reference)

    def manifest(self, reference: Reference) -> Manifest:
        """Return the manifest, or the index, that a reference stands for at its registry. Raises PullFailed."""
        return self._registries.of(reference).manifest(reference)

    def small_blob(self, reference: Reference, digest: str, size_bytes: int) -> bytes:
        """Return a small blob of a reference's repository, checked. Raises PullFailed."""
        return self._registries.of(reference).small_blob(reference, digest, size_bytes)

    def pull(
        self,
        reference: Reference,
        tell: Callable[[Advance], None] | None = None,
        *,
        platform: str = "",
        watcher: Watcher | None = None,
    ) -> tuple[str, str]:
        """Bring an image into the store; return its id and the registry's digest for it. Raises PullFailed.

        ``platform`` is another one than this machine's, such as ``linux/arm64``.
        """
        try:
            return self._pull(reference, tell, platform, watcher)
        except AccessDenied:
            raise
        except ImageError as error:
            raise PullFailed(f"cannot pull '{reference.familiar()}': {error}", hint=error.hint) from error
        except OSError as error:
            raise PullFailed(
                f"cannot pull '{reference.familiar()}': {(error.strerror or str(error)).lower()}",
                hint="free up disk space with composer image prune, or set COMPOSER_ROOT to a directory on another disk"
                if error.errno == 28
                else None,
            ) from error

    def _pull(
        self,
        reference: Reference,
        tell: Callable[[Advance], None] | None,
        platform: str,
        watcher: Watcher | None,
    ) -> tuple[str, str]:
        registry = self._registries.of(reference)
        top = registry.manifest(reference)
        manifest = self._fitting(registry, reference, top, platform)
        found = manifests.mapping(manifests.parsed(manifest.data, "its manifest"), "its manifest")
        config = self._config(registry, reference, manifests.descriptor(found.get("config")))
        parts = [
            manifests.descriptor(layer)
            for layer in manifests.list_of_mappings(found.get("layers"), "its manifest")
        ]
        layers = _Layers.planned(manifests.diff_ids(config, len(parts)), parts)
        stored = self._fetch(registry, reference, layers, tell, watcher)
        blobs = [(layer.diff_id, layer.blob) for layer in stored]
        Distributed(self._content).note_place(blobs, reference.host, reference.path)
        return adding.add_image(self._content, config, stored, manifest.data), top.digest

    def _fitting(self, registry: Registry, reference: Reference, top: Manifest, platform: str) -> Manifest:
        """Return the manifest for a platform, or for this machine."""
        found = top
        for _ in range(_MAX_INDEXES):
            if found.media_type.startswith(_SCHEMA_1):
                raise PullFailed(
                    "manifest schema 1 is not supported",
                    hint="push it again with a current tool",
                )
            inner = manifests.mapping(manifests.parsed(found.data, "its manifest"), "its manifest")
            if not manifests.is_index(inner):
                return found
            choice = manifests.descriptor(
                manifests.choose(manifests.list_of_mappings(inner.get("manifests"), "its index"), platform)
            )
            found = registry.manifest(reference, choice["digest"])
        raise PullFailed("its image indexes form a loop")

    def _config(self, registry: Registry, reference: Reference, descriptor: dict[str, Any]) -> bytes:
        try:
            return self._content.read(descriptor["digest"])
        except FileNotFoundError:
            return registry.small_blob(reference, descriptor["digest"], descriptor["size"])

    # -------------------------------------------------------------- layers

    def _fetch(
        self,
        registry: Registry,
        reference: Reference,
        planned: Sequence[_Planned],
        tell: Callable[[Advance], None] | None,
        watcher: Watcher | None,
    ) -> list[Layer]:
        known = [self._content.layer_of(layer.chain) for layer in planned]
        if watcher is not None:
            watcher.begun(
                [
                    Part(layer.blob, layer.size_bytes, there is not None and there.blob == layer.blob)
                    for layer, there in zip(planned, known, strict=True)
                ]
            )
        work = _Layers(self._content, planned, watcher)
        jobs = []
        for index, (layer, there) in enumerate(zip(planned, known, strict=True)):
            if there is not None and there.blob == layer.blob:
                work.finish(index, there)
            else:
                jobs.append((index, self._download(registry, reference, layer, watcher)))
        if jobs and tell is not None:
            Progress(list({id(d): d for _, d in jobs}.values()), tell)
        work.run(jobs)
        self._content.flush()
        return work.stored()

    def _download(
        self, registry: Registry, reference: Reference, layer: _Planned, watcher: Watcher | None
    ) -> Download:
        """Return the download of a layer's blob, which another image may have begun."""
        with self._lock:
            found = self._downloads.get(layer.blob)
            if found is not None and found.size_bytes == layer.size_bytes and found.is_usable():
                return found
            made = found = Download(self._content, registry, reference, layer.blob, layer.size_bytes)
            self._downloads[layer.blob] = found
        if watcher is not None:
            made.watch(lambda: watcher.moved(made.digest, made.done_bytes, made.size_bytes))
        self._downloaders.submit(found.run)
        return found


class _Planned(NamedTuple):
    """A layer that an image has: what it unpacks to, its name in the store, and the blob that it comes as."""

    diff_id: str
    chain: str
    blob: str
    size_bytes: int


class _Layers:
    """The layers of one image on their way; a few threads take them from the bottom up."""

    def __init__(self, content: Content, planned: Sequence[_Planned], watcher: Watcher | None = None) -> None:
        self._content, self._planned, self._watcher = content, planned, watcher
        self._changed = threading.Condition()
        self._stored: dict[int, Layer] = {}
        self._failure: BaseException | None = None

    @staticmethod
    def planned(diff_ids: Sequence[str], parts: Sequence[dict[str, Any]]) -> list[_Planned]:
        chain, planned = "", []
        for diff_id, part in zip(diff_ids, parts, strict=True):
            chain = chain_id(chain, diff_id)
            planned.append(_Planned(diff_id, chain, part["digest"], part["size"]))
        return planned

    def finish(self, index: int, layer: Layer) -> None:
        with self._changed:
            self._stored[index] = layer
            self._changed.notify_all()

    def stored(self) -> list[Layer]:
        return [self._stored[index] for index in range(len(self._planned))]

    def run(self, jobs: Sequence[tuple[int, Download]]) -> None:
        """Unpack these layers. Raises what the first of them failed with."""

        def work(job: tuple[int, Download]) -> None:
            try:
                self.finish(job[0], self._unpack(*job))
                if self._watcher is not None:
                    self._watcher.ended(job[1].digest, "pulled")
            except BaseException as error:  # the layers that wait for this one end as well
                with self._changed:
                    self._failure = self._failure or error
                    self._changed.notify_all()
                raise

        try:
            parallel.each(jobs, work, _UNPACKERS, name="unpack")
        except Exception as error:
            raise self._failure or error from None  # that of a layer that only waited says nothing

    def _unpack(self, index: int, download: Download) -> Layer:
        layer = self._planned[index]
        while True:
            restarts = download.restarts
            try:
                return self._content.unpack_blob(
                    lambda: self._chunks(download),
                    layer.chain,
                    diff_id=layer.diff_id,
                    blob=layer.blob,
                    below=_Below(self, index),
                )
            except Restarted:
                continue
            except ComposerError:
                # What does not unpack may be damaged on the way: then it has been fetched again by the end of this.
                download.wait()
                if download.restarts == restarts:
                    raise

    def _chunks(self, download: Download) -> Iterator[bytes]:
        for chunk in download.chunks():
            if self._failure is not None:
                raise PullFailed("another layer failed")
            yield chunk

    def below(self, index: int) -> Iterator[str]:
        for lower in range(index - 1, -1, -1):
            with self._changed:
                self._changed.wait_for(lambda lower=lower: lower in self._stored or self._failure)  # type: ignore[misc]
                if self._failure is not None:
                    raise PullFailed("a layer below failed")
            yield self._content.layer(self._planned[lower].chain)


class _Below:
    """The directories underneath a layer, topmost first, each waited for when it is looked at."""

    def __init__(self, layers: _Layers, index: int) -> None:
        self._layers, self._index = layers, index

    def __iter__(self) -> Iterator[str]:
        return self._layers.below(self._index)
