"""The cache of a build elsewhere: written for other machines, and read from there (``cache_to``, ``cache_from``).

A cache is an OCI image whose layers are the files of steps, and whose configuration says which step each is of:

    {"version": 1, "steps": [{"key": …, "layer": 0, "what": "RUN make", "base": …, "created_ns": …, "seconds": …}]}

So a registry, or a directory in OCI's layout, keeps it as it keeps images. With ``mode=min`` it has the steps of the
image, with ``mode=max`` those of all stages. An image with an inline cache has the same list in a field of its own
configuration, and its layers are the files. A step that is not in the local cache is looked for there; its layer is
fetched only then. Keys are composer's own: BuildKit's caches mean nothing here, and the reverse.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from composer.errors import ImageError
from composer.runtime.base import files, making, shapes
from composer.runtime.images.content import canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from composer.runtime.build.cache.cache import Cache, Snapshot

VERSION = 1
INLINE = "composer.build.cache.v1"
"""The field of an image's configuration that says which steps its layers are of."""
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.composer.build.cache.v1+json"
_IMAGE_CONFIGS = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_MOST_BYTES = 64 << 20
_MOST_SECONDS = 1 << 32
_is_step = shapes.like(
    key=shapes.is_text,
    layer=shapes.is_number,
    what=shapes.is_text,
    base=shapes.is_text,
    created_ns=shapes.is_number,
)
_has_digest = shapes.like(digest=shapes.is_text)
_is_manifest = shapes.like(layers=shapes.list_of(_has_digest), config=_has_digest)


class Used(NamedTuple):
    """A step that a build used, whether it was carried out or found."""

    key: str
    snapshot: Snapshot
    what: str
    base: str
    seconds: float


class Place(Protocol):
    """Where a cache is kept. Digests are ``sha256:…``."""

    name: str

    def has(self, digest: str) -> bool: ...
    def put(self, digest: str, path: str) -> None: ...
    def put_manifest(self, data: bytes) -> None: ...
    def manifests(self) -> list[bytes]:
        """Return the cache's manifest, those of each platform where there are several; none where nothing is there."""
        ...

    def chunks(self, digest: str) -> Iterator[bytes]: ...


# ------------------------------------------------------------------ written


def write(cache: Cache, place: Place, steps: Sequence[Used], line: Callable[[str], None]) -> None:
    """Write steps and their files to a place; what is there already is not written again. Raises BuildFailed."""
    layers: list[dict[str, Any]] = []
    known: dict[str, int] = {}
    for step in steps:
        if step.snapshot.id not in known:
            known[step.snapshot.id] = len(layers)
            layers.append(_put_layer(cache, place, step.snapshot))
    found = [_described(step, known[step.snapshot.id]) for step in steps]
    config = _put_bytes(place, canonical_json({"version": VERSION, "steps": found}))
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, **config},
        "layers": layers,
    }
    place.put_manifest(canonical_json(manifest))
    line(f"{len(found)} steps written to {place.name}")


def inline(steps: Sequence[Used], layers: Sequence[str], epoch_ns: int | None) -> dict[str, Any]:
    """Return the inline cache of an image: its steps, by the numbers of the image's layers.

    ``layers`` are the ids of the layers' snapshots, lowest first; empty for those of the base. ``epoch_ns`` is the
    time that stands for all others, so that equal inputs give equal images.
    """
    numbers = {id: number for number, id in enumerate(layers) if id}
    found = []
    for step in steps:
        if step.snapshot.id in numbers:
            described = _described(step, numbers[step.snapshot.id])
            if epoch_ns is not None:
                described.update(created_ns=epoch_ns, seconds=0)
            found.append(described)
    return {"version": VERSION, "steps": sorted(found, key=lambda step: (step["layer"], step["key"]))}


def _described(step: Used, layer: int) -> dict[str, Any]:
    return {
        "key": step.key,
        "layer": layer,
        "what": step.what,
        "base": step.base,
        "created_ns": step.snapshot.created_ns,
        "seconds": round(step.seconds, 3),
    }


def _put_layer(cache: Cache, place: Place, snapshot: Snapshot) -> dict[str, Any]:
    facts = cache.facts(snapshot.id)
    sent = facts.get("gzip")
    if isinstance(sent, list) and len(sent) == 2 and place.has(str(sent[0])):
        return {"mediaType": _LAYER, "digest": sent[0], "size": sent[1]}
    with making.temporary_file(f"{cache.root}/snapshots") as (path, fd):
        digest, size = _compress(os.path.realpath(snapshot.directory), fd)
        if not place.has(digest):
            place.put(digest, path)
    cache.write_facts(snapshot.id, {**cache.facts(snapshot.id), "gzip": [digest, size]})
    return {"mediaType": _LAYER, "digest": digest, "size": size}


def _compress(directory: str, target: int) -> tuple[str, int]:
    """Write a layer's tar, compressed; equal layers give equal bytes."""
    digest, size = hashlib.sha256(), 0
    from composer.runtime.images import packing

    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    source = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for piece in (*map(packer.compress, packing.pack(source)), packer.flush()):
            digest.update(piece)
            size += len(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(target, view) :]
    finally:
        os.close(source)
    return f"sha256:{digest.hexdigest()}", size


def _put_bytes(place: Place, data: bytes) -> dict[str, Any]:
    import tempfile

    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if not place.has(digest):
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            place.put(digest, file.name)
    return {"digest": digest, "size": len(data)}


# ------------------------------------------------------------------ read


class Imports:
    """Steps that are kept elsewhere. Safe for threads."""

    def __init__(
        self,
        cache: Cache,
        places: Sequence[Place],
        hold: Callable[[Iterable[str]], None],
        warn: Callable[[str], None],
    ) -> None:
        """A place that cannot be read is told of, and left out: it only makes a build faster.

        ``hold`` keeps what is brought from being swept (`Lease.add`).
        """
        self._cache, self._places, self._hold, self._warn = cache, places, hold, warn
        self._lock = threading.Lock()
        self._steps: dict[str, tuple[Place, str, dict[str, Any]]] | None = None

    def bring(self, key: str) -> bool:
        """Put a step that is kept elsewhere into the cache; tell whether there was one. Under the step's lock."""
        if not self._places:
            return False
        with self._lock:
            if self._steps is None:
                self._steps = self._read_all()
        found = self._steps.get(key)
        if found is None:
            return False
        place, digest, step = found
        try:
            snapshot = self._fetched(place, digest, step["created_ns"])
        except (OSError, ValueError, ImageError) as error:
            self._warn(f"cannot use the cache of '{place.name}': {error}")
            return False
        self._cache.keep(
            key, snapshot, what=step["what"], base=step["base"], seconds=_seconds(step.get("seconds"))
        )
        return True

    def _read_all(self) -> dict[str, tuple[Place, str, dict[str, Any]]]:
        found: dict[str, tuple[Place, str, dict[str, Any]]] = {}
        for place in self._places:
            try:
                for step, digest in _steps_of(place):
                    found.setdefault(step["key"], (place, digest, step))
            except (OSError, ValueError, RecursionError, ImageError) as error:
                self._warn(f"cannot read the cache of '{place.name}': {error}")
        return found

    def _fetched(self, place: Place, digest: str, created_ns: int) -> Snapshot:
        """Unpack a layer as a snapshot. Raises ImageError where it is not what its digest says."""
        from composer.runtime.images.archive import Bounds, unpack
        from composer.runtime.images.pipeline import Pipeline
        from composer.runtime.images.tar import Reader, Source

        with self._cache.making() as directory:
            layer = f"{directory}/files"
            with Pipeline(place.chunks(digest)) as pipeline:
                reader = Reader(Source(pipeline))
                unpack(reader, layer, below=(), bounds=Bounds())
                reader.drain()
            if pipeline.blob_digest != digest:
                raise ImageError(f"layer digest mismatch: got {pipeline.blob_digest}, expected {digest}")
            snapshot = self._cache.take(layer, self._hold, created_ns=created_ns)
        # the digest of its own tar is found out when it is wanted: that of others may be packed in another way
        self._cache.write_facts(snapshot.id, {"gzip": [digest, pipeline.blob_bytes]})
        return snapshot


def _seconds(found: object) -> float:
    # compared, not converted: the number of somebody else may have any size
    return float(found) if isinstance(found, int | float) and 0 <= found <= _MOST_SECONDS else 0.0


def _steps_of(place: Place) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the steps of a cache, each with the digest of its layer. Raises ValueError where it is none."""
    found = place.manifests()
    if not found:
        raise ValueError("there is none yet")
    for data in found:
        manifest = json.loads(data)
        if not _is_manifest(manifest):
            raise ValueError("its manifest is none")
        layers = [layer["digest"] for layer in manifest["layers"]]
        for step in _list_of(place, manifest["config"]):
            if _is_step(step) and 0 <= step["layer"] < len(layers):
                yield step, layers[step["layer"]]


def _list_of(place: Place, descriptor: dict[str, Any]) -> list[Any]:
    """Return the steps that a configuration lists. Raises ValueError where it is that of something else."""
    media_type = descriptor.get("mediaType")
    if media_type != _CONFIG and media_type not in _IMAGE_CONFIGS:
        raise ValueError("it is not a build cache of composer")
    text = files.whole(place.chunks(str(descriptor["digest"])), _MOST_BYTES)
    if f"sha256:{hashlib.sha256(text).hexdigest()}" != descriptor["digest"]:
        raise ValueError("its configuration does not have the digest that its manifest says")
    found = json.loads(text)
    if media_type in _IMAGE_CONFIGS:
        found = found.get(INLINE) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            raise ValueError("the image has no build cache: build it with cache_to: type=inline")
    if not isinstance(found, dict) or found.get("version") != VERSION:
        version = found.get("version") if isinstance(found, dict) else None
        raise ValueError(f"it has version {version}, and this composer reads version {VERSION}")
    steps = found.get("steps")
    return steps if isinstance(steps, list) else []
