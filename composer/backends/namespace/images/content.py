"""What is on the disk below ``<root>/images``, and the rules that make it survive kills and neighbours.

    lock                     shared by whoever adds, exclusive for whoever removes what is unreachable
    references.json          full name → image id; replaced by rename
    images/<hex>.json        one image: configuration, layers, blobs; written last, so that it never lacks a part
    blobs/sha256/<hex>       configurations, manifests and layers as they came
    layers/<hex>/            unpacked for overlayfs, named by chain id, shared by all images that have it
    host/<hex>/              see `host`
    *.tmp                    half made; removed by the next who holds the lock exclusively

Chain id: https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.backends.namespace import state
from composer.backends.namespace.runtime import files
from composer.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from composer.backends.namespace.images.archive import Bounds
    from composer.backends.namespace.images.pipeline import Pipeline

_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


class Layer(NamedTuple):
    """A layer that is in the store. ``size_bytes`` is of its unpacked files, ``blob_bytes`` as it came."""

    diff_id: str
    chain_id: str
    blob: str
    blob_bytes: int
    media_type: str
    size_bytes: int


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
    def removing(self) -> Iterator[None]:
        """Wait until nobody adds, and keep everybody out."""
        state.make_directory(self.root)
        with self._locked("lock", fcntl.LOCK_EX):
            yield

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
        found = files.read_json(f"{self.root}/references.json") or {}
        return {str(name): str(id) for name, id in found.items()}

    def change_references(self, changes: Mapping[str, str | None]) -> None:
        """Point names at images; None removes a name. Safe beside other processes."""
        with self._locked("references.lock", fcntl.LOCK_EX):
            references = self.references()
            for name, id in changes.items():
                if id is None:
                    references.pop(name, None)
                else:
                    references[name] = id
            files.write_json(f"{self.root}/references.json", references, durable=True)

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
            record = files.read_json(self.image(id))
            if record is not None:
                yield id, record

    # -------------------------------------------------------------- layers

    def known_layer(self, below: str, diff_id: str) -> Layer | None:
        """Return a layer that was stored before, for the same things underneath."""
        chain = chain_id(below, diff_id)
        if not os.path.isdir(self.layer(chain)):
            return None
        record = files.read_json(f"{self.layer(chain)}.json")
        return Layer(**record) if record is not None and os.path.exists(self.blob(record["blob"])) else None

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
            pipeline = self._receive(chunks, _drain, (diff_id, blob))
            return known._replace(
                blob=blob, blob_bytes=pipeline.blob_bytes, media_type=_media_type(pipeline.compression)
            )

    def _unpack(
        self, chunks: Iterator[bytes], below: Sequence[Layer], digests: tuple[str, str], bounds: Bounds | None
    ) -> Layer:
        from composer.backends.namespace.images.archive import Bounds, unpack
        from composer.backends.namespace.images.tar import Reader, Source

        directory = f"{self.root}/layers/{_token()}"
        lower = [self.layer(layer.chain_id) for layer in reversed(below)]
        size_bytes = 0

        def consume(pipeline: Pipeline) -> None:
            nonlocal size_bytes
            reader = Reader(Source(pipeline))
            size_bytes = unpack(reader, directory, below=lower, bounds=bounds or Bounds())
            reader.drain()

        os.mkdir(directory, 0o755)
        try:
            pipeline = self._receive(chunks, consume, digests)
            chain = chain_id(below[-1].chain_id if below else "", pipeline.diff_id)
            media_type = _media_type(pipeline.compression)
            layer = Layer(
                pipeline.diff_id, chain, pipeline.blob_digest, pipeline.blob_bytes, media_type, size_bytes
            )
            self._commit_layer(layer, directory)
            return layer
        finally:
            state.remove_tree(directory)

    def _receive(
        self, chunks: Iterator[bytes], consume: Callable[[Pipeline], None], digests: tuple[str, str]
    ) -> Pipeline:
        """Keep the chunks as a blob while ``consume`` reads what is in them; return what is known of them then.

        ``digests`` are those of the plain bytes and of the blob, where they are known before.
        """
        from composer.backends.namespace.images.pipeline import Pipeline

        temporary = f"{self.root}/blobs/{_token()}"
        keep = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with Pipeline(chunks, keep) as pipeline:
                consume(pipeline)
            for wanted, found in zip(digests, (pipeline.diff_id, pipeline.blob_digest), strict=True):
                if wanted and wanted != found:
                    raise ImageError(f"a layer is damaged: its digest is {found} and should be {wanted}")
            # One flush for the blob and all files of the layer, before either gets its name.
            _flush(keep)
            os.rename(temporary, self.blob(pipeline.blob_digest))
            return pipeline
        finally:
            os.close(keep)
            files.remove_file(temporary)

    def _commit_layer(self, layer: Layer, directory: str) -> None:
        final = self.layer(layer.chain_id)
        # The record first: a directory without one would be taken for a layer of unknown size.
        files.write_json(f"{final}.json", layer._asdict(), durable=True)
        try:
            os.rename(directory, final)
        except OSError:
            if not os.path.isdir(final):
                raise  # else another process was faster with the same layer
        parent = os.open(os.path.dirname(final), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)


def _token() -> str:
    return f"{os.getpid()}.{os.urandom(4).hex()}.tmp"


def _drain(pipeline: Pipeline) -> None:
    for _ in pipeline:
        pass  # the digests are what is wanted


def _media_type(compression: str) -> str:
    # xz and bzip2 have no registered type; Docker reads them in an import only.
    return _LAYER_TYPE + {"gzip": "+gzip", "zstd": "+zstd"}.get(compression, "")


def _flush(fd: int) -> None:
    """Write everything of this file system to the disk: one call, where an fsync for each file takes minutes."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).syncfs(ctypes.c_int(fd)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """Return the same bytes for the same value, so that equal images have equal ids."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
