"""The arguments that every Dockerfile has without declaring a value: what is built on, and for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from composer.registry.platforms import Platform


def predefined(build: Platform, target: Platform, stage: str) -> dict[str, str]:
    """Return the arguments that every Dockerfile has. ``stage`` is the target's name, empty where it has none."""
    return {
        "BUILDPLATFORM": str(build),
        "BUILDOS": build.system,
        "BUILDOSVERSION": build.version,
        "BUILDARCH": build.architecture,
        "BUILDVARIANT": build.variant,
        "TARGETPLATFORM": str(target),
        "TARGETOS": target.system,
        "TARGETOSVERSION": target.version,
        "TARGETARCH": target.architecture,
        "TARGETVARIANT": target.variant,
        "TARGETSTAGE": stage or "default",
    }
