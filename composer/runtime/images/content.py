"""What is on the disk below ``<root>/images``, and the rules that make it survive kills and neighbours.

    lock                     shared by whoever adds, exclusive for whoever removes what is unreachable
    references.json          full name → image, its digest at the registry, since when, its index; replaced by rename
    images/<hex>.json        one image: configuration, layers, blobs; written last, so that it never lacks a part
    blobs/sha256/<hex>       configurations, manifests, indexes, and layers as they came
    layers/<hex>/            unpacked for overlayfs, named by chain id, shared by all images that have it
    distributed/<hex>.json   what registries have of a layer, by diff id; see `distributed`
    host/<hex>/              see `host`
    blobs/<hex>.part.tmp     a blob that is being fetched, or was when somebody was killed
    *.tmp                    half made; removed by the next who holds the lock exclusively

Chain id: https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import references
from composer.errors import ImageError
from composer.runtime.base import files, making, shapes, state, syscalls
from composer.runtime.images import configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from composer.runtime.images.archive import Bounds
    from composer.runtime.images.pipeline import Pipeline

_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_PIECE_BYTES = 1 << 20


class Layer(NamedTuple):
    """A layer that is in the store. ``size_bytes`` is of its unpacked files, ``blob_bytes`` as it came.

    One that was built here ``is_packed`` when somebody wants it: no blob is kept, and its blob is its plain tar.
    """

    diff_id: str
    chain_id: str
    blob: str
    blob_bytes: int
    media_type: str
    size_bytes: int
    is_packed: bool = False


class Named(NamedTuple):
    """What a name stands for: the image, what its registry calls it, and since when (Unix nanoseconds).

    With images of several platforms, ``index_digest`` is that of their index, and ``others`` are the rest of them.
    """

    id: str
    digest: str = ""
    tagged_ns: int = 0
    index_digest: str = ""
    others: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """All images that the name keeps."""
        return (self.id, *self.others)


def layer_of_record(record: Mapping[str, Any]) -> Layer:
    """Return a layer as its record, or its image's, has it."""
    plain = (record[key] for key in Layer._fields[:-1])
    return Layer(*plain)._replace(is_packed=record.get("is_packed") is True)


def hex_of(digest: str) -> str:
    return digest.removeprefix("sha256:")


def chain_id(below: str, diff_id: str) -> str:
    """Return what names a layer together with all below it; ``below`` is empty for the lowest."""
    if not below:
        return diff_id
    return f"sha256:{hashlib.sha256(f'{below} {diff_id}'.encode()).hexdigest()}"


class Content:
    """The directories; knows no formats."""

    def __init__(self, root: str) -> None:
        self.root = root

    def blob(self, digest: str) -> str:
        return f"{self.root}/blobs/sha256/{hex_of(digest)}"

    def layer(self, chain: str) -> str:
        return f"{self.root}/layers/{hex_of(chain)}"

    def image(self, id: str) -> str:
        return f"{self.root}/images/{hex_of(id)}.json"

    # -------------------------------------------------------------- locks

    @contextlib.contextmanager
    def adding(self) -> Iterator[None]:
        """Keep what is being added, and is not reachable yet, from being removed."""
        if not os.path.isdir(f"{self.root}/locks"):
            # One by one: makedirs gives the mode to the last of a path only, and each has to be closed to others.
            for part in ("", "/blobs", "/blobs/sha256", "/layers", "/images", "/locks"):
                state.make_directory(f"{self.root}{part}")
        with self._locked("lock", fcntl.LOCK_SH):
            yield

    @contextlib.contextmanager
    def removing(self, *, wait: bool = True) -> Iterator[None]:
        """Wait until nobody adds, and keep everybody out. Raises BlockingIOError where it may not ``wait``."""
        state.make_directory(self.root)
        with self._locked("lock", fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield

    @contextlib.contextmanager
    def receiving(self, digest: str) -> Iterator[str]:
        """Hold the lock of a blob download, across processes, and yield the path of the partial file.

        The file may contain data of an interrupted download: it can be resumed, but its digest must be verified.
        """
        with self._locked(f"locks/blob-{hex_of(digest)}", fcntl.LOCK_EX):
            yield f"{self.root}/blobs/{hex_of(digest)}.part.tmp"

    @contextlib.contextmanager
    def distributing(self) -> Iterator[str]:
        """Hold the lock of what is known of registries, across processes, and yield the directory of that."""
        directory = state.make_directory(f"{self.root}/distributed")
        with self._locked("distributed.lock", fcntl.LOCK_EX):
            yield directory

    def flush(self) -> None:
        """Write everything of this file system to the disk."""
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _flush(fd)
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def _locked(self, name: str, kind: int) -> Iterator[None]:
        fd = os.open(f"{self.root}/{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, kind)
            yield
        finally:
            os.close(fd)

    # -------------------------------------------------------------- references

    def references(self) -> dict[str, str]:
        return {name: entry.id for name, entry in self.names().items()}

    def names(self) -> dict[str, Named]:
        """Return all names with what is known of each."""
        found = files.read_json(f"{self.root}/references.json") or {}
        named = ((name, _named(name, entry)) for name, entry in found.items())
        return {name: entry for name, entry in named if entry is not None}

    def change_names(self, changes: Mapping[str, Named | None]) -> None:
        """Say anew what names stand for; None removes a name. Safe beside other processes."""
        with self._locked("references.lock", fcntl.LOCK_EX):
            self._write_names({**self.names(), **changes})

    def change_name(self, name: str, change: Callable[[Named | None], Named | None]) -> None:
        """Say anew what a name stands for, by what it stands for now; None is no such name. Safe beside others."""
        with self._locked("references.lock", fcntl.LOCK_EX):
            names = self.names()
            changed = change(names.get(name))
            if changed != names.get(name):
                self._write_names({**names, name: changed})

    def _write_names(self, names: Mapping[str, Named | None]) -> None:
        records = {name: entry._asdict() for name, entry in names.items() if entry is not None}
        files.write_json(f"{self.root}/references.json", records, durable=True)

    # -------------------------------------------------------------- blobs and records

    def put(self, data: bytes) -> str:
        """Store a small blob and return its digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if not os.path.exists(self.blob(digest)):
            files.write_bytes(self.blob(digest), data, durable=True)
        return digest

    def read(self, digest: str) -> bytes:
        with open(self.blob(digest), "rb") as file:
            return file.read()

    def write_record(self, id: str, record: Mapping[str, Any]) -> None:
        files.write_json(self.image(id), record, durable=True)

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name in state.list_directory(f"{self.root}/images"):
            id = f"sha256:{name.removesuffix('.json')}"
            record = self.record(id) if _is_digest(id) else None
            if record is not None:
                yield id, record

    def record(self, id: str) -> dict[str, Any] | None:
        """Return an image's record; None where there is none that can be used: one bad image hides no other."""
        found = files.read_json(self.image(id))
        if found is None or not _is_record(found):
            return None
        return {**found, "config": configuration.tolerant(found["config"])}

    # -------------------------------------------------------------- layers

    def known_layer(self, below: str, diff_id: str) -> Layer | None:
        """Return a layer that was stored before, for the same things underneath."""
        return self.layer_of(chain_id(below, diff_id))

    def layer_of(self, chain: str) -> Layer | None:
        """Return the layer with this chain id, if it is stored."""
        if not os.path.isdir(self.layer(chain)):
            return None
        record = files.read_json(f"{self.layer(chain)}.json")
        if record is None or not _is_layer(record):
            return None
        found = layer_of_record(record)
        return found if found.is_packed or os.path.exists(self.blob(found.blob)) else None

    def layer_chunks(self, layer: Layer) -> Iterator[bytes]:
        """Yield a layer's blob. Raises ImageError where a layer that is packed now is not what it was."""
        if not layer.is_packed or os.path.exists(self.blob(layer.blob)):
            with open(self.blob(layer.blob), "rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    yield piece
            return
        from composer.runtime.images import packing

        digest = hashlib.sha256()
        fd = os.open(self.layer(layer.chain_id), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for piece in packing.pack(fd):
                digest.update(piece)
                yield piece
        finally:
            os.close(fd)
        if f"sha256:{digest.hexdigest()}" != layer.diff_id:
            raise ImageError(
                f"layer {layer.diff_id} was changed in the store: its files do not have this digest any more",
                hint="build the image again with --no-cache",
            )

    def add_layer(
        self,
        chunks: Iterator[bytes],
        below: Sequence[Layer],
        *,
        diff_id: str = "",
        blob: str = "",
        bounds: Bounds | None = None,
    ) -> Layer:
        """Store and unpack a layer; ``below`` are those underneath, lowest first.

        With ``diff_id``, the plain bytes must have this digest, and another process that unpacks the same layer
        is waited for; with ``blob``, the bytes as they come must have that one. Raises ImageError.
        """
        if not diff_id:
            return self._unpack(chunks, below, ("", blob), bounds)
        under = below[-1].chain_id if below else ""
        with self._locked(f"locks/{hex_of(chain_id(under, diff_id))}", fcntl.LOCK_EX):
            known = self.known_layer(under, diff_id)
            if known is None:
                return self._unpack(chunks, below, (diff_id, blob), bounds)
            if blob in ("", known.blob):
                return known
            # The same files in another compression: unpacked already, but a manifest names this blob.
            pipeline, _ = self._receive(chunks, _drain, (diff_id, blob))
            return known._replace(
                blob=blob,
                blob_bytes=pipeline.blob_bytes,
                media_type=_media_type(pipeline.compression),
                is_packed=False,
            )

    def _unpack(
        self, chunks: Iterator[bytes], below: Sequence[Layer], digests: tuple[str, str], bounds: Bounds | None
    ) -> Layer:
        lower = [self.layer(layer.chain_id) for layer in reversed(below)]
        with self._unpacking(lower, bounds) as (directory, consume):
            pipeline, size_bytes = self._receive(chunks, consume, digests)
            chain = chain_id(below[-1].chain_id if below else "", pipeline.diff_id)
            media_type = _media_type(pipeline.compression)
            layer = Layer(
                pipeline.diff_id, chain, pipeline.blob_digest, pipeline.blob_bytes, media_type, size_bytes
            )
            self._commit_layer(layer, directory)
            return layer

    def unpack_blob(
        self,
        chunks: Callable[[], Iterator[bytes]],
        chain: str,
        *,
        diff_id: str,
        blob: str,
        below: Iterable[str],
    ) -> Layer:
        """Unpack a blob that somebody else keeps and checks, while it comes; return the layer, stored.

        ``chunks`` gives its bytes and raises when they are not what ``blob`` names; ``below`` are the directories
        of the layers underneath, topmost first, each of them there when it is looked at. Raises ImageError.
        """
        from composer.runtime.images.pipeline import Pipeline

        with self._locked(f"locks/{hex_of(chain)}", fcntl.LOCK_EX):
            known = self.layer_of(chain)
            if known is not None and known.blob == blob:
                return known
            with self._unpacking(below, None) as (directory, consume):
                with Pipeline(chunks(), hashes_blob=False) as pipeline:
                    size_bytes = consume(pipeline) if known is None else _drain(pipeline)
                if pipeline.diff_id != diff_id:
                    raise ImageError(f"layer digest mismatch: got {pipeline.diff_id}, expected {diff_id}")
                media_type = _media_type(pipeline.compression)
                if known is not None:
                    # The same files in another compression: unpacked already, but a manifest names this blob.
                    return known._replace(
                        blob=blob, blob_bytes=pipeline.blob_bytes, media_type=media_type, is_packed=False
                    )
                self.flush()
                layer = Layer(diff_id, chain, blob, pipeline.blob_bytes, media_type, size_bytes)
                self._commit_layer(layer, directory)
                return layer

    @contextlib.contextmanager
    def _unpacking(
        self, below: Iterable[str], bounds: Bounds | None
    ) -> Iterator[tuple[str, Callable[[Pipeline], int]]]:
        """Make a directory to unpack into, and what unpacks; whatever has not been moved away is removed."""
        from composer.runtime.images.archive import Bounds, unpack
        from composer.runtime.images.tar import Reader, Source

        with making.temporary_directory(f"{self.root}/layers", mode=0o755) as directory:

            def consume(pipeline: Pipeline) -> int:
                reader = Reader(Source(pipeline))
                size_bytes = unpack(reader, directory, below=below, bounds=bounds or Bounds())
                reader.drain()
                return size_bytes

            yield directory, consume

    def _receive(
        self, chunks: Iterator[bytes], consume: Callable[[Pipeline], int], digests: tuple[str, str]
    ) -> tuple[Pipeline, int]:
        """Keep the chunks as a blob while ``consume`` reads what is in them; return what both know then.

        ``digests`` are those of the plain bytes and of the blob, where they are known before.
        """
        from composer.runtime.images.pipeline import Pipeline

        with making.temporary_file(f"{self.root}/blobs") as (temporary, keep):
            with Pipeline(chunks, keep) as pipeline:
                result = consume(pipeline)
            for wanted, found in zip(digests, (pipeline.diff_id, pipeline.blob_digest), strict=True):
                if wanted and wanted != found:
                    raise ImageError(f"layer digest mismatch: got {found}, expected {wanted}")
            # One flush for the blob and all files of the layer, before either gets its name.
            _flush(keep)
            os.rename(temporary, self.blob(pipeline.blob_digest))
            return pipeline, result

    def _commit_layer(self, layer: Layer, directory: str) -> None:
        final = self.layer(layer.chain_id)
        # The record first: a directory without one would be taken for a layer of unknown size.
        files.write_json(f"{final}.json", layer._asdict(), durable=True)
        try:
            os.rename(directory, final)
        except OSError:
            if os.path.islink(final) and not os.path.isdir(final):
                # a build is on its way with the same layer, or was killed there: what it left is swept
                syscalls.exchange(directory, final)
            elif not os.path.isdir(final):
                raise  # else another process was faster with the same layer
        parent = os.open(os.path.dirname(final), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"sha256:[0-9a-f]{64}", value) is not None


_is_layer = shapes.like(
    diff_id=_is_digest,
    chain_id=_is_digest,
    blob=_is_digest,
    blob_bytes=shapes.is_number,
    media_type=shapes.is_text,
    size_bytes=shapes.is_number,
)
_is_record = shapes.like(
    config=shapes.is_mapping,
    layers=shapes.list_of(_is_layer),
    manifest=_is_digest,
    created=shapes.is_text,
)


def _named(name: str, entry: Any) -> Named | None:
    """Read what a name stands for, also as the first version wrote it: the id alone."""
    try:
        references.parse(name)
    except ImageError:
        return None
    if isinstance(entry, str):
        entry = {"id": entry}
    if not isinstance(entry, dict) or not _is_digest(entry.get("id")):
        return None
    digest, tagged_ns = entry.get("digest"), entry.get("tagged_ns")
    found = Named(
        entry["id"],
        digest if _is_digest(digest) else "",  # type: ignore[arg-type]
        tagged_ns if shapes.is_number(tagged_ns) else 0,  # type: ignore[arg-type]
    )
    if _is_digest(entry.get("index_digest")) and shapes.list_of(_is_digest)(entry.get("others")):
        return found._replace(index_digest=entry["index_digest"], others=tuple(entry["others"]))
    return found


def _drain(pipeline: Pipeline) -> int:
    return sum(len(piece) for piece in pipeline)  # read for its digests


def _media_type(compression: str) -> str:
    # xz and bzip2 have no registered type; Docker reads them in an import only.
    return _LAYER_TYPE + {"gzip": "+gzip", "zstd": "+zstd"}.get(compression, "")


def _flush(fd: int) -> None:
    """Write everything of this file system to the disk."""
    from composer.runtime.base import syscalls

    syscalls.syncfs(fd)


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """Return the same bytes for the same value, so that equal images have equal ids."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
