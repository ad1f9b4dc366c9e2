"""What is inside containers, and what they use: files, processes, counters, the disk, images made of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from composer.errors import NotFound
from composer.runtime.base import records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from composer.runtime.base.record_types import ProbeRecord
    from composer.runtime.engine.containers import Containers
    from composer.runtime.engine.core import Core
    from composer.runtime.images import Image
    from composer.runtime.objects import specs
    from composer.runtime.objects.housekeeping import DiskUse
    from composer.runtime.objects.inside import PathStat
    from composer.runtime.objects.usage import Counters, Processes, Usage


class Inspection:
    """Reads: nothing of a container changes."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def configuration(self, id: str) -> dict[str, Any]:
        """Return a container's OCI configuration. Raises NotFound."""
        found = records.config(self._core.bundle(id))
        if found is None:
            raise NotFound(f"no such container: {id}")
        return found

    def probes(self, id: str) -> list[ProbeRecord]:
        """Return the last runs of a container's health check, oldest first."""
        record = records.health(self._core.bundle(id))
        return record["probes"] if record is not None else []

    def stat_path(self, id: str, path: str) -> PathStat:
        from composer.runtime.objects import inside

        return inside.stat_path(self._core.bundle(id), path)

    def read_path(self, id: str, path: str) -> tuple[PathStat, Iterator[bytes]]:
        from composer.runtime.objects import inside

        return inside.read_path(self._core.bundle(id), path)

    def export(self, id: str) -> Iterator[bytes]:
        from composer.runtime.objects.committing import OwnFiles

        return OwnFiles(self._core.bundle(id))

    def changes(self, id: str) -> list[tuple[int, str]]:
        """Return what of a container's files is not as in its image: 0 changed, 1 added, 2 deleted, sorted by path.

        Raises NotFound.
        """
        from composer.runtime.engine import changes

        id, _ = self._core.meta(id)
        return changes.changes(self._core.config(id))

    def info(self) -> dict[str, Any]:
        """Return facts of this machine and of what there is here, under the names of Docker's API."""
        from composer.runtime.engine import machine

        return machine.info(self._core)

    def disk_use(self) -> DiskUse:
        from composer.runtime.objects import housekeeping

        core = self._core
        return housekeeping.disk_use(core.paths, core.store.images(), list(core.metas()), core.volumes)

    def processes(self, id: str) -> Processes:
        """Return the processes of a running container. Raises Conflict where it does not run."""
        from composer.errors import Conflict
        from composer.runtime.objects import usage

        id, meta = self._core.meta(id)
        if self._core.pid(id) is None:
            raise Conflict(f"container '{meta['name']}' is not running")
        return usage.processes(usage.cgroup_of(self._config(id), id))

    def usage(self, id: str) -> Usage | None:
        """Return what a container uses now; None where it does not run."""
        from composer.runtime.objects import usage

        id, _ = self._core.meta(id)
        pid = self._core.pid(id)
        return None if pid is None else usage.usage(usage.cgroup_of(self._config(id), id), pid)

    def counters(self, id: str) -> Counters | None:
        """Return all counters of a container; None where it does not run."""
        from composer.runtime.objects import usage

        id, _ = self._core.meta(id)
        pid = self._core.pid(id)
        return None if pid is None else usage.counters(usage.cgroup_of(self._config(id), id), pid)

    def _config(self, id: str) -> Mapping[str, Any]:
        return records.config(self._core.paths.container(id)) or {"linux": {}, "composer": {}}


class Handling:
    """Writes into containers, and makes images of them."""

    def __init__(self, core: Core, containers: Containers) -> None:
        self._core, self._containers = core, containers

    def write_path(self, id: str, path: str, archive: Iterable[bytes], *, to_user: bool = False) -> None:
        from composer.runtime.objects import inside

        id, meta = self._core.meta(id)
        inside.write_path(
            self._core.paths.container(id), self._core.config(id), path, archive, to_user=to_user
        )
        self._core.emit(meta, "container", "extract-to-dir", id)

    def commit(self, id: str, spec: specs.Commit) -> Image:
        """Make an image of a container's own files over its image's."""
        from composer.runtime.objects import committing

        id, meta = self._core.meta(id)
        config = self._core.config(id)
        pauses = spec.pause and self._core.look(meta, {}).status == "running"
        with self._containers.paused(id) if pauses else contextlib.nullcontext():
            made = committing.commit(self._core.store, config, meta, spec)
        self._core.emit(meta, "container", "commit", id)
        return made
