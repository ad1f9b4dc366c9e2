"""The inside of the memory backend's containers: what was copied in, by absolute path, without an image below it.

Each has one process, which has used what `Behaviour.usage` says."""

from __future__ import annotations

import io
import posixpath
import stat
from typing import TYPE_CHECKING, Any

from composer.backends.memory_parts import Part
from composer.engine.inspected import (
    Change,
    ContainerUse,
    DiskUse,
    ImageUse,
    PathStat,
    Processes,
    Usage,
    VolumeUse,
)
from composer.engine.observed import ContainerState
from composer.errors import Conflict, CopyFailed, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from composer.backends.memory_parts import Behaviour, Container
    from composer.engine.observed import ObservedImage, ObservedVolume

_THERE = ("/", "/tmp", "/etc", "/srv", "/data")
"""The directories that every container has."""
_MAX_LINKS = 10


class Files(Part):
    """The part of `MemoryBackend` that is about files in containers."""

    def images(self) -> Sequence[ObservedImage]:
        raise NotImplementedError

    def volumes(self) -> Sequence[ObservedVolume]:
        raise NotImplementedError

    def _behaviour(self, container: Container) -> Behaviour:
        raise NotImplementedError

    def processes(self, id: str) -> Processes:
        with self.changed:
            container = self._find(id)
            if container.seen.state not in (ContainerState.RUNNING, ContainerState.PAUSED):
                raise Conflict(f"container '{container.seen.name}' is not running")
            row = ("root", "1", "0", "0", "00:00", "?", "00:00:00", " ".join(container.seen.command))
            return Processes(("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"), (row,))

    def usage(self, id: str) -> Usage | None:
        with self.changed:
            container = self._find(id)
            if container.seen.state not in (ContainerState.RUNNING, ContainerState.PAUSED):
                return None
            samples = self._behaviour(container).usage
            container.samples += 1
            return samples[min(container.samples, len(samples)) - 1]

    def system_info(self) -> Mapping[str, Any]:
        with self.changed:
            states = [container.seen.state for container in self.by_id.values()]
        return {
            "Containers": len(states),
            "ContainersRunning": states.count(ContainerState.RUNNING),
            "ContainersPaused": states.count(ContainerState.PAUSED),
            "Images": len(self.images()),
            "Name": "memory",
        }

    def disk_use(self) -> DiskUse:
        with self.changed:
            seen = [c.seen for c in self.by_id.values()]
            images = {image.id: image for image in self.images()}.values()
            return DiskUse(
                tuple(
                    ImageUse(
                        i.id, i.references, i.created, i.size_bytes, 0, sum(c.image_id == i.id for c in seen)
                    )
                    for i in images
                ),
                tuple(
                    ContainerUse(
                        c.seen,
                        sum(len(data) for _, data in c.files.values()),
                        sum(m.type == "volume" for m in c.seen.mounts),
                    )
                    for c in self.by_id.values()
                ),
                tuple(
                    VolumeUse(v.name, 0, sum(m.name == v.name for c in seen for m in c.mounts))
                    for v in self.volumes()
                ),
                layers_bytes=sum(image.size_bytes for image in images),
            )

    def changes(self, id: str) -> Sequence[Change]:
        with self.changed:
            found = dict.fromkeys(self._find(id).files, 1)
        for path in list(found):
            while (path := posixpath.dirname(path)) not in ("/", ""):
                found.setdefault(path, 0)
        return [Change(kind, path) for path, kind in sorted(found.items())]

    def export_container(self, id: str) -> Iterator[bytes]:
        return self.read_path(id, "/")[1]

    def stat_path(self, id: str, path: str) -> PathStat:
        with self.changed:
            container = self._find(id)
            asks_directory = path.endswith("/") or posixpath.basename(path) == "."
            real = _real(container, path, follow=asks_directory)
            mode = _mode(container, real)
            if mode is None or (asks_directory and not stat.S_ISDIR(mode)):
                raise NotFound(f"no such file or directory in the container: {path}")
            name = posixpath.basename(path.rstrip("/")) or "."
            size = len(container.files[real][1]) if real in container.files else 0
            target = _real(container, real, follow=True) if stat.S_ISLNK(mode) else ""
            return PathStat(name, size, mode, target)

    def read_path(self, id: str, path: str) -> tuple[PathStat, Iterator[bytes]]:
        import copy
        import tarfile

        found = self.stat_path(id, path)
        with self.changed:
            container = self._find(id)
            real = _real(container, path, follow=stat.S_ISDIR(found.mode))
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
                if stat.S_ISDIR(found.mode) and real not in container.files:
                    top = tarfile.TarInfo(found.name)
                    top.type, top.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(top)
                for name, (info, data) in sorted(container.files.items()):
                    if name == real or name.startswith(f"{real.rstrip('/')}/"):
                        shown = copy.copy(info)
                        shown.name = f"{found.name}{name[len(real.rstrip('/')) :]}"
                        archive.addfile(shown, io.BytesIO(data))
        return found, iter([buffer.getvalue()])

    def write_path(self, id: str, path: str, archive: Iterable[bytes], *, to_user: bool = False) -> None:
        import tarfile

        if not stat.S_ISDIR(self.stat_path(id, _real(self._find(id), path, follow=True)).mode):
            raise CopyFailed(f"'{path}' in the container is not a directory")
        with self.changed:
            container = self._find(id)
            self._called("write_path", container.seen.name)
            top = _real(container, path, follow=True)
            with tarfile.open(fileobj=io.BytesIO(b"".join(archive)), mode="r:*") as reader:
                for info in reader:
                    target = posixpath.normpath(f"{top}/{info.name}").replace("//", "/")
                    if target != top:
                        _put(container, target, info, reader, to_user=to_user)

    def empty_path(self, id: str, path: str) -> None:
        with self.changed:
            container = self._find(id)
            self._called("empty_path", container.seen.name)
            top = _real(container, path, follow=True)
            for name in [name for name in container.files if name.startswith(f"{top}/")]:
                del container.files[name]


def _put(container: Container, target: str, info: object, reader: object, *, to_user: bool) -> None:
    import tarfile

    assert isinstance(info, tarfile.TarInfo) and isinstance(reader, tarfile.TarFile)
    mode = _mode(container, target)
    if mode is not None and stat.S_ISDIR(mode) != info.isdir():
        raise CopyFailed(f"cannot overwrite '{target}': only one of the two is a directory")
    contents = reader.extractfile(info) if info.isreg() else None
    if to_user:
        user, _, group = str(container.spec.attributes.get("user") or "0").partition(":")
        info.uid, info.gid = int(user), int(group or 0)
    container.files[target] = (info, contents.read() if contents else b"")


def _mode(container: Container, path: str) -> int | None:
    """Return st_mode; None where there is nothing."""
    if path in container.files:
        info, _ = container.files[path]
        kind = stat.S_IFDIR if info.isdir() else stat.S_IFLNK if info.issym() else stat.S_IFREG
        return kind | info.mode
    return stat.S_IFDIR | 0o755 if path in _THERE else None


def _real(container: Container, path: str, *, follow: bool) -> str:
    """Return a clean path, its last part followed where that is a link."""
    clean = posixpath.normpath(f"/{path}").replace("//", "/")
    for _ in range(_MAX_LINKS):
        found = container.files.get(clean)
        if not follow or found is None or not found[0].issym():
            return clean
        clean = posixpath.normpath(posixpath.join(posixpath.dirname(clean), found[0].linkname))
    raise CopyFailed(f"cannot follow '{path}' in the container: too many levels of symbolic links")
