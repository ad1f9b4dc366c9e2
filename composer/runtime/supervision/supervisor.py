"""The supervisor: one process and one epoll loop per owner, which starts its containers and watches over them.

    command line ── control.sock ──► requests, one at a time per connection, answered when done
    keeper       ── socketpair ────► descriptors to keep, exits that it saw

It owns the registry of tasks, the name server, the firewall's elements and the event journal. Nothing here may
block: what takes time is done by the command line or by a container's first process. It ends when nothing is
active and nobody is connected; what it knows is on the disk.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import time

from composer.runtime.base import claims, files, loop, records, status, syscalls, trees, wire
from composer.runtime.container import cgroups, process, sandbox, seccomp
from composer.runtime.network import endpoints, names, nftables
from composer.runtime.supervision import control, mending, renewal, spawn
from composer.runtime.tasks import (
    adoption,
    cgroup_removal,
    keeping,
    neighbours,
    reaping,
    services,
    task,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn


class Supervisor:
    """One owner's supervisor. ``root`` is the state directory, ``run`` the owner's part of the run state."""

    def __init__(self, image: spawn.Image, owner: str, root: str, run: str, keeper: socket.socket) -> None:
        self._image = image
        self.owner = owner
        self.root = root
        self.run_directory = run
        boot = files.boot_id()
        self.loop = loop.Loop(self.on_error)
        self._reaper = reaping.Reaper(f"{run}/exits", boot)
        self._keeper = keeping.KeeperLink(
            self.loop, self._reaper, keeper, start=self._start_keeper, on_error=self.on_error
        )
        self._networks = endpoints.Networks(f"{root}/networks")
        self._names = names.NameServer(self.loop, f"{root}/networks", _host_upstreams)
        self._cgroups = cgroup_removal.CgroupRemoval(self.loop, self._on_task_ended)
        self._tasks: dict[str, task.Task] = {}
        nftables.load()  # once, here: a container's first process then has it
        self._services = services.Services(
            root=root,
            boot=boot,
            loop=self.loop,
            keeper=self._keeper,
            reaper=self._reaper,
            networks=self._networks,
            names=self._names,
            hierarchies=cgroups.detect(),
            cgroup_removal=self._cgroups,
            filters=seccomp.FilterCache(f"{root}/cache"),
            emit=self._emit,
            on_error=self.on_error,
        )
        self._neighbours = neighbours.Neighbours(
            find=self.task,
            forget=self.forget,
            on_ended=self._on_task_ended,
            on_changed=lambda id: self._services.safely(
                renewal.settle, self._tasks[id], list(self._tasks.values())
            ),
        )
        self._control = control.Control(self, self._services, owner, run)
        self._guard = mending.Guard(self._services, lambda: self._tasks.values(), _log)

    # -------------------------------------------------------------- life

    def main(self, ready: list[int]) -> None:
        if not claims.claim(self.root, self.owner, "supervisor"):
            self._keeper.bye()  # another one lives: the project's run state was removed under it
            return
        held = self._keeper.restore()
        self._reaper.read()
        self._adopt(held)
        self._keeper.watch()
        self._guard.begin()
        self._control.listen()
        wire.close_all(ready)
        self.loop.run()
        self._control.close()
        self._names.close()
        self._networks.close()

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
                    seen = self._reaper.seen(int(state.get("pid") or 0))
                    adoption.adopt(self._services, found, by_container.pop(id, {}), seen)
                except Exception as error:
                    self.on_error(error)
        for container, kinds in by_container.items():
            for kind, fd in kinds.items():
                self._keeper.drop(f"{container}/{kind}")
                os.close(fd)
        for found in list(self._tasks.values()):
            self._services.safely(renewal.go_on, found, list(self._tasks.values()))

    def _load(self, id: str) -> task.Task | None:
        bundle = f"{self.root}/containers/{id}"
        config = records.config(bundle)
        if config is None or records.extras(config)["project"] != self.owner:
            return None
        self._tasks[id] = task.Task(self._services, self._neighbours, id, bundle, config)
        return self._tasks[id]

    def task(self, id: str) -> task.Task:
        """Return a container of this project by its full id. Raises KeyError with the reason."""
        found = self._tasks.get(id) or self._load(id)
        if found is None:
            raise KeyError(f"no container {id[:12]} in project {self.owner}")
        return found

    def has(self, id: str) -> bool:
        return id in self._tasks

    def forget(self, id: str) -> None:
        self._tasks.pop(id, None)

    def mend(self, reply: Callable[[dict[str, Any]], None]) -> None:
        """Put back what others took of the kernel's state; ``reply`` says how that went."""
        self._guard.ask(reply)

    def _on_task_ended(self) -> None:
        self._control.consider_ending()

    def is_idle(self) -> bool:
        return not any(found.is_busy() for found in self._tasks.values()) and not self._cgroups.is_busy()

    def end(self) -> None:
        """Stop running; the keeper follows. The run state goes with the project's last container."""
        self._keeper.bye()
        files.remove_file(f"{self.run_directory}/exits")
        if not self._has_containers():
            self._services.safely(self._clear_run_state)
            self._services.safely(trees.remove_tree, claims.directory(self.root, self.owner))
        if not self._containers():
            cgroups.remove_parents()  # the command that removed the last container may have been killed
        self.loop.stop()

    def _clear_run_state(self) -> None:
        files.clear_run_state(self.run_directory)
        try:
            os.rmdir(self.run_directory)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
                raise

    def _has_containers(self) -> bool:
        for id in self._containers():
            config = records.config(f"{self.root}/containers/{id}")
            if config is not None and records.extras(config)["project"] == self.owner:
                return True
        return False

    def _containers(self) -> list[str]:
        """Return the ids of all containers, without what is half made, or half removed by a child of ours."""
        try:
            return sorted(id for id in os.listdir(f"{self.root}/containers") if not id.startswith("."))
        except FileNotFoundError:
            return []

    def _start_keeper(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        arguments = [self.owner, self.root, self.run_directory, "", str(theirs.fileno())]
        log = f"{self.run_directory}/supervisor.log"
        try:
            os.waitpid(spawn.daemon(self._image, arguments, [theirs.fileno()], log), 0)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    # -------------------------------------------------------------- services for tasks

    def _emit(self, kind: str, action: str, id: str, attributes: Mapping[str, str]) -> None:
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
        log(error)


def log(error: BaseException) -> None:
    """Write an error to the supervisor's own log."""
    import traceback

    _log("".join(traceback.format_exception(error)))


def _log(text: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
    try:
        sys.stderr.write(f"{stamp} {text}\n")
        sys.stderr.flush()
    except OSError:
        pass  # the log's disk is full: there is nowhere left to say it


def _host_upstreams() -> list[str]:
    return list(sandbox.host_resolv_conf().nameservers)


def main(
    image: spawn.Image, project: str, root: str, run: str, keeper: socket.socket, ready: list[int]
) -> NoReturn:
    """Be a supervisor in a process that has been forked for it; ``ready`` are closed once it listens."""
    syscalls.set_title(f"composer: supervisor {project}")
    syscalls.set_process_name("composer-superv")
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    os.umask(0o022)
    for fd in ready:
        os.set_inheritable(fd, False)
    process.forget_ignored_signals()
    process.raise_descriptor_limit()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    Supervisor(image, project, root, run, keeper).main(ready)
    os._exit(0)
