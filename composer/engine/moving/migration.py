"""A project's images and volumes, from one backend to another. The source stays as it is.

What is done is written down, so that a migration that was interrupted goes on: what was copied is not copied again, and
what was half copied is begun anew. A volume is done when its files on the target have the digest of those that left.
"""

from __future__ import annotations

import functools
import json
import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from composer import references
from composer.engine.moving import content, volumes
from composer.engine.observed import Advance
from composer.engine.operations.row import Resource
from composer.engine.progress import DONE, FAILED, WORKING, Progress
from composer.engine.wanted import VolumeSpec
from composer.errors import Conflict, CopyFailed, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from composer.engine.backend import Backend
    from composer.engine.observed import ObservedVolume

    Tell = Callable[[Progress], None]

_HOST = "host"
_STEP_BYTES = 8 << 20
BEGUN, COPIED = "begun", "done"


class Record:
    """What a migration has done: a JSON file, ``{volume: {"state": …, "digest": …}}``."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
        except (OSError, ValueError):
            found = {}
        self._volumes: dict[str, dict[str, str]] = found if isinstance(found, dict) else {}

    def state(self, volume: str) -> str:
        """Return BEGUN, COPIED, or nothing for a volume of which nothing was done."""
        found = self._volumes.get(volume)
        return str(found.get("state", "")) if isinstance(found, dict) else ""

    def digest(self, volume: str) -> str:
        return str(self._volumes.get(volume, {}).get("digest", ""))

    def write(self, volume: str, state: str, digest: str = "") -> None:
        """Write down what was done of a volume. Raises OSError."""
        from composer.archives import whole_file

        self._volumes[volume] = {"state": state, "digest": digest}
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        with whole_file(self._path, 0o600) as file:
            file.write(json.dumps(self._volumes, indent=1).encode())


class Wanted(NamedTuple):
    """What is to be brought over: images by name, and volumes. ``live``: also of running containers.

    ``goal`` is the name of the backend that it goes to, for hints.
    """

    images: Sequence[str]
    volumes: Sequence[ObservedVolume]
    live: bool = False
    goal: str = ""

    def removal(self, volume: str) -> str:
        """Return how a volume is removed on the target, and nowhere else."""
        return f"composer --backend {self.goal} volume rm {volume}"


def wanted_of(
    source: Backend, project: str, images: Iterable[str], *, live: bool = False, goal: str = ""
) -> Wanted:
    """Return what a project has on a backend: volumes by their labels, images of its containers and of ``images``.

    Raises NotFound where it has nothing.
    """
    observed = source.observe(project)
    names = {*images, *(container.image for container in observed.containers)}
    if not observed.containers and not observed.volumes:
        raise NotFound(f"project '{project}' has no containers and no volumes there")
    present = [
        name for name in sorted(names) if name and name != _HOST and source.find_image(name) is not None
    ]
    return Wanted(present, sorted(observed.volumes, key=lambda volume: volume.name), live, goal)


def migrate(source: Backend, target: Backend, wanted: Wanted, record: Record, tell: Tell) -> None:
    """Bring everything over. Raises Conflict before anything was changed, where something is in the way."""
    for volume in wanted.volumes:
        if not wanted.live:
            volumes.refuse_used(source, volume.name)
        there = target.find_volume(volume.name)
        if there is not None and not record.state(volume.name):
            raise Conflict(
                f"volume '{volume.name}' exists on the target already",
                hint=f"if its data there is not needed, remove it: {wanted.removal(volume.name)}",
            )
    for reference in wanted.images:
        with _told(Resource("image", reference), tell):
            _bring_image(source, target, reference)
    for volume in wanted.volumes:
        resource = Resource("volume", volume.name)
        with _told(resource, tell):
            report = functools.partial(_tell_moved, tell, resource)
            _bring_volume(source, target, volume, record, report, wanted.removal(volume.name))


@contextmanager
def _told(resource: Resource, tell: Tell) -> Iterator[None]:
    """Say that something is copied, and how that ended."""
    tell(Progress(WORKING, resource, "copying"))
    try:
        yield
    except BaseException:
        tell(Progress(FAILED, resource, "error"))
        raise
    tell(Progress(DONE, resource, "copied"))


def _tell_moved(tell: Tell, resource: Resource, done_bytes: int) -> None:
    advance = Advance("copying", done_bytes, done_bytes, "bytes")
    tell(Progress(WORKING, resource, "copying", advance=advance))


# ------------------------------------------------------------------ images


def _bring_image(source: Backend, target: Backend, reference: str) -> None:
    found = source.find_image(reference)
    if found is None:
        raise NotFound(f"no such image: {reference}")
    there = target.find_image(reference)
    if there is not None and there.id == found.id:
        return
    with tempfile.TemporaryDirectory(prefix="composer-moving-") as directory:
        archive = f"{directory}/image.tar"
        by_id = references.id_prefix(reference) is not None
        source.save_images([found.id if by_id else reference], archive)
        loaded = target.load_images(archive)
    if not any(one.id == found.id for one in loaded):
        ids = ", ".join(one.id[:19] for one in loaded)
        raise CopyFailed(f"image '{reference}' has another ID on the target: {ids}, expected {found.id[:19]}")


# ------------------------------------------------------------------ volumes


def _bring_volume(
    source: Backend,
    target: Backend,
    volume: ObservedVolume,
    record: Record,
    report: Callable[[int], None],
    removal: str,
) -> None:
    name = volume.name
    if record.state(name) == COPIED and target.find_volume(name) is not None:
        if volume.options or _digest(source, name) == record.digest(name):
            return  # it came over before, and has not changed since; what was done on the target stays
        raise Conflict(
            f"volume '{name}' was copied before, and has changed on the source since then",
            hint=f"to have it copied again, remove the copy: {removal}",
        )
    half = target.find_volume(name)
    if half is not None:
        _check_half(target, half, record, removal)
        target.remove_volume(name)  # of a migration that was interrupted
    attributes = {"driver_opts": dict(volume.options)} if volume.options else {}
    if volume.driver != "local":
        attributes["driver"] = volume.driver  # type: ignore[assignment]
    record.write(name, BEGUN)  # before it is there: a kill in between leaves an empty one, that is ours
    target.create_volume(VolumeSpec(name, dict(volume.labels), attributes))
    made = target.find_volume(name)
    record.write(name, BEGUN, str(made.created_ns if made is not None else 0))
    if volume.options:
        record.write(name, COPIED)  # its files are where its options say
        return
    copied = copy(source, name, target, name, report)
    record.write(name, COPIED, copied)


def _check_half(target: Backend, volume: ObservedVolume, record: Record, removal: str) -> None:
    """Raise Conflict unless a volume is what an interrupted migration left, and nobody has used it since."""
    used = volumes.holders(target, volume.name)
    created = record.digest(volume.name)
    is_ours = created == str(volume.created_ns) if created else _is_empty(target, volume.name)
    if used or not is_ours:
        reason = f"it is used by {', '.join(used)}" if used else "it was created anew since then"
        raise Conflict(
            f"volume '{volume.name}' was not copied completely before, and {reason}",
            hint=f"if its data there is not needed, remove it: {removal}",
        )


def copy(
    source: Backend,
    volume: str,
    target: Backend,
    other: str,
    report: Callable[[int], None] = lambda done: None,
) -> str:
    """Copy the files of a volume into an empty one, and check them; return their digest. Raises CopyFailed."""
    with volumes.opened(source, volume) as read, volumes.opened(target, other, writable=True) as written:
        with volumes.reading(read) as pieces:
            summed = content.Summed(_counted(pieces, report))
            written.write(summed)
        arrived = _digest_of(written)
    if arrived != summed.digest:
        raise CopyFailed(
            f"volume '{other}' differs from '{volume}' after the copy: {arrived[:19]}, expected {summed.digest[:19]}",
            hint="stop what writes to it, and copy it again",
        )
    return arrived


def _digest(backend: Backend, volume: str) -> str:
    with volumes.opened(backend, volume) as contents:
        return _digest_of(contents)


def _is_empty(backend: Backend, name: str) -> bool:
    with volumes.opened(backend, name) as contents, volumes.reading(contents) as pieces:
        return content.is_empty(pieces)


def _digest_of(contents: volumes.Contents) -> str:
    with volumes.reading(contents) as pieces:
        return content.digest(pieces)


def _counted(pieces: Iterator[bytes], report: Callable[[int], None]) -> Iterator[bytes]:
    done = told = 0
    for piece in pieces:
        yield piece
        done += len(piece)
        if done - told >= _STEP_BYTES:
            told = done
            report(done)
