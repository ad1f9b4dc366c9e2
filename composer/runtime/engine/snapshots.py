"""Snapshots as users have them: taken of volumes and containers, put into them, removed."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.runtime.base import files, locking, records, state, trees
from composer.runtime.snapshots.placing import Placer, way_here
from composer.runtime.snapshots.store import FROZEN, LAYER, VOLUME
from composer.runtime.snapshots.store import Snapshots as Store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from composer.runtime.base.record_types import SnapshotRecord
    from composer.runtime.engine.containers import Containers
    from composer.runtime.engine.core import Core
    from composer.runtime.objects.filesystems import Filesystems
    from composer.runtime.snapshots.store import Wish


class Snapshots:
    """The snapshots of a state directory."""

    def __init__(self, core: Core, containers: Containers, mounted: Filesystems) -> None:
        self._core, self._containers, self._filesystems = core, containers, mounted
        self._store = Store(core.paths, core.volumes)
        self._placer = Placer(core.paths, self._store, core.volumes, self._reload)

    def _reload(self, id: str) -> None:
        id, meta = self._core.meta(id)
        self._containers.reload(id, meta)

    # -------------------------------------------------------------- made

    def save(self, wish: Wish, freeze: Collection[str]) -> SnapshotRecord:
        """Take a snapshot. The containers in ``freeze`` are paused together while it is copied.

        Raises Conflict for a volume of which another container may write meanwhile.
        """
        volumes = [part["source"] for part in wish.parts if part["kind"] == VOLUME]
        for name in volumes:
            self._check(name)
        with self._filesystems.mounted(volumes):
            record = self._store.save(wish, lambda: self._quiet(wish, freeze))
        self._filesystems.release(self._containers.volumes_in_use)
        return record

    def _check(self, name: str) -> None:
        record = self._core.volumes.find(name)
        if record is None:
            raise errors.NotFound(f"volume '{name}' does not exist")
        records.refuse_later(record, f"volume '{name}'")
        if record["options"]:
            raise errors.Unsupported(
                "driver_opts",
                f"cannot take a snapshot of volume '{name}': it has driver_opts, so its data is elsewhere",
                hint="leave it out",
            )

    @contextlib.contextmanager
    def _quiet(self, wish: Wish, freeze: Collection[str]) -> Iterator[None]:
        """Freeze containers for the block; a kill leaves a note, for the next command to let them go on."""
        directory = state.make_directory(f"{self._store.directory}/{FROZEN}")
        note = f"{directory}/{os.urandom(6).hex()}"
        with locking.locked(note, removes=True):
            records.write_frozen(f"{note}.json", {"containers": list(freeze)})
            try:
                _each(freeze, self._containers.pause)
                self._check_quiet(wish, freeze)
                yield
            finally:
                _each(freeze, self._thaw)
                files.remove_file(f"{note}.json")

    def _check_quiet(self, wish: Wish, frozen: Collection[str]) -> None:
        """Raise Conflict where somebody runs who could write meanwhile: started since it was looked."""
        wanted = {part["source"] for part in wish.parts if part["kind"] == VOLUME}
        layers = {part["source"] for part in wish.parts if part["kind"] == LAYER}
        for meta in self._core.metas():
            id = meta["id"]
            uses = id in layers or any(mount.get("name") in wanted for mount in meta["mounts"])
            if uses and id not in frozen and self._core.is_active(id) and not self._is_paused(id):
                raise errors.Conflict(
                    f"cannot take the snapshot: container '{meta['name']}' is running", hint="try again"
                )

    def _is_paused(self, id: str) -> bool:
        return (records.state(self._core.paths.container(id)) or {}).get("status") == "paused"

    def _thaw(self, id: str) -> None:
        with contextlib.suppress(errors.NotFound):  # it has been removed meanwhile
            if self._is_paused(id):
                self._containers.unpause(id)

    # -------------------------------------------------------------- placed

    def place(self, id: str, project: str, targets: Sequence[tuple[int, str]]) -> str:
        """Replace the data of volumes and containers that do not run; return the way: see `placing`."""
        snapshot = self._store.by_id(id)
        records.refuse_later(snapshot, f"snapshot '{snapshot['name']}'")
        active = self._containers.volumes_in_use()
        for part, target in targets:
            if snapshot["parts"][part]["kind"] == VOLUME:
                self._check(target)
                if target in active:
                    raise errors.Conflict(f"volume '{target}' is in use", hint="stop its containers first")
            elif self._core.is_active(target) or self._core.is_prepared(target):
                raise errors.Conflict(f"container '{target[:12]}' is running", hint="stop it first")
        try:
            way = self._placer.place(snapshot, project, targets)
        finally:
            self._remove_doomed()
        self._store.sweep()
        return way

    def _remove_doomed(self) -> None:
        """Remove the files of old data beside what goes on; `Engine.close` waits for it."""
        doomed = list(self._placer.doomed)
        if doomed:
            self._placer.doomed.clear()
            thread = threading.Thread(target=_remove, args=(doomed,))
            thread.start()
            self._core.aftermath.removals.append(thread)

    def way(self) -> str:
        """Return how data comes back from a snapshot here: ``reflink``, ``overlay`` or ``copy``."""
        return way_here(state.make_directory(self._store.directory))

    def finish(self, volumes: Collection[str] | None = None) -> None:
        """Finish what commands that were killed began; see `Placer.finish`."""
        if not os.path.isdir(self._store.directory):
            return
        try:
            self._placer.finish(volumes)
        finally:
            self._remove_doomed()
        if volumes is None:
            self._thaw_forgotten()
            self._store.sweep()

    def _thaw_forgotten(self) -> None:
        directory = f"{self._store.directory}/{FROZEN}"
        for name in state.list_directory(directory):
            note, is_record, _ = name.partition(".json")
            if not is_record:
                continue
            with locking.trying(f"{directory}/{note}", removes=True) as is_free:
                if is_free:
                    record = records.frozen(f"{directory}/{name}")
                    _each(record["containers"] if record is not None else (), self._thaw)
                    files.remove_file(f"{directory}/{name}")

    def sweep(self) -> None:
        """Remove the files of snapshots that were kept for volumes which are gone now."""
        self._store.sweep()

    # -------------------------------------------------------------- removed

    def remove(self, id: str) -> list[str]:
        """Remove a snapshot; return the volumes for which its files are kept.

        A restore that a kill interrupted is finished first: so these are all volumes that lie over it.
        """
        self.finish()
        return self._store.remove(id)


def _remove(paths: list[str]) -> None:
    for path in paths:
        trees.remove_tree(path)


def _each(ids: Collection[str], act: Callable[[str], Any]) -> None:
    """Do something to containers at the same time. Raises the first failure, when all have ended."""
    from concurrent.futures import ThreadPoolExecutor

    if len(ids) < 2:
        for id in ids:
            act(id)
        return
    with ThreadPoolExecutor(min(len(ids), 16)) as pool:
        for done in [pool.submit(act, id) for id in ids]:
            done.result()
