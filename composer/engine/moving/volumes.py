"""The contents of a volume, through a container that is created with it and never started."""

from __future__ import annotations

import os
import signal
import socket
import tarfile
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from composer.archives import WholeInfo
from composer.engine.observed import ACTIVE
from composer.engine.wanted import ContainerSpec, MountSpec
from composer.errors import BackendError, Conflict, CopyFailed, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from composer.engine.backend import Backend

_IMAGE = "composer-empty:latest"
LABEL = "composer.helper"
"""On what a command makes for itself: who it is, see `own`."""
PLACE = "volume"
_TRIES = 20


class Contents(NamedTuple):
    """A volume that can be read and written."""

    backend: Backend
    container: str

    def read(self) -> Iterator[bytes]:
        """Return an archive of the volume; its names begin with ``volume``. The caller must close it (`reading`)."""
        return self.backend.read_path(self.container, f"/{PLACE}")[1]

    def write(self, archive: Iterable[bytes]) -> None:
        """Unpack an archive as `read` returns it; owners, modes and times are those of the archive."""
        self.backend.write_path(self.container, "/", archive)


@contextmanager
def opened(backend: Backend, volume: str, *, writable: bool = False) -> Iterator[Contents]:
    """Yield a volume's contents. Raises NotFound where there is no such volume."""
    if backend.find_volume(volume) is None:
        raise NotFound(f"no such volume: {volume}")
    with _image(backend) as image:
        spec = ContainerSpec(
            f"composer-helper-{os.urandom(6).hex()}",
            "",
            "",
            1,
            image,
            {LABEL: own()},
            {"command": ["none"]},
            mounts=(MountSpec("volume", volume, f"/{PLACE}", read_only=not writable),),
            network_mode="none",
        )
        with ExitStack() as held:
            with _undisturbed():  # else nobody would know of it
                id = _created(backend, spec)
                held.callback(backend.remove_container, id, force=True)
            yield Contents(backend, id)


def _created(backend: Backend, spec: ContainerSpec) -> str:
    """Create a container of the image, which commands of others may remove as often as they end."""
    for _ in range(_TRIES):
        try:
            return backend.create_container(spec)
        except NotFound:
            _import(backend)
    return backend.create_container(spec)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM for a moment."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _image(backend: Backend) -> Iterator[str]:
    """Yield an image without any file; it goes again, unless another command uses it."""
    _sweep(backend)
    if backend.find_image(_IMAGE) is None:
        _import(backend)
    try:
        yield _IMAGE
    finally:
        with suppress(BackendError):
            backend.remove_image(_IMAGE)


def _import(backend: Backend) -> None:
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        tarfile.open(fileobj=file, mode="w").close()
        file.flush()
        # another command may remove it before it was looked at: `_created` tries again
        with suppress(NotFound):
            backend.import_image(file.name, _IMAGE, {"Cmd": ["none"]})


@contextmanager
def reading(contents: Contents) -> Iterator[Iterator[bytes]]:
    """Yield the archive of a volume, and close it whatever happens."""
    pieces = contents.read()
    try:
        yield pieces
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


def holders(backend: Backend, volume: str) -> list[str]:
    """Return the containers that have a volume, running or not, by name; helpers of commands that were killed go."""
    _sweep(backend)
    return [
        container.name
        for container in backend.containers()
        if any(mount.name == volume for mount in container.mounts)
    ]


def own() -> str:
    """Return what names this process, also among those of other machines: ``HOST:PID:TICKS``."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def _started(pid: int) -> str:
    """Return when a process was started, in ticks; nothing of one that is not there."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def has_ended(labels: Mapping[str, str]) -> bool:
    """Tell whether the command that made something was one of this machine, and is no more."""
    host, _, process = labels.get(LABEL, "").partition(":")
    pid, _, ticks = process.partition(":")
    return host == socket.gethostname() and pid.isdecimal() and _started(int(pid)) != ticks


def _sweep(backend: Backend) -> None:
    """Remove what commands of this machine left that were killed."""
    for container in backend.containers():
        if has_ended(container.labels):
            with suppress(BackendError):
                backend.remove_container(container.id, force=True)


def check_archive(path: str) -> None:
    """Raise CopyFailed unless a file is an archive as `Contents.read` returns it, to its end."""
    try:
        with tarfile.open(path, "r|", tarinfo=WholeInfo) as reader:
            first = reader.next()
            if first is None or (first.name == PLACE and not first.isdir()):
                raise _no_volume(path, first)
            links: set[str] = set()
            while first is not None:
                parts = first.name.split("/")
                above = ("/".join(parts[:end]) for end in range(1, len(parts)))
                if parts[0] != PLACE or ".." in parts or (links and not links.isdisjoint(above)):
                    raise _no_volume(path, first)
                if first.issym():
                    links.add(first.name)
                first = reader.next()
                reader.members.clear()  # type: ignore[attr-defined]  # it keeps each, of a million files too
    except (OSError, tarfile.TarError) as error:
        raise CopyFailed(
            f"cannot read '{path}' as a tar archive: {error}", hint="make one with composer volume export"
        ) from error


def _no_volume(path: str, member: tarfile.TarInfo | None) -> CopyFailed:
    what = f"its entry '{member.name}' is not in the directory '{PLACE}'" if member else "it is empty"
    return CopyFailed(
        f"'{path}' is not an archive of a volume: {what}", hint="make one with composer volume export"
    )


def users(backend: Backend, volume: str) -> list[str]:
    """Return the running containers that have a volume mounted, by name."""
    return sorted(
        one.name
        for one in backend.containers()
        if one.state in ACTIVE and any(mount.name == volume for mount in one.mounts)
    )


def refuse_used(backend: Backend, volume: str) -> None:
    """Raise Conflict where a running container has the volume: a copy would be of no moment."""
    found = users(backend, volume)
    if found:
        raise Conflict(
            f"volume '{volume}' is used by running containers: {', '.join(found)}",
            hint="stop them first, so that the copy is of one moment, or add --live",
        )
