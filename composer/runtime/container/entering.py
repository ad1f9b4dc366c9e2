"""The way into a container that runs: from a process that nobody in there can see to the program.

    supervisor            helper, outside of the container's pid namespace        the program's process
    clone3 ─────────────► cgroups, namespaces, root, directory, stdio,
                          identity, capabilities, seccomp
                          clone(CLONE_PARENT) ──────────────────────────────────► a new session, execve
         ◄─────────────── its number (`birth.Note`), the terminal; ends
         ◄──────────────────────────────────────────────────────────────────────  end of file: it runs;  a failure

Why it takes a helper is said in `birth`. The process that is born inside has no descriptor but its standard streams
and the report's. Facts: setns(2).
"""

from __future__ import annotations

import json
import os
import stat

from composer.runtime.base import syscalls
from composer.runtime.container import birth, cgroups, console, container, process, rootfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

_NAMESPACES = (
    syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWCGROUP
    | syscalls.CLONE_NEWPID
    | (syscalls.CLONE_NEWTIME if syscalls.has_time_namespaces() else 0)
)
_MAX_REPORT_BYTES = 1 << 14


def read_report(fd: int) -> dict[str, Any] | None:
    """Return the failure that a process inside has reported, None where it runs. Raises BlockingIOError: not yet.

    Whatever the container can write there is taken for a text and a number.
    """
    data = os.read(fd, _MAX_REPORT_BYTES)
    if not data:
        return None
    try:
        found = json.loads(data)
        return {"error": str(found["error"]), "exit_code": int(found["exit_code"]) & 0xFF}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {"error": "the process inside returned an invalid report", "exit_code": 126}


class Way:
    """How a helper and the process that it lets be born answer: a note, a socket for the terminal, a report."""

    __slots__ = ("note", "report", "sync")

    def __init__(self, note: birth.Note, sync: socket.socket, report: int) -> None:
        self.note = note
        self.sync = sync
        self.report = report


def run(
    pidfd: int,
    cgroup: cgroups.Cgroup,
    spec: dict[str, Any],
    filter: bytes | None,
    stdio: Sequence[int],
    way: Way,
) -> NoReturn:
    """The helper: become what the container's processes are, and let one be born inside. Never returns.

    ``pidfd`` is the container's first process, ``spec`` OCI's `process`, ``stdio`` three descriptors, -1 for none.
    """
    try:
        identity = _enter(pidfd, cgroup, spec, stdio, way)
        environment = process.build_environment(spec.get("env", ()), identity)
        process.become(identity, spec, filter)
        is_inside = not birth.give(way.note)
    except process.ProcessFailed as error:
        way.note.fail(str(error), error.exit_code)
    except (OSError, rootfs.MountFailed) as error:
        way.note.fail(f"cannot enter the container: {error}", 126)
    except BaseException as error:
        way.note.fail(f"cannot enter the container: {type(error).__name__}: {error}", 126)
    else:
        if is_inside:
            _go_on_inside(way.report, spec, environment)
    os._exit(126)


def _enter(
    pidfd: int, cgroup: cgroups.Cgroup, spec: dict[str, Any], stdio: Sequence[int], way: Way
) -> process.Identity:
    """Leave the supervisor's descriptors, session and cgroup. Return the user to run as."""
    sync, report = way.sync.fileno(), way.report
    syscalls.close_all_but({0, 1, 2, pidfd, sync, report, *(fd for fd in stdio if fd >= 0)})
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    syscalls.set_process_name("composer-exec")
    process.reset_signals()
    os.setsid()
    container.join_keyring(cgroup.name)
    cgroup.join()
    _take_oom_score(spec)
    container.forget_imports()
    root = syscalls.open_root_of(pidfd)
    identity = process.resolve_identity(root, *process.user_of(spec["user"]))
    if spec.get("terminal"):
        terminal = console.open_console(root, identity.uid, bind=False)
        console.send_master(way.sync, terminal)
        terminal.to_stdio()
    else:
        _take_stdio(root, stdio)
    # From here on /proc is the container's, in which this process has no entry: nothing is opened through it.
    syscalls.setns(pidfd, _NAMESPACES)
    os.umask(spec["user"].get("umask", 0o022))
    process.enter_directory(spec.get("cwd", "/"), identity, create=False)
    process.set_limits(spec.get("rlimits", ()))
    syscalls.close_all_but({0, 1, 2, report})
    return identity


def _go_on_inside(report: int, spec: dict[str, Any], environment: Mapping[bytes, bytes]) -> NoReturn:
    """The process that was born inside: all that is left to do is what only it can."""
    try:
        birth.lead_session(has_terminal=bool(spec.get("terminal")))
        container.finish(report, spec["args"], environment)
    except process.ProcessFailed as error:
        os.write(report, json.dumps({"error": str(error), "exit_code": error.exit_code}).encode())
    finally:
        os._exit(126)


def _take_stdio(root: int, stdio: Sequence[int]) -> None:
    null = rootfs.open_null(root)
    for number, given in enumerate(stdio):
        os.dup2(null if given < 0 or _is_null(given) else given, number)


def _take_oom_score(spec: dict[str, Any]) -> None:
    """Set this process's oom_score_adj to the container's, so that the OOM killer treats both alike."""
    try:
        process.set_oom_score(spec.get("oomScoreAdj"))
    except PermissionError:
        pass  # it would have to be lowered: the container's start has warned of that


def _is_null(fd: int) -> bool:
    """Tell the host's null device, whose mode and owner a container could change for the whole machine."""
    state = os.fstat(fd)
    return stat.S_ISCHR(state.st_mode) and state.st_rdev == os.makedev(1, 3)
