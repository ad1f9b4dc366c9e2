"""Snapshots as users have them: taken of volumes and containers, put into them, removed."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.runtime.base import files, locking, records, state, trees
from composer.runtime.engine.containers import volumes_of
from composer.runtime.snapshots import holding
from composer.runtime.snapshots.placing import Placer, way_here
from composer.runtime.snapshots.store import FROZEN, VOLUME
from composer.runtime.snapshots.store import Snapshots as Store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from composer.runtime.base.record_types import Meta, SnapshotRecord
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
        """Freeze containers for the block, and hold back the starts of others that have the data; see `holding`.

        A kill leaves a note, for the next command to let them go on. Raises Conflict, also after the block, where
        somebody could write meanwhile.
        """
        sources = {part["source"] for part in wish.parts}
        directory = state.make_directory(f"{self._store.directory}/{FROZEN}")
        note = f"{directory}/{os.urandom(6).hex()}"
        with locking.locked(note, removes=True):
            records.write_frozen(f"{note}.json", {"containers": list(freeze), "sources": sorted(sources)})
            try:
                self._await_starts(sources)
                _each(freeze, self._containers.pause)
                before = self._quiet_users(sources)
                yield
                self._check_same(before, self._quiet_users(sources))
            finally:
                _each(freeze, self._thaw)
                files.remove_file(f"{note}.json")

    def _users(self, names: Collection[str]) -> list[Meta]:
        """Return the containers that are among these, or have one of these volumes."""
        return [meta for meta in self._core.metas() if not names_of(meta).isdisjoint(names)]

    def _await_starts(self, names: Collection[str]) -> None:
        holding.await_starts(self._core.paths.container(meta["id"]) for meta in self._users(names))

    def _quiet_users(self, names: Collection[str]) -> dict[str, int]:
        """Return who has this data, with the time of its last start. Raises Conflict where one could write."""
        found = {}
        for meta in self._users(names):
            id = meta["id"]
            if self._core.is_active(id) and not self._is_paused(id):
                raise errors.Conflict(
                    f"cannot take the snapshot: container '{meta['name']}' is running", hint="try again"
                )
            found[id] = (records.state(self._core.paths.container(id)) or {}).get("started_ns", 0)
        return found

    def _check_same(self, before: dict[str, int], after: dict[str, int]) -> None:
        """Raise Conflict where a container has run meanwhile: a supervisor starts some by itself, after a reboot."""
        for id, started_ns in after.items():
            if started_ns != before.get(id, 0):
                raise errors.Conflict(
                    f"cannot take the snapshot: container '{id[:12]}' has run meanwhile", hint="try again"
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
        volumes = {target for part, target in targets if snapshot["parts"][part]["kind"] == VOLUME}
        layers = {target for _, target in targets} - volumes
        for name in sorted(volumes):
            self._check(name)
        try:
            way = self._placer.place(snapshot, project, targets, lambda: self._await_idle(volumes, layers))
        finally:
            self._remove_doomed()
        self._store.sweep()
        return way

    def _await_idle(self, volumes: set[str], layers: set[str]) -> None:
        """Wait for the starts that are under way. Raises Conflict where one has some of these.

        Before that it is looked, too: a start may begin with that of a supervisor, which waits for us on behalf of
        containers that it finds active.
        """
        self._check_idle(volumes, layers)
        self._await_starts(volumes | layers)
        self._check_idle(volumes, layers)

    def _check_idle(self, volumes: set[str], layers: set[str]) -> None:
        """Raise Conflict where a container is active, or prepared, that has some of these."""
        for name in sorted(volumes & self._containers.volumes_in_use()):
            raise errors.Conflict(f"volume '{name}' is in use", hint="stop its containers first")
        for id in sorted(layers):
            if self._core.is_active(id) or self._core.is_prepared(id):
                raise errors.Conflict(f"container '{id[:12]}' is running", hint="stop it first")

    # -------------------------------------------------------------- held back

    @contextlib.contextmanager
    def starting(self, meta: Meta) -> Iterator[None]:
        """Wait until nobody copies or replaces a container's data, and keep others from it for the block."""
        names = names_of(meta)
        while True:
            with holding.starting(self._core.paths.container(meta["id"])):
                if not self._placer.is_placing(names) and not self._notes_on(names):
                    yield
                    return
            self.finish(names)
            for note in self._notes_on(names):
                with locking.locked(note, removes=True):
                    self._let_go(note)

    def _notes_on(self, names: Collection[str]) -> list[str]:
        """Return the notes of those who copy some of this data, or were killed while they did."""
        found = []
        for note in self._notes():
            record = records.frozen(f"{note}.json")
            if record is not None and not set(record["sources"]).isdisjoint(names):
                found.append(note)
        return found

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
        for note in self._notes():
            with locking.trying(note, removes=True) as is_free:
                if is_free:
                    self._let_go(note)

    def _notes(self) -> list[str]:
        directory = f"{self._store.directory}/{FROZEN}"
        names = state.list_directory(directory)
        return [f"{directory}/{name.removesuffix('.json')}" for name in names if name.endswith(".json")]

    def _let_go(self, note: str) -> None:
        """With its lock in hand: let go on what a save has frozen that was killed."""
        record = records.frozen(f"{note}.json")
        _each(record["containers"] if record is not None else (), self._thaw)
        files.remove_file(f"{note}.json")

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


def names_of(meta: Meta) -> set[str]:
    """Return what a container writes to: its volumes, and itself for its layers."""
    return {meta["id"], *volumes_of(meta)}


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
