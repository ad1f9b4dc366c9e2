"""The file system of a container: overlay, mounts, devices, masks, and the pivot into it.

Runs in the container's first process, in its own mount namespace, before anything of the container runs. Every
destination is resolved inside the root by descriptor (openat2 RESOLVE_IN_ROOT) and mounted through
``/proc/self/fd``, so that a symlink of an image or a volume cannot lead outside; host paths are opened before.
Order and rules: OCI runtime-spec, config-linux; CVE-2019-19921, 2021-30465, 2025-31133, 2025-52881, 2026-41579.
"""

from __future__ import annotations

import errno
import os
import stat

from composer import sysctls
from composer.backends.namespace.runtime import cgroups, syscalls, volumes

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
_PROC_ALLOWED = frozenset(
    "/proc/" + name
    for name in (
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
)
_MAX_MOUNT_DATA = 3900  # mount(2) takes one page of options

DEVICES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))
_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
)


class MountFailed(Exception):
    """A mount cannot be made; the text says which and why."""


def by_fd(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


def mount_root(path: str, overlay: Mapping[str, Any] | None) -> int:
    """Mount the container's root at ``path`` and return a descriptor of it.

    ``overlay``: ``lower`` (directories, topmost first), ``upper``, ``work``. Without one, ``path`` is the root as
    it stands and is bound onto itself, for pivot_root wants a mount point.
    """
    syscalls.mount(None, "/", None, syscalls.MS_SLAVE | syscalls.MS_REC)
    if overlay is None:
        syscalls.mount(path, path, None, syscalls.MS_BIND | syscalls.MS_REC)
    else:
        _mount_overlay(path, overlay)
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _mount_overlay(path: str, overlay: Mapping[str, Any]) -> None:
    lower = overlay["lower"]
    data = f"lowerdir={':'.join(escape(directory) for directory in lower)}"
    if "upper" in overlay:
        data += f",upperdir={escape(overlay['upper'])},workdir={escape(overlay['work'])}"
    if len(data) < _MAX_MOUNT_DATA:
        syscalls.mount("overlay", path, "overlay", 0, data)
        return
    options = [("lowerdir+", directory) for directory in lower]
    if "upper" in overlay:
        options += [("upperdir", overlay["upper"]), ("workdir", overlay["work"])]
    fd = syscalls.overlay_mount(options)
    try:
        syscalls.move_mount(fd, path)
    finally:
        os.close(fd)


def escape(path: str) -> str:
    """Return a path as overlayfs wants it among its options."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def apply_mounts(
    root: int, mounts: Sequence[Mapping[str, Any]], cgroup: cgroups.Cgroup, *, proc: int = -1
) -> None:
    """Make the mounts of an OCI configuration, in their order.

    ``proc`` is a detached procfs, for a container whose pid namespace is not that of this process.
    """
    late_readonly = []
    for entry in mounts:
        try:
            _apply_mount(root, entry, cgroup, proc)
        except (OSError, MountFailed) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            what = entry.get("source") or entry["type"]
            raise MountFailed(f"cannot mount {what} at {entry['destination']}: {reason}") from error
        if entry["type"] == "tmpfs" and "ro" in entry.get("options", ()):
            late_readonly.append(entry["destination"])
    # A read-only tmpfs is filled first (devices, mount points inside it), then closed.
    for destination in late_readonly:
        fd = syscalls.openat2(root, destination, os.O_PATH)
        _remount(fd, syscalls.MS_RDONLY)
        os.close(fd)


def _apply_mount(root: int, entry: Mapping[str, Any], cgroup: cgroups.Cgroup, proc: int) -> None:
    destination = os.path.normpath("/" + entry["destination"])
    flags, propagation, data = split_options(entry.get("options", ()))
    kind = entry["type"]
    if destination == "/":
        raise MountFailed("the root of a container cannot be mounted over")
    if flags & syscalls.MS_BIND:
        _mount_bind(root, destination, entry, flags, propagation)
        return
    if destination.startswith("/proc/") and destination not in _PROC_ALLOWED:
        raise MountFailed("mounts inside /proc are not allowed")
    if kind in ("proc", "sysfs", "mqueue") or destination == "/dev":
        # A symlink here (an image's /proc -> /tmp) would make later writes to it go astray.
        target = make_directory(root, destination, resolve=syscalls.RESOLVE_NO_SYMLINKS)
    else:
        is_new = kind == "tmpfs" and not _exists(root, destination)
        target = make_directory(root, destination)
        if is_new:
            data = f"{data},mode=1777" if data and "mode=" not in data else data or "mode=1777"
    try:
        if kind == "cgroup":
            _mount_cgroup(root, destination, target, flags, cgroup)
        elif kind == "tmpfs":
            _mount_tmpfs(root, destination, target, flags, data, entry)
        elif kind == "proc" and proc >= 0:
            syscalls.move_mount(proc, target)
            _remount(proc, flags)
        else:
            syscalls.mount(entry.get("source") or kind, by_fd(target), kind, flags, data)
    finally:
        os.close(target)


def _exists(root: int, path: str) -> bool:
    try:
        os.close(syscalls.openat2(root, path, os.O_PATH))
    except OSError:
        return False
    return True


def split_options(options: Sequence[str]) -> tuple[int, int, str]:
    """Split OCI mount options into (flags, propagation, data for the file system)."""
    flags = propagation = 0
    data = []
    for option in options:
        if option in _FLAGS:
            flags |= _FLAGS[option]
        elif option in _PROPAGATION:
            propagation |= _PROPAGATION[option]
        elif option not in _NOTHING and option not in ("tmpcopyup", "copyup", "create", "rro"):
            data.append(option)
    return flags, propagation, ",".join(data)


def _mount_tmpfs(
    root: int, destination: str, target: int, flags: int, data: str, entry: Mapping[str, Any]
) -> None:
    if "mode=" not in data:
        # Docker's rule: a tmpfs has the mode of the directory that it hides.
        mode = stat.S_IMODE(os.fstat(target).st_mode)
        data = f"{data},mode={mode:o}" if data else f"mode={mode:o}"
    copy = "tmpcopyup" in entry.get("options", ())
    below = os.open(by_fd(target), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if copy else -1
    syscalls.mount(
        entry.get("source") or "tmpfs", by_fd(target), "tmpfs", flags & ~syscalls.MS_RDONLY, data or None
    )
    if copy:
        above = syscalls.openat2(root, destination, os.O_RDONLY | os.O_DIRECTORY)
        volumes.copy_tree(below, above)
        os.close(below)
        os.close(above)


def _mount_bind(root: int, destination: str, entry: Mapping[str, Any], flags: int, propagation: int) -> None:
    if propagation & syscalls.MS_SHARED:
        if "tree" in entry:
            _mount_shared(root, destination, entry, flags)
            return
        propagation = syscalls.MS_SLAVE | syscalls.MS_REC  # nobody runs here who could mount anything
    source = _open_source(entry)
    options = entry.get("options", ())
    try:
        if stat.S_ISDIR(os.fstat(source).st_mode):
            is_filled = "copyup" in options and _exists(root, destination)
            target = make_directory(root, destination)
            if is_filled:
                volumes.copy_up(target, by_fd(source))
        else:
            target = make_file(root, destination)
        in_proc = destination == "/proc" or destination.startswith("/proc/")
        if in_proc and destination not in _PROC_ALLOWED and not _is_procfs(source):
            raise MountFailed("bind mounts inside /proc are not allowed")
        syscalls.mount(by_fd(source), by_fd(target), None, flags & (syscalls.MS_BIND | syscalls.MS_REC))
        os.close(target)
    finally:
        os.close(source)
    mounted = syscalls.openat2(root, destination, os.O_PATH)
    try:
        wanted = flags & ~(syscalls.MS_BIND | syscalls.MS_REC)
        if wanted:
            _remount(mounted, wanted)
        if "rro" in options:
            _make_readonly(mounted)
        syscalls.mount(None, by_fd(mounted), None, propagation or syscalls.MS_PRIVATE | syscalls.MS_REC)
    finally:
        os.close(mounted)
        if "layers" in entry:
            syscalls.umount(entry["source"], syscalls.MNT_DETACH)


def _make_readonly(mounted: int) -> None:
    """Make a mount read-only with all below it; before Linux 5.12 that is the mount itself."""
    try:
        syscalls.make_readonly_tree(mounted)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        _remount(mounted, syscalls.MS_RDONLY)


def open_shared(mounts: Sequence[Mapping[str, Any]]) -> None:
    """Take copies of what is to be shared with the host, while this mount namespace still shares it.

    Each goes into its entry as ``tree``: to be called before `mount_root`, which ends all sharing.
    """
    for entry in mounts:
        if not {"shared", "rshared"}.isdisjoint(entry.get("options", ())):
            source = os.open(entry["source"], os.O_PATH | os.O_CLOEXEC)
            try:
                entry["tree"] = syscalls.clone_tree(source, recursive="rbind" in entry["options"])  # type: ignore[index]
            finally:
                os.close(source)


def _mount_shared(root: int, destination: str, entry: Mapping[str, Any], flags: int) -> None:
    """Attach the copy that `open_shared` took: what is mounted below it, on either side, is seen by both."""
    tree = entry["tree"]
    is_directory = stat.S_ISDIR(os.fstat(tree).st_mode)
    target = make_directory(root, destination) if is_directory else make_file(root, destination)
    try:
        syscalls.move_mount(tree, target)
        wanted = flags & ~(syscalls.MS_BIND | syscalls.MS_REC)
        if wanted:
            _remount(tree, wanted)
        if "rro" in entry["options"]:
            _make_readonly(tree)
    finally:
        os.close(target)
        os.close(tree)


def _open_source(entry: Mapping[str, Any]) -> int:
    """Open what is to be bound; a ``subpath`` cannot lead out of its volume, whatever has been put there.

    ``layers`` are an image's, topmost first: they are put together at the source, in this mount namespace only.
    """
    if "layers" in entry:
        _mount_overlay(entry["source"], {"lower": entry["layers"]})
    source = os.open(entry["source"], os.O_PATH | os.O_CLOEXEC)
    if "subpath" not in entry:
        return source
    try:
        return syscalls.openat2(source, entry["subpath"], os.O_PATH, resolve=syscalls.RESOLVE_BENEATH)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise MountFailed(f"'{entry['subpath']}' leads out of the volume") from error
        raise MountFailed(f"'{entry['subpath']}' of the volume: {os.strerror(error.errno or 0)}") from error
    finally:
        os.close(source)


def _is_procfs(fd: int) -> bool:
    # statfs has no f_type in Python; a procfs is on a device of its own and has self/ in it.
    try:
        os.stat("self/ns", dir_fd=fd)
    except OSError:
        return False
    return True


def _remount(fd: int, flags: int) -> None:
    """Add ``flags`` to a mount, keeping those that the kernel has locked on it."""
    state = os.statvfs(fd)
    kept = 0
    for bit, flag in (
        (os.ST_NOSUID, syscalls.MS_NOSUID),
        (os.ST_NODEV, syscalls.MS_NODEV),
        (os.ST_NOEXEC, syscalls.MS_NOEXEC),
        (os.ST_RDONLY, syscalls.MS_RDONLY),
        (os.ST_NOATIME, syscalls.MS_NOATIME),
        (os.ST_RELATIME, syscalls.MS_RELATIME),
    ):
        if state.f_flag & bit:
            kept |= flag
    syscalls.mount(None, by_fd(fd), None, syscalls.MS_REMOUNT | syscalls.MS_BIND | flags | kept)


def _mount_cgroup(root: int, destination: str, target: int, flags: int, cgroup: cgroups.Cgroup) -> None:
    """Show the container its own cgroups, read-only unless it is privileged."""
    if not cgroup.paths:
        syscalls.mount("cgroup", by_fd(target), "cgroup2", flags)
        return
    tmpfs_flags = flags & ~syscalls.MS_RDONLY
    syscalls.mount("tmpfs", by_fd(target), "tmpfs", tmpfs_flags, "mode=755")
    inside = syscalls.openat2(root, destination, os.O_PATH | os.O_DIRECTORY)
    grouped: dict[str, list[str]] = {}
    for controller, base in cgroup.paths.items():
        grouped.setdefault(base, []).append(controller)
    kinds = [("cgroup", ",".join(controllers)) for controllers in grouped.values()]
    if cgroup.v2:
        kinds.append(("cgroup2", "unified"))
    try:
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
            _remount(inside, syscalls.MS_RDONLY)
    finally:
        os.close(inside)


def make_directory(
    root: int, path: str, *, mode: int = 0o755, resolve: int = 0, owner: tuple[int, int] | None = None
) -> int:
    """Open a directory of the container, making what is missing; the descriptor is O_PATH."""
    flags = os.O_PATH | os.O_DIRECTORY
    try:
        return syscalls.openat2(root, path, flags, resolve=syscalls.RESOLVE_IN_ROOT | resolve)
    except FileNotFoundError:
        pass  # made below, one level after the other
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise MountFailed("it is not a plain directory in the image") from error
        raise
    parent_path, name = os.path.split(path.rstrip("/"))
    parent = make_directory(root, parent_path or "/", mode=mode, resolve=resolve, owner=owner)
    try:
        os.mkdir(name, mode, dir_fd=parent)
        if owner:
            os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
    except FileExistsError:
        pass  # a dangling symlink (refused by the open that follows), or made in the same moment
    finally:
        os.close(parent)
    try:
        return syscalls.openat2(root, path, flags, resolve=syscalls.RESOLVE_IN_ROOT | resolve)
    except FileNotFoundError as error:
        raise MountFailed("it is a symlink to nowhere in the image") from error


def make_file(root: int, path: str) -> int:
    """Open a file of the container as a mount point, making an empty one where there is none."""
    try:
        return syscalls.openat2(root, path, os.O_PATH)
    except FileNotFoundError:
        pass  # made below
    parent_path, name = os.path.split(path)
    parent = make_directory(root, parent_path)
    try:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=parent)
        os.close(fd)
    finally:
        os.close(parent)
    return syscalls.openat2(root, path, os.O_PATH)


def make_devices(root: int, devices: Sequence[Mapping[str, Any]]) -> None:
    """Make the device nodes and links of /dev. ``devices`` is OCI's `linux.devices`, beyond the usual six."""
    dev = syscalls.openat2(root, "/dev", os.O_PATH | os.O_DIRECTORY, resolve=syscalls.RESOLVE_IN_ROOT)
    try:
        for name, major, minor in DEVICES:
            _make_device(dev, name, stat.S_IFCHR, os.makedev(major, minor), 0o666)
        for name, target in _LINKS:
            if name == "core" and not os.path.exists(target):
                continue  # a kernel without it
            try:
                os.unlink(name, dir_fd=dev)
            except FileNotFoundError:
                pass  # a fresh tmpfs
            os.symlink(target, name, dir_fd=dev)
    finally:
        os.close(dev)
    for device in devices:
        kind = (
            stat.S_IFBLK if device["type"] == "b" else stat.S_IFIFO if device["type"] == "p" else stat.S_IFCHR
        )
        parent_path, name = os.path.split(os.path.normpath("/" + device["path"]))
        parent = make_directory(root, parent_path)
        try:
            number = os.makedev(device.get("major", 0), device.get("minor", 0))
            _make_device(parent, name, kind, number, device.get("fileMode", 0o660))
            os.chown(name, device.get("uid", 0), device.get("gid", 0), dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(parent)


def _make_device(parent: int, name: str, kind: int, number: int, mode: int) -> None:
    # The exact mode at once: a chmod afterwards follows a symlink that somebody put in the place of the node.
    umask = os.umask(0)
    try:
        os.mknod(name, kind | mode, number, dir_fd=parent)
    except FileExistsError:
        os.unlink(name, dir_fd=parent)
        os.mknod(name, kind | mode, number, dir_fd=parent)
    finally:
        os.umask(umask)
    made = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_IFMT(made.st_mode) != kind or made.st_rdev != number:
        raise MountFailed(f"/dev/{name} was replaced while it was made")


def open_null(root: int) -> int:
    """Open the container's /dev/null, and make sure that it is one (CVE-2025-31133)."""
    fd = syscalls.openat2(root, "/dev/null", os.O_RDWR | os.O_NOFOLLOW)
    state = os.fstat(fd)
    if not stat.S_ISCHR(state.st_mode) or state.st_rdev != os.makedev(1, 3):
        os.close(fd)
        raise MountFailed("/dev/null of the container is not the null device")
    return fd


def mask_paths(root: int, masked: Sequence[str], readonly: Sequence[str]) -> None:
    """Hide ``masked`` (files behind /dev/null, directories behind an empty tmpfs), protect ``readonly``."""
    null = open_null(root)
    empty = -1
    try:
        for path in masked:
            target = _open_existing(root, path)
            if target < 0:
                continue
            if not stat.S_ISDIR(os.fstat(target).st_mode):
                syscalls.mount(by_fd(null), by_fd(target), None, syscalls.MS_BIND)
            elif empty < 0:
                syscalls.mount("tmpfs", by_fd(target), "tmpfs", syscalls.MS_RDONLY, "nr_blocks=1,nr_inodes=1")
                empty = syscalls.openat2(root, path, os.O_PATH)
            else:
                syscalls.mount(by_fd(empty), by_fd(target), None, syscalls.MS_BIND)
            os.close(target)
        for path in readonly:
            target = _open_existing(root, path)
            if target < 0:
                continue
            syscalls.mount(by_fd(target), by_fd(target), None, syscalls.MS_BIND | syscalls.MS_REC)
            mounted = syscalls.openat2(root, path, os.O_PATH)
            _remount(mounted, syscalls.MS_RDONLY)
            os.close(mounted)
            os.close(target)
    finally:
        os.close(null)
        if empty >= 0:
            os.close(empty)


def _open_existing(root: int, path: str) -> int:
    try:
        return syscalls.openat2(root, path, os.O_PATH)
    except (FileNotFoundError, NotADirectoryError):
        return -1


def set_sysctls(wanted: Mapping[str, str], shared: Mapping[str, str]) -> None:
    """Write sysctls of our own namespaces. Raises MountFailed for one that is not: ``shared`` says what is not ours."""
    for name, value in wanted.items():
        fault = sysctls.find_fault(name, shared)
        if fault:
            raise MountFailed(f"cannot set sysctl {name}: {fault[0]}")
        write_sysctl(name.split("."), value)


def write_sysctl(parts: Sequence[str], value: str) -> None:
    """Write one sysctl through the host's procfs, which no image can have replaced (CVE-2025-52881)."""
    name = ".".join(parts)
    try:
        base = os.open("/proc/sys", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if any(part in ("", ".", "..") or "/" in part for part in parts) or not syscalls.is_procfs(base):
                raise MountFailed(f"cannot set sysctl {name}: there is no such setting")
            beneath = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_XDEV
            fd = syscalls.openat2(base, "/".join(parts), os.O_WRONLY, resolve=beneath)
        finally:
            os.close(base)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise MountFailed(f"cannot set sysctl {name} to {value}: {error.strerror}") from error


def pivot(root: int, *, readonly: bool) -> None:
    """Make ``root`` the root of this process's mount namespace, and let go of the old one."""
    if readonly:
        _remount(root, syscalls.MS_RDONLY)
    old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fchdir(root)
    syscalls.pivot_root(".", ".")
    os.fchdir(old)
    # Unmounting must not reach the host, whatever the old root's propagation is.
    syscalls.mount(None, ".", None, syscalls.MS_SLAVE | syscalls.MS_REC)
    syscalls.umount(".", syscalls.MNT_DETACH)
    os.chdir("/")
    os.close(old)
