"""Reading images from a docker-archive or an OCI layout, in a tar (compressed or not) or in a directory.

Every part is checked against the digest that names it. Blobs are read where they are in the file; nothing is
unpacked on the way. https://github.com/opencontainers/image-spec/blob/main/image-layout.md; the docker-archive
is what `docker save` writes: manifest.json with a configuration and layers for each image.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.backends.namespace.images import adding, reference
from composer.backends.namespace.images.content import Content, Layer, hex_of
from composer.backends.namespace.images.members import Archive
from composer.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAX_LAYERS = 500
_INDEXES = frozenset(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)
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
        f"cannot load '{path}': it is no docker-archive and no OCI layout",
        hint="for a tarball of a root filesystem: composer image import FILE NAME",
    )


# ------------------------------------------------------------------ the two formats


def _load_docker(content: Content, archive: Archive) -> dict[str, list[str]]:
    loaded: dict[str, list[str]] = {}
    for entry in _list_of_mappings(_parsed(archive.read("manifest.json"), "manifest.json"), "manifest.json"):
        config = archive.read(_text(entry, "Config", "manifest.json"))
        names = entry.get("Layers") or []
        if not isinstance(names, list):
            raise ImageError("manifest.json has no list of layers")
        layers = _add_layers(content, archive, config, [_Part(str(name)) for name in names])
        id = adding.add_image(content, config, layers)
        tags = [str(tag) for tag in entry.get("RepoTags") or ()]
        loaded.setdefault(id, []).extend(str(reference.parse(tag)) for tag in tags)
    return loaded


def _load_layout(content: Content, archive: Archive) -> dict[str, list[str]]:
    loaded: dict[str, list[str]] = {}
    index = _parsed(archive.read("index.json"), "index.json")
    for descriptor in _list_of_mappings(_mapping(index, "index.json").get("manifests"), "index.json"):
        names = _names(descriptor)
        manifest_bytes = _manifest(archive, descriptor)
        manifest = _mapping(_parsed(manifest_bytes, "a manifest"), "a manifest")
        config = _blob(archive, _descriptor(manifest.get("config")))
        parts = [
            _Part(_blob_name(layer["digest"]), layer["digest"], layer["size"])
            for layer in map(_descriptor, _list_of_mappings(manifest.get("layers"), "a manifest"))
        ]
        layers = _add_layers(content, archive, config, parts)
        id = adding.add_image(content, config, layers, manifest_bytes)
        loaded.setdefault(id, []).extend(names)
    return loaded


def _manifest(archive: Archive, descriptor: Mapping[str, Any], depth: int = 0) -> bytes:
    """Return the manifest for this machine: the descriptor's own, or the fitting one of an index."""
    data = _blob(archive, _descriptor(descriptor))
    found = _mapping(_parsed(data, "a manifest"), "a manifest")
    if "manifests" not in found and found.get("mediaType") not in _INDEXES:
        return data
    if depth > 3:
        raise ImageError("its indexes lead to one another")
    choices = _list_of_mappings(found.get("manifests"), "an index")
    here = adding.architecture()
    for choice in choices:
        platform = choice.get("platform") or {}
        if platform.get("os") == "linux" and platform.get("architecture") == here:
            return _manifest(archive, choice, depth + 1)
    offered = sorted({f"{p.get('os')}/{p.get('architecture')}" for c in choices if (p := c.get("platform"))})
    raise ImageError(f"it has no image for linux/{here}, only for {', '.join(offered) or 'nothing'}")


def _names(descriptor: Mapping[str, Any]) -> list[str]:
    """Return the name that an index gives an image; a bare tag, as skopeo writes it, names nothing."""
    annotations = descriptor.get("annotations") or {}
    for key in _NAME_ANNOTATIONS:
        name = annotations.get(key)
        if isinstance(name, str) and (":" in name or "/" in name):
            return [str(reference.parse(name))]
    return []


class _Part(NamedTuple):
    """A layer in an archive: the member's name, and its digest and size where the archive states them."""

    name: str
    digest: str = ""
    size: int = -1


def _add_layers(content: Content, archive: Archive, config: bytes, parts: Sequence[_Part]) -> list[Layer]:
    whole = _mapping(_parsed(config, "the configuration"), "the configuration")
    diff_ids = (whole.get("rootfs") or {}).get("diff_ids") or []
    if len(diff_ids) != len(parts):
        raise ImageError(f"its configuration names {len(diff_ids)} layers, and it has {len(parts)}")
    if len(parts) > _MAX_LAYERS:
        raise ImageError(f"it has more than {_MAX_LAYERS} layers")
    if whole.get("os", "linux") != "linux":
        raise ImageError(f"it is an image for {whole['os']}")
    layers: list[Layer] = []
    for part, diff_id in zip(parts, diff_ids, strict=True):
        if not _is_digest(diff_id):
            raise ImageError(f"its configuration names the layer '{diff_id}', which is no sha256 digest")
        known = content.known_layer(layers[-1].chain_id if layers else "", diff_id)
        if known is None or (part.digest and known.blob != part.digest):
            with archive.open(part.name) as member:
                if part.size >= 0 and member.size != part.size:
                    raise ImageError(f"layer {part.digest} has {member.size} bytes instead of {part.size}")
                known = content.add_layer(member.chunks(), layers, diff_id=diff_id, blob=part.digest)
        layers.append(known)
    return layers


# ------------------------------------------------------------------ values that somebody else wrote


def _parsed(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{what} is no JSON: {error}") from error


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ImageError(f"{what} is no mapping")
    return value


def _list_of_mappings(value: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise ImageError(f"{what} has no list where one must be")
    return [_mapping(entry, f"an entry of {what}") for entry in value]


def _text(mapping: Mapping[str, Any], key: str, what: str) -> str:
    value = mapping.get(key)
    if not isinstance(value, str):
        raise ImageError(f"{what} has no {key}")
    return value


def _descriptor(value: Any) -> dict[str, Any]:
    """Check what names a blob: its digest and size, before either is believed."""
    found = _mapping(value, "a descriptor")
    if not _is_digest(found.get("digest")):
        raise ImageError(f"'{found.get('digest')}' is no sha256 digest")
    if not isinstance(found.get("size"), int) or found["size"] < 0:
        raise ImageError(f"the descriptor of {found['digest']} has no size")
    return found


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"sha256:[0-9a-f]{64}", value) is not None


def _blob_name(digest: str) -> str:
    return f"blobs/sha256/{hex_of(digest)}"


def _blob(archive: Archive, descriptor: Mapping[str, Any]) -> bytes:
    """Read a small blob and check it against its descriptor."""
    data = archive.read(_blob_name(descriptor["digest"]))
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if digest != descriptor["digest"] or len(data) != descriptor["size"]:
        raise ImageError(f"blob {descriptor['digest']} is damaged: its digest is {digest}")
    return data
