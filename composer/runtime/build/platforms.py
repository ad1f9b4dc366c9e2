"""Platforms: ``linux/amd64``, ``linux/arm64/v8``, …; this machine's, and those that its kernel can run programs of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import BuildFailed
from composer.runtime.images import image

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALIASES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "armel": "arm",
    "i386": "386",
}
_HANDLERS = "/proc/sys/fs/binfmt_misc"
_INTERPRETERS = {
    "amd64": "qemu-x86_64",
    "arm64": "qemu-aarch64",
    "arm": "qemu-arm",
    "386": "qemu-i386",
    "riscv64": "qemu-riscv64",
    "ppc64le": "qemu-ppc64le",
    "s390x": "qemu-s390x",
    "loong64": "qemu-loongarch64",
    "mips64le": "qemu-mips64el",
}


class Platform(NamedTuple):
    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, self))

    def as_configuration(self) -> dict[str, Any]:
        """Return what an image's configuration says of its platform."""
        found = {"os": self.os, "architecture": self.architecture}
        return {**found, "variant": self.variant} if self.variant else found


def native() -> Platform:
    """Return this machine's platform."""
    architecture = image.architecture()
    return Platform("linux", architecture, "v7" if architecture == "arm" else "")


def parse(text: str) -> Platform:
    """Return the platform of a text; an operating system or an architecture alone will do. Raises BuildFailed."""
    parts = text.lower().split("/")
    if not all(parts) or len(parts) > 3:
        raise BuildFailed(f"invalid platform '{text}'", hint="write OS/ARCHITECTURE, such as linux/amd64")
    own = native()
    if len(parts) == 1:
        if parts[0] == "linux":
            return own
        return Platform("linux", _ALIASES.get(parts[0], parts[0]))
    architecture = _ALIASES.get(parts[1], parts[1])
    variant = parts[2] if len(parts) == 3 else ""
    if (architecture, variant) in (("arm64", "v8"), ("amd64", "v1")):
        variant = ""
    return Platform(parts[0], architecture, variant)


def check(platform: Platform) -> None:
    """Raise BuildFailed where this machine cannot run programs of a platform."""
    own = native()
    if platform.os != "linux":
        raise BuildFailed(
            f"cannot build for platform '{platform}': only linux is supported by the built-in runtime",
            hint="use --backend docker, or remove platform",
        )
    runs = {own.architecture, *({"386"} if own.architecture == "amd64" else ())}
    if platform.architecture in runs or _has_handler(platform.architecture):
        return
    raise BuildFailed(
        f"cannot build for platform '{platform}': this machine has no handler for its programs in {_HANDLERS}",
        hint="install qemu-user-static and binfmt-support, or remove platform",
    )


def _has_handler(architecture: str) -> bool:
    name = _INTERPRETERS.get(architecture)
    if name is None:
        return False
    try:
        with open(os.path.join(_HANDLERS, name), encoding="ascii") as file:
            return file.readline().strip() == "enabled"
    except OSError:
        return False


def arguments(target: Platform) -> Mapping[str, str]:
    """Return the predefined build arguments of platforms."""
    found = {}
    for prefix, one in (("TARGET", target), ("BUILD", native())):
        found[f"{prefix}PLATFORM"] = str(one)
        found[f"{prefix}OS"] = one.os
        found[f"{prefix}ARCH"] = one.architecture
        found[f"{prefix}VARIANT"] = one.variant
    return found
