"""Images of several platforms under one name: an OCI index, which lists the manifest of each.

A name stands for one of them, that of this machine where there is one, and keeps the others: `Named.others` are their
ids, `Named.index_digest` is the index as a blob. The blob is written before the name, and all images before the blob,
so a name has an index whole or not at all. https://github.com/opencontainers/image-spec/blob/main/image-index.md
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import ImageError
from composer.registry import platforms
from composer.runtime.images import configuration, manifests
from composer.runtime.images.content import Named, canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from composer.runtime.images.content import Content

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


class Member(NamedTuple):
    """An image of an index. ``platform`` is a text, such as ``linux/arm/v7``."""

    id: str
    platform: str


def platform_of(whole: Mapping[str, Any]) -> str:
    """Return the platform of a whole configuration, as containerd writes it."""
    architecture = str(whole.get("architecture") or configuration.architecture())
    return str(
        platforms.normal(str(whole.get("os") or "linux"), architecture, str(whole.get("variant") or ""))
    )


def checked(platform: str) -> str:
    """Return a platform that a user gave, as it is written here. Raises ImageError."""
    own = platforms.Platform("linux", configuration.architecture())
    try:
        return str(platforms.parse_platform(platform, own))
    except ValueError as error:
        raise ImageError(f"invalid platform '{platform}': {error}") from error


def as_descriptor(platform: str) -> dict[str, str]:
    """Return a platform as descriptors have it."""
    return dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))


def platform_of_image(content: Content, id: str) -> str:
    """Return the platform of an image of the store. Raises ImageError."""
    record = content.record(id)
    if record is None:
        raise ImageError(f"image {id} is no longer in the store")
    known = record.get("platform")
    return known if isinstance(known, str) else platform_of(json.loads(content.read(id)))


def is_native(platform: str) -> bool:
    """Tell whether this machine runs programs of a platform without help."""
    return rank(platform) is not None


def rank(platform: str) -> int | None:
    """Return how well a platform fits this machine, 0 best; None where it does not."""
    parts = as_descriptor(platform)
    wanted = (parts.get("architecture", ""), parts.get("variant", ""))
    runs = manifests.platforms()
    return runs.index(wanted) if parts["os"] == "linux" and wanted in runs else None


def ordered(content: Content, ids: Sequence[str]) -> list[Member]:
    """Return images in the order of their platforms as given, the one that a name is to stand for first."""
    members = [Member(id, platform_of_image(content, id)) for id in dict.fromkeys(ids)]
    ranks = {one.id: found for one in members if (found := rank(one.platform)) is not None}
    first = min(ranks, key=ranks.__getitem__) if ranks else members[0].id
    return sorted(members, key=lambda one: one.id != first)


def named(
    content: Content, ids: Sequence[str], *, digest: str = "", tagged_ns: int, index: bytes = b""
) -> Named:
    """Return what a name of these images stands for, with the index stored. Under the store's lock.

    ``index`` is one that somebody else wrote, of these very images.
    """
    members = ordered(content, ids)
    if len(members) == 1:
        return Named(members[0].id, digest, tagged_ns)
    # the index itself is in the order of the request: it is the same on a machine of another architecture
    blob = index or canonical_json(made([descriptor(content, id) for id in dict.fromkeys(ids)]))
    others = tuple(one.id for one in members[1:])
    return Named(members[0].id, digest, tagged_ns, content.put(blob), others)


def joined(content: Content, known: Named, id: str) -> Named:
    """Return what a name stands for once it has the image ``id``, too, in the place of one of the same platform."""
    platform = platform_of_image(content, id)
    others = (one for one in (known.id, *known.others) if content.record(one) is not None)
    kept = [one for one in others if platform_of_image(content, one) != platform]
    return named(content, [*kept, id], digest=known.digest, tagged_ns=known.tagged_ns)


def descriptor(content: Content, id: str) -> dict[str, Any]:
    """Return what an index has of an image: its manifest, as it is here, and its platform."""
    record = content.record(id)
    if record is None:
        raise ImageError(f"image {id} is no longer in the store")
    data = content.read(record["manifest"])
    media_type = str(json.loads(data).get("mediaType") or manifests.OCI_MANIFEST)
    return described(data, media_type, platform_of_image(content, id))


def described(manifest: bytes, media_type: str, platform: str) -> dict[str, Any]:
    return {
        "mediaType": media_type,
        "digest": f"sha256:{hashlib.sha256(manifest).hexdigest()}",
        "size": len(manifest),
        "platform": as_descriptor(platform),
    }


def made(descriptors: Sequence[Mapping[str, Any]], media_type: str = OCI_INDEX) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": media_type, "manifests": list(descriptors)}


def read(content: Content, digest: str) -> bytes:
    """Return an index of the store. Raises ImageError where it is not what it was."""
    try:
        data = content.read(digest)
    except OSError as error:
        raise ImageError(f"index {digest} is missing in the store", hint=_AGAIN) from error
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
        raise ImageError(f"index {digest} is damaged in the store", hint=_AGAIN)
    return data


_AGAIN = "build, load or pull the image again"


def faults(content: Content) -> Iterator[tuple[str, str]]:
    """Yield names whose index is not whole, and why. What a name lost meanwhile is no fault."""
    for name, entry in content.names().items():
        found = list(_faults(content, entry)) if entry.index_digest else []
        if found and content.names().get(name) == entry:
            yield from ((name, text) for text in found)


def _faults(content: Content, entry: Named) -> Iterator[str]:
    try:
        read(content, entry.index_digest)
    except ImageError as error:
        yield str(error)
    for id in entry.others:
        if content.record(id) is None:
            yield f"its image {id[7:19]} for another platform is missing"
