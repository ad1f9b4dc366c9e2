"""Putting a snapshot into volumes and containers that do not run: all of it, or nothing.

    prepared    beside each target, under a number of its own: the changing half of an overlay, or a copy
    committed   a word in the journal, after which only names change; a kill before it leaves the old data, one after
                it the new, for who comes next goes on with it: `finish`

A volume over a snapshot says so in its record; the overlay is mounted as any volume's own file system.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from composer.errors import BackendError, Conflict
from composer.runtime.base import files, locking, records, state, syscalls, trees
from composer.runtime.objects import filesystems
from composer.runtime.snapshots import copying
from composer.runtime.snapshots.store import COPIED, LAYER, OVER, PLACING, SHARED, layers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from composer.runtime.base.record_types import OverRecord, PlacingRecord, SnapshotRecord, VolumeRecord
    from composer.runtime.objects.volumes import Volumes
    from composer.runtime.snapshots.store import Snapshots

_OVERLAYFS = 0x794C7630
_HELD = "placed"
"""The directory of a container that holds layers which are on their way."""


def way_here(directory: str) -> str:
    """Return how data gets from a snapshot into a volume on this file system."""
    if copying.shares_blocks(directory):
        return SHARED
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # no overlay can have its changing half on another overlay
        return COPIED if syscalls.filesystem_type(fd) == _OVERLAYFS else OVER
    finally:
        os.close(fd)


class Placer:
    """Places the snapshots of one store. ``reload`` is told of each container whose configuration has changed."""

    def __init__(
        self, paths: state.Paths, store: Snapshots, volumes: Volumes, reload: Callable[[str], None]
    ) -> None:
        self._paths, self._store, self._volumes, self._reload = paths, store, volumes, reload
        self.doomed: list[str] = []
        """Directories that the caller removes; after a kill they are swept, as all that is half removed."""

    # -------------------------------------------------------------- placed

    def place(
        self,
        snapshot: SnapshotRecord,
        project: str,
        targets: Sequence[tuple[int, str]],
        check: Callable[[], None],
    ) -> str:
        """Replace the data of targets, which are pairs of a part and a volume or container; return the way it took.

        ``check`` is called once the journal keeps containers that have this data from being started; it raises where
        one is active. Raises Conflict while a volume is in use.
        """
        with self._store.locked():
            self._store.by_id(snapshot["id"])
            self._settle({target for _, target in targets})
            record: PlacingRecord = {
                "snapshot": snapshot["id"],
                "project": project,
                "targets": [[part, target] for part, target in targets],
                "generation": os.urandom(6).hex(),
                "way": way_here(self._store.directory),
                "committed": False,
            }
            path = f"{state.make_directory(f'{self._store.directory}/{PLACING}')}/{record['generation']}.json"
            records.write_placing(path, record)
            try:
                check()
                with contextlib.ExitStack() as held:
                    for _, target in self._kinds(record, volumes=True):
                        held.enter_context(self._unused(target))
                    self._prepare(record)
                    record["committed"] = True
                    records.write_placing(path, record)
                    self._commit(record)
            except BaseException:
                if not record["committed"]:
                    self._undo(record)
                    files.remove_file(path)
                raise
            self._forget(record, path)
        return record["way"]

    def is_placing(self, names: Collection[str]) -> bool:
        """Tell whether the data of some of these is being replaced, or was when a kill came."""
        return any(_concerns(record, names) for record in self._store.journals())

    def finish(self, volumes: Collection[str] | None = None) -> None:
        """Finish or undo what commands that were killed began. With ``volumes`` only where one of these is concerned.

        Then it is also waited for whoever is placing a snapshot there now. What cannot be finished raises only then.
        """
        if volumes is None:
            if not state.list_directory(f"{self._store.directory}/{PLACING}"):
                return
            with locking.trying(f"{self._store.directory}/lock") as is_free:
                if is_free:
                    self._settle()
            return
        if self.is_placing(volumes):
            with self._store.locked():
                self._settle(volumes)

    def _settle(self, needed: Collection[str] = ()) -> None:
        """With the lock in hand: nobody is at work on what the journals say.

        A journal that cannot be finished stays. It is an error for who needs one of its targets, and for nobody else.
        """
        directory = f"{self._store.directory}/{PLACING}"
        for name in state.list_directory(directory):
            path = f"{directory}/{name}"
            record = records.placing(path)
            if record is None:
                # a kill tore it: it had not begun, for its file is renamed when it is whole
                files.remove_file(path)
                continue
            try:
                self._carry_out(record, path)
            except (BackendError, OSError):
                if _concerns(record, needed):
                    raise

    def _carry_out(self, record: PlacingRecord, path: str) -> None:
        """Finish or undo what one journal says."""
        if not record["committed"]:
            self._undo(record)
            files.remove_file(path)
        elif self._is_lost(record):
            self._take_back(record)
            files.remove_file(path)
        else:
            self._commit(record)
            self._forget(record, path)

    def _kinds(self, record: PlacingRecord, *, volumes: bool) -> Iterator[tuple[int, str]]:
        """Yield the targets that are volumes, or those that are containers, and that are still there.

        Of a snapshot whose record is gone, what is there under the name of a target tells which of both it is.
        """
        parts = self._store.parts(record["snapshot"])
        for part, target in record["targets"]:
            is_meant = part >= len(parts) or (parts[part]["kind"] != LAYER) == volumes
            place = f"{self._paths.volumes()}/{target}" if volumes else self._paths.container(target)
            if is_meant and os.path.isdir(place):
                yield part, target

    @contextlib.contextmanager
    def _unused(self, name: str) -> Iterator[None]:
        """Keep a volume from being mounted, and take away what is mounted on it. Raises Conflict."""
        with filesystems.removing(name, f"{self._paths.volumes()}/{name}", self._volumes.filesystem(name)):
            yield

    # -------------------------------------------------------------- prepared

    def _prepare(self, record: PlacingRecord) -> None:
        for part, name in self._kinds(record, volumes=True):
            source = self._store.files(record["snapshot"], part)
            place = filesystems.over_directory(self._paths, name, record["generation"])
            os.makedirs(place, 0o700)
            if record["way"] == OVER:
                os.mkdir(f"{place}/upper")
                os.mkdir(f"{place}/work", 0o700)
                copying.same_directory(source, f"{place}/upper")
                records.write_over(f"{self._paths.volumes()}/{name}", _over(record, part))
            else:
                copying.copy_tree(source, f"{place}/data", shared=record["way"] == SHARED)
                copying.flush(place)
        for part, id in self._kinds(record, volumes=False):
            source = self._store.files(record["snapshot"], part)
            place = f"{self._paths.container(id)}/{_HELD}/{record['generation']}"
            for name in layers_of(source):
                os.makedirs(os.path.dirname(f"{place}/new/{name}"), 0o700, exist_ok=True)
                copying.copy_tree(f"{source}/{name}", f"{place}/new/{name}", shared=record["way"] == SHARED)

    def _undo(self, record: PlacingRecord) -> None:
        for _, name in record["targets"]:
            trees.put_away(filesystems.over_directory(self._paths, name, record["generation"]))
            trees.put_away(f"{self._paths.container(name)}/{_HELD}/{record['generation']}")

    # -------------------------------------------------------------- committed

    def _commit(self, record: PlacingRecord) -> None:
        """Let the new data take its place: every step may have been done before."""
        for part, name in self._kinds(record, volumes=True):
            volume = self._volumes.find(name)
            if volume is None:
                continue
            self._switch(record, part, volume)
            for id in self._containers_of(name):
                self._tell(id, name)
        self._exchange_layers(record, "new", "old")

    def _exchange_layers(self, record: PlacingRecord, new: str, old: str) -> None:
        """Put the layers of containers that are held as ``new`` in place, and hold those that were there as ``old``."""
        for _, id in self._kinds(record, volumes=False):
            bundle = self._paths.container(id)
            place = f"{bundle}/{_HELD}/{record['generation']}"
            for layer in layers_of(f"{place}/{new}"):
                _exchange(f"{bundle}/{layer}", f"{place}/{new}/{layer}", f"{place}/{old}/{layer}")

    def _switch(self, record: PlacingRecord, part: int, volume: VolumeRecord) -> None:
        directory = f"{self._paths.volumes()}/{volume['name']}"
        place = filesystems.over_directory(self._paths, volume["name"], record["generation"])
        changed: VolumeRecord = {**volume}
        if record["way"] == OVER:
            changed["over"] = _over(record, part)
            self._hide(f"{directory}/_data", f"{place}-old")
        else:
            _exchange(f"{directory}/_data", f"{place}/data", f"{place}/old")
            changed.pop("over", None)
        records.write_volume(directory, changed)

    # -------------------------------------------------------------- taken back

    def _is_lost(self, record: PlacingRecord) -> bool:
        """Tell whether a volume would lie over files that are not there: somebody has removed the snapshot."""
        return record["way"] == OVER and not all(
            os.path.isdir(self._store.files(record["snapshot"], part))
            for part, _ in self._kinds(record, volumes=True)
        )

    def _take_back(self, record: PlacingRecord) -> None:
        """Give all targets their old data again, which is there until `_forget`.

        Every step may have been done before.
        """
        for _, name in self._kinds(record, volumes=True):
            self._switch_back(record, name)
            for id in self._containers_of(name):
                self._tell(id, name)
        self._exchange_layers(record, "old", "new")
        self._undo(record)

    def _switch_back(self, record: PlacingRecord, name: str) -> None:
        directory = f"{self._paths.volumes()}/{name}"
        data = f"{directory}/_data"
        hidden = f"{filesystems.over_directory(self._paths, name, record['generation'])}-old"
        if os.path.lexists(hidden):
            if not os.listdir(data):
                syscalls.exchange(data, hidden)
            os.rmdir(hidden)
        volume = self._volumes.find(name)
        if volume is None or "over" not in volume or volume["over"]["generation"] != record["generation"]:
            return
        changed: VolumeRecord = {**volume}
        del changed["over"]
        # What it lay over before is the only other generation: all others went when that was placed.
        for over in records.over(directory):
            if over["generation"] != record["generation"]:
                changed["over"] = over
        records.write_volume(directory, changed)

    # -------------------------------------------------------------- forgotten

    def _forget(self, record: PlacingRecord, path: str) -> None:
        """Remove what the new data took the place of, and then the journal."""
        for _, name in self._kinds(record, volumes=True):
            volume = self._volumes.find(name)
            if volume is None:
                continue
            current = volume["over"]["generation"] if "over" in volume else ""
            directory = f"{self._paths.volumes()}/{name}"
            for generation in state.list_directory(f"{directory}/over"):
                if generation != current:
                    self._doom(f"{directory}/over/{generation}")
        for _, id in self._kinds(record, volumes=False):
            self._doom(f"{self._paths.container(id)}/{_HELD}/{record['generation']}")
        files.remove_file(path)

    def _doom(self, path: str) -> None:
        """Take a directory away at once, and let its files go later: services need not wait for that."""
        aside = trees.temporary(f"{self._store.directory}/any")
        try:
            os.rename(path, aside)
        except FileNotFoundError:
            return
        self.doomed.append(aside)

    def _hide(self, data: str, aside: str) -> None:
        """Take away the files that the overlay is mounted over: `_forget` removes what is no generation in use."""
        if os.path.lexists(aside) or not os.listdir(data):
            return
        os.mkdir(aside, 0o701)
        copying.same_directory(data, aside)
        syscalls.exchange(data, aside)

    def _containers_of(self, name: str) -> Iterator[str]:
        for id in state.list_directory(self._paths.containers()):
            meta = records.meta(self._paths.container(id))
            if meta is not None and any(mount.get("name") == name for mount in meta["mounts"]):
                yield id

    def _tell(self, id: str, name: str) -> None:
        """Let a container's configuration say what its volume is on: for its start, and for who looks into it."""
        bundle = self._paths.container(id)
        config = records.config(bundle)
        if config is None:
            return  # it is damaged, and cannot be started either
        source = os.path.realpath(f"{self._paths.volumes()}/{name}/_data")
        filesystem = self._volumes.filesystem(name)
        for mount in config["mounts"]:
            if mount.get("source") == source:
                mount.pop("filesystem", None)
                if filesystem.is_mounted:
                    mount["filesystem"] = {"name": name, **filesystem._asdict()}
        records.write_config(bundle, config)
        self._reload(id)


def _concerns(record: PlacingRecord, names: Collection[str]) -> bool:
    return any(target in names for _, target in record["targets"])


def _over(record: PlacingRecord, part: int) -> OverRecord:
    return {"snapshot": record["snapshot"], "part": part, "generation": record["generation"]}


def _exchange(place: str, new: str, old: str) -> None:
    """Move a directory to its place, and what is there out of the way; where that has been done, nothing happens."""
    if not os.path.lexists(new):
        return
    if os.path.lexists(place):
        if os.path.lexists(old):
            raise Conflict(f"cannot restore {place}: {old} is in the way", hint="remove it")
        os.makedirs(os.path.dirname(old), 0o700, exist_ok=True)
        os.rename(place, old)
    os.rename(new, place)
