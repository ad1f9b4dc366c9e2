"""Running more processes inside a container: `exec`, health probes, and work in its namespaces.

The supervisor enters the container's pid namespace for the moment of the clone, so that the child is a direct
child of its own; the child joins the other namespaces itself, in one setns on the container's pidfd.
"""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import stat

from composer.backends.namespace.runtime import (
    answering,
    cgroups,
    console,
    container,
    health,
    process,
    rootfs,
    sharing,
    syscalls,
    wire,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    from composer.backends.namespace.runtime.loop import Loop, Timer
    from composer.backends.namespace.runtime.supervisor import Supervisor
    from composer.backends.namespace.runtime.task import Task

_JOINED = (
    syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWCGROUP
)


class Execution:
    """One process inside a container, until it ends. ``on_started`` gets an error message or None."""

    def __init__(
        self,
        supervisor: Supervisor,
        task: Task,
        spec: dict[str, Any],
        stdio: Sequence[int],
        *,
        on_started: Callable[[dict[str, Any] | None, int], None],
        on_ended: Callable[[int], None],
    ) -> None:
        self._supervisor = supervisor
        self._on_started = on_started
        self._on_ended = on_ended
        self._console = -1
        self._started = False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        filter = None if spec.get("privileged") else supervisor.filter(task.config)
        self.pid, self.pidfd = sharing.clone(0, task.pidfd)
        if self.pid == 0:
            _run(task.pidfd, task.cgroup, spec, theirs, filter, stdio)
        theirs.close()
        self._sync = ours
        supervisor.loop.watch(ours.fileno(), lambda _: self._on_sync())
        supervisor.loop.watch(self.pidfd, lambda _: self._on_exit())

    def _on_sync(self) -> None:
        message, descriptors = wire.receive(self._sync)
        if message is None:
            self._close_sync()
            self._started = True
            self._on_started(None, self._console)
        elif "console" in message:
            self._console = descriptors[0]
        else:
            self._close_sync()
            if self._console >= 0:
                os.close(self._console)
                self._console = -1
            self._on_started(
                {"error": message["error"], "kind": "StartFailed", "exit_code": message["exit_code"]}, -1
            )

    def _close_sync(self) -> None:
        self._supervisor.loop.forget(self._sync.fileno())
        self._sync.close()

    def _on_exit(self) -> None:
        while self._sync.fileno() >= 0:
            self._on_sync()  # it is dead: what it said is there, and then the end
        self._supervisor.loop.forget(self.pidfd)
        status = self._supervisor.reap(self.pid, self.pidfd, wait=True)
        os.close(self.pidfd)
        self.pidfd = -1
        if self._started:
            code = 255 if status is None else os.waitstatus_to_exitcode(status)
            self._on_ended(code if code >= 0 else 128 - code)

    def signal(self, number: int) -> None:
        if self.pidfd >= 0:
            try:
                syscalls.pidfd_send_signal(self.pidfd, number)
            except ProcessLookupError:
                pass  # it has just ended


def drain(loop: Loop, console: int) -> None:
    """Read what a terminal shows, for nobody, until the last who has it open is gone; then close it."""
    os.set_blocking(console, False)

    def read(_: int) -> None:
        try:
            data = os.read(console, 1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # EIO: nobody has it open any more
        if not data:
            loop.forget(console)
            os.close(console)

    loop.watch(console, read)


class Executions:
    """Starts processes in containers, on behalf of clients and of health checks."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def probe(
        self, task: Task, test: Sequence[str], timeout_s: float, done: Callable[[int, bytes], None]
    ) -> None:
        """Run a health check; ``done`` gets its exit code and output, once. Code -1 means that it took too long."""
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(writer, True)
        try:
            _Probe(self._supervisor, task, test, timeout_s, done, reader, writer)
        except OSError as error:
            # No process could be made: that is a probe that failed, and not the last one.
            self._supervisor.loop.forget(reader)
            wire.close_all((reader, writer))
            done(-1, f"cannot start the health check: {error.strerror}".encode())

    def reopen_names(self, task: Task) -> None:
        """Make the name server's sockets in a running container anew, after every holder of the old was killed."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid, pidfd = syscalls.clone(0)
        if pid == 0:
            _open_names(task.pidfd, theirs)
        theirs.close()
        message, descriptors = wire.receive(ours)
        ours.close()
        self._supervisor.reap(pid, pidfd, wait=True)
        os.close(pidfd)
        if message and len(descriptors) == 2:
            self._supervisor.keeper.hold(
                {f"{task.id}/dns-udp": descriptors[0], f"{task.id}/dns-tcp": descriptors[1]}
            )
            answering.serve(task, *(socket.socket(fileno=fd) for fd in descriptors))


class _Probe:
    """One health check on its way. It reports once: at its end, or when its time is up."""

    def __init__(
        self,
        supervisor: Supervisor,
        task: Task,
        test: Sequence[str],
        timeout_s: float,
        done: Callable[[int, bytes], None],
        reader: int,
        writer: int,
    ) -> None:
        self._loop = supervisor.loop
        self._done = done
        self._reader = reader
        self._output = b""
        self._timer: Timer | None = None
        arguments = ["/bin/sh", "-c", test[1]] if test[0] == "CMD-SHELL" else list(test[1:])
        spec = {"process": {**task.config["process"], "args": arguments, "terminal": False}}
        self._loop.watch(reader, lambda _: self._read())
        self._execution = Execution(
            supervisor, task, spec, (-1, writer, writer), on_started=self._on_started, on_ended=self._finish
        )
        os.close(writer)
        self._timer = self._loop.after(timeout_s, lambda: self._too_long(timeout_s))

    def _on_started(self, failure: dict[str, Any] | None, _: int) -> None:
        if failure is not None:
            self._output = str(failure["error"]).encode()
            self._finish(int(failure["exit_code"]))

    def _read(self) -> None:
        try:
            data = os.read(self._reader, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            self._loop.forget(self._reader)
        self._output = (self._output + data)[: health.MAX_OUTPUT_BYTES]

    def _too_long(self, timeout_s: float) -> None:
        self._execution.signal(signal.SIGKILL)
        self._output += f"health check took longer than {timeout_s:g}s".encode()
        self._finish(-1)

    def _finish(self, exit_code: int) -> None:
        if self._reader < 0:
            return
        if self._timer is not None:
            self._timer.cancel()
        if exit_code != -1:
            self._read_rest()
        self._loop.forget(self._reader)
        os.close(self._reader)
        self._reader = -1
        self._done(exit_code, self._output)

    def _read_rest(self) -> None:
        while len(self._output) < health.MAX_OUTPUT_BYTES:
            try:
                data = os.read(self._reader, 1 << 16)
            except BlockingIOError:
                return  # a child of the probe still holds the pipe: not ours to wait for
            if not data:
                return
            self._output += data


def _run(
    pidfd: int,
    cgroup: cgroups.Cgroup,
    spec: dict[str, Any],
    sync: socket.socket,
    filter: bytes | None,
    stdio: Sequence[int],
) -> NoReturn:
    """The child: join the container, become the program. Never returns."""
    try:
        _join_and_execute(pidfd, cgroup, spec["process"], sync, filter, stdio)
    except process.ProcessFailed as error:
        _report(sync, str(error), error.exit_code)
    except (OSError, rootfs.MountFailed) as error:
        _report(sync, f"cannot enter the container: {error}", 126)
    except BaseException as error:
        _report(sync, f"cannot enter the container: {type(error).__name__}: {error}", 126)
    os._exit(126)


def _join_and_execute(
    pidfd: int,
    cgroup: cgroups.Cgroup,
    spec: dict[str, Any],
    sync: socket.socket,
    filter: bytes | None,
    stdio: Sequence[int],
) -> None:
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    syscalls.set_process_name("composer-exec")
    process.reset_signals()
    os.setsid()
    container.join_keyring(cgroup.name)
    cgroup.join()
    _take_oom_score(spec)
    container.forget_imports()
    syscalls.setns(pidfd, _JOINED)
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    identity = process.resolve_identity(root, *process.user_of(spec["user"]))
    if spec.get("terminal"):
        terminal = console.open_console(root, identity.uid, bind=False)
        console.send_master(sync, terminal)
        terminal.take()
    else:
        null = rootfs.open_null(root)
        for number, given in enumerate(stdio):
            os.dup2(null if given < 0 or _is_null(given) else given, number)
    os.umask(spec["user"].get("umask", 0o022))
    process.enter_directory(spec.get("cwd", "/"), identity, create=False)
    process.set_limits(spec.get("rlimits", ()))
    environment = process.build_environment(spec.get("env", ()), identity)
    process.become(identity, spec, filter)
    container.finish(sync, spec["args"], environment)


def _take_oom_score(spec: dict[str, Any]) -> None:
    """Be killed in the container's turn for want of memory."""
    try:
        process.set_oom_score(spec.get("oomScoreAdj"))
    except PermissionError:
        pass  # it would have to be lowered: the container's start has warned of that


def _is_null(fd: int) -> bool:
    """Tell the host's null device, whose mode and owner a container could change for the whole machine."""
    state = os.fstat(fd)
    return stat.S_ISCHR(state.st_mode) and state.st_rdev == os.makedev(1, 3)


def _report(sync: socket.socket, message: str, exit_code: int) -> None:
    try:
        sync.send(json.dumps({"error": message, "exit_code": exit_code}).encode())
    except OSError:
        pass  # nobody is listening any more


def _open_names(pidfd: int, sync: socket.socket) -> NoReturn:
    """In a child: bind the name server's sockets inside the container's network namespace and send them back."""
    try:
        syscalls.setns(pidfd, syscalls.CLONE_NEWNET)
        sockets = container.open_name_sockets()
        rights = array.array("i", [server.fileno() for server in sockets])
        sync.sendmsg([b'{"sockets":true}'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    except OSError as error:
        _report(sync, str(error), 1)
    finally:
        os._exit(0)
