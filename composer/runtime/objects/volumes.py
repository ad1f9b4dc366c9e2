"""Volumes as objects of the host: a directory with data in it, and what it is for."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from composer import errors
from composer.runtime.base import records, state
from composer.runtime.objects import naming

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.runtime.base.record_types import Meta, VolumeRecord
    from composer.runtime.objects import specs
    from composer.runtime.objects.filesystems import Filesystem

_ATTEMPTS = 20


class Volumes:
    """The volumes of one state directory."""

    def __init__(self, paths: state.Paths) -> None:
        self._paths = paths

    def all(self) -> Iterator[VolumeRecord]:
        for name in state.list_directory(self._paths.volumes()):
            record = self.find(name)
            if record is not None:
                yield record

    def find(self, name: str) -> VolumeRecord | None:
        return records.volume(f"{self._paths.volumes()}/{name}")

    def create(self, spec: specs.Volume) -> str:
        """Make a volume, or return the one that has this name."""
        from composer.runtime.objects import filesystems

        filesystems.check(spec.name, spec.options)
        naming.check_name(spec.name, "volume")
        for _ in range(_ATTEMPTS):
            if self.find(spec.name) is not None:
                return spec.name
            with contextlib.suppress(
                FileExistsError
            ):  # made by another in this moment, who may remove it again
                self._make(spec)
                return spec.name
        raise errors.Conflict(
            f"cannot create volume '{spec.name}': it already exists, but its file volume.json is damaged",
            hint="recreate the file with composer doctor --repair; the data is kept",
        )

    def _make(self, spec: specs.Volume) -> None:
        """Make a volume. Raises FileExistsError."""
        from composer.runtime.base import making

        state.make_directory(self._paths.volumes())
        record: VolumeRecord = {
            "name": spec.name,
            "labels": dict(spec.labels),
            "project": spec.owner,
            "event": dict(spec.event),
            "driver": "local",
            "created_ns": time.time_ns(),
            "options": dict(spec.options),
        }
        with making.making(f"{self._paths.volumes()}/{spec.name}") as temporary:
            os.mkdir(f"{temporary}/_data")
            os.chmod(f"{temporary}/_data", 0o755)  # whatever the user's umask
            os.chmod(temporary, 0o701)
            records.write_volume(temporary, record)

    def create_anonymous(self, labels: Mapping[str, str]) -> str:
        """Make a volume that goes with its container."""
        from composer.runtime.objects import specs

        return self.create(specs.Volume(os.urandom(32).hex(), {records.ANONYMOUS: "", **labels}))

    def data(self, name: str) -> str:
        """Return the directory to mount. Raises NotFound."""
        filesystem = self.filesystem(name)
        return str(filesystem.device) if filesystem.is_bind else f"{self._paths.volumes()}/{name}/_data"

    def filesystem(self, name: str) -> Filesystem:
        """Return what a volume's data is on. Raises NotFound."""
        from composer.runtime.objects import filesystems

        record = self.find(name)
        if record is None:
            raise errors.NotFound(f"volume '{name}' does not exist")
        return filesystems.of(self._paths, record)

    def own_data(self, record: VolumeRecord) -> str:
        """Return the directory of what a volume takes of the disk."""
        from composer.runtime.objects import filesystems

        return filesystems.own_data(self._paths, record)

    def remove(self, name: str) -> None:
        """Remove a volume and its data. Raises Conflict, naming who, while a container has it."""
        record = self.find(name)
        if record is None:
            return
        records.refuse_later(record, f"volume '{name}'")
        users = [*(meta["name"] for meta in self._users(name)), *self._unknown_users()]
        if users:
            raise errors.Conflict(
                f"volume '{name}' is in use by {', '.join(sorted(users))}",
                hint="remove these containers first",
            )
        from composer.runtime.base import trees
        from composer.runtime.objects import filesystems

        directory = f"{self._paths.volumes()}/{name}"
        try:
            with filesystems.removing(name, directory, filesystems.of(self._paths, record)):
                trees.put_away(directory)
        except errors.NotFound:
            return  # somebody else removed it, which is what was wanted

    def _unknown_users(self) -> Iterator[str]:
        """Yield the containers that run and of which nobody knows what they use: their records are damaged."""
        from composer.runtime.objects import usage

        for id in state.list_directory(self._paths.containers()):
            if records.meta(self._paths.container(id)) is None and usage.processes_by_name(self._paths, id):
                yield f"{id[:12]}, whose records are damaged (repair them with composer doctor --repair)"

    def _users(self, name: str) -> Iterator[Meta]:
        for id in state.list_directory(self._paths.containers()):
            meta = records.meta(self._paths.container(id))
            if meta is not None and any(mount.get("name") == name for mount in meta["mounts"]):
                yield meta
