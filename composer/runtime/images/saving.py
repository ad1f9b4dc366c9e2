"""Writing images to one tar that is an OCI layout and a docker-archive at once, as `docker save` does today."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from composer import references
from composer.archives import whole_file
from composer.errors import ImageError
from composer.runtime.images import indexes, manifests
from composer.runtime.images.content import Content, Layer, canonical_json, hex_of, layer_of_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from composer.runtime.images.content import Named


def save(content: Content, chosen: Sequence[tuple[Named, tuple[str, ...]]], path: str) -> None:
    """Write images, each with its full references, to ``path``, which is replaced only when all went well."""
    try:
        with whole_file(path) as file:
            write(content, chosen, file)
    except OSError as error:
        raise ImageError(f"cannot write '{path}': {error.strerror}") from error


def write(content: Content, chosen: Sequence[tuple[Named, tuple[str, ...]]], file: BinaryIO) -> None:
    """Write images to a file that is only written to, from its begin to its end.

    With images of several platforms, the layout has all of them and their index; to the docker-archive, which knows
    no platforms, the first is the image.
    """
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _write(content, chosen, tar)


def _write(content: Content, chosen: Sequence[tuple[Named, tuple[str, ...]]], tar: tarfile.TarFile) -> None:
    docker: dict[str, dict[str, Any]] = {}
    descriptors: list[dict[str, Any]] = []
    written: set[str] = set()
    for entry, names in chosen:
        records = [_write_image(content, id, tar, written) for id in entry.ids]
        docker.setdefault(
            entry.id,
            {
                "Config": _name(entry.id),
                "RepoTags": [],
                "Layers": [_name(layer["blob"]) for layer in records[0]["layers"]],
            },
        )["RepoTags"] += [references.parse(name).familiar() for name in names]
        if entry.index_digest:
            top, data = entry.index_digest, indexes.read(content, entry.index_digest)
            if top not in written:
                written.add(top)
                _add(tar, _name(top), data)
        else:
            top, data = records[0]["manifest"], content.read(records[0]["manifest"])
        descriptors += _descriptors(top, data, names)
    _add(tar, "manifest.json", json.dumps(list(docker.values())).encode())
    _add(tar, "index.json", canonical_json(indexes.made(descriptors)))
    _add(tar, "oci-layout", canonical_json({"imageLayoutVersion": "1.0.0"}))


def _write_image(content: Content, id: str, tar: tarfile.TarFile, written: set[str]) -> dict[str, Any]:
    """Write what of an image is not ``written`` yet; return its record."""
    record = content.record(id)
    if record is None:
        raise ImageError(f"image {id} is no longer in the store")
    for blob in (id, record["manifest"]):
        if blob not in written:
            written.add(blob)
            _add(tar, _name(blob), content.read(blob))
    for layer in map(layer_of_record, record["layers"]):
        if layer.blob not in written:
            written.add(layer.blob)
            _add_layer(content, tar, layer)
    return record


def _descriptors(digest: str, data: bytes, names: Sequence[str]) -> list[dict[str, Any]]:
    found = json.loads(data)
    usual = indexes.OCI_INDEX if manifests.is_index(found) else manifests.OCI_MANIFEST
    plain = {"mediaType": found.get("mediaType", usual), "digest": digest, "size": len(data)}
    if not names:
        return [plain]
    return [
        {
            **plain,
            "annotations": {
                "io.containerd.image.name": name,
                "org.opencontainers.image.ref.name": references.parse(name).tag,
            },
        }
        for name in names
    ]


def _name(digest: str) -> str:
    return f"blobs/sha256/{hex_of(digest)}"


def _add_layer(content: Content, tar: tarfile.TarFile, layer: Layer) -> None:
    info = tarfile.TarInfo(_name(layer.blob))
    info.size = layer.blob_bytes
    info.mode = 0o444
    tar.addfile(info, cast("BinaryIO", _Chunks(content.layer_chunks(layer))))


class _Chunks:
    """Pieces of bytes as a file to read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, b""

    def read(self, size: int) -> bytes:
        found = [self._left]
        have = len(self._left)
        while have < size and (piece := next(self._chunks, b"")):
            found.append(piece)
            have += len(piece)
        data = b"".join(found)
        self._left = data[size:]
        return data[:size]


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o444
    tar.addfile(info, io.BytesIO(data))
