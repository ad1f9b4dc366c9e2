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
from composer.runtime.images import adding, indexes, manifests
from composer.runtime.images.content import Content, Layer, hex_of
from composer.runtime.images.members import Archive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class Loaded(NamedTuple):
    """An image of an archive, or one for each of several ``ids``' platforms.

    ``names`` are the full references that the archive gives it. ``index_data`` is the archive's index, where all of
    its images are there.
    """

    ids: tuple[str, ...]
    names: list[str]
    index_data: bytes = b""


def load(content: Content, path: str) -> list[Loaded]:
    """Store all images of an archive; return what they are."""
    try:
        with Archive(path, content.root) as archive:
            # the layout first: of several platforms, a docker-archive has one
            if archive.has("index.json") and (
                not archive.has("manifest.json") or _has_several_platforms(archive)
            ):
                return _merged(_load_layout(content, archive))
            if archive.has("manifest.json"):
                return _merged(_load_docker(content, archive))
    except OSError as error:
        raise ImageError(f"cannot read '{path}': {error.strerror}") from error
    except ImageError as error:
        raise ImageError(f"cannot load '{path}': {error}", hint=error.hint) from error
    raise ImageError(
        f"cannot load '{path}': not a docker-archive or an OCI layout",
        hint="import a root filesystem tarball with composer image import FILE NAME",
    )


# ------------------------------------------------------------------ the two formats


def _merged(found: Sequence[Loaded]) -> list[Loaded]:
    """Return each image once, with all of its names."""
    merged: dict[tuple[str, ...], Loaded] = {}
    for one in found:
        merged.setdefault(one.ids, one._replace(names=[])).names.extend(one.names)
    return list(merged.values())


def _load_docker(content: Content, archive: Archive) -> list[Loaded]:
    loaded = []
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
        loaded.append(Loaded((id,), [str(references.parse(tag)) for tag in tags]))
    return loaded


# ------------------------------------------------------------------ OCI layouts


def _descriptors(archive: Archive) -> list[dict[str, Any]]:
    index = manifests.mapping(manifests.parsed(archive.read("index.json"), "index.json"), "index.json")
    return manifests.list_of_mappings(index.get("manifests"), "index.json")


def _has_several_platforms(archive: Archive) -> bool:
    """Tell whether an image of a layout is an index of which the archive has more than one image."""
    for descriptor in _descriptors(archive):
        found = _read_manifest(archive, descriptor)[1]
        if manifests.is_index(found) and len(_images(archive, found)) > 1:
            return True
    return False


def _load_layout(content: Content, archive: Archive) -> list[Loaded]:
    loaded = []
    for descriptor in _descriptors(archive):
        names = _names(descriptor)
        data, found = _read_manifest(archive, descriptor)
        if not manifests.is_index(found):
            loaded.append(Loaded((_load_image(content, archive, data),), names))
            continue
        # that of this machine first: what the index says of it counts, as in a pull
        images = [one.data for one in sorted(_images(archive, found), key=lambda one: one.rank)]
        ids = tuple(dict.fromkeys(_load_image(content, archive, one) for one in images))
        is_whole = len(manifests.list_of_mappings(found.get("manifests"), "an index")) == len(ids)
        loaded.append(Loaded(ids, names, data if is_whole and len(ids) > 1 else b""))
    return loaded


class _Listed(NamedTuple):
    """The manifest of an image in an index. ``rank`` is how well it fits this machine, 0 best."""

    rank: int
    data: bytes


_NO_RANK = 1 << 10


def _images(archive: Archive, index: Mapping[str, Any], depth: int = 0) -> list[_Listed]:
    """Return the images of an index that are in the archive, of all platforms. Raises ImageError where none is."""
    choices = manifests.list_of_mappings(index.get("manifests"), "an index")
    if depth > 3:
        raise ImageError("its image indexes form a loop")
    found = []
    for choice in choices:
        if not _is_image(choice) or not archive.has(_blob_name(manifests.descriptor(choice)["digest"])):
            continue
        data, manifest = _read_manifest(archive, choice)
        if manifests.is_index(manifest):
            found += _images(archive, manifest, depth + 1)
        elif _is_whole(archive, manifest):
            platform = choice.get("platform")
            rank = indexes.rank(indexes.platform_of(platform)) if isinstance(platform, dict) else None
            found.append(_Listed(_NO_RANK if rank is None else rank, data))
    if not found:
        # raises where nothing fits this machine; else what is missing is said when it is read
        found.append(_Listed(0, _read_manifest(archive, manifests.choose(choices))[0]))
    return found


def _is_image(descriptor: Mapping[str, Any]) -> bool:
    """Tell an image for Linux from one for another system, and from an attestation (``unknown/unknown``)."""
    platform = descriptor.get("platform")
    return not isinstance(platform, dict) or (platform.get("os") or "linux") == "linux"


def _is_whole(archive: Archive, manifest: Mapping[str, Any]) -> bool:
    """Tell whether an archive has an image's parts: `docker save` writes only those of the platforms that it has."""
    layers = manifests.list_of_mappings(manifest.get("layers"), "a manifest")
    parts = [manifests.descriptor(one) for one in (manifest.get("config"), *layers)]
    return all(archive.has(_blob_name(part["digest"])) for part in parts)


def _read_manifest(archive: Archive, descriptor: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
    data = _blob(archive, manifests.descriptor(descriptor))
    return data, manifests.mapping(manifests.parsed(data, "a manifest"), "a manifest")


def _load_image(content: Content, archive: Archive, manifest_bytes: bytes) -> str:
    """Store an image; return its id."""
    manifest = manifests.mapping(manifests.parsed(manifest_bytes, "a manifest"), "a manifest")
    config = _blob(archive, manifests.descriptor(manifest.get("config")))
    parts = [
        _Part(_blob_name(layer["digest"]), layer["digest"], layer["size"])
        for layer in map(
            manifests.descriptor, manifests.list_of_mappings(manifest.get("layers"), "a manifest")
        )
    ]
    layers = _add_layers(content, archive, config, parts)
    return adding.add_image(content, config, layers, manifest_bytes)


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
