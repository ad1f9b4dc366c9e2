"""Images as documents of Docker's API, each as its version has it. Pure.

The fields are those of an engine with graph drivers, Docker's usual ones: an image's id is the digest of its
configuration. What is added in such an engine's place only where it says more, is what an image has of other platforms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import dates
from composer.api import times

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from composer.runtime.images import Image
    from composer.runtime.images.manifests import Step

Version = tuple[int, int]
_OLD_CONFIG: Mapping[str, Any] = {
    **dict.fromkeys(("AttachStderr", "AttachStdin", "AttachStdout", "OpenStdin", "StdinOnce", "Tty"), False),
    **dict.fromkeys(("Domainname", "Hostname", "Image"), ""),
}
_CONFIG: Mapping[str, Any] = {
    **dict.fromkeys(("Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "Volumes")),
    **dict.fromkeys(("User", "WorkingDir"), ""),
}
_MORE_CONFIG = ("ArgsEscaped", "ExposedPorts", "Healthcheck", "Shell", "StopSignal")
_NO_CONTAINER: Mapping[str, Any] = {**_OLD_CONFIG, **_CONFIG}


def seconds_of(created: str) -> int:
    return (dates.parse_ns(created) or 0) // 1_000_000_000


def tags_of(image: Image) -> list[str]:
    return [name for name in image.references if "@" not in name]


def digests_of(image: Image) -> list[str]:
    """Return the names by which registries know an image; it may have come by one, and have no tag."""
    return sorted({*image.digests, *(name for name in image.references if "@" in name)})


def summary(
    image: Image,
    version: Version,
    *,
    containers: int,
    shared_bytes: int = -1,
    names: Sequence[str] | None = None,
    digests: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return an image as listings have it. ``names`` and ``digests`` are those that a filter leaves."""
    tags = tags_of(image) if names is None else list(names)
    found = digests_of(image) if digests is None else list(digests)
    made: dict[str, Any] = {
        "Containers": containers if version >= (1, 51) else -1,
        "Created": seconds_of(image.created),
        "Id": image.id,
        "Labels": image.config.get("Labels") or None,
        "ParentId": "",
        "RepoDigests": found,
        "RepoTags": tags,
        "SharedSize": shared_bytes,
        "Size": image.size_bytes + image.others_bytes,
    }
    if version < (1, 43):
        if not tags and not found:
            made["RepoTags"], made["RepoDigests"] = ["<none>:<none>"], ["<none>@<none>"]
        else:
            made["RepoTags"], made["RepoDigests"] = tags or None, found or None
    if version < (1, 44):
        made["VirtualSize"] = made["Size"]
    return made


def use(image: Image, version: Version, *, containers: int, shared_bytes: int) -> dict[str, Any]:
    """Return an image as the disk's use has it: there, nothing is null, and the containers are always counted."""
    made = summary(image, (1, 51), containers=containers, shared_bytes=shared_bytes)
    made["RepoTags"], made["RepoDigests"] = made["RepoTags"] or None, made["RepoDigests"] or None
    if version < (1, 44):
        made["VirtualSize"] = made["Size"]
    return made


def configuration(config: Mapping[str, Any], version: Version) -> dict[str, Any]:
    """Return an image's configuration, its keys in order."""
    made = {**(_OLD_CONFIG if version < (1, 50) else {}), **_CONFIG}
    for key in (*made, *_MORE_CONFIG):
        value = config.get(key)
        if value or (key in _CONFIG and isinstance(value, (list, dict)) and key in ("Cmd", "Entrypoint")):
            made[key] = value
    return dict(sorted(made.items()))


def details(
    image: Image, whole: Mapping[str, Any], version: Version, manifests: Any = None
) -> dict[str, Any]:
    """Return an image as its inspection has it. ``whole`` is its whole configuration."""
    steps = whole.get("history")
    last = steps[-1] if isinstance(steps, list) and steps and isinstance(steps[-1], dict) else {}
    made: dict[str, Any] = {
        "Id": image.id,
        "RepoTags": tags_of(image),
        "RepoDigests": digests_of(image),
        "Parent": "",
        "Comment": str(last.get("comment") or whole.get("comment") or ""),
    }
    if whole.get("created"):
        made["Created"] = whole["created"]
    if version < (1, 45):
        made["ContainerConfig"] = dict(_NO_CONTAINER)
    made["DockerVersion"] = str(whole.get("docker_version") or "")
    made["Author"] = str(whole.get("author") or "")
    made["Architecture"] = str(whole.get("architecture") or "")
    if whole.get("variant"):
        made["Variant"] = str(whole["variant"])
    made["Os"] = str(whole.get("os") or "linux")
    if whole.get("os.version"):
        made["OsVersion"] = str(whole["os.version"])
    made["Size"] = image.size_bytes
    if version < (1, 44):
        made["VirtualSize"] = image.size_bytes
    made["GraphDriver"] = {"Data": _layers(image.layers), "Name": "overlay2"}
    made["RootFS"] = {"Type": "layers", **({"Layers": list(image.diff_ids)} if image.diff_ids else {})}
    made["Metadata"] = {"LastTagTime": times.written(image.tagged_ns)}
    made["Config"] = configuration(image.config, version)
    if manifests is not None and version >= (1, 48):
        made.update(manifests)
    return made


def _layers(layers: Sequence[str]) -> dict[str, str]:
    """Return where the files are. An image that is not mounted has no directory that shows all of them."""
    lower = {"LowerDir": ":".join(layers[1:])} if len(layers) > 1 else {}
    return {**lower, "MergedDir": "", "UpperDir": layers[0] if layers else "", "WorkDir": ""}


def history(steps: Iterable[Step], image: Image) -> list[dict[str, Any]]:
    return [
        {
            "Comment": step.comment,
            "Created": seconds_of(step.created),
            "CreatedBy": step.created_by,
            "Id": step.id or "<missing>",
            "Size": step.size_bytes,
            "Tags": (tags_of(image) or None) if step.id else None,
        }
        for step in steps
    ]


def descriptors(
    image: Image,
    index: Mapping[str, Any] | None,
    top: Mapping[str, Any],
    containers: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Return what an image's name stands for, and its manifests, one for each platform.

    ``top`` is the descriptor of the index or of the only manifest, ``index`` the document of the former.
    ``containers`` are the ids of those that use each image.
    """
    by_manifest = {one.manifest: one for one in (image, *image.others)}
    listed = (index or {}).get("manifests") or [top]
    found = []
    for one in listed:
        if not isinstance(one, dict):
            continue
        have = by_manifest.get(one.get("digest", ""))
        size = have.size_bytes if have is not None else 0
        found.append(
            {
                "ID": one.get("digest", ""),
                "Descriptor": dict(one),
                "Available": have is not None,
                "Size": {"Content": int(one.get("size") or 0), "Total": int(one.get("size") or 0) + size},
                "Kind": "image" if have is not None or _platform(one) != "unknown" else "attestation",
                **_image_data(one, have, containers),
            }
        )
    return {"Descriptor": dict(top), "Manifests": found}


def _platform(descriptor: Mapping[str, Any]) -> str:
    platform = descriptor.get("platform")
    return str(platform.get("architecture") or "") if isinstance(platform, dict) else ""


def _image_data(
    descriptor: Mapping[str, Any], have: Image | None, containers: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    if have is None:
        return {}
    parts = dict(zip(("os", "architecture", "variant"), have.platform.split("/"), strict=False))
    return {
        "ImageData": {
            "Platform": descriptor.get("platform") or parts,
            "Size": {"Unpacked": have.size_bytes},
            "Containers": list(containers.get(have.id, ())),
        }
    }
