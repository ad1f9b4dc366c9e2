"""One container under supervision: its states, and what each event does to them.

    created ─► starting ─► running ◄─► paused
                  ▲  │        │
                  │  └─► created (exec failed)
               restarting ◄───┤
                              └─► exited

What is on the disk is written before each effect, and everything that a start makes can be found again from the
id and that record: whoever comes next can undo it. `supervisor` owns the registry; this module never blocks.
"""

from __future__ import annotations

import errno
import os
import time

from composer.errors import Conflict
from composer.runtime.base import files, records, syscalls, wire
from composer.runtime.base.status import (
    ACTIVE,
    CREATED,
    EXITED,
    MOVES,
    PAUSED,
    RESTARTING,
    RUNNING,
    STARTING,
    exit_code_of,
)
from composer.runtime.container import birth, cgroups, container, sandbox, sharing
from composer.runtime.network import answering, endpoints, relay
from composer.runtime.streams import generations, input, log, output
from composer.runtime.supervision import (
    autoremove,
    launching,
    preparing,
    probing,
    publishing,
    restart,
    stopping,
    undoing,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any, TypeVar

    from composer.runtime.base.loop import Timer
    from composer.runtime.supervision.supervisor import Supervisor

    Reply = Callable[[dict[str, Any]], None]
    _Waiting = TypeVar("_Waiting")

_REAP_PAUSE_S = 0.005
_REAP_PATIENCE_S = 10.0
_FULL_DISK_PAUSE_S = 1.0
_NOT_TOLD = 125  # what a container's first process ends with when nobody tells it to execute the program
_NEVER_EXECUTED = (126, 127)
"""What a program's start ends with when there is no such program: the next start would find no other."""


class Task:
    """A container that the supervisor knows. ``state`` is what is on the disk (state.json)."""

    def __init__(self, supervisor: Supervisor, id: str, bundle: str, config: dict[str, Any]) -> None:
        self.supervisor = supervisor
        self.id = id
        self.bundle = bundle
        self.config = config
        self.own: dict[str, Any] = config["composer"]
        self.name: str = self.own["name"]
        self.state: dict[str, Any] = records.state(bundle) or {"status": CREATED}
        self.pid = 0
        self.pidfd = -1
        self.attachments: list[endpoints.Attachment] = []
        self.ports = endpoints.Ports()
        self.relay = relay.Relay(supervisor.loop)
        self.cgroup = cgroups.Cgroup(
            supervisor.hierarchies, id, config["linux"].get("resources"), parent=self.own.get("cgroup_parent")
        )
        self.log: log.Log | None = None
        self.output = output.Output(self)
        self.input = input.Input(self)
        self.probing: probing.Probing | None = None
        policy = self.own.get("restart", {})
        self.policy = restart.Policy(policy.get("policy", "no"), policy.get("maximum", 0))
        self._sync: socket.socket | None = None
        self.note: birth.Note | None = None
        """Says who takes the first process's place, where its pid namespace is another's (`launching.succeed`)."""
        self.preparer: object | None = None
        """Who has a start prepared that has not begun (`preparing`)."""
        self._ready = self._sent_start = False
        self._starters: list[input.Starter] = []
        self.enders: list[Reply] = []
        self._timers: dict[str, Timer] = {}
        self._unsaved: Timer | None = None
        self._warnings: list[str] = []
        self._seen_oom = 0

    # -------------------------------------------------------------- state

    @property
    def status(self) -> str:
        return str(self.state["status"])

    def is_active(self) -> bool:
        return self.status in ACTIVE

    def transition(self, status: str, *, durable: bool = False, save: bool = True, **changes: Any) -> None:
        """Move to another state and write it down. An illegal move is a bug and raises."""
        if status not in MOVES[self.status]:
            raise RuntimeError(f"container {self.name} cannot go from {self.status} to {status}")
        self.state.update(changes, status=status)
        if save:
            self.save(durable=durable)

    def save(self, *, durable: bool = False, strict: bool = False) -> None:
        """Write the state down. A full disk must not keep a container from ending: it is written when there is room.

        With ``strict`` it raises: nothing has begun, and better is not to begin what could not be found again.
        """
        try:
            files.write_json(f"{self.bundle}/state.json", self.state, durable=durable)
        except OSError as error:
            if strict or self.status == STARTING or self.preparer is not None:
                raise
            if isinstance(error, FileNotFoundError):
                self.supervisor.on_error(
                    error
                )  # somebody removed its directory: there is nothing to write to
            elif not self.is_unsaved():
                self.supervisor.on_error(error)
                self._unsaved = self.supervisor.loop.after(_FULL_DISK_PAUSE_S, self._save_late)
        else:
            self._forget_unsaved()

    def _save_late(self) -> None:
        self._unsaved = None
        self.save(durable=True)
        self.supervisor.on_task_ended()

    def is_unsaved(self) -> bool:
        """Tell whether the disk does not have what happened last, for want of room."""
        return self._unsaved is not None

    def _forget_unsaved(self) -> None:
        if self._unsaved is not None:
            self._unsaved.cancel()
            self._unsaved = None

    def emit(self, action: str, **attributes: str) -> None:
        self.supervisor.emit(
            "container", action, self.id, {"name": self.name, **self.own["event"], **attributes}
        )

    # -------------------------------------------------------------- starting

    def start(self, starter: input.Starter, seen_ns: int | None = None) -> None:
        """Start it; ``starter`` is answered when the program has been executed, or could not be.

        ``seen_ns`` is when it was started last as far as the starter knew: a request that is sent again, for the
        supervisor that carried it out was killed, starts nothing twice.
        """
        if self.status in (RUNNING, PAUSED):
            starter.take(self)
            starter.started(self, already=True)
            return
        started_ns = int(self.state.get("started_ns") or 0)
        if seen_ns is not None and not self.is_active() and started_ns > seen_ns:
            starter.started(self, already=True)
            return
        self._starters.append(starter)
        if self.status == STARTING:
            return
        if self.status == RESTARTING:
            self.cancel("restart")
        self.policy.retries = 0
        self.state["stopped"] = False
        self._begin()

    def _begin(self) -> None:
        is_prepared = preparing.take(self)
        fresh: dict[str, Any] = {"error": "", "exit_unknown": False, "oom_killed": False}
        fresh["again"] = self.status == RESTARTING
        self.transition(STARTING, save=False, boot_id=self.supervisor.boot, **fresh)
        try:
            self._launch(is_prepared=is_prepared)
        except (endpoints.NetworkFailed, OSError) as error:
            if not self.fail_as_reported():
                self.fail(
                    str(error), 125, getattr(error, "kind", "StartFailed"), getattr(error, "hint", None)
                )
        except Conflict as error:
            self.fail(str(error), 125, "Conflict", error.hint)
        except Exception as error:
            # A mistake of ours must not leave the start half done, nor the client without an answer.
            self.supervisor.on_error(error)
            self.fail(f"internal error: {type(error).__name__}: {error}", 125, "StartFailed")

    def fail_as_reported(self) -> bool:
        """Fail with what the child said, where it ended before our part was done: that is the reason."""
        if self._sync is None or not wire.is_readable(self._sync.fileno()):
            return False
        message, descriptors = wire.receive(self._sync)
        wire.close_all(descriptors)
        if message is None or "error" not in message:
            return False
        self.fail(message["error"], message["exit_code"], "StartFailed")
        return True

    def _launch(self, *, is_prepared: bool) -> None:
        if not is_prepared:
            self.lease()
        publishing.reserve(self)
        if self.state["ports"] or not is_prepared:
            self.save()
        if is_prepared:
            # In place, so that what is bound already shows it: the host's name servers may have changed.
            sandbox.write_files(self.bundle, self.config, self.attachments)
        else:
            self.make()
        self._proceed()

    def lease(self) -> None:
        if not self.attachments:
            wanted = self.own["network"].get("endpoints", ())
            self.attachments = self.supervisor.networks.plan(self.id, wanted)
        self.state["endpoints"] = [attachment.record() for attachment in self.attachments]
        self.state["pid"] = 0

    def make(self) -> None:
        """Bring the first process into being, and give it what nobody else can see."""
        self._ready = self._sent_start = False
        sandbox.write_files(self.bundle, self.config, self.attachments)
        self.supervisor.keep_cgroup(self.cgroup)
        self.cgroup.create()
        self._warnings = self.cgroup.apply(self.config["linux"].get("resources", {}))
        self._seen_oom = self.cgroup.oom_kills()
        self.open_log()
        self._sync = launching.clone(self)
        self.supervisor.loop.watch(self._sync.fileno(), lambda _: self._hear())
        self.watch_exit()
        self._give_network()

    def _proceed(self) -> None:
        """Let the first process go on from where it waits when nobody has asked for a start yet."""
        if container.index_of_outside(self.config, self.bundle) < len(self.config["mounts"]):
            self._tell({"mounts": True})
        self.release_if_ready()

    def open_log(self) -> None:
        """Open the log and its FIFOs. The keeper holds these too: what is in a FIFO that nobody has open is gone."""
        if self.log is None:
            self.log = log.Log(self.bundle, self.own.get("log"))
            fds = zip(generations.STREAMS, self.log.readers(), strict=True)
            self.supervisor.keeper.hold({f"{self.id}/{stream}": fd for stream, fd in fds})

    def _give_network(self) -> None:
        if not container.namespace_flags(self.config) & syscalls.CLONE_NEWNET:
            return
        for attachment in self.attachments:
            self.supervisor.networks.attach(attachment, self.pid)
        interfaces = [attachment.interface_of_container() for attachment in self.attachments]
        self._tell(
            {"network": {"interfaces": interfaces, "dns": answering.has_names(self) and bool(interfaces)}}
        )

    def _tell(self, message: dict[str, Any]) -> None:
        assert self._sync is not None
        try:
            wire.send(self._sync, message)
        except OSError:
            pass  # it died before; its report is waiting to be read

    def _hear(self) -> None:
        """Take the next message. What goes wrong with it ends the start: nobody would wait for it any more."""
        try:
            self._on_sync()
        except Exception as error:
            self.supervisor.on_error(error)
            self.fail(f"{error}", 125, "StartFailed")

    def _on_sync(self) -> None:
        assert self._sync is not None
        message, descriptors = wire.receive(self._sync)
        if message is None:
            if self._sent_start:
                self._on_executed()
            else:
                self.fail("the container ended while it was being set up", 125, "StartFailed")
        elif "error" in message:
            self.fail(message["error"], message["exit_code"], "StartFailed")
        elif self._ready:
            wire.close_all(
                descriptors
            )  # nothing else is due: it may be the container's own process that speaks
        elif "sockets" in message:
            answering.take(self, descriptors)
        elif "console" in message:
            self.output.take_console(descriptors[0])
        elif "ready" in message:
            self._warnings += message["warnings"]
            self._ready = True
            self.release_if_ready()

    def release_if_ready(self) -> None:
        if self._ready and self.note is None and self.status == STARTING:
            self._release()

    def _release(self) -> None:
        """Make it known to the others, then let the program run."""
        for attachment in self.attachments:
            self.supervisor.networks.announce(self.id, attachment, self.own["names"])
        publications = self.ports.publications(self.attachments)
        if publications:
            self.supervisor.networks.firewall.publish(publications)
        relay.serve_ports(self)
        self.state["exit_code"] = None
        changes: dict[str, Any] = {"started_ns": time.time_ns(), "finished_ns": 0, "warnings": self._warnings}
        changes |= {"executed": False, "started_before_ns": self.state.get("started_ns", 0)}
        self.transition(RUNNING, save=False, **changes)
        self.save(strict=True)
        for starter in self._starters:
            starter.take(self)
        self._sent_start = True
        assert self._sync is not None
        wire.send(self._sync, {"start": True})

    def _on_executed(self) -> None:
        self._close_sync()
        self.output.watch()
        self.emit("start")
        for starter in self._take(self._starters):
            starter.started(self, self._warnings)
        self.state["executed"] = True
        self.save()
        self.start_health()

    def fail(
        self, message: str, exit_code: int, kind: str, hint: str | None = None, *, thorough: bool = False
    ) -> None:
        """The program was never executed: undo the start, and say why."""
        if self.preparer is not None:
            # Nobody has asked for the start yet: whoever does meets the same, and is told.
            preparing.unprepare(self)
            return
        self.state.update(error=message, exit_code=exit_code, finished_ns=time.time_ns())
        self.abandon(thorough=thorough)
        pause_s = self._pause_after_failure_s(exit_code)
        if pause_s is not None:
            self.state["status"] = RESTARTING
        else:
            self.state["status"] = EXITED if self.state.get("again") else CREATED
        self.save(durable=True)
        if pause_s is not None:
            self.restart_after(pause_s)
        answer = {"error": message, "kind": kind, "hint": hint, "exit_code": exit_code}
        for starter in self._take(self._starters):
            starter.failed(answer)
        self.answer_enders()
        self.supervisor.on_task_ended()

    def _pause_after_failure_s(self, exit_code: int) -> float | None:
        """Return how long to wait before a restart that came to nothing is tried again; None when it is not.

        A full disk, a network that is not there yet, a supervisor that was killed: the container is to run, so its
        policy decides, as after an end of the program. Who asked for a start is told, and decides alone.
        """
        if not self.state.get("again") or exit_code in _NEVER_EXECUTED:
            return None
        return self.policy.pause_s(exit_code=exit_code, ran_s=0.0, stopped=bool(self.state.get("stopped")))

    def abandon(self, *, thorough: bool) -> None:
        """Undo a start that came to nothing."""
        if self.pidfd >= 0:
            stopping.kill_starting(self)
        self._forget_run()
        self._discard_pidfd()
        launching.bury(self)
        undoing.undo(self, thorough=thorough)

    # -------------------------------------------------------------- while it runs

    def start_health(self, record: dict[str, Any] | None = None) -> None:
        """Begin the health check, or go on from ``record``."""
        config = self.own.get("health")
        if config:
            self.probing = probing.Probing(self, config, record)

    # -------------------------------------------------------------- the end

    def watch_exit(self) -> None:
        self.supervisor.loop.watch(self.pidfd, lambda _: self._on_exit(time.monotonic()))

    def _on_exit(self, since_s: float) -> None:
        """The first process is gone, and with it every other of its pid namespace."""
        if self.note is not None:
            launching.succeed(self)
            return
        self.supervisor.loop.forget(self.pidfd)
        if self._sync is not None and not self._drain_sync():
            return
        status = self.supervisor.reap(self.pid, self.pidfd)
        if status is None and time.monotonic() - since_s < _REAP_PATIENCE_S:
            # Somebody else is its parent now and has not reaped it yet.
            self.after("reap", _REAP_PAUSE_S, lambda: self._on_exit(since_s))
            return
        self.finish_status(status)

    def finish_status(self, status: int | None) -> None:
        """Record an exit by its wait status; None when nobody could see it."""
        if status is not None and not self.state.get("executed", True) and exit_code_of(status) == _NOT_TOLD:
            # The word to start never came: the supervisor was killed between its record and that.
            self.state["started_ns"] = self.state.get("started_before_ns", 0)
            self.fail("the supervisor was killed while it started the container", _NOT_TOLD, "StartFailed")
            return
        self.finish(None if status is None else exit_code_of(status))

    def _drain_sync(self) -> bool:
        """Hear what it said before it died; False when that was all there is to it."""
        while self._sync is not None:
            self._hear()
        return self.pidfd >= 0

    def finish(self, exit_code: int | None) -> None:
        """Record an exit (None: nobody could see the code), and start it again or take its things away."""
        if not sharing.has_own(self.config, "pid"):
            # No namespace that ends with its first process takes the others along.
            undoing.safely(self, self.cgroup.kill)
        if self.log is not None:
            undoing.safely(self, self.log.drain)
        self._forget_run()
        ended_ns = time.time_ns()
        ran_s = (ended_ns - int(self.state.get("started_ns") or ended_ns)) / 1e9
        stopped = bool(self.state.get("stopped"))
        pause_s = self.policy.pause_s(exit_code=exit_code, ran_s=ran_s, stopped=stopped)
        changes: dict[str, Any] = {
            "exit_code": exit_code,
            "exit_unknown": exit_code is None,
            "oom_killed": self.cgroup.oom_kills() > self._seen_oom,
            "finished_ns": ended_ns,
            "pid": 0,
        }
        if pause_s is None:
            undoing.undo(self)
        self.transition(EXITED if pause_s is None else RESTARTING, durable=True, **changes)
        self._discard_pidfd()  # until here whoever came next could have learnt from it how the program ended
        if self.state["oom_killed"]:
            self.emit("oom")
        shown = "" if exit_code is None else str(exit_code)
        self.emit("die", exitCode=shown, willRestart="false" if pause_s is None else "true")
        if pause_s is not None:
            undoing.take_apart(self)
            self.restart_after(pause_s)
        if stopped:
            self.emit("stop")
        self.answer_enders()
        if pause_s is None and autoremove.is_wanted(self.config):
            autoremove.remove(self)
        self.supervisor.on_task_ended()

    def restart_after(self, pause_s: float) -> None:
        self.after("restart", pause_s, self._restart)

    def _restart(self) -> None:
        try:
            if sharing.is_coming_back(self.supervisor.root, self.config):
                self.restart_after(sharing.PAUSE_S)
                return
            self.state["restarts"] = int(self.state.get("restarts", 0)) + 1
            self._begin()
        except Exception as error:
            self.supervisor.on_error(error)
            if self.status == RESTARTING:
                self.restart_after(
                    _FULL_DISK_PAUSE_S
                )  # out of descriptors or memory: it is tried until it is stopped

    def _forget_run(self) -> None:
        """Drop everything that belonged to this run of the program."""
        for name in list(self._timers):
            self.cancel(name)
        if self.probing is not None:
            self.probing.stop()
        self._close_sync()
        if self.pidfd >= 0:
            self.supervisor.loop.forget(self.pidfd)
        self.supervisor.names.remove(self.id)
        for kind in ("udp", "tcp"):
            self.supervisor.keeper.drop(f"{self.id}/dns-{kind}")
        self.output.stop()
        self.input.close()

    def _discard_pidfd(self) -> None:
        if self.pidfd >= 0:
            self.supervisor.loop.forget(self.pidfd)
            self.supervisor.reap(self.pid, self.pidfd, wait=True)
            self.supervisor.keeper.drop(f"{self.id}/pidfd")
            os.close(self.pidfd)
            self.pidfd, self.pid = -1, 0

    # -------------------------------------------------------------- asked for

    def signal(self, number: int) -> None:
        if self.pidfd >= 0:
            try:
                syscalls.pidfd_send_signal(self.pidfd, number)
            except OSError as error:
                if error.errno != errno.ESRCH:
                    raise

    def wait(self, reply: Reply) -> None:
        """Reply with the exit code once it is not running."""
        if self.is_active():
            self.enders.append(reply)
        else:
            reply(self._ending())

    def reload(self) -> None:
        """Take over a new name: in events, in error messages, and for those who look it up."""
        preparing.unprepare(self)
        config = records.config(self.bundle)
        if config is not None:
            self.config, self.own = config, config["composer"]
            self.name = self.own["name"]
            for attachment in self.attachments if self.status in (RUNNING, PAUSED) else ():
                self.supervisor.networks.announce(self.id, attachment, self.own["names"])

    def release(self) -> None:
        """Let go of everything for good, also of what no record names."""
        preparing.unprepare(self)
        undoing.undo(self, thorough=True)
        self._forget_unsaved()

    def pause(self, reply: Reply) -> None:
        if self.status == PAUSED:
            reply({"ok": True})
            return
        if self.status != RUNNING:
            reply({"error": f"container {self.name} is not running", "kind": "Conflict"})
            return
        self.cgroup.freeze(True)
        self.transition(PAUSED)
        self.emit("pause")
        reply({"ok": True})

    def resume(self) -> None:
        if self.status == PAUSED:
            self.cgroup.freeze(False)
            self.transition(RUNNING)
            self.emit("unpause")

    # -------------------------------------------------------------- small things

    def _ending(self) -> dict[str, Any]:
        return {
            "ok": True,
            "exit_code": self.state.get("exit_code"),
            "unknown": bool(self.state.get("exit_unknown")),
        }

    def answer_enders(self) -> None:
        for reply in self._take(self.enders):
            reply(self._ending())

    @staticmethod
    def _take(waiting: list[_Waiting]) -> list[_Waiting]:
        taken = waiting[:]
        waiting.clear()
        return taken

    def after(self, name: str, delay_s: float, call: Callable[[], None]) -> None:
        self.cancel(name)
        self._timers[name] = self.supervisor.loop.after(delay_s, call)

    def cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _close_sync(self) -> None:
        if self._sync is not None:
            self.supervisor.loop.forget(self._sync.fileno())
            self._sync.close()
            self._sync = None
