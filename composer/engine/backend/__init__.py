"""What the engine needs of a backend: a protocol for each group of things.

    containers  networks  volumes  images  files  streams

Each group has two protocols: an observer, which reads and cannot change anything, and what adds the effects. A plan is
made with nothing but observers. All of them speak of resolved things: real names of networks and volumes, absolute
paths, contents of secrets. A backend never sees a compose file. The values that cross the border are in `wanted`,
`observed` and `inspected`. What not every backend can is in its `capabilities`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from composer.engine.backend.containers import ContainerObserver, Containers
from composer.engine.backend.files import FileObserver, Files
from composer.engine.backend.images import ImageObserver, Images
from composer.engine.backend.networks import NetworkObserver, Networks
from composer.engine.backend.streams import EventStream, LogStream, Session, StreamObserver, Streams
from composer.engine.backend.volumes import VolumeObserver, Volumes

if TYPE_CHECKING:
    from composer.engine.observed import Capability

__all__ = [
    "Backend",
    "Containers",
    "EventStream",
    "Files",
    "Finding",
    "Images",
    "LogStream",
    "Networks",
    "Observer",
    "Session",
    "Streams",
    "Volumes",
]


class Observer(
    ContainerObserver, NetworkObserver, VolumeObserver, ImageObserver, FileObserver, StreamObserver, Protocol
):
    """The half of a backend that cannot change anything."""

    name: str
    capabilities: frozenset[Capability]


class Backend(Observer, Containers, Networks, Volumes, Images, Files, Streams, Protocol):
    """The half that changes things.

    Every step is safe to repeat: creating what is there with the same labels returns it, removing what is gone
    does nothing. Methods are called from several threads at once, never two for the same object. What a backend has no
    capability for raises Unsupported.
    """

    def recover(self, project: str) -> None:
        """Take away what killed commands left half made or half removed, where nothing that is observed shows it.

        Called by whoever has the project's lock, before it looks.
        """
        ...

    def close(self) -> None: ...


class Finding(NamedTuple):
    """One thing that a backend found when it looked at this machine, for ``composer doctor``.

    ``level``: ``ok``, ``note`` (worth knowing), ``warning`` (something will not work) or ``missing`` (the backend
    does not work without it). ``hint`` is the remedy.
    """

    level: str
    subject: str
    text: str
    hint: str | None = None
