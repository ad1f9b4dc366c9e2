"""Images: an OCI content store, and the host itself as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.backends.namespace.images import host

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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


class Store:
    """The images of one state directory."""

    def __init__(self, root: str) -> None:
        self._root = root

    def find(self, reference: str) -> Image | None:
        if reference == host.REFERENCE or reference == host.digest():
            return self._host()
        return None

    def _host(self) -> Image:
        layer = host.skeleton(f"{self._root}/host")
        return Image(
            host.digest(),
            (host.REFERENCE,),
            (layer,),
            host.config(),
            programs=tuple(host.program_directories()),
        )

    def images(self) -> Sequence[Image]:
        return []
