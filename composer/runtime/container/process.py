"""Becoming the container's program: who it runs as, what it may do, where it starts, and execve.

Runs in the container's first process (or in one that has joined a container), after the file system is set up.
The user database is read by descriptor inside the root, with our own parser: NSS would load libraries of the
image (CVE-2019-14271).
"""

from __future__ import annotations

import errno
import os
import resource
import signal

from composer.runtime.base import capabilities, opening, syscalls
from composer.runtime.container import rootfs, seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MAX_DATABASE_BYTES = 4 << 20


class ProcessFailed(Exception):
    """The program cannot be executed. ``exit_code`` is Docker's: 125, 126 or 127."""

    def __init__(self, message: str, exit_code: int = 125) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Identity:
    """Who the program runs as: numbers, and the home directory that goes with them."""

    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int, gid: int, groups: Sequence[int], home: str) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = list(groups)
        self.home = home


def user_of(user: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return (user, groups) of OCI's `process.user`, whose ``name`` and ``groups`` (Docker's forms) go first."""
    if "name" in user:
        return user["name"], [str(group) for group in user.get("groups", ())]
    return f"{user.get('uid', 0)}:{user.get('gid', 0)}", [str(gid) for gid in user.get("additionalGids", ())]


def resolve_identity(root: int, user: str, extra_groups: Sequence[str] = ()) -> Identity:
    """Resolve ``user`` (``uid``, ``name``, ``uid:gid``, ``name:group``, …) as Docker does.

    Names and supplementary groups are the image's. Raises ProcessFailed when a name is not there.
    """
    passwd = _read_database(root, "/etc/passwd")
    groups = _read_database(root, "/etc/group")
    name, _, group = (user or "0").partition(":")
    entry = _find(passwd, name or "0", 7)
    if entry is not None:
        uid, gid = _number(entry[2], "user"), _number(entry[3], "group")
        home, login = entry[5], entry[0]
    elif (name or "0").isdecimal():
        uid, gid, home, login = _number(name or "0", "user"), 0, "/", ""
    else:
        raise ProcessFailed(f"unable to find user '{name}': no matching entries in passwd file")
    if group:
        gid = _resolve_group(groups, group)
        supplementary = []
    else:
        supplementary = [
            _number(g[2], "group") for g in groups if len(g) >= 4 and login and login in g[3].split(",")
        ]
    supplementary += [_resolve_group(groups, extra) for extra in extra_groups]
    # With the group itself among them it cannot be given up to get around a file's mode (CVE-2022-36109).
    return Identity(uid, gid, list(dict.fromkeys([gid, *supplementary])), home or "/")


def _read_database(root: int, path: str) -> list[list[str]]:
    try:
        fd = opening.followed(root, path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL):
            return []  # what is no file is not read: opening a device or a FIFO would do things
        raise
    try:
        data = b""
        while len(data) < _MAX_DATABASE_BYTES and (piece := os.read(fd, 1 << 16)):
            data += piece
    finally:
        os.close(fd)
    lines = data.decode("utf-8", "surrogateescape").splitlines()
    rows = [line.split(":") for line in lines if line and not line.startswith("#")]
    return [row for row in rows if len(row) >= 3 and row[2].isdecimal()]


def _find(rows: Sequence[Sequence[str]], wanted: str, fields: int) -> Sequence[str] | None:
    for row in rows:
        if len(row) >= fields and row[0] == wanted:
            return row
    for row in rows:
        if len(row) >= fields and row[2] == wanted:
            return row
    return None


def _resolve_group(groups: Sequence[Sequence[str]], wanted: str) -> int:
    row = _find(groups, wanted, 3)
    if row is not None:
        return _number(row[2], "group")
    if wanted.isdecimal():
        return _number(wanted, "group")
    raise ProcessFailed(f"unable to find group '{wanted}': no matching entries in group file")


def _number(text: str, what: str) -> int:
    # 4294967295 is -1, which setresuid takes for "leave it as it is": root.
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or int(text) > 0x7FFFFFFF:
        raise ProcessFailed(f"cannot use {what} id '{text[:20]}': must be between 0 and 2147483647")
    return int(text)


def set_limits(rlimits: Sequence[Mapping[str, Any]]) -> list[str]:
    """Apply OCI `process.rlimits`; return a warning for each that needs more privilege than we have."""
    warnings = []
    for limit in rlimits:
        kind = getattr(resource, limit["type"], None)
        if kind is None:
            warnings.append(f"ulimits: {limit['type']} is not supported by this system")
            continue
        soft, hard = (
            resource.RLIM_INFINITY if value < 0 else value for value in (limit["soft"], limit["hard"])
        )
        try:
            resource.setrlimit(kind, (soft, hard))
        except (ValueError, OSError):
            # Raising a hard limit takes CAP_SYS_RESOURCE: come as close as we may.
            ceiling = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (_lower(soft, ceiling), _lower(hard, ceiling)))
            name = limit["type"].removeprefix("RLIMIT_").lower()
            warnings.append(f"ulimits.{name}: cannot be raised above {ceiling} without CAP_SYS_RESOURCE")
    return warnings


def _lower(value: int, ceiling: int) -> int:
    if ceiling == resource.RLIM_INFINITY:
        return value
    return ceiling if value == resource.RLIM_INFINITY else min(value, ceiling)


def set_oom_score(score: int | None) -> None:
    if score is not None:
        with open("/proc/self/oom_score_adj", "w", encoding="utf-8") as file:
            file.write(str(score))


def enter_directory(path: str, identity: Identity, *, create: bool = True) -> None:
    """Change to the working directory, made when missing; refuse one that leads out of the root.

    It is looked up without magic links: ``/proc/self/fd/N/../..`` is the host's tree while our descriptors are
    open, and making what is missing there would already be an escape (CVE-2024-21626).
    """
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    directory = -1
    try:
        directory = _open_directory(root, path, create=create)
        _change_to(directory, identity)
    except rootfs.MountFailed as error:
        raise ProcessFailed(f"cannot use working directory '{path}': {error}", 126) from None
    except (FileNotFoundError, NotADirectoryError) as error:
        reason = os.strerror(error.errno or 0)
        raise ProcessFailed(f"cannot enter working directory '{path}': {reason}", 126) from None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise ProcessFailed(
            f"cannot use working directory '{path}': it resolves through a link in /proc", 126
        ) from None
    finally:
        os.close(root)
        if directory >= 0:
            os.close(directory)
    if not os.getcwd().startswith("/"):
        raise ProcessFailed("the working directory is outside the root of the container")


def _open_directory(root: int, path: str, *, create: bool) -> int:
    try:
        if create:
            return rootfs.make_directory(root, path)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES):
            raise
    return syscalls.openat2(root, path, os.O_PATH | os.O_DIRECTORY)


def _change_to(directory: int, identity: Identity) -> None:
    try:
        os.fchdir(directory)
    except PermissionError:
        # Root may be shut out of a directory that belongs to the user (NFS, a missing DAC_OVERRIDE).
        os.setegid(identity.gid)
        os.seteuid(identity.uid)
        os.fchdir(directory)
        os.seteuid(0)
        os.setegid(0)


def become(identity: Identity, process: Mapping[str, Any], filter: bytes | None) -> None:
    """Take on identity, capabilities, no_new_privs and seccomp filter, in the order that lets each succeed.

    ``process`` is OCI's: ``capabilities`` (``bounding``, ``permitted``, ``effective``) and ``noNewPrivileges``.
    Inheritable and ambient sets stay empty (CVE-2022-24769).
    """
    wanted = process.get("capabilities", {})
    keep = frozenset(wanted.get("bounding", ()))
    effective = keep if identity.uid == 0 else frozenset()
    no_new_privileges = bool(process.get("noNewPrivileges"))
    if filter is not None and not no_new_privileges:
        seccomp.install(filter)  # needs CAP_SYS_ADMIN, which goes below
    capabilities.drop_bounding(keep)
    syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)
    os.setgroups(identity.groups)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 0)
    capabilities.apply(effective)
    if no_new_privileges:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        if filter is not None:
            seccomp.install(filter)


_LIBRARYS = (32, 33)  # signal(2) refuses them; whoever started us may have had them ignored
_OURS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def forget_ignored_signals() -> None:
    """Reset what a shell or nohup had ignored when it started us: once, for every program that we start."""
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):
                pass  # 32 and 33 belong to the C library


def raise_descriptor_limit() -> None:
    """Allow as many descriptors as we may: each container takes about eight, and Docker's get many too."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def reset_signals() -> None:
    """Undo what Python and the supervisor ignore: an ignored SIGPIPE would be ignored by the program too."""
    for number in _OURS:
        signal.signal(number, signal.SIG_DFL)
    for reserved in _LIBRARYS:
        syscalls.unignore(reserved)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def build_environment(environment: Sequence[str], identity: Identity) -> dict[bytes, bytes]:
    """Turn OCI's ``K=V`` list into a mapping; HOME and PATH are there even when the image has none."""
    result: dict[bytes, bytes] = {}
    for entry in environment:
        key, _, value = entry.encode("utf-8", "surrogateescape").partition(b"=")
        result[key] = value
    result.setdefault(b"PATH", DEFAULT_PATH.encode())
    if not result.get(b"HOME"):
        result[b"HOME"] = identity.home.encode("utf-8", "surrogateescape")
    return result


def execute(arguments: Sequence[str], environment: Mapping[bytes, bytes]) -> NoReturn:
    """Replace this process by the program. Returns only by raising ProcessFailed."""
    argv = [argument.encode("utf-8", "surrogateescape") for argument in arguments]
    program = argv[0]
    failure: OSError | None = None
    for candidate in _candidates(program, environment.get(b"PATH", DEFAULT_PATH.encode())):
        try:
            os.execve(candidate, argv, dict(environment))
        except (FileNotFoundError, NotADirectoryError) as error:
            failure = failure or error
            if os.path.lexists(candidate):
                failure = error  # the file is there: its interpreter is not
        except OSError as error:
            failure = error
            if error.errno != errno.EACCES:
                break  # EACCES is tried further on: a file without the x bit must not hide a program
    name = arguments[0]
    if failure is None or isinstance(failure, FileNotFoundError | NotADirectoryError):
        if b"/" in program and os.path.exists(program):
            raise ProcessFailed(f"exec: '{name}': its interpreter or loader is not in the image", 127)
        where = "no such file or directory" if b"/" in program else "executable file not found in $PATH"
        raise ProcessFailed(f"exec: '{name}': {where}", 127)
    if failure.errno == errno.ENOEXEC:
        raise ProcessFailed(f"exec: '{name}': exec format error", 126)
    raise ProcessFailed(f"exec: '{name}': {(failure.strerror or '').lower()}", 126)


def _candidates(program: bytes, path: bytes) -> list[bytes]:
    if b"/" in program:
        return [program]
    if not program:
        return []  # a directory of the PATH is no program, and execve() takes no empty name
    return [os.path.join(directory, program) for directory in path.split(b":") if directory]
