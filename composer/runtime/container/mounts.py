"""What is mounted into a container's root: an OCI configuration's `mounts`, in their order.

Every mount is made detached (fsopen, open_tree), and attached to a place that was opened before and is looked up
no second time: whoever shares a volume may exchange directories for links meanwhile. Whether a place may be mounted
over is asked of what was opened, never of its name. What is read from the image (the content that fills a volume,
the mode of a tmpfs) is read from a copy of the root without anything mounted in it.
Rules: OCI runtime-spec, config.md#mounts; CVE-2019-19921, CVE-2021-30465, CVE-2023-27561, CVE-2026-41579.
"""

from __future__ import annotations

import errno
import os
import stat

from composer.runtime.base import syscalls
from composer.runtime.container import cgroups, copy_up, nodes, programs, rootfs
from composer.runtime.container.rootfs import MountFailed, by_fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_FLAGS = {
    "ro": syscalls.MS_RDONLY,
    "nosuid": syscalls.MS_NOSUID,
    "nodev": syscalls.MS_NODEV,
    "noexec": syscalls.MS_NOEXEC,
    "sync": syscalls.MS_SYNCHRONOUS,
    "dirsync": syscalls.MS_DIRSYNC,
    "noatime": syscalls.MS_NOATIME,
    "nodiratime": syscalls.MS_NODIRATIME,
    "relatime": syscalls.MS_RELATIME,
    "strictatime": syscalls.MS_STRICTATIME,
    "bind": syscalls.MS_BIND,
    "rbind": syscalls.MS_BIND | syscalls.MS_REC,
}
_NOTHING = frozenset({"rw", "suid", "dev", "exec", "defaults", "async", "atime"})
_OWN_WORDS = frozenset({"tmpcopyup", "copyup", "create", "rro"})
_PROPAGATION = {
    "private": syscalls.MS_PRIVATE,
    "rprivate": syscalls.MS_PRIVATE | syscalls.MS_REC,
    "slave": syscalls.MS_SLAVE,
    "rslave": syscalls.MS_SLAVE | syscalls.MS_REC,
    "shared": syscalls.MS_SHARED,
    "rshared": syscalls.MS_SHARED | syscalls.MS_REC,
    "unbindable": syscalls.MS_UNBINDABLE,
    "runbindable": syscalls.MS_UNBINDABLE | syscalls.MS_REC,
}
# What may be mounted over inside /proc: files that lxcfs and its like replace (runc's list).
_PROC_ALLOWED = (
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
)
_TMPFS_MODE = 0o1777
_PROC_ROOT_INODE = 1
_BIND = syscalls.MS_BIND | syscalls.MS_REC
_PLAIN = ("proc", "sysfs", "mqueue")
"""Kinds whose place has to be a directory of the image itself: a link would make later writes to it go astray."""


def split_options(options: Sequence[str]) -> tuple[int, int, str]:
    """Split OCI mount options into (flags, propagation, data for the file system)."""
    flags = propagation = 0
    data = []
    for option in options:
        if option in _FLAGS:
            flags |= _FLAGS[option]
        elif option in _PROPAGATION:
            propagation |= _PROPAGATION[option]
        elif option not in _NOTHING and option not in _OWN_WORDS:
            data.append(option)
    return flags, propagation, ",".join(data)


def open_shared(mounts: Sequence[Mapping[str, Any]], state: str) -> None:
    """Take copies of what is to be shared with the host, while this mount namespace still shares it.

    Each goes into its entry as ``tree``: to be called before the root is mounted, which ends all sharing.
    """
    for entry in mounts:
        if not {"shared", "rshared"}.isdisjoint(entry.get("options", ())):
            source = _open_source(entry, state)
            try:
                entry["tree"] = syscalls.clone_tree(source, recursive="rbind" in entry["options"])  # type: ignore[index]
            finally:
                os.close(source)


_A_FILE_IS_THERE = (
    "the source is a directory, but the image has a file there, or on the way there; check its path: "
    "if it did not exist on this machine, it was created as an empty directory"
)
_A_DIRECTORY_IS_THERE = "the source is a file, but the image has a directory there"


class Mounts:
    """The mounts of one container, of an OCI configuration.

    ``state`` is the runtime's own directory, which may be reached through links. ``proc`` is a detached procfs, for a
    container whose pid namespace is not that of this process.
    """

    def __init__(
        self, root: int, config: Mapping[str, Any], cgroup: cgroups.Cgroup, state: str, *, proc: int = -1
    ) -> None:
        self._root, self._cgroup, self._state, self._proc = root, cgroup, state, proc
        self._devices = nodes.Devices(config["linux"].get("devices", ()))
        self._reads_image = any(map(_reads_image, config["mounts"]))
        self._image = -1
        self.warnings: list[str] = []

    def apply(self, mounts: Sequence[Mapping[str, Any]]) -> None:
        """Make these mounts, in their order."""
        late: list[int] = []
        for entry in mounts:
            try:
                mounted = self._one(entry)
            except (OSError, MountFailed) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                what = entry.get("source") or entry["type"]
                raise MountFailed(f"cannot mount {what} at {entry['destination']}: {reason}") from error
            if entry["type"] == "tmpfs" and "ro" in entry.get("options", ()):
                late.append(mounted)
            else:
                os.close(mounted)
        # A read-only tmpfs is filled first (devices, mount points inside it), then closed.
        for mounted in late:
            rootfs.add_flags(mounted, syscalls.MS_RDONLY)
            os.close(mounted)

    def finish(self) -> None:
        """Create the devices that are not in /dev, and close the image."""
        self._devices.make_others(self._root)
        if self._image >= 0:
            os.close(self._image)
            self._image = -1

    def _one(self, entry: Mapping[str, Any]) -> int:
        """Make a mount and return it, open."""
        destination = "/" + os.path.normpath(entry["destination"]).lstrip("/")
        flags, propagation, data = split_options(entry.get("options", ()))
        if entry["type"] != "overlay":
            self._look_at_image()
        if flags & syscalls.MS_BIND:
            return self._bind(destination, entry, flags, propagation)
        kind = entry["type"]
        is_plain = kind in _PLAIN or destination == "/dev"
        resolve = syscalls.RESOLVE_NO_SYMLINKS if is_plain else 0
        there = self._in_image(destination) if kind == "tmpfs" and _reads_image(entry) else -1
        target = rootfs.make_directory(self._root, destination, resolve=resolve)
        try:
            self._check(target, kind == "proc" and destination == "/proc")
            if kind == "cgroup":
                return _mount_cgroup(target, flags, self._cgroup)
            if kind == "proc" and self._proc >= 0:
                syscalls.move_mount(self._proc, target)
                rootfs.add_flags(self._proc, flags)
                return os.dup(self._proc)
            if kind == "tmpfs":
                if there < 0 and os.fstat(target).st_dev == os.fstat(self._root).st_dev:
                    # made for this mount, in the container's own layer: the next start finds the same mode there
                    os.chmod(by_fd(target), _TMPFS_MODE)
                mounted = _mount_tmpfs(target, flags, data, entry, there)
                if destination == "/dev":
                    self._devices.make_in_dev(mounted)
                return mounted
            if kind == "overlay":
                mounted, warning = programs.mount(self._root, target, destination, entry["options"])
                self.warnings += [warning] if warning else []
                return mounted
            mounted = syscalls.new_mount(kind, entry.get("source") or kind, flags, data)
            syscalls.move_mount(mounted, target)
            return mounted
        finally:
            os.close(target)
            if there >= 0:
                os.close(there)

    # -------------------------------------------------------------- the image, as it is below all mounts

    def _look_at_image(self) -> None:
        if self._image < 0 and self._reads_image:
            # With the host's programs, which are the image's where there is none of their own.
            self._image = syscalls.clone_tree(self._root, recursive=True)

    def _in_image(self, path: str) -> int:
        """Open a directory as the image has it; -1 where it has none there."""
        try:
            return syscalls.openat2(self._image, path, os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
            return -1

    # -------------------------------------------------------------- what may be mounted over

    def _check(self, target: int, is_procfs: bool) -> None:
        """Refuse what must not be hidden: the root itself, and procfs but for the files that lxcfs replaces."""
        if os.path.samestat(os.fstat(target), os.fstat(self._root)):
            raise MountFailed("mounting over the root directory is not allowed")
        if self._is_proc(target) and not is_procfs:
            raise MountFailed("only a procfs may be mounted at /proc")
        if syscalls.filesystem_type(target) != syscalls.PROC_SUPER_MAGIC:
            return
        is_allowed = (is_procfs and self._is_proc(target)) or any(
            self._is_at(target, f"/proc/{name}") for name in _PROC_ALLOWED
        )
        if not is_allowed:
            raise MountFailed("mounts inside /proc are not allowed")

    def _is_proc(self, target: int) -> bool:
        return self._is_at(target, "/proc")

    def _is_at(self, target: int, path: str) -> bool:
        """Tell whether what is open is what a path leads to, without any link."""
        resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_SYMLINKS
        try:
            fd = syscalls.openat2(self._root, path, os.O_PATH, resolve=resolve)
        except OSError:
            return False  # there is none: a file of /proc that this kernel does not have
        try:
            return os.path.samestat(os.fstat(fd), os.fstat(target))
        finally:
            os.close(fd)

    # -------------------------------------------------------------- binds

    def _bind(self, destination: str, entry: Mapping[str, Any], flags: int, propagation: int) -> int:
        tree = int(entry.get("tree", -1))
        if tree < 0:
            if propagation & syscalls.MS_SHARED:
                propagation = syscalls.MS_SLAVE | syscalls.MS_REC  # nobody runs here who could mount anything
            tree = self._clone_source(entry, flags)
            propagation = propagation or syscalls.MS_PRIVATE | syscalls.MS_REC
        else:
            propagation = 0  # that of the copy: what is mounted below it, on either side, is seen by both
        try:
            self._attach(destination, entry, tree)
            wanted = flags & ~_BIND
            if wanted:
                rootfs.add_flags(tree, wanted)
            if "rro" in entry.get("options", ()):
                _make_readonly(tree)
            if propagation:
                syscalls.mount(None, by_fd(tree), None, propagation)
        except BaseException:
            os.close(tree)
            raise
        return tree

    def _clone_source(self, entry: Mapping[str, Any], flags: int) -> int:
        source = _open_source(entry, self._state)
        try:
            return syscalls.clone_tree(source, recursive=bool(flags & syscalls.MS_REC))
        finally:
            os.close(source)
            if "layers" in entry:
                syscalls.umount(entry["source"], syscalls.MNT_DETACH)

    def _attach(self, destination: str, entry: Mapping[str, Any], tree: int) -> None:
        is_directory = stat.S_ISDIR(os.fstat(tree).st_mode)
        there = self._in_image(destination) if is_directory and "copyup" in entry.get("options", ()) else -1
        try:
            make = rootfs.make_directory if is_directory else rootfs.make_file
            try:
                target = make(self._root, destination)
            except MountFailed as error:
                if is_directory and entry["type"] == "bind":
                    raise MountFailed(_A_FILE_IS_THERE) from error
                raise
            try:
                self._check(target, _is_procfs(tree))
                if is_directory != stat.S_ISDIR(os.fstat(target).st_mode):
                    raise MountFailed(_A_FILE_IS_THERE if is_directory else _A_DIRECTORY_IS_THERE)
                if there >= 0:
                    copy_up.copy_up(there, tree)
                syscalls.move_mount(tree, target)
            finally:
                os.close(target)
        finally:
            if there >= 0:
                os.close(there)


def _reads_image(entry: Mapping[str, Any]) -> bool:
    options = entry.get("options", ())
    is_tmpfs = entry["type"] == "tmpfs" and not any(option.startswith("mode=") for option in options)
    return is_tmpfs or not {"copyup", "tmpcopyup"}.isdisjoint(options)


def _open_source(entry: Mapping[str, Any], state: str) -> int:
    """Open what is to be bound, where no part of the way may have become a link since the container was made.

    A container that can write to a directory of the way would otherwise choose what the next start shows it. A
    ``subpath`` cannot lead out of its volume, whatever has been put there. ``layers`` are an image's, topmost first:
    they are put together at the source, in this mount namespace only; what is written goes into ``upper``. A link in an
    image leads to where it does in the image.
    """
    if "layers" in entry:
        over = {key: entry[key] for key in ("upper", "work") if key in entry}
        rootfs.mount_overlay(entry["source"], {"lower": entry["layers"], **over})
    source = _open_unlinked(entry["source"], state)
    if "subpath" not in entry:
        return source
    try:
        resolve = syscalls.RESOLVE_IN_ROOT if "layers" in entry else syscalls.RESOLVE_BENEATH
        return syscalls.openat2(source, entry["subpath"], os.O_PATH, resolve=resolve)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise MountFailed(f"subpath '{entry['subpath']}' points outside of the volume") from error
        where = "image" if "layers" in entry else "volume"
        raise MountFailed(
            f"subpath '{entry['subpath']}' of the {where}: {os.strerror(error.errno or 0).lower()}"
        ) from error
    finally:
        os.close(source)


def _open_unlinked(path: str, state: str) -> int:
    base = state if path.startswith(f"{state}/") else "/"
    top = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_SYMLINKS
    try:
        return syscalls.openat2(top, path.removeprefix(base).lstrip("/") or ".", os.O_PATH, resolve=resolve)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise MountFailed(
            "a part of this path became a symbolic link after the container was created: recreate the container"
        ) from error
    finally:
        os.close(top)


def _is_procfs(tree: int) -> bool:
    """Tell whether something is the root of a procfs, and nothing that only looks like one."""
    is_proc = syscalls.filesystem_type(tree) == syscalls.PROC_SUPER_MAGIC
    return is_proc and os.fstat(tree).st_ino == _PROC_ROOT_INODE


def _make_readonly(mounted: int) -> None:
    """Make a mount read-only with all below it; before Linux 5.12 that is the mount itself."""
    try:
        syscalls.make_readonly_tree(mounted)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        rootfs.add_flags(mounted, syscalls.MS_RDONLY)


# ------------------------------------------------------------------ file systems of the container's own


def _mount_tmpfs(target: int, flags: int, data: str, entry: Mapping[str, Any], there: int) -> int:
    """Mount a tmpfs; ``there`` is the directory that the image has in its place, or -1."""
    if "mode=" not in data:
        # Docker's rule: a tmpfs has the mode of the directory that it hides, and that of /tmp where there is none.
        mode = stat.S_IMODE(os.fstat(there).st_mode) if there >= 0 else _TMPFS_MODE
        data = f"{data},mode={mode:o}" if data else f"mode={mode:o}"
    mounted = syscalls.new_mount("tmpfs", entry.get("source") or "tmpfs", flags & ~syscalls.MS_RDONLY, data)
    syscalls.move_mount(mounted, target)
    if "tmpcopyup" in entry.get("options", ()) and there >= 0:
        above = os.open(by_fd(mounted), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        copy_up.copy_tree(there, above)
        os.close(above)
    return mounted


def _mount_cgroup(target: int, flags: int, cgroup: cgroups.Cgroup) -> int:
    """Show the container its own cgroups, read-only unless it is privileged."""
    if not cgroup.paths:
        mounted = syscalls.new_mount("cgroup2", "cgroup", flags, "")
        syscalls.move_mount(mounted, target)
        return mounted
    inside = syscalls.new_mount("tmpfs", "tmpfs", flags & ~syscalls.MS_RDONLY, "mode=755")
    syscalls.move_mount(inside, target)
    grouped: dict[str, list[str]] = {}
    for controller, base in cgroup.paths.items():
        grouped.setdefault(base, []).append(controller)
    kinds = [("cgroup", ",".join(controllers)) for controllers in grouped.values()]
    if cgroup.v2:
        kinds.append(("cgroup2", "unified"))
    for kind, name in kinds:
        shown = name.removeprefix("name=")
        os.mkdir(shown, 0o755, dir_fd=inside)
        fd = os.open(shown, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=inside)
        syscalls.mount("cgroup", by_fd(fd), kind, flags, name if kind == "cgroup" else None)
        os.close(fd)
        if "," in shown:
            for alias in shown.split(","):
                os.symlink(shown, alias, dir_fd=inside)
    if flags & syscalls.MS_RDONLY:
        rootfs.add_flags(inside, syscalls.MS_RDONLY)
    return inside
