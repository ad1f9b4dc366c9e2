"""What of an image goes to a registry: its configuration, its layers, and the manifest that it has or gets there.

A manifest that a registry has already, or that names no layer which has to be compressed, goes as it is. Pure but for
reading the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.errors import ImageError
from composer.runtime.images import compressing, compression, manifests
from composer.runtime.images.content import canonical_json, layer_of_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.runtime.images.content import Content, Layer
    from composer.runtime.images.distributed import Packed

OCI_MANIFEST = manifests.OCI_MANIFEST
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Image(NamedTuple):
    """An image as it is pushed. ``manifest`` is the one to push as it is; None where one has to be made.

    ``kinds`` has the compression of each layer's blob; nothing for one that has to be compressed.
    """

    id: str
    config: bytes
    layers: tuple[Layer, ...]
    kinds: tuple[str, ...]
    manifest: bytes | None
    media_type: str


def image(content: Content, id: str) -> Image:
    """Read an image of the store. Raises ImageError."""
    record = content.record(id)
    if record is None:
        raise ImageError(f"image {id} is no longer in the store")
    if record.get("programs") is True:
        raise ImageError(
            "it was built FROM host, and its programs are this machine's",
            hint="build it from another base image",
        )
    layers = tuple(layer_of_record(layer) for layer in record["layers"])
    kinds = tuple(_kind(content, layer) for layer in layers)
    is_known = any(entry.digest == record["manifest"] for entry in content.names().values())
    own = None
    if is_known or all(kinds):
        own = _own_manifest(content, id, record["manifest"], layers)
    media_type = OCI_MANIFEST
    if own is not None:
        media_type = str(manifests.parsed(own, "its manifest").get("mediaType") or OCI_MANIFEST)
    return Image(id, content.read(id), layers, kinds, own, media_type)


def _kind(content: Content, layer: Layer) -> str:
    """Return how a blob is compressed, where registries know that; nothing where it is not."""
    try:
        with open(content.blob(layer.blob), "rb") as file:
            found = compression.kind_of(file.read(6))
    except FileNotFoundError:
        if layer.is_packed:
            return ""
        raise
    return found if found in compressing.KINDS else ""


def _own_manifest(content: Content, id: str, digest: str, layers: Sequence[Layer]) -> bytes | None:
    """Return an image's manifest, where it is of these very blobs."""
    data = content.read(digest)
    found = manifests.mapping(manifests.parsed(data, "its manifest"), "its manifest")
    config = manifests.descriptor(found.get("config"))
    named = [
        manifests.descriptor(one)["digest"]
        for one in manifests.list_of_mappings(found.get("layers"), "its manifest")
    ]
    is_whole = not any(layer.is_packed for layer in layers)
    return data if is_whole and config["digest"] == id and named == [layer.blob for layer in layers] else None


def manifest(image: Image, blobs: Sequence[tuple[str, Packed]]) -> bytes:
    """Return an OCI manifest of an image with these layers, each with its compression."""
    return _manifest(
        image, OCI_MANIFEST, _OCI_CONFIG, [(f"{_OCI_LAYER}+{kind}", blob) for kind, blob in blobs]
    )


def docker_manifest(image: Image, blobs: Sequence[Packed]) -> bytes:
    """Return the same with Docker's media types, which know gzip alone."""
    return _manifest(image, DOCKER_MANIFEST, _DOCKER_CONFIG, [(_DOCKER_LAYER, blob) for blob in blobs])


def _manifest(image: Image, media_type: str, config_type: str, blobs: Sequence[tuple[str, Packed]]) -> bytes:
    made: Mapping[str, object] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {"mediaType": config_type, "digest": image.id, "size": len(image.config)},
        "layers": [
            {"mediaType": kind, "digest": blob.digest, "size": blob.size_bytes} for kind, blob in blobs
        ],
    }
    return canonical_json(made)


def digests(index: bytes) -> list[str]:
    """Return the digests of the manifests that an index lists. Raises ImageError."""
    found = manifests.mapping(manifests.parsed(index, "its index"), "its index")
    return [
        str(manifests.descriptor(one)["digest"])
        for one in manifests.list_of_mappings(found.get("manifests"), "its index")
    ]
