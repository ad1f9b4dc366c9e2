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
            is_docker = archive.has("manifest.json")
            listed = _listed(archive, is_needed=not is_docker) if archive.has("index.json") else []
            if listed and (not is_docker or any(len(one.images) > 1 for one in listed)):
                return _merged([_load_listed(content, archive, one) for one in listed])
            if is_docker:
                return _merged(_load_docker(content, archive))
            if archive.has("index.json"):
                return []
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


class _Listed(NamedTuple):
    """What index.json lists: an image, or the ``images`` of an index, those that fit this machine best first.

    They are the descriptors of manifests. ``listing`` is that of the index, where it lists these images and no more.
    """

    names: list[str]
    images: Sequence[Mapping[str, Any]]
    listing: Mapping[str, Any] | None = None


def _listed(archive: Archive, *, is_needed: bool) -> list[_Listed]:
    """Return what the index of a layout lists; nothing where it cannot be read, and ``is_needed`` is False."""
    try:
        found = manifests.mapping(manifests.parsed(archive.read("index.json"), "index.json"), "index.json")
        known: dict[str, _Listed] = {}
        listed = []
        for entry in manifests.list_of_mappings(found.get("manifests"), "index.json"):
            descriptor = manifests.descriptor(entry)
            if descriptor["digest"] not in known:
                known[descriptor["digest"]] = _entry(archive, descriptor)
            listed.append(known[descriptor["digest"]]._replace(names=_names(entry)))
        return listed
    except ImageError:
        if is_needed:
            raise
        return []


def _entry(archive: Archive, descriptor: Mapping[str, Any]) -> _Listed:
    found = _read_manifest(archive, descriptor)[1]
    if not manifests.is_index(found):
        return _Listed([], [descriptor])
    ranked = _Ranked(archive)
    ranked.add(found)
    images = ranked.images()
    is_whole = len(manifests.list_of_mappings(found.get("manifests"), "an index")) == len(images)
    return _Listed([], images, descriptor if is_whole and len(images) > 1 else None)


def _load_listed(content: Content, archive: Archive, one: _Listed) -> Loaded:
    ids = tuple(
        dict.fromkeys(_load_image(content, archive, _read_manifest(archive, each)[0]) for each in one.images)
    )
    is_whole = one.listing is not None and len(ids) == len(one.images)
    return Loaded(ids, one.names, _blob(archive, one.listing) if one.listing and is_whole else b"")


_NO_RANK = 1 << 10
_MOST_IMAGES = 100
_DEEPEST = 3


class _Ranked:
    """The images of an index, and of the indexes in it, that are in an archive: of all platforms, each once."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._found: dict[str, tuple[int, Mapping[str, Any]]] = {}
        self._read = 0

    def images(self) -> list[Mapping[str, Any]]:
        # that of this machine first: what the index says of it counts, as in a pull
        return [one for _, one in sorted(self._found.values(), key=lambda one: one[0])]

    def add(self, index: Mapping[str, Any], depth: int = 0) -> None:
        """Add the images of an index. Raises ImageError where none is there."""
        if depth > _DEEPEST:
            raise ImageError("its image indexes form a loop")
        choices = manifests.list_of_mappings(index.get("manifests"), "an index")
        before = len(self._found)
        seen: set[str] = set()
        for choice in choices:
            digest = manifests.descriptor(choice)["digest"]
            if digest in seen or not _is_image(choice) or not self._archive.has(_blob_name(digest)):
                continue
            seen.add(digest)
            self._add_one(choice, depth)
        if len(self._found) == before and not seen & self._found.keys():
            # raises where nothing fits this machine; else what is missing is said when it is read
            chosen = manifests.descriptor(manifests.choose(choices))
            self._found.setdefault(chosen["digest"], (0, chosen))

    def _add_one(self, choice: Mapping[str, Any], depth: int) -> None:
        self._read += 1
        if self._read > _MOST_IMAGES:
            raise ImageError(f"an index of it lists too many images (limit: {_MOST_IMAGES})")
        manifest = _read_manifest(self._archive, choice)[1]
        if manifests.is_index(manifest):
            self.add(manifest, depth + 1)
        elif _is_whole(self._archive, manifest):
            platform = choice.get("platform")
            rank = indexes.rank(indexes.platform_of(platform)) if isinstance(platform, dict) else None
            self._found.setdefault(choice["digest"], (_NO_RANK if rank is None else rank, choice))


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
