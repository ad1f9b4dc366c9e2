"""Platforms: ``linux/amd64``, ``linux/arm64/v8``, …; this machine's, and those that its kernel can run programs of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from composer.errors import BuildFailed
from composer.registry.platforms import Platform, parse_platform
from composer.runtime.images import configuration, manifests

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def native() -> Platform:
    """Return this machine's platform."""
    architecture = configuration.architecture()
    return Platform("linux", architecture, "v7" if architecture == "arm" else "")


def parse(text: str) -> Platform:
    """Return the platform of a text; an operating system or an architecture alone will do. Raises BuildFailed."""
    try:
        return parse_platform(text, native())
    except ValueError as error:
        raise BuildFailed(f"invalid platform '{text}': {error}") from error


def wanted(texts: Sequence[str]) -> list[Platform]:
    """Return the platforms to build for, each once; this machine's where nothing is said. Raises BuildFailed."""
    found = list(dict.fromkeys(map(parse, texts))) or [native()]
    for platform in found:
        check_system(platform)
    return found


def as_configuration(platform: Platform) -> dict[str, Any]:
    """Return what an image's configuration says of its platform."""
    found = {"os": platform.system, "architecture": platform.architecture}
    return {**found, "variant": platform.variant} if platform.variant else found


def check_system(platform: Platform) -> None:
    """Raise BuildFailed for a platform that no image here can have."""
    if platform.system != "linux":
        raise BuildFailed(
            f"cannot build for platform '{platform}': only linux is supported by the built-in runtime",
            hint="use --backend docker, or remove platform",
        )


def check(platform: Platform) -> None:
    """Raise BuildFailed where this machine cannot run programs of a platform."""
    check_system(platform)
    runs = {architecture for architecture, _ in manifests.platforms()}
    if platform.architecture in runs or _has_handler(platform.architecture):
        return
    raise BuildFailed(
        f"cannot run programs of platform '{platform}': this machine has no handler for them in {_HANDLERS}",
        hint="install qemu-user-static and binfmt-support, or do this step in a stage "
        "FROM --platform=$BUILDPLATFORM and copy its result",
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
