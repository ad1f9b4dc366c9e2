"""Manifests, indexes and configurations: JSON that somebody else wrote, checked before any of it is believed.

https://github.com/opencontainers/image-spec/blob/main/manifest.md and image-index.md; Docker's own media types
mean the same. Pure.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import ImageError
from composer.runtime.images import configuration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_MAX_LAYERS = 500  # what overlayfs takes
_INDEXES = frozenset(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)
_AMD64_LEVELS = (("v2", "sse4_2"), ("v3", "avx2"), ("v4", "avx512f"))
# Which variants a processor runs, best first; none stated is the least of all.
_VARIANTS = {
    "arm64": ("", "v8"),
    "arm": ("v7", "v6", "v5", ""),
}


def is_index(found: Mapping[str, Any]) -> bool:
    """Tell whether a manifest lists others, one for each platform."""
    return "manifests" in found or found.get("mediaType") in _INDEXES


def choose(choices: Sequence[Mapping[str, Any]], wanted: str = "") -> Mapping[str, Any]:
    """Return the descriptor of an index that fits this machine, or the platform ``wanted`` (``linux/arm/v7``).

    Raises ImageError, which says what there is.
    """
    for architecture, variant in fitting(wanted) if wanted else platforms():
        for choice in choices:
            if _platform(choice) == ("linux", architecture, variant):
                return choice
    for choice in choices:
        if choice.get("platform") is None:
            return choice  # the configuration says what it is for, and is checked
    offered = sorted(
        {"/".join(filter(None, _platform(choice))) for choice in choices} - {"unknown/unknown", ""}
    )
    raise ImageError(
        f"no matching manifest for {wanted or f'linux/{configuration.architecture()}'} "
        f"(available: {', '.join(offered) or 'none'})"
    )


def fitting(platform: str) -> list[tuple[str, str]]:
    """Return the architectures and variants whose programs a platform runs, best first."""
    _, _, rest = platform.partition("/")
    architecture, _, variant = rest.partition("/")
    if architecture == "amd64":
        levels = [level for level, _ in _AMD64_LEVELS]
        runs = levels[: levels.index(variant) + 1] if variant in levels else []
        return [(architecture, level) for level in (*reversed(runs), "", "v1")]
    known = _VARIANTS.get(architecture, ("",))
    lower = known[known.index(variant) :] if variant in known else (variant, *known)
    return [(architecture, one) for one in dict.fromkeys(lower)]


def platforms() -> list[tuple[str, str]]:
    """Return the architectures and variants that run here, best first."""
    here = configuration.architecture()
    if here == "amd64":
        flags = _processor_flags()
        levels = ["", "v1", *(level for level, flag in _AMD64_LEVELS if flag in flags)]
        return [*((here, level) for level in levels), ("386", "")]
    return [(here, variant) for variant in _VARIANTS.get(here, ("",))]


@functools.cache
def _processor_flags() -> frozenset[str]:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            line = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return frozenset()
    return frozenset(line.partition(":")[2].split())


def _platform(choice: Mapping[str, Any]) -> tuple[str, str, str]:
    found = choice.get("platform")
    if not isinstance(found, dict):
        return "", "", ""
    return str(found.get("os") or ""), str(found.get("architecture") or ""), str(found.get("variant") or "")


def diff_ids(config: bytes, layers: int) -> list[str]:
    """Check a configuration before anything is fetched or unpacked; return its plain layers' digests, lowest first."""
    whole = configuration.checked(parsed(config, "the configuration"))
    rootfs = whole.get("rootfs")
    found = (rootfs.get("diff_ids") or []) if isinstance(rootfs, dict) else []
    if not isinstance(found, list) or len(found) != layers:
        count = len(found) if isinstance(found, list) else "no"
        raise ImageError(f"its configuration lists {count} layers, but it has {layers}")
    if layers > _MAX_LAYERS:
        raise ImageError(f"it has too many layers (limit: {_MAX_LAYERS})")
    if (whole.get("os") or "linux") != "linux":
        raise ImageError(f"unsupported operating system '{whole['os']}'")
    for digest in found:
        if not is_digest(digest):
            raise ImageError(f"invalid layer digest '{digest}' in its configuration")
    return found


# ------------------------------------------------------------------ history


class Step(NamedTuple):
    """One step. ``id`` is the image's at the last one; ``created`` is a date, or empty where nothing says it."""

    created: str
    created_by: str
    size_bytes: int
    comment: str = ""
    id: str = ""


def history(config: bytes, layers: Sequence[Mapping[str, Any]], id: str) -> list[Step]:
    """Return how an image was made, the last step first.

    Layers that no entry of the history stands for are steps, too.
    """
    whole = parsed(config, "the configuration")
    found = whole.get("history")
    entries: list[Mapping[str, Any]] = (
        [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    )
    sizes = [layer["size_bytes"] for layer in layers]
    missing = len(sizes) - sum(entry.get("empty_layer") is not True for entry in entries)
    entries = [*({} for _ in range(missing)), *entries]
    made = []
    for entry in entries:
        is_empty = entry.get("empty_layer") is True or not sizes
        made.append(
            Step(
                _text_of(entry, "created"),
                _text_of(entry, "created_by"),
                0 if is_empty else sizes.pop(0),
                _text_of(entry, "comment"),
            )
        )
    made.reverse()
    return [made[0]._replace(id=id), *made[1:]] if made else []


def _text_of(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


# ------------------------------------------------------------------ shapes


def parsed(data: bytes, what: str) -> Any:
    try:
        value = json.loads(data, parse_constant=_refuse)
        json.dumps(
            value, ensure_ascii=False
        ).encode()  # halves of surrogate pairs are texts that cannot be stored
        return value
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{what} is not valid JSON: {error}") from error


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")


def mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ImageError(f"{what} is not a JSON object")
    return value


def list_of_mappings(value: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise ImageError(f"{what} must contain a list")
    return [mapping(entry, f"an entry of {what}") for entry in value]


def text(found: Mapping[str, Any], key: str, what: str) -> str:
    value = found.get(key)
    if not isinstance(value, str):
        raise ImageError(f"{what} is missing {key}")
    return value


def descriptor(value: Any) -> dict[str, Any]:
    """Check what names a blob: its digest and size, before either is believed."""
    found = mapping(value, "a descriptor")
    if not is_digest(found.get("digest")):
        raise ImageError(f"invalid sha256 digest '{found.get('digest')}'")
    if type(found.get("size")) is not int or found["size"] < 0:
        raise ImageError(f"the descriptor of {found['digest']} is missing size")
    return found


def is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"sha256:[0-9a-f]{64}", value) is not None
