"""What an image is to the rest of the runtime."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def architecture() -> str:
    """Return this machine's architecture in Go's words, as images have it."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


class Image(NamedTuple):
    """An image that is ready to run. ``layers`` are directories for overlayfs, topmost first.

    ``programs`` are host directories that are shown at their own place, each under a writable layer (`host`).
    ``config`` is Docker's: Cmd, Entrypoint, Env, User, WorkingDir, Volumes, Healthcheck, ….
    """

    id: str
    references: tuple[str, ...]
    layers: tuple[str, ...]
    config: Mapping[str, Any]
    size_bytes: int = 0
    created: str = ""
    programs: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    """What registries call it: ``redis@sha256:…``."""
    tagged_ns: int = 0
    """Since when the name that it was found by stands for it; of several names, the newest."""
