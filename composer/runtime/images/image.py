"""What an image is to the rest of the runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


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
