"""Snapshots for a backend that has none: copies in volumes of it, through containers that never run.

    <prefix><id>_<part>     the data of a part
    <prefix><id>            the record, in its labels: made when all parts are copied: without it there is none
    <prefix>placing_<id>    a restore that has begun to replace data: whoever comes next does it once more, to its end

All is on the backend itself, so every machine that reaches it sees the same. What commands were killed at is found by
the label of who made it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING

from composer.engine.labels import PLACING, PROJECT
from composer.engine.moving import content, volumes
from composer.engine.observed import ACTIVE, ObservedSnapshot, SnapshotPart
from composer.engine.wanted import VolumeSpec
from composer.errors import BackendError, Conflict, CopyFailed, NotFound, Unsupported

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from composer.engine.backend import Backend
    from composer.engine.wanted import SnapshotSpec

_PREFIX = "composer-snapshot-"
_RECORD = "composer.snapshot"
_PART = "composer.snapshot.part"
_WAY = "copy"


class Copies:
    """The snapshots of a backend, in its own volumes."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def snapshots(self) -> list[ObservedSnapshot]:
        found = []
        for volume in self._backend.volumes():
            if _RECORD in volume.labels:
                snapshot = _read(volume.labels[_RECORD])
                if snapshot is not None:
                    found.append(snapshot)
        return sorted(found, key=lambda one: (one.created_ns, one.id))

    def restores_by(self) -> str:
        return _WAY

    # -------------------------------------------------------------- taken

    def save_snapshot(self, spec: SnapshotSpec) -> ObservedSnapshot:
        if any(part.kind != "volume" for part in spec.parts):
            raise Unsupported(
                "snapshots",
                f"backend '{self._backend.name}' takes no snapshots of containers' own files",
                hint="leave --layers out, or put these files into a volume",
            )
        id, own = os.urandom(16).hex(), volumes.own()
        made: list[str] = []
        try:
            with self._frozen(spec.freeze):
                for index, part in enumerate(spec.parts):
                    name = f"{_PREFIX}{id}_{index}"
                    self._backend.create_volume(VolumeSpec(name, {_PART: id, volumes.LABEL: own}, {}))
                    made.append(name)
                    _copy(self._backend, part.source, name)
            snapshot = ObservedSnapshot(
                id, spec.name, spec.project, time.time_ns(), spec.quiet, _WAY, 0, tuple(spec.parts)
            )
            self._backend.create_volume(VolumeSpec(f"{_PREFIX}{id}", {_RECORD: _write(snapshot)}, {}))
        except BaseException:
            for name in made:
                with contextlib.suppress(BackendError):  # the first failure is what is told
                    self._backend.remove_volume(name)
            raise
        return snapshot

    @contextlib.contextmanager
    def _frozen(self, ids: Collection[str]) -> Iterator[None]:
        paused: list[str] = []
        try:
            for id in ids:
                self._backend.pause_container(id)
                paused.append(id)
            yield
        finally:
            for id in paused:
                self._backend.unpause_container(id)

    # -------------------------------------------------------------- placed

    def place_snapshot(self, id: str, project: str, targets: Sequence[tuple[int, str]]) -> str:
        if not any(one.id == id for one in self.snapshots()):
            raise NotFound(f"no such snapshot: {id[:12]}")
        users = self._users([target for _, target in targets])
        if users:
            raise Conflict(
                f"volumes are used by running containers: {', '.join(users)}", hint="stop them first"
            )
        journal = f"{_PREFIX}placing_{os.urandom(8).hex()}"
        record = json.dumps({"id": id, "targets": [list(pair) for pair in targets]})
        labels = {PROJECT: project, PLACING: record, volumes.LABEL: volumes.own()}
        self._backend.create_volume(VolumeSpec(journal, labels, {}))
        # From here on it is carried to its end: by this command, or by the next one.
        self._carry_out(id, targets)
        self._backend.remove_volume(journal)
        return _WAY

    def _users(self, names: Collection[str]) -> list[str]:
        return sorted(
            one.name
            for one in self._backend.containers()
            if one.state in ACTIVE and any(mount.name in names for mount in one.mounts)
        )

    def _carry_out(self, id: str, targets: Sequence[tuple[int, str]]) -> None:
        for index, target in targets:
            if self._backend.find_volume(target) is not None:
                _empty(self._backend, target)
                _copy(self._backend, f"{_PREFIX}{id}_{index}", target)

    # -------------------------------------------------------------- removed, and what a kill left

    def remove_snapshot(self, id: str) -> list[str]:
        for name in self._names(id):
            self._backend.remove_volume(name)
        return []

    def _names(self, id: str) -> list[str]:
        """Return the volumes of a snapshot, its record first: without it the others are swept."""
        names = [one.name for one in self._backend.volumes() if one.labels.get(_PART) == id]
        return [f"{_PREFIX}{id}", *sorted(names)]

    def finish_snapshots(self) -> None:
        found = {one.name: one for one in self._backend.volumes() if one.name.startswith(_PREFIX)}
        for name, volume in found.items():
            if PLACING in volume.labels and volumes.has_ended(volume.labels):
                record = json.loads(volume.labels[PLACING])
                if self._users([target for _, target in record["targets"]]):
                    continue  # somebody has started them by other means; their project says what to do
                if f"{_PREFIX}{record['id']}" in found:
                    self._carry_out(record["id"], record["targets"])
                self._backend.remove_volume(name)
        for name, volume in found.items():
            id = volume.labels.get(_PART)
            if id and f"{_PREFIX}{id}" not in found and volumes.has_ended(volume.labels):
                with contextlib.suppress(BackendError):  # another command sweeps the same
                    self._backend.remove_volume(name)


def _copy(backend: Backend, source: str, target: str) -> None:
    with (
        volumes.opened(backend, source) as read,
        volumes.opened(backend, target, writable=True) as written,
        volumes.reading(read) as pieces,
    ):
        written.write(pieces)


def _empty(backend: Backend, name: str) -> None:
    """Remove all files of a volume. Raises CopyFailed where some are left."""
    with volumes.opened(backend, name, writable=True) as contents:
        backend.empty_path(contents.container, f"/{volumes.PLACE}")
        with volumes.reading(contents) as pieces:
            if not content.is_empty(pieces):
                raise CopyFailed(
                    f"cannot remove the files of volume '{name}'",
                    hint="remove its containers and the volume, create them with composer create, and try again",
                )


def _write(snapshot: ObservedSnapshot) -> str:
    parts = [[part.kind, part.source, dict(part.about)] for part in snapshot.parts]
    return json.dumps({**snapshot._asdict(), "parts": parts})


def _read(text: str) -> ObservedSnapshot | None:
    try:
        found = json.loads(text)
        parts = tuple(SnapshotPart(*part) for part in found.pop("parts"))
        return ObservedSnapshot(**{**found, "parts": parts, "users": ()})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None  # somebody else's label
