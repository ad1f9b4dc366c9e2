"""Volumes that are a file system of their own: ``driver_opts`` of Docker's local driver, ``type``, ``device``, ``o``.

    type: none, o: bind, device: DIR      the directory itself is mounted into containers; nothing happens here
    type: tmpfs | nfs | ext4 | …          mounted on the volume's ``_data`` while a container that has it is active
    restored from a snapshot              an overlay over the snapshot's files, mounted in the same way

Such a mount is the host's, so that all containers, of all projects, share it. Who starts a container makes it and
holds a shared lock on the volume's directory until the supervisor has taken over; who finds nobody that uses it
takes it away, with the exclusive lock in hand. What a killed command left mounted goes with the next one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import TYPE_CHECKING, NamedTuple

from composer import errors
from composer.runtime.base import records, state, trees

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from composer.runtime.base.record_types import OverRecord, VolumeRecord

_KNOWN = ("type", "device", "o")
_NETWORKED = ("nfs", "nfs4", "cifs", "smb3")


class Filesystem(NamedTuple):
    """``device`` is None for a plain volume; ``options`` are mount(8)'s words."""

    kind: str = ""
    device: str | None = None
    options: tuple[str, ...] = ()

    @property
    def is_bind(self) -> bool:
        return "bind" in self.options or "rbind" in self.options

    @property
    def is_mounted(self) -> bool:
        """Tell whether it has to be mounted on the volume's own directory."""
        return self.device is not None and not self.is_bind

    @property
    def is_read_only(self) -> bool:
        return "ro" in self.options


def parse(options: Mapping[str, str]) -> Filesystem:
    """Read the ``driver_opts`` of a volume that there is."""
    words = tuple(word for word in options.get("o", "").split(",") if word)
    return Filesystem(options.get("type", ""), options.get("device"), words)


def of(paths: state.Paths, record: VolumeRecord) -> Filesystem:
    """Return what a volume's data is on."""
    over = record.get("over")
    return parse(record["options"]) if over is None else _overlay(paths, record["name"], over)


def own_data(paths: state.Paths, record: VolumeRecord) -> str:
    """Return the directory of what a volume takes itself: of one over a snapshot, what has changed since."""
    filesystem = of(paths, record)
    if "over" in record:
        return f"{over_directory(paths, record['name'], record['over']['generation'])}/upper"
    return str(filesystem.device) if filesystem.is_bind else f"{paths.volumes()}/{record['name']}/_data"


def over_directory(paths: state.Paths, name: str, generation: str) -> str:
    """Return where a volume has its own part of an overlay."""
    return f"{paths.volumes()}/{name}/over/{generation}"


def _overlay(paths: state.Paths, name: str, over: OverRecord) -> Filesystem:
    from composer.runtime.container.rootfs import escape

    own = over_directory(paths, name, over["generation"])
    lower = f"{paths.snapshots()}/{over['snapshot']}/{over['part']}"
    directories = {"lowerdir": lower, "upperdir": f"{own}/upper", "workdir": f"{own}/work"}
    return Filesystem(
        "overlay", "overlay", tuple(f"{key}={escape(path)}" for key, path in directories.items())
    )


def check(name: str, options: Mapping[str, object]) -> None:
    """Raise Unsupported for the ``driver_opts`` that Docker's local driver refuses too."""
    for key in options:
        if key == "size":
            reason, hint = "quotas are not supported", "set the size of a tmpfs with o: size=64m"
        elif key not in _KNOWN:
            reason, hint = f"unknown option '{key}' of driver local", "use type, device and o"
        else:
            continue
        raise errors.Unsupported("driver_opts", f"cannot create volume '{name}': {reason}", hint=hint)
    for key in ("type", "device") if options else ():
        if key not in options:
            raise errors.Unsupported(
                "driver_opts",
                f"cannot create volume '{name}': '{key}' is required in driver_opts",
                hint="set type: none, device: DIRECTORY and o: bind; or type: tmpfs and device: tmpfs",
            )


class Filesystems:
    """The mounts on the volumes of one state directory."""

    def __init__(self, paths: state.Paths) -> None:
        self._paths = paths

    def _of(self, name: str) -> Filesystem | None:
        """Return what a volume is on; None where there is no such volume."""
        record = records.volume(f"{self._paths.volumes()}/{name}")
        return of(self._paths, record) if record is not None else None

    @contextlib.contextmanager
    def mounted(self, names: Iterable[str]) -> Iterator[None]:
        """Mount what of these volumes is not mounted; within the block nobody takes it away."""
        held: list[int] = []
        try:
            for name in names:
                filesystem = self._of(name)
                if filesystem is not None and filesystem.is_mounted:
                    fd = self._hold(name)
                    held.append(fd)
            yield
        finally:
            for fd in held:
                os.close(fd)

    def _hold(self, name: str) -> int:
        directory = f"{self._paths.volumes()}/{name}"
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            while True:
                fcntl.flock(fd, fcntl.LOCK_SH)
                if not os.path.exists(directory) or not os.path.samestat(os.fstat(fd), os.stat(directory)):
                    raise errors.NotFound(
                        f"volume '{name}' has just been removed", hint="run the command again"
                    )
                if trees.is_mount_point(f"{directory}/_data"):
                    return fd
                # Changing a lock lets go of it for a moment: look again with each of the two.
                fcntl.flock(fd, fcntl.LOCK_EX)
                filesystem = self._of(name)  # it may have been restored meanwhile
                if filesystem is None or not filesystem.is_mounted:
                    return fd
                if not trees.is_mount_point(f"{directory}/_data"):
                    mount(name, filesystem, f"{directory}/_data")
        except BaseException:
            os.close(fd)
            raise

    def release(self, used: Callable[[], Collection[str]]) -> None:
        """Take away the mounts that no active container has; ``used`` names the volumes that one has."""
        for name in self._mounts():
            filesystem = self._of(name)
            if filesystem is None or not filesystem.is_mounted:
                continue  # somebody's own: a disk that was mounted there to have the data on it
            directory = f"{self._paths.volumes()}/{name}"
            try:
                fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if name not in used():
                    _unmount(f"{directory}/_data")
            except BlockingIOError:
                continue  # a container that has it is just being started
            finally:
                os.close(fd)

    def _mounts(self) -> list[str]:
        """Return the volumes that have something mounted on them."""
        above = f"{os.path.realpath(self._paths.volumes())}/"
        return sorted(
            target.removeprefix(above).partition("/")[0]
            for target, _ in state.mount_points()
            if target.startswith(above) and target.endswith("/_data")
        )


def mount(name: str, filesystem: Filesystem, target: str) -> None:
    """Mount a volume's file system. Raises BackendError with what the kernel said."""
    from composer.runtime.base import syscalls
    from composer.runtime.container import mounts

    flags, _, data = mounts.split_options(filesystem.options)
    if filesystem.kind in _NETWORKED:
        data = _with_address(name, data)
    try:
        syscalls.mount(filesystem.device, target, filesystem.kind, flags, data or None)
    except OSError as error:
        if error.errno == errno.ENODEV:
            reason = f"the kernel does not support file system '{filesystem.kind}'"
        else:
            reason = (error.strerror or str(error)).lower()
        raise errors.BackendError(
            f"cannot mount volume '{name}', {filesystem.device} as {filesystem.kind}: {reason}",
            hint="correct type, device and o of its driver_opts",
        ) from error


def _with_address(name: str, data: str) -> str:
    """Put an address in the place of a server's name: the kernel resolves none, and mount(8) is not asked."""
    import socket

    words = data.split(",")
    for index, word in enumerate(words):
        key, _, host = word.partition("=")
        if key == "addr" and host:
            try:
                # As bytes: a text is encoded by a module that a helper which loads nothing more may not have.
                words[index] = f"addr={socket.getaddrinfo(os.fsencode(host), None)[0][4][0]}"
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise errors.BackendError(
                    f"cannot mount volume '{name}': cannot resolve host '{host}' ({reason})",
                    hint="correct addr in o of its driver_opts",
                ) from error
    return ",".join(words)


def _unmount(target: str) -> None:
    from composer.runtime.base import syscalls

    try:
        syscalls.umount(target)
    except OSError as error:
        # EBUSY: somebody on this machine looks into it; EINVAL: it has just gone.
        if error.errno not in (errno.EBUSY, errno.EINVAL):
            raise


@contextlib.contextmanager
def removing(name: str, directory: str, filesystem: Filesystem) -> Iterator[None]:
    """Take a volume's file system away, and keep others from mounting it again while the volume goes.

    Raises Conflict while a process of this machine is in there, or where what is mounted there is somebody's own,
    NotFound where somebody else was faster.
    """
    target = f"{directory}/_data"
    gone = errors.NotFound(f"volume '{name}' does not exist")
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise gone from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        if not trees.is_at(fd, directory):
            raise gone
        if trees.is_mount_point(target):
            if filesystem.is_mounted:
                _unmount(target)
            if trees.is_mount_point(target):
                whose = (
                    "a process has open files in"
                    if filesystem.is_mounted
                    else "another file system is mounted on"
                )
                raise errors.Conflict(
                    f"volume '{name}' is in use: {whose} {target}",
                    hint="stop it first" if filesystem.is_mounted else f"unmount it with umount {target}",
                )
        yield
    finally:
        os.close(fd)
