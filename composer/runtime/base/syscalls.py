"""The Linux calls that Python 3.11 does not have, by ctypes.

One thin function per call: arguments in, OSError out. Structures and numbers are from the kernel's uapi headers
and the man pages named beside them. Everything goes through PyDLL, which keeps the interpreter's lock: the
callers are single-threaded, and `clone` must not return to Python without it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

# The processor decides some numbers; those above 400 are the same everywhere.
_MACHINE = os.uname().machine
SYS = {
    "clone": {"x86_64": 56, "aarch64": 220}.get(_MACHINE, 220),
    "pivot_root": {"x86_64": 155, "aarch64": 41}.get(_MACHINE, 41),
    "keyctl": {"x86_64": 250, "aarch64": 219}.get(_MACHINE, 219),
    "setgroups": {"x86_64": 116, "aarch64": 159}.get(_MACHINE, 159),
    "rt_sigaction": {"x86_64": 13, "aarch64": 134}.get(_MACHINE, 134),
    "seccomp": {"x86_64": 317, "aarch64": 277}.get(_MACHINE, 277),
    "renameat2": {"x86_64": 316, "aarch64": 276}.get(_MACHINE, 276),
    "pidfd_send_signal": 424,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "move_mount": 429,
    "open_tree": 428,
    "pidfd_open": 434,
    "clone3": 435,
    "close_range": 436,
    "openat2": 437,
    "mount_setattr": 442,
}

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_PIDFD = 0x00001000
CLONE_PARENT = 0x00008000
CLONE_PARENT_SETTID = 0x00100000
CLONE_INTO_CGROUP = 0x200000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_SYNCHRONOUS = 16
MS_REMOUNT = 32
MS_DIRSYNC = 128
MS_NOATIME = 1024
MS_NODIRATIME = 2048
MS_BIND = 4096
MS_REC = 16384
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_RELATIME = 1 << 21
MS_STRICTATIME = 1 << 24
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_NAME = 15
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

PROC_SUPER_MAGIC = 0x9FA0
DEVPTS_SUPER_MAGIC = 0x1CD1

P_PIDFD = 3
TIOCGPTPEER = 0x5441
TIOCSPTLCK = 0x40045431
SPLICE_F_MOVE = 1
SPLICE_F_NONBLOCK = 2
F_SETPIPE_SZ = 1031

FIRST_PROCESS = "composer-init"
"""The name of a container's first process until it executes the program."""

libc = ctypes.PyDLL(None, use_errno=True)
_syscall = libc.syscall
_syscall.restype = ctypes.c_long


def _check(result: int, what: str, path: str | bytes | None = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        shown = path.decode("utf-8", "replace") if isinstance(path, bytes) else path
        raise OSError(number, f"{what}: {os.strerror(number)}", shown)
    return result


def clone(flags: int, *, cgroup_fd: int | None = None) -> tuple[int, int]:
    """Fork into new namespaces; return (pid, pidfd), and (0, -1) in the child. clone3(2).

    Unlike `os.fork` it runs no at-fork handlers: the caller has one thread, and its child ends in execve or
    `os._exit`. With ``cgroup_fd`` the child is born in that cgroup (v2).
    """
    pidfd = ctypes.c_int(-1)
    flags |= CLONE_PIDFD | (CLONE_INTO_CGROUP if cgroup_fd is not None else 0)
    fields = [flags, ctypes.addressof(pidfd), 0, 0, 17, 0, 0, 0, 0, 0, cgroup_fd or 0]  # 17 is SIGCHLD
    arguments = ctypes.create_string_buffer(struct.pack("=11Q", *fields))
    pid = _check(_syscall(SYS["clone3"], arguments, ctypes.c_size_t(88)), "clone3")
    return pid, pidfd.value


def clone_sibling(number: ctypes.c_int) -> int:
    """Fork a process whose parent is the caller's own; return its number, and 0 in it. clone(2) with CLONE_PARENT.

    The kernel writes its number into ``number`` before it runs: whoever shares that memory knows of it even when the
    caller is killed in this moment. Not clone3, which Docker's seccomp profile refuses: the caller may have a
    container's filter already.
    """
    nothing = ctypes.c_ulong(0)
    flags = ctypes.c_ulong(CLONE_PARENT | CLONE_PARENT_SETTID | 17)  # SIGCHLD
    place = ctypes.c_void_p(ctypes.addressof(number))
    return _check(_syscall(SYS["clone"], flags, nothing, place, nothing, nothing), "clone")


def has_time_namespaces() -> bool:
    """Tell whether the kernel has time namespaces (Linux 5.6, when it was built with them)."""
    return os.path.exists("/proc/self/ns/time_for_children")


def number_of(pidfd: int) -> int:
    """Return the number of a process in this pid namespace. Raises ProcessLookupError when it has ended."""
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="utf-8") as file:
        number = next(int(line.split()[1]) for line in file if line.startswith("Pid:"))
    if number <= 0:
        raise ProcessLookupError(errno.ESRCH, "the process has ended")
    return number


def open_root_of(pidfd: int) -> int:
    """Return the root directory of a process (O_PATH), from outside of its mount namespace."""
    fd = os.open(f"/proc/{number_of(pidfd)}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        pidfd_send_signal(pidfd, 0)  # it is still there, and so its number was not somebody else's
    except BaseException:
        os.close(fd)
        raise
    return fd


def unshare(flags: int) -> None:
    _check(libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(fd: int, flags: int) -> None:
    _check(libc.setns(ctypes.c_int(fd), ctypes.c_int(flags)), "setns")


def mount(source: str | None, target: str, fstype: str | None, flags: int, data: str | None = None) -> None:
    """mount(2). Paths may be ``/proc/self/fd/N``, which pins what was looked up before."""
    encode = os.fsencode
    _check(
        libc.mount(
            encode(source) if source is not None else None,
            encode(target),
            encode(fstype) if fstype else None,
            ctypes.c_ulong(flags),
            encode(data) if data else None,
        ),
        f"mount {fstype or source or ''}",
        target,
    )


def umount(target: str, flags: int = 0) -> None:
    _check(libc.umount2(os.fsencode(target), ctypes.c_int(flags)), "umount", target)


def pivot_root(new: str, old: str) -> None:
    _check(_syscall(SYS["pivot_root"], os.fsencode(new), os.fsencode(old)), "pivot_root", new)


def openat2(
    directory_fd: int, path: str, flags: int, *, mode: int = 0, resolve: int = RESOLVE_IN_ROOT
) -> int:
    """Open ``path`` with ``directory_fd`` as the root of the look-up. openat2(2).

    RESOLVE_IN_ROOT makes absolute paths, ``..`` and symlinks stay inside; magic links of /proc are refused.
    EAGAIN (a rename raced with ``..``) is tried again.
    """
    flags |= os.O_CLOEXEC
    if flags & os.O_PATH:
        flags &= os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW
    how = ctypes.create_string_buffer(struct.pack("=3Q", flags, mode, resolve | RESOLVE_NO_MAGICLINKS))
    for _ in range(64):
        fd = _syscall(SYS["openat2"], ctypes.c_int(directory_fd), os.fsencode(path), how, ctypes.c_size_t(24))
        if fd >= 0 or ctypes.get_errno() != errno.EAGAIN:
            break
    return _check(int(fd), "open", path)


def prctl(option: int, value: int = 0) -> None:
    zero = ctypes.c_ulong(0)
    _check(libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero), f"prctl {option}")


def set_process_name(name: str) -> None:
    """Set the short name (comm), at most 15 bytes."""
    _check(libc.prctl(PR_SET_NAME, name.encode()[:15] + b"\0", 0, 0, 0), "prctl name")


def punch_hole(fd: int, end: int) -> None:
    """fallocate(2): give back what a file has up to ``end``, which reads as zeros from then on. Its size stays."""
    flags = ctypes.c_int(0x01 | 0x02)  # keep size, punch hole
    _check(libc.fallocate(ctypes.c_int(fd), flags, ctypes.c_int64(0), ctypes.c_int64(end)), "fallocate")


def close_range(first: int, last: int = 0xFFFFFFFF, flags: int = 0) -> None:
    """close_range(2); flag 4 marks the descriptors close-on-exec instead of closing them."""
    _check(
        _syscall(SYS["close_range"], ctypes.c_uint(first), ctypes.c_uint(last), ctypes.c_uint(flags)),
        "close_range",
    )


def close_all_but(keep: Collection[int]) -> None:
    """Close every descriptor of this process that is not in ``keep``."""
    first = 0
    for fd in sorted(keep):
        if fd > first:
            close_range(first, fd - 1)
        first = fd + 1
    close_range(first)


def pidfd_send_signal(pidfd: int, number: int) -> None:
    _check(_syscall(SYS["pidfd_send_signal"], pidfd, number, None, 0), "pidfd_send_signal")


def pidfd_exit_status(pidfd: int) -> int | None:
    """Return the wait status of a process that has been reaped, from any holder of its pidfd; None if not yet.

    ioctl PIDFD_GET_INFO with PIDFD_INFO_EXIT, Linux 6.15. Raises OSError (ENOTTY, EINVAL) on older kernels.
    """
    # struct pidfd_info: u64 mask, u64 cgroupid, 12 × u32 (pid … fsgid), s32 exit_code
    size = 64
    buffer = bytearray(struct.pack("=Q", 0x8).ljust(size, b"\0"))
    request = (3 << 30) | (size << 16) | (0xFF << 8) | 11
    try:
        fcntl.ioctl(pidfd, request, buffer)
    except ProcessLookupError:
        return None
    (mask,) = struct.unpack_from("=Q", buffer)
    return struct.unpack_from("=i", buffer, 60)[0] if mask & 0x8 else None


def splice(source: int, target: int, offset: int, length: int) -> int:
    """Move up to ``length`` bytes from a pipe to ``offset`` of a file inside the kernel; 0 when it is empty."""
    position = ctypes.c_longlong(offset)
    flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK
    moved = libc.splice(source, None, target, ctypes.byref(position), ctypes.c_size_t(length), flags)
    if moved < 0 and ctypes.get_errno() == errno.EAGAIN:
        return 0
    return _check(moved, "splice")


libc.splice.restype = ctypes.c_ssize_t


def set_thread_groups(groups: Collection[int]) -> None:
    """Set the supplementary groups of this thread alone: the C library's call waits for all others. setgroups(2)."""
    numbers = (ctypes.c_uint * len(groups))(*groups)
    _check(_syscall(SYS["setgroups"], ctypes.c_size_t(len(groups)), numbers), "setgroups")


def syncfs(fd: int) -> None:
    """Write everything of a file system to the disk: one call, where an fsync for each file takes minutes."""
    # not by `libc`: it takes long, and other threads go on meanwhile
    _check(ctypes.CDLL(None, use_errno=True).syncfs(ctypes.c_int(fd)), "syncfs")


def exchange(one: str, other: str) -> None:
    """Let two names change places in one step (renameat2, RENAME_EXCHANGE)."""
    here = ctypes.c_int(-100)  # AT_FDCWD
    _check(_syscall(SYS["renameat2"], here, os.fsencode(one), here, os.fsencode(other), 2), "renameat2", one)


def sethostname(name: str) -> None:
    data = name.encode()
    _check(libc.sethostname(data, ctypes.c_size_t(len(data))), "sethostname", name)


def setdomainname(name: str) -> None:
    data = name.encode()
    _check(libc.setdomainname(data, ctypes.c_size_t(len(data))), "setdomainname", name)


def join_session_keyring(name: str) -> None:
    """Give the process a session keyring of its own: keyctl(KEYCTL_JOIN_SESSION_KEYRING)."""
    _check(_syscall(SYS["keyctl"], 1, name.encode(), 0, 0, 0), "keyctl")


def overlay_mount(options: list[tuple[str, str]], flags: int = 0) -> int:
    """Return a detached overlayfs mount (fsopen, fsconfig, fsmount), for long lists of layers. Linux 6.5."""
    fs = _check(_syscall(SYS["fsopen"], b"overlay", 1), "fsopen overlay")
    try:
        for key, value in options:
            _check(
                _syscall(SYS["fsconfig"], fs, 1, key.encode(), os.fsencode(value), 0), f"overlay {key}", value
            )
        _check(_syscall(SYS["fsconfig"], fs, 6, None, None, 0), "overlay create")
        return _check(_syscall(SYS["fsmount"], fs, 1, flags), "fsmount overlay")
    finally:
        os.close(fs)


def new_mount(fstype: str, source: str, flags: int, data: str) -> int:
    """Return a new file system as a detached mount (fsopen, fsconfig, fsmount); arguments as of `mount`."""
    fs = _check(_syscall(SYS["fsopen"], fstype.encode(), 1), f"fsopen {fstype}")
    try:
        for option in ("source=" + source, *_options(data)):
            key, equals, value = option.partition("=")
            # FSCONFIG_SET_STRING and FSCONFIG_SET_FLAG
            arguments = (1, key.encode(), os.fsencode(value), 0) if equals else (0, key.encode(), None, 0)
            _check(_syscall(SYS["fsconfig"], fs, *arguments), f"option '{option}'")
        # of the file system itself too, as mount(2) has it
        for flag, name in ((MS_RDONLY, b"ro"), (MS_SYNCHRONOUS, b"sync"), (MS_DIRSYNC, b"dirsync")):
            if flags & flag:
                _check(_syscall(SYS["fsconfig"], fs, 0, name, None, 0), name.decode())
        _check(_syscall(SYS["fsconfig"], fs, 6, None, None, 0), f"mount {fstype}")
        attributes = sum(attribute for flag, attribute in _ATTRIBUTES if flags & flag)
        return _check(_syscall(SYS["fsmount"], fs, 1, attributes), f"mount {fstype}")
    finally:
        os.close(fs)


def _options(data: str) -> list[str]:
    """Split options at commas; what begins with a digit goes on with the one before (``mpol=bind:0,2``)."""
    found: list[str] = []
    for word in filter(None, data.split(",")):
        if found and word[0].isdigit():
            found[-1] += f",{word}"
        else:
            found.append(word)
    return found


# mount(2)'s flags as fsmount(2)'s attributes
_ATTRIBUTES = (
    (MS_RDONLY, 0x1),
    (MS_NOSUID, 0x2),
    (MS_NODEV, 0x4),
    (MS_NOEXEC, 0x8),
    (MS_NOATIME, 0x10),
    (MS_STRICTATIME, 0x20),
    (MS_NODIRATIME, 0x80),
)


def move_mount(mount_fd: int, target: str | int) -> None:
    """Attach a detached mount at ``target``, a path or a descriptor. move_mount(2)."""
    to_fd, path = (ctypes.c_int(target), b"") if isinstance(target, int) else (ctypes.c_int(-100), target)
    # MOVE_MOUNT_F_EMPTY_PATH; with a descriptor MOVE_MOUNT_T_EMPTY_PATH
    flags = 4 | (0x40 if isinstance(target, int) else 0)
    _check(
        _syscall(SYS["move_mount"], ctypes.c_int(mount_fd), b"", to_fd, os.fsencode(path), flags),
        "move_mount",
        path or None,
    )


def clone_tree(fd: int, *, recursive: bool = False) -> int:
    """Return a detached copy of the mount that ``fd`` is in, from there down. open_tree(2)."""
    # OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH
    flags = 1 | os.O_CLOEXEC | 0x1000 | (0x8000 if recursive else 0)
    return _check(_syscall(SYS["open_tree"], ctypes.c_int(fd), b"", flags), "open_tree")


def filesystem_type(fd: int) -> int:
    """Return the magic number of the file system that an open file is on. fstatfs(2)."""
    buffer = ctypes.create_string_buffer(256)
    _check(libc.fstatfs(ctypes.c_int(fd), buffer), "fstatfs")
    return int.from_bytes(buffer.raw[: ctypes.sizeof(ctypes.c_long)], "little")


def inotify_init() -> int:
    return _check(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "inotify_init")


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    return _check(
        libc.inotify_add_watch(fd, os.fsencode(path), ctypes.c_uint32(mask)), "inotify_add_watch", path
    )


def inotify_rm_watch(fd: int, number: int) -> None:
    """Watch a directory no more; one that has gone meanwhile is not watched any more."""
    libc.inotify_rm_watch(fd, number)


def set_title(title: str) -> None:
    """Show ``title`` in the process list by writing over the argument vector, which execve sized."""
    with open("/proc/self/stat", encoding="latin-1") as file:
        fields = file.read().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # proc(5): arg_start (48), arg_end (49)
    room = end - start
    if room <= 1:
        return
    data = title.encode(errors="surrogateescape")[: room - 1].ljust(room, b"\0")
    ctypes.memmove(start, data, room)


def memfd(name: str, data: bytes) -> int:
    """Return a sealed, unchangeable file in memory that holds ``data``, kept across execve."""
    fd = os.memfd_create(name, os.MFD_ALLOW_SEALING)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    fcntl.fcntl(
        fd,
        fcntl.F_ADD_SEALS,
        fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE,
    )
    return fd


def unignore(number: int) -> None:
    """Reset a signal that is ignored, also one of the two that the C library keeps to itself. rt_sigaction(2)."""
    action = ctypes.create_string_buffer(64)
    _check(_syscall(SYS["rt_sigaction"], number, None, action, ctypes.c_size_t(8)), "rt_sigaction")
    if int.from_bytes(action.raw[:8], "little") == 1:  # SIG_IGN
        ctypes.memset(action, 0, 64)
        _check(_syscall(SYS["rt_sigaction"], number, action, None, ctypes.c_size_t(8)), "rt_sigaction")


def make_readonly_tree(fd: int) -> None:
    """Make a mount and all that are below it read-only. mount_setattr(2), Linux 5.12."""
    attributes = struct.pack("=4Q", 1, 0, 0, 0)  # attr_set MOUNT_ATTR_RDONLY
    flags = 0x8000 | 0x1000  # AT_RECURSIVE | AT_EMPTY_PATH
    _check(
        _syscall(SYS["mount_setattr"], ctypes.c_int(fd), b"", flags, attributes, ctypes.c_size_t(32)),
        "mount_setattr",
    )


def retry_interrupted(call: Callable[[], int]) -> int:
    """Call again while it is interrupted: raw calls do not have PEP 475's loop."""
    while True:
        try:
            return call()
        except InterruptedError:
            continue
