"""The snapshots of a state directory: made whole, listed, removed.

    snapshots/<id>/snapshot.json       what it is; an id is of one snapshot alone, whatever names come and go
    snapshots/<id>/<part>/             the files of a volume, or upper/ and programs/ of a container
    snapshots/placing/, frozen/        what is going on, for whoever comes after a kill

A snapshot is made under another name and renamed once all of it is on the disk. Volumes that were restored may lie
over its files: so it only loses its name when it is removed, and its files go with the last of them.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from composer import errors
from composer.runtime.base import locking, making, records, state, trees
from composer.runtime.snapshots import copying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from composer.runtime.base.record_types import PartRecord, PlacingRecord, SnapshotRecord
    from composer.runtime.objects.volumes import Volumes

VOLUME, LAYER = "volume", "layer"
SHARED, COPIED, OVER = "reflink", "copy", "overlay"
"""The ways that data takes: the same blocks, a copy of all, an overlay over the snapshot's files."""

PLACING, FROZEN = "placing", "frozen"
_ID_LENGTH = 32


class Wish(NamedTuple):
    """A snapshot to make. ``sources`` are those of ``parts``: the directories to copy."""

    name: str
    project: str
    quiet: str
    parts: Sequence[PartRecord]


class Snapshots:
    """The snapshots of one state directory."""

    def __init__(self, paths: state.Paths, volumes: Volumes) -> None:
        self._paths, self._volumes = paths, volumes

    @property
    def directory(self) -> str:
        return self._paths.snapshots()

    def files(self, id: str, part: int) -> str:
        return f"{self.directory}/{id}/{part}"

    def all(self, *, removed: bool = False) -> Iterator[SnapshotRecord]:
        """Yield what has a name; with ``removed`` also what is only kept for the volumes over it."""
        for id in state.list_directory(self.directory):
            record = records.snapshot(f"{self.directory}/{id}") if len(id) == _ID_LENGTH else None
            if record is not None and (removed or not record["removed"]):
                yield record

    def find(self, project: str, name: str) -> SnapshotRecord | None:
        return next(
            (one for one in self.all() if name in (one["name"], one["id"]) and one["project"] == project),
            None,
        )

    def by_id(self, id: str) -> SnapshotRecord:
        """Return a snapshot, also one that has been removed. Raises NotFound."""
        record = records.snapshot(f"{self.directory}/{id}") if "/" not in id else None
        if record is None:
            raise errors.NotFound(f"no such snapshot: {id[:12]}")
        return record

    def parts(self, id: str) -> list[PartRecord]:
        """Return the parts of a snapshot, also of one that has been removed; none where nothing tells them."""
        record = records.snapshot(f"{self.directory}/{id}")
        return record["parts"] if record is not None else []

    def locked(self) -> AbstractContextManager[None]:
        """Keep others from placing and removing snapshots meanwhile."""
        state.make_directory(self.directory)
        return locking.locked(f"{self.directory}/lock")

    # -------------------------------------------------------------- made

    def save(self, wish: Wish, quiet: Callable[[], AbstractContextManager[object]]) -> SnapshotRecord:
        """Make a snapshot. Nobody writes to its parts within the block of ``quiet``."""
        state.make_directory(self.directory)
        id = os.urandom(16).hex()
        shared = copying.shares_blocks(self.directory)
        with making.making(f"{self.directory}/{id}") as temporary:
            with quiet():
                size = sum(
                    self._copy(part, f"{temporary}/{index}", shared=shared)
                    for index, part in enumerate(wish.parts)
                )
            record: SnapshotRecord = {
                "id": id,
                "name": wish.name,
                "project": wish.project,
                "created_ns": time.time_ns(),
                "quiet": wish.quiet,
                "way": SHARED if shared else COPIED,
                "size_bytes": size,
                "parts": list(wish.parts),
                "removed": False,
            }
            copying.flush(temporary)  # all of it is on the disk before it has a name
            records.write_snapshot(temporary, record)
        return record

    def _copy(self, part: PartRecord, target: str, *, shared: bool) -> int:
        if part["kind"] == VOLUME:
            return copying.copy_tree(self._volumes.data(part["source"]), target, shared=shared)
        bundle = self._paths.container(part["source"])
        os.mkdir(target, 0o700)
        size = 0
        for name in layers_of(bundle):
            os.makedirs(os.path.dirname(f"{target}/{name}"), 0o700, exist_ok=True)
            size += copying.copy_tree(f"{bundle}/{name}", f"{target}/{name}", shared=shared)
        return size

    # -------------------------------------------------------------- removed

    def remove(self, id: str) -> list[str]:
        """Remove a snapshot; return the volumes that lie over it: its files are kept until the last of them goes."""
        with self.locked():
            record = self.by_id(id)
            records.refuse_later(record, f"snapshot '{record['name']}'")
            users = self.users().get(id, [])
            # one that is on its way into volumes is needed for that: it goes when it has arrived
            if users or id in self._placed():
                records.write_snapshot(f"{self.directory}/{id}", {**record, "removed": True})
            else:
                trees.put_away(f"{self.directory}/{id}")
        return users

    def users(self) -> dict[str, list[str]]:
        """Return, by snapshot, the volumes that lie over it."""
        found: dict[str, list[str]] = {}
        for name in state.list_directory(self._paths.volumes()):
            record = self._volumes.find(name)
            if record is None or "over" in record:
                # also of one whose record is damaged: it may be repaired
                for over in records.over(f"{self._paths.volumes()}/{name}"):
                    found.setdefault(over["snapshot"], []).append(name)
        return found

    def sweep(self) -> None:
        """Remove what was only kept for volumes that are gone."""
        if not any(record["removed"] for record in self.all(removed=True)):
            return
        with self.locked():
            used = {*self.users(), *self._placed()}
            for record in list(self.all(removed=True)):
                if record["removed"] and record["id"] not in used:
                    trees.put_away(f"{self.directory}/{record['id']}")

    def journals(self) -> Iterator[PlacingRecord]:
        """Yield what says which snapshots are on their way into volumes and containers."""
        for name in state.list_directory(f"{self.directory}/{PLACING}"):
            record = records.placing(f"{self.directory}/{PLACING}/{name}")
            if record is not None:
                yield record

    def _placed(self) -> set[str]:
        return {record["snapshot"] for record in self.journals()}


def layers_of(bundle: str) -> list[str]:
    """Return a container's own layers, by their paths below its directory."""
    programs = (f"programs/{name}/upper" for name in state.list_directory(f"{bundle}/programs"))
    return [name for name in ("upper", *programs) if os.path.isdir(f"{bundle}/{name}")]
