"""The keeper: the process that outlives its project's supervisor, so that nothing is lost when one is killed.

    supervisor                                   keeper
    {"hold": [key…], "pid": p} + descriptors ─►  keeps duplicates
    {"drop": [key…]} ─────────────────────────►  closes them
    {"bye": true} ────────────────────────────►  ends
                 ◄──────────────── {"held": key, "pid": p} + descriptor, one each, to a new supervisor
                 ◄──────────────── {"reaped": pid, "status": n}, to a new supervisor and as it happens
                 ◄──────────────── {"restored": true}

It does five things: holds descriptors (pidfds, name server sockets, port reservations, terminals), reaps what is
re-parented to it, remembers exits and writes them to ``<run>/exits`` (fsync), starts the supervisor again when it dies,
and hands the descriptors back. When the keeper dies, the supervisor starts a
new one and sends everything again. A full disk, or a run state that somebody removed, stops none of this.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import socket
import time

from composer.runtime.base import claims, files, records, syscalls, wire
from composer.runtime.supervision import spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from composer.runtime.base.record_types import KeeperRecord


_SHORT_LIFE_S = 1.0
_LONGEST_PAUSE_S = 5.0


class Keeper:
    """One project's keeper. ``run`` is the project's directory in the run state."""

    def __init__(self, image: spawn.Image, project: str, root: str, run: str) -> None:
        self._image = image
        self._project = project
        self._root = root
        self._run = run
        self._held: dict[str, tuple[int, int]] = {}
        self._exits: dict[int, int] = {}
        self._boot = files.boot_id()
        self._supervisor: socket.socket | None = None
        self._started_s = 0.0
        self._pause_s = 0.0
        self._running = True
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = reader
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def start_supervisor(self, ready: str = "") -> None:
        """Start a supervisor and give it all that is held. It closes the descriptors in ``ready`` once it listens."""
        passed = [int(fd) for fd in ready.split(",") if fd]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._started_s = time.monotonic()
        # Imported before the fork: the two share these pages, and the next supervisor is there at once. What is
        # loaded now is never collected, so that neither touches, and copies, a page for that.
        from composer.runtime.supervision import supervisor

        gc.collect()
        gc.freeze()
        if os.fork() == 0:
            try:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                ours.detach()  # its number may soon be another file's
                syscalls.close_all_but(
                    {0, 1, 2, self._image.code, self._image.directory, theirs.fileno(), *passed}
                )
                supervisor.main(self._image, self._project, self._root, self._run, theirs, passed)
            except BaseException as error:
                supervisor.log(error)
            finally:
                os._exit(127)
        theirs.close()
        wire.close_all(passed)
        self._supervisor = ours
        try:
            for key, (fd, pid) in self._held.items():
                wire.send(ours, {"held": key, "pid": pid}, [fd])
            for reaped, status in self._exits.items():
                wire.send(ours, {"reaped": reaped, "status": status})
            wire.send(ours, {"restored": True})
        except OSError:
            pass  # it died at once; the end of its socket says so, below

    def adopt(self, supervisor: socket.socket) -> None:
        """Serve a supervisor that lost its keeper; it sends everything again."""
        self._supervisor = supervisor
        self._started_s = time.monotonic()

    def run(self) -> None:
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        while self._running:
            if self._supervisor is None:
                self._reap()
                time.sleep(self._pause_s)
                self.start_supervisor()
            assert self._supervisor is not None
            fd = self._supervisor.fileno()
            poll.register(fd, select.POLLIN)
            ready = {number for number, _ in poll.poll()}
            poll.unregister(fd)
            if self._wakeup in ready:
                self._reap()
            if fd in ready:
                self._hear()

    def _hear(self) -> None:
        assert self._supervisor is not None
        try:
            message, descriptors = wire.receive(self._supervisor)
        except (OSError, ValueError):
            message, descriptors = None, []
        if message is None:
            self._supervisor.close()
            self._supervisor = None
            lived_s = time.monotonic() - self._started_s
            self._pause_s = (
                min(_LONGEST_PAUSE_S, self._pause_s * 2 + 0.05) if lived_s < _SHORT_LIFE_S else 0.0
            )
        elif "hold" in message:
            for key, fd in zip(message["hold"], descriptors, strict=True):
                self._drop(key)
                self._held[key] = (fd, message.get("pid", 0))
        elif "drop" in message:
            for key in message["drop"]:
                self._drop(key)
        elif "bye" in message:
            self._running = False

    def _drop(self, key: str) -> None:
        found = self._held.pop(key, None)
        if found is not None:
            os.close(found[0])

    def _reap(self) -> None:
        try:
            while os.read(self._wakeup, 4096):
                pass
        except BlockingIOError:
            pass  # every wake-up has been taken
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if any(held == pid for _, held in self._held.values()):
                self._record(pid, status)

    def _record(self, pid: int, status: int) -> None:
        self._exits[pid] = status
        exit = {"pid": pid, "status": status, "time_ns": time.time_ns(), "boot_id": self._boot}
        try:
            _append(f"{self._run}/exits", json.dumps(exit).encode() + b"\n")
        except OSError:
            pass  # no room, or no directory: it is known here, and lost only with the two of us
        if self._supervisor is not None:
            try:
                wire.send(self._supervisor, {"reaped": pid, "status": status})
            except OSError:
                pass  # the next supervisor is told


def _append(path: str, line: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, line)
        os.fsync(fd)
    finally:
        os.close(fd)


def _introduce(root: str, project: str) -> None:
    """Say that this project has a keeper, and who it is. Without room for that it is a keeper all the same."""
    try:
        claims.claim(root, project, "keeper")
        ticks = files.start_time(os.getpid()) or 0
        record: KeeperRecord = {"pid": os.getpid(), "start_ticks": ticks, "boot_id": files.boot_id()}
        records.write_keeper(claims.directory(root, project), record)
    except OSError:
        pass  # a command that finds no supervisor asks for that one's claim too


def main(image: spawn.Image, arguments: list[str]) -> None:
    """Run as ``keeper PROJECT ROOT RUN READY-FDS SUPERVISOR-FD``; a descriptor of -1 is not there."""
    project, root, run, ready, supervisor = arguments[:5]
    # What the caller had open for its children (`flock FILE composer up`) would be held as long as the stack is there.
    given = {int(fd) for fd in (*ready.split(","), supervisor) if fd and int(fd) >= 0}
    syscalls.close_all_but({0, 1, 2, image.code, image.directory, *given})
    spawn.detach()
    syscalls.set_title(f"composer: keeper {project}")
    syscalls.set_process_name("composer-keeper")
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="utf-8") as file:
            file.write("-999")
    except PermissionError:
        pass  # without CAP_SYS_RESOURCE: the kernel may choose us when memory runs out, and we are small
    _introduce(root, project)
    keeper = Keeper(image, project, root, run)
    if int(supervisor) >= 0:
        keeper.adopt(socket.socket(fileno=int(supervisor)))
    else:
        keeper.start_supervisor(ready)
    keeper.run()
