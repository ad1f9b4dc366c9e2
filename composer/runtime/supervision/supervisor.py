"""The supervisor: one process and one epoll loop per project, which starts its containers and watches over them.

    command line ── control.sock ──► requests, one at a time per connection, answered when done
    keeper       ── socketpair ────► descriptors to keep, exits that it saw

It owns the registry of tasks, the name server, the firewall's elements and the event journal. Nothing here may
block: what takes time is done by the command line or by a container's first process. It ends when nothing is
active and nobody is connected; what it knows is on the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import time
import traceback

from composer.runtime.base import claims, files, loop, records, status, syscalls, wire
from composer.runtime.container import cgroups, process, sandbox, seccomp
from composer.runtime.network import endpoints, names, nftables
from composer.runtime.supervision import adoption, control, executions, mending, spawn, task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


_CGROUP_ATTEMPTS = 100
_CGROUP_PAUSE_S = 0.002
_SHORT_LIFE_S, _LONGEST_PAUSE_S = 1.0, 5.0


class KeeperLink:
    """The way to the keeper. What it is given to hold is remembered, for a keeper may be killed too."""

    def __init__(self, supervisor: Supervisor, peer: socket.socket) -> None:
        self._supervisor = supervisor
        self._peer = peer
        self._started_s = time.monotonic()
        self._pause_s = 0.0
        self._held: dict[str, tuple[int, int]] = {}

    def restore(self) -> dict[str, tuple[int, int]]:
        """Take back what a supervisor before this one gave to the keeper: (descriptor, pid) by key."""
        found: dict[str, tuple[int, int]] = {}
        while True:
            message, descriptors = wire.receive(self._peer)
            if message is None or "restored" in message:
                return found
            if "reaped" in message:
                self._supervisor.saw_exit(message)
            elif "held" in message:
                found[message["held"]] = (descriptors[0], int(message["pid"]))
                self._held[message["held"]] = found[message["held"]]

    def watch(self) -> None:
        self._supervisor.loop.watch(self._peer.fileno(), lambda _: self._on_message())

    def hold(self, descriptors: dict[str, int], pid: int = 0) -> None:
        """Let the keeper keep duplicates, by key. They must stay open here until `drop`."""
        if descriptors:
            self._held.update({key: (fd, pid) for key, fd in descriptors.items()})
            self._send({"hold": list(descriptors), "pid": pid}, list(descriptors.values()))

    def drop(self, *keys: str) -> None:
        dropped = [key for key in keys if self._held.pop(key, None) is not None]
        if dropped:
            self._send({"drop": dropped})

    def bye(self) -> None:
        self._send({"bye": True})

    def _send(self, message: Mapping[str, Any], descriptors: tuple[int, ...] | list[int] = ()) -> None:
        try:
            wire.send(self._peer, message, descriptors)
        except OSError:
            pass  # it is dead: `_on_message` sees the end, starts another and sends everything again

    def _on_message(self) -> None:
        try:
            message, descriptors = wire.receive(self._peer)
        except OSError:
            message, descriptors = None, []
        wire.close_all(descriptors)
        if message is None:
            self._replace()
        elif "reaped" in message:
            self._supervisor.saw_exit(message)

    def _replace(self) -> None:
        """Start another keeper; where the last one did not live for long, after a pause that grows."""
        self._supervisor.loop.forget(self._peer.fileno())
        self._peer.close()
        lived_s = time.monotonic() - self._started_s
        self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2 + 0.05) if lived_s < _SHORT_LIFE_S else 0.0
        self._supervisor.loop.after(self._pause_s, self._start)

    def _start(self) -> None:
        self._started_s = time.monotonic()
        try:
            self._peer = self._supervisor.start_keeper()
        except OSError as error:
            self._supervisor.on_error(error)  # no room for its log, no process: there may be later
            self._supervisor.loop.after(_LONGEST_PAUSE_S, self._start)
            return
        for key, (fd, pid) in self._held.items():
            self._send({"hold": [key], "pid": pid}, [fd])
        self.watch()


class Supervisor:
    """One project's supervisor. ``root`` is the state directory, ``run`` the project's part of the run state."""

    def __init__(self, image: spawn.Image, project: str, root: str, run: str, keeper: socket.socket) -> None:
        self._image = image
        self.project = project
        self.root = root
        self.run_directory = run
        self.boot = files.boot_id()
        self.loop = loop.Loop(self.on_error)
        self.hierarchies = cgroups.detect()
        self.networks = endpoints.Networks(f"{root}/networks")
        self.names = names.NameServer(self.loop, f"{root}/networks", _host_upstreams)
        self.executions = executions.Executions(self)
        self.keeper = KeeperLink(self, keeper)
        self.tasks: dict[str, task.Task] = {}
        self._busy_cgroups: set[str] = set()
        self._exits: dict[int, int] = {}
        nftables.load()  # once, here: a container's first process then has it
        self._filters = seccomp.FilterCache(f"{root}/cache")
        self.control = control.Control(self)
        self.guard = mending.Guard(self)

    # -------------------------------------------------------------- life

    def main(self, ready: list[int]) -> None:
        if not claims.claim(self.root, self.project, "supervisor"):
            self.keeper.bye()  # another one lives: the project's run state was removed under it
            return
        held = self.keeper.restore()
        self.read_exits()
        self._adopt(held)
        self.keeper.watch()
        self.guard.begin()
        self.control.listen()
        wire.close_all(ready)
        self.loop.run()
        self.names.close()
        self.networks.close()

    def _adopt(self, held: dict[str, tuple[int, int]]) -> None:
        by_container: dict[str, dict[str, int]] = {}
        for key, (fd, _) in held.items():
            container, _, kind = key.partition("/")
            by_container.setdefault(container, {})[kind] = fd
        directory = f"{self.root}/containers"
        for id in self._containers():
            state = records.state(f"{directory}/{id}")
            if state is None or not (state.get("status") in status.ACTIVE or state.get("prepared")):
                continue
            found = self._load(id)
            if found is not None:
                try:
                    seen = self._exits.get(int(state.get("pid") or 0))
                    adoption.adopt(found, by_container.pop(id, {}), seen)
                except Exception as error:
                    self.on_error(error)
        for container, kinds in by_container.items():
            for kind, fd in kinds.items():
                self.keeper.drop(f"{container}/{kind}")
                os.close(fd)

    def _load(self, id: str) -> task.Task | None:
        bundle = f"{self.root}/containers/{id}"
        config = records.config(bundle)
        if config is None or config["composer"]["project"] != self.project:
            return None
        self.tasks[id] = task.Task(self, id, bundle, config)
        return self.tasks[id]

    def task(self, id: str) -> task.Task:
        """Return a container of this project by its full id. Raises KeyError with the reason."""
        found = self.tasks.get(id) or self._load(id)
        if found is None:
            raise KeyError(f"no container {id[:12]} in project {self.project}")
        return found

    def forget(self, id: str) -> None:
        self.tasks.pop(id, None)

    def on_task_ended(self) -> None:
        self.control.consider_ending()

    def is_idle(self) -> bool:
        busy = any(found.is_active() or found.is_unsaved() for found in self.tasks.values())
        return not busy and not self._busy_cgroups

    def remove_cgroup(self, cgroup: cgroups.Cgroup, attempt: int = 0) -> None:
        """Remove a container's cgroup, which the kernel keeps busy for moments after the last process has gone."""
        if attempt and cgroup.name not in self._busy_cgroups:
            return  # a new start has taken it over
        if cgroup.remove() or attempt >= _CGROUP_ATTEMPTS:
            self._busy_cgroups.discard(cgroup.name)
            if attempt:
                self.on_task_ended()
            return
        self._busy_cgroups.add(cgroup.name)
        self.loop.after(_CGROUP_PAUSE_S * (attempt + 1), lambda: self.remove_cgroup(cgroup, attempt + 1))

    def keep_cgroup(self, cgroup: cgroups.Cgroup) -> None:
        """Take a cgroup back from its removal: the container starts again."""
        self._busy_cgroups.discard(cgroup.name)

    def end(self) -> None:
        """Stop running; the keeper follows. The run state goes with the project's last container."""
        self.keeper.bye()
        files.remove_file(f"{self.run_directory}/exits")
        if not self._has_containers():
            shutil.rmtree(self.run_directory, ignore_errors=True)
            shutil.rmtree(claims.directory(self.root, self.project), ignore_errors=True)
        if not self._containers():
            cgroups.remove_parents()  # the command that removed the last container may have been killed
        self.loop.stop()

    def _has_containers(self) -> bool:
        for id in self._containers():
            config = records.config(f"{self.root}/containers/{id}")
            if config is not None and config["composer"]["project"] == self.project:
                return True
        return False

    def _containers(self) -> list[str]:
        """Return the ids of all containers, without what is half made, or half removed by a child of ours."""
        try:
            return sorted(id for id in os.listdir(f"{self.root}/containers") if not id.startswith("."))
        except FileNotFoundError:
            return []

    def start_keeper(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        arguments = [self.project, self.root, self.run_directory, "", str(theirs.fileno())]
        log = f"{self.run_directory}/supervisor.log"
        try:
            spawn.daemon(self._image, "keeper", arguments, [theirs.fileno()], log)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    # -------------------------------------------------------------- services for tasks

    def filter(self, config: Mapping[str, Any]) -> bytes | None:
        """Return the compiled seccomp filter of a container; None when it is to have none."""
        profile = config["linux"].get("seccomp")
        if profile is None:
            return None
        bounding = config["process"].get("capabilities", {}).get("bounding", ())
        return self._filters.get(None if profile == "default" else profile, bounding)

    def hold_ports(self, id: str, ports: endpoints.Ports) -> None:
        held = {f"{id}/port-{index:04}": one.fileno() for index, one in enumerate(ports.sockets)}
        companions = enumerate(ports.companions)
        held |= {f"{id}/port6-{index:04}": one.fileno() for index, one in companions if one is not None}
        keys = list(held)
        for first in range(0, len(keys), wire.MAX_DESCRIPTORS):
            self.keeper.hold({key: held[key] for key in keys[first : first + wire.MAX_DESCRIPTORS]})

    def drop_ports(self, id: str, ports: endpoints.Ports) -> None:
        indices = range(len(ports.sockets))
        self.keeper.drop(*(f"{id}/{kind}-{index:04}" for kind in ("port", "port6") for index in indices))

    def reap(self, pid: int, pidfd: int, *, wait: bool = False) -> int | None:
        """Return a wait status, from whoever knows it; None when it is not known (yet)."""
        try:
            found = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | (0 if wait else os.WNOHANG))
            if found is None:
                return None
            exited = found.si_code == os.CLD_EXITED
            return found.si_status << 8 if exited else found.si_status & 0x7F
        except ChildProcessError:
            pass  # a child of a supervisor before this one: the keeper or pid 1 reaps it
        if pid in self._exits:
            return self._exits[pid]
        try:
            return syscalls.pidfd_exit_status(pidfd)
        except OSError:
            return None

    def read_exits(self) -> None:
        """Read what the keeper reaped."""
        try:
            with open(f"{self.run_directory}/exits", "rb") as file:
                for line in file:
                    self._read_exit(line)
        except FileNotFoundError:
            return

    def _read_exit(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            if record["boot_id"] == self.boot:  # the same number means another process after a reboot
                self._exits[int(record["pid"])] = int(record["status"])
        except (ValueError, KeyError, TypeError):
            pass  # torn by a full disk: the keeper knows it, if it lives

    def saw_exit(self, message: Mapping[str, Any]) -> None:
        """Take in what the keeper reaped."""
        self._exits[int(message["reaped"])] = int(message["status"])

    def emit(self, kind: str, action: str, id: str, attributes: Mapping[str, str]) -> None:
        """Write an event to the project's journal, where whoever waits for one finds it."""
        try:
            files.append_event(self.run_directory, kind, action, id, attributes)
        except OSError as error:
            self.on_error(error)  # the disk is full: what happens goes on all the same

    def reopen_log(self) -> None:
        """Write to a log that has a name again, after the run state was removed."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(f"{self.run_directory}/supervisor.log", flags, 0o600)
        os.dup2(fd, 2)
        os.close(fd)

    def on_error(self, error: BaseException) -> None:
        self.log("".join(traceback.format_exception(error)))

    def log(self, text: str) -> None:
        """Write to the supervisor's own log."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
        try:
            sys.stderr.write(f"{stamp} {text}\n")
            sys.stderr.flush()
        except OSError:
            pass  # the log's disk is full: there is nowhere left to say it


def _host_upstreams() -> list[str]:
    return list(sandbox.host_resolv_conf().nameservers)


def main(image: spawn.Image, arguments: list[str]) -> None:
    """Run as ``supervisor PROJECT ROOT RUN KEEPER-FD READY-FDS``."""
    project, root, run, keeper, ready = arguments[:5]
    syscalls.set_title(f"composer: supervisor {project}")
    syscalls.set_process_name("composer-superv")
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    os.umask(0o022)
    os.set_inheritable(int(keeper), False)
    waiting = [int(fd) for fd in ready.split(",") if fd]
    for fd in waiting:
        os.set_inheritable(fd, False)
    process.forget_ignored_signals()
    process.raise_descriptor_limit()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    Supervisor(image, project, root, run, socket.socket(fileno=int(keeper))).main(waiting)
