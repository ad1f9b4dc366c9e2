"""What the engine requires of a backend: a protocol for each group of objects.

    containers  networks  volumes  images  files  streams

Each group has two protocols: an observer, which only reads, and one that adds the methods that change objects. Plans
are made with observers alone. All values are resolved: real names of networks and volumes, absolute paths, contents of
secrets. A backend never sees a compose file. The types of arguments and results are in `wanted`, `observed` and
`inspected`. `capabilities` names what a backend supports beyond that.
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

    Every method is safe to repeat: creating an object that exists with the same labels returns it, removing one that
    does not exist does nothing. Methods are called from several threads at once, never two for the same object.
    Methods of capabilities that a backend lacks raise Unsupported.
    """

    def recover(self, project: str) -> None:
        """Remove incomplete objects of commands that were killed, where they are not visible to `observe`.

        Called with the project's lock held, before the project is observed.
        """
        ...

    def rest(self) -> None:
        """Let go of what is only kept for the next call: the caller waits for long, with no session of an exec open."""
        ...

    def close(self) -> None: ...


class Finding(NamedTuple):
    """The result of one check of this machine, for ``composer doctor``.

    ``level``: ``ok``, ``note`` (worth knowing), ``warning`` (something will not work) or ``missing`` (the backend
    does not work without it). ``hint`` is the remedy.
    """

    level: str
    subject: str
    text: str
    hint: str | None = None
