"""Reading images from a docker-archive or an OCI layout, in a tar (compressed or not) or in a directory.

Every part is checked against the digest that names it. Blobs are read where they are in the file; nothing is
unpacked on the way. https://github.com/opencontainers/image-spec/blob/main/image-layout.md; the docker-archive
is what `docker save` writes: manifest.json with a configuration and layers for each image.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import references
from composer.errors import ImageError
from composer.runtime.images import adding, manifests
from composer.runtime.images.content import Content, Layer, hex_of
from composer.runtime.images.members import Archive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


def load(content: Content, path: str) -> dict[str, list[str]]:
    """Store all images of an archive; return their ids with the full references that it gives them."""
    try:
        with Archive(path, content.root) as archive:
            if archive.has("manifest.json"):
                return _load_docker(content, archive)
            if archive.has("index.json"):
                return _load_layout(content, archive)
    except OSError as error:
        raise ImageError(f"cannot read '{path}': {error.strerror}") from error
    except ImageError as error:
        raise ImageError(f"cannot load '{path}': {error}", hint=error.hint) from error
    raise ImageError(
        f"cannot load '{path}': not a docker-archive or an OCI layout",
        hint="import a root filesystem tarball with composer image import FILE NAME",
    )


# ------------------------------------------------------------------ the two formats


def _load_docker(content: Content, archive: Archive) -> dict[str, list[str]]:
    loaded: dict[str, list[str]] = {}
    found = manifests.parsed(archive.read("manifest.json"), "manifest.json")
    for entry in manifests.list_of_mappings(found, "manifest.json"):
        config = archive.read(manifests.text(entry, "Config", "manifest.json"))
        names = entry.get("Layers") or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ImageError("manifest.json must contain a list of layers")
        layers = _add_layers(content, archive, config, [_Part(name) for name in names])
        id = adding.add_image(content, config, layers)
        tags = entry.get("RepoTags") or []
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise ImageError("RepoTags of manifest.json must be a list of strings")
        loaded.setdefault(id, []).extend(str(references.parse(tag)) for tag in tags)
    return loaded


def _load_layout(content: Content, archive: Archive) -> dict[str, list[str]]:
    loaded: dict[str, list[str]] = {}
    index = manifests.parsed(archive.read("index.json"), "index.json")
    for descriptor in manifests.list_of_mappings(
        manifests.mapping(index, "index.json").get("manifests"), "index.json"
    ):
        names = _names(descriptor)
        manifest_bytes = _manifest(archive, descriptor)
        manifest = manifests.mapping(manifests.parsed(manifest_bytes, "a manifest"), "a manifest")
        config = _blob(archive, manifests.descriptor(manifest.get("config")))
        parts = [
            _Part(_blob_name(layer["digest"]), layer["digest"], layer["size"])
            for layer in map(
                manifests.descriptor, manifests.list_of_mappings(manifest.get("layers"), "a manifest")
            )
        ]
        layers = _add_layers(content, archive, config, parts)
        id = adding.add_image(content, config, layers, manifest_bytes)
        loaded.setdefault(id, []).extend(names)
    return loaded


def _manifest(archive: Archive, descriptor: Mapping[str, Any], depth: int = 0) -> bytes:
    """Return the manifest for this machine: the descriptor's own, or the fitting one of an index."""
    data = _blob(archive, manifests.descriptor(descriptor))
    found = manifests.mapping(manifests.parsed(data, "a manifest"), "a manifest")
    if not manifests.is_index(found):
        return data
    if depth > 3:
        raise ImageError("its image indexes form a loop")
    choice = manifests.choose(manifests.list_of_mappings(found.get("manifests"), "an index"))
    return _manifest(archive, choice, depth + 1)


def _names(descriptor: Mapping[str, Any]) -> list[str]:
    """Return the name that an index gives an image; a bare tag, as skopeo writes it, names nothing."""
    annotations = manifests.mapping(descriptor.get("annotations") or {}, "annotations of index.json")
    for key in _NAME_ANNOTATIONS:
        name = annotations.get(key)
        if isinstance(name, str) and (":" in name or "/" in name):
            return [str(references.parse(name))]
    return []


class _Part(NamedTuple):
    """A layer in an archive: the member's name, and its digest and size where the archive states them."""

    name: str
    digest: str = ""
    size: int = -1


def _add_layers(content: Content, archive: Archive, config: bytes, parts: Sequence[_Part]) -> list[Layer]:
    diff_ids = manifests.diff_ids(config, len(parts))
    layers: list[Layer] = []
    for part, diff_id in zip(parts, diff_ids, strict=True):
        known = content.known_layer(layers[-1].chain_id if layers else "", diff_id)
        if known is None or (part.digest and known.blob != part.digest):
            with archive.open(part.name) as member:
                if part.size >= 0 and member.size != part.size:
                    raise ImageError(
                        f"size mismatch of layer {part.digest}: got {member.size} bytes, expected {part.size}"
                    )
                known = content.add_layer(member.chunks(), layers, diff_id=diff_id, blob=part.digest)
        layers.append(known)
    return layers


def _blob_name(digest: str) -> str:
    return f"blobs/sha256/{hex_of(digest)}"


def _blob(archive: Archive, descriptor: Mapping[str, Any]) -> bytes:
    """Read a small blob and check it against its descriptor."""
    data = archive.read(_blob_name(descriptor["digest"]))
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if digest != descriptor["digest"] or len(data) != descriptor["size"]:
        raise ImageError(f"blob digest mismatch: got {digest}, expected {descriptor['digest']}")
    return data
