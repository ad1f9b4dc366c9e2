"""One container under supervision: its states, and what each event does to them.

    created ─► starting ─► running ◄─► paused
                  ▲  │        │
                  │  └─► created (exec failed)
               restarting ◄───┤
                              └─► exited

The parts of a container each have a module: what the disk has of it (`record`), its networks (`networking`), its first
process, its output and input, a start in progress (`starting`). Here is what puts them together; it never blocks.
"""

from __future__ import annotations

import functools
import time

from composer.errors import Conflict
from composer.runtime.base import files, syscalls, wire
from composer.runtime.base.status import CREATED, EXITED, PAUSED, RESTARTING, RUNNING, STARTING, exit_code_of
from composer.runtime.container import container, process, sharing
from composer.runtime.network import endpoints
from composer.runtime.streams.input import Input
from composer.runtime.streams.output import Output
from composer.runtime.tasks import autoremove, launching, preparing, probing, restart
from composer.runtime.tasks.first_process import FirstProcess
from composer.runtime.tasks.networking import Networking
from composer.runtime.tasks.record import FULL_DISK_PAUSE_S, Record
from composer.runtime.tasks.starting import Start
from composer.runtime.tasks.timers import Timers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from composer.runtime.base.record_types import HealthRecord
    from composer.runtime.tasks.neighbours import Neighbours
    from composer.runtime.tasks.services import Services
    from composer.runtime.tasks.starters import Starter

    Reply = Callable[[dict[str, Any]], None]
    _Waiting = TypeVar("_Waiting")

_REAP_PAUSE_S = 0.005
_REAP_PATIENCE_S = 10.0
_NOT_TOLD = 125  # what a container's first process ends with when nobody tells it to execute the program


class Task:
    """A container that the supervisor knows."""

    def __init__(
        self, services: Services, neighbours: Neighbours, id: str, bundle: str, config: dict[str, Any]
    ) -> None:
        self._services, self._neighbours = services, neighbours
        self.id = id
        self.record = Record(services, id, bundle, config, neighbours.on_ended)
        self.process = FirstProcess(services, id, self.record.cgroup())
        self.networking = Networking(services, self.record)
        self._output = Output(services.loop, services.keeper, id, bundle)
        self._input = Input(services.keeper, id)
        self._start: Start | None = None
        self._probing: probing.Probing | None = None
        self._restarts = restart.Restarts(self.record)
        self._starters: list[Starter] = []
        self._enders: list[Reply] = []
        self._timers = Timers(services.loop)
        self._seen_oom = 0

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def status(self) -> str:
        return self.record.status

    def is_active(self) -> bool:
        return self.record.is_active()

    def is_busy(self) -> bool:
        """Tell whether the supervisor has to stay for it."""
        return self.is_active() or self.record.is_unsaved()

    # -------------------------------------------------------------- starting

    def start(self, starter: Starter, seen_ns: int | None = None) -> None:
        """Start it; ``starter`` is answered when the program has been executed, or could not be.

        ``seen_ns`` is when it was started last as far as the starter knew: a request that is sent again, for the
        supervisor that carried it out was killed, starts nothing twice.
        """
        if self.status in (RUNNING, PAUSED):
            starter.take(self.lend_input)
            starter.started(terminal=self.has_terminal(), already=True)
            return
        started_ns = int(self.record.state.get("started_ns") or 0)
        if seen_ns is not None and not self.is_active() and started_ns > seen_ns:
            starter.started(terminal=self.has_terminal(), already=True)
            return
        self._starters.append(starter)
        if self.status == STARTING:
            return
        if self.status == RESTARTING:
            self._timers.cancel("restart")
        self._restarts.begin_anew()
        self.record.update(stopped=False, killed=False, kept=False)
        self._begin()

    def _begin(self) -> None:
        is_prepared = self._take_prepared()
        fresh: dict[str, Any] = {"error": "", "exit_unknown": False, "oom_killed": False}
        fresh["again"] = self.status == RESTARTING
        self.record.transition(STARTING, save=False, boot_id=self._services.boot, **fresh)
        try:
            self._launch(is_prepared=is_prepared)
        except (endpoints.NetworkFailed, OSError) as error:
            if not self._fail_as_reported():
                kind, hint = getattr(error, "kind", "StartFailed"), getattr(error, "hint", None)
                self.fail(str(error), 125, kind, hint)
        except Conflict as error:
            self.fail(str(error), 125, "Conflict", error.hint)
        except Exception as error:
            # A mistake of ours must not leave the start half done, nor the client without an answer.
            self._services.on_error(error)
            self.fail(f"internal error: {type(error).__name__}: {error}", 125)

    def _fail_as_reported(self) -> bool:
        """Fail with what the child said, where it ended before our part was done: that is the reason."""
        said = self._start.last_words() if self._start is not None else None
        if said is None:
            return False
        self.fail(said["error"], said["exit_code"])
        return True

    def _launch(self, *, is_prepared: bool) -> None:
        if not is_prepared:
            self.networking.lease()
        self.networking.reserve(waits=self.waits_for_ports)
        if self.record.state["ports"] or not is_prepared:
            self.record.save()
        if is_prepared:
            # In place, so that what is bound already shows it: the host's name servers may have changed.
            self.networking.write_files()
        else:
            self._make(None)
        self._proceed()

    def _make(self, preparer: object | None) -> None:
        """Bring the first process into being, and give it what nobody else can see."""
        services, record, first = self._services, self.record, self.process
        self.networking.write_files()
        services.cgroup_removal.keep(first.cgroup)
        first.cgroup.create()
        warnings = first.cgroup.apply(record.config["linux"].get("resources", {}))
        self._seen_oom = first.cgroup.oom_kills()
        self.open_log()
        born = launching.clone(services, record, first.cgroup, self._open_input())
        # First of all it is ours to end, whatever of the following fails.
        first.adopt(born.pid, born.pidfd)
        self._start = Start(
            services.loop,
            self,
            services.on_error,
            sync=born.sync,
            note=born.note,
            warnings=warnings,
            preparer=preparer,
        )
        # Not saved yet: until it is told to start, it ends by itself when we do.
        record.update(pid=born.pid, start_ticks=files.start_time(born.pid) or 0)
        first.hold()
        self._start.begin()
        self.watch_exit()
        if container.namespace_flags(record.config) & syscalls.CLONE_NEWNET:
            self._start.tell({"network": self.networking.attach(first.pid)})

    def _open_input(self) -> int:
        wants = self.record.extras.get("stdin") and not self.record.config["process"].get("terminal")
        return self._input.open() if wants else -1

    def open_log(self) -> None:
        self._output.open_log(self.record.extras.get("log"))

    def _proceed(self) -> None:
        """Let the first process go on from where it waits when nobody has asked for a start yet."""
        start, record = self._start, self.record
        assert start is not None
        if container.index_of_outside(record.config, record.bundle) < len(record.config["mounts"]):
            start.tell({"mounts": True})
        self.on_ready()

    def on_ready(self) -> None:
        if self._start is not None and self._start.is_ready() and self.status == STARTING:
            self._release(self._start)

    def on_name_sockets(self, descriptors: list[int]) -> None:
        self.networking.take_name_sockets(descriptors)

    def on_console(self, master: int) -> None:
        self._output.take_console(master)

    def _release(self, start: Start) -> None:
        """Make it known to the others, then let the program run."""
        self.networking.announce()
        self.networking.publish()
        self.record.update(exit_code=None)
        changes: dict[str, Any] = {"started_ns": time.time_ns(), "finished_ns": 0, "warnings": start.warnings}
        changes |= {"executed": False, "started_before_ns": self.record.state.get("started_ns", 0)}
        self.record.transition(RUNNING, save=False, **changes)
        self.record.save(strict=True)
        for starter in self._starters:
            starter.take(self.lend_input)
        start.give_the_word()

    def on_executed(self) -> None:
        start = self._start
        assert start is not None
        self._close_start()
        self.watch_output()
        self.record.emit("start")
        for starter in _take(self._starters):
            starter.started(terminal=self.has_terminal(), warnings=start.warnings)
            if starter.wants_input:
                self._input.close()  # whoever was lent it is the last who has it
        self.record.update(executed=True, owes=restart.OWED if self.record.state.get("again") else "")
        self.record.save()
        self.start_health(None)
        self._neighbours.on_changed(self.id)

    def on_failed(self, message: str, exit_code: int) -> None:
        self.fail(message, exit_code)

    def fail(
        self,
        message: str,
        exit_code: int,
        kind: str = "StartFailed",
        hint: str | None = None,
        *,
        thorough: bool = False,
    ) -> None:
        """The program was never executed: undo the start, and say why."""
        if self._start is not None and self._start.preparer is not None:
            # Nobody has asked for the start yet: whoever does meets the same, and is told.
            self.unprepare()
            return
        message, kind = self.record.why_failed(message, kind)
        self.record.update(error=message, exit_code=exit_code, finished_ns=time.time_ns())
        self._abandon(thorough=thorough)
        pause_s = self._restarts.pause_after_failure_s(exit_code)
        if pause_s is not None:
            self.record.take_back(RESTARTING)
        else:
            self.record.take_back(EXITED if self.record.state.get("again") else CREATED)
        self.record.save(durable=True)
        if pause_s is not None:
            self.restart_after(pause_s)
        answer = {"error": message, "kind": kind, "hint": hint, "exit_code": exit_code}
        for starter in _take(self._starters):
            starter.failed(answer)
        self._answer_enders()
        self._neighbours.on_ended()

    def _abandon(self, *, thorough: bool) -> None:
        """Undo a start that came to nothing."""
        self.end_starting()
        note = self._start.take_note() if self._start is not None else None
        self._forget_run()
        self.process.discard()
        launching.bury(note)
        self._undo(thorough=thorough)

    def end_starting(self) -> None:
        """Kill what is being started."""
        if self.process.is_there():
            self.process.end()

    # -------------------------------------------------------------- prepared starts

    def prepare(self, preparer: object) -> None:
        """Prepare a start, until `start` or `unprepare`. What goes wrong is left to the start, which says it."""
        can_be = preparing.can_be(self._services.root, self.record.config)
        if self.is_active() or self.record.state.get("prepared") or not can_be:
            return
        self.record.update(prepared=True, boot_id=self._services.boot)
        try:
            self.networking.lease()
            self.record.save(strict=True)
            self._make(preparer)
        except (endpoints.NetworkFailed, OSError, Conflict):
            self.unprepare()
        except Exception as error:
            self._services.on_error(error)
            self.unprepare()

    def is_prepared_by(self, preparer: object) -> bool:
        return self._start is not None and self._start.preparer is preparer

    def unprepare(self, *, thorough: bool = False) -> None:
        """Take a prepared start back, one of a supervisor before this one too. Nothing happens where there is none."""
        if not self.record.state.get("prepared") or self.is_active():
            return
        self._abandon(thorough=thorough)
        del self.record.state["prepared"]
        self.record.update(pid=0)
        self.record.save()
        self._neighbours.on_ended()

    def _take_prepared(self) -> bool:
        """Make a prepared start the real one; False where there is none, or where its process has died."""
        is_prepared = self._start is not None and self._start.preparer is not None
        if is_prepared and wire.is_readable(self.process.pidfd):
            self.unprepare()
        start = self._start
        if start is not None:
            start.was_asked_for()
        self.record.state.pop("prepared", None)
        return start is not None

    # -------------------------------------------------------------- while it runs

    def watch_output(self) -> None:
        """Move its output into the log, and to where else it is to be sent."""
        self._output.watch(self.record.extras.get("forward"))

    def start_health(self, found: HealthRecord | None) -> None:
        """Begin the health check, or go on from what an earlier supervisor found."""
        config = self.record.extras.get("health")
        if config:
            told = functools.partial(self._neighbours.on_changed, self.id)
            self._probing = probing.Probing(self._services, self.record, self.process, config, found, told)

    def is_healthy(self) -> bool:
        """Tell whether its health check, if it has one, has succeeded."""
        return self._probing is None or self._probing.is_healthy

    def has_terminal(self) -> bool:
        return bool(self.record.config["process"].get("terminal"))

    def has_console(self) -> bool:
        """Tell whether its terminal is there."""
        return self._output.console >= 0

    def lend_input(self) -> int:
        """Return a duplicate of what writes to the container; -1 when nothing does."""
        return self._output.lend_console() if self.has_console() else self._input.lend()

    # -------------------------------------------------------------- the end

    def watch_exit(self) -> None:
        self.process.watch(lambda: self._on_exit(time.monotonic()))

    def _on_exit(self, since_s: float) -> None:
        """The first process is gone, and with it every other of its pid namespace."""
        if self._start is not None and self._start.note is not None:
            self._succeed(self._start)
            return
        self.process.forget()
        if self._start is not None and not self._drain_start():
            return
        status = self.process.reap()
        if status is None and time.monotonic() - since_s < _REAP_PATIENCE_S:
            # Somebody else is its parent now and has not reaped it yet.
            self._timers.after("reap", _REAP_PAUSE_S, lambda: self._on_exit(since_s))
            return
        self.finish_status(status)

    def _succeed(self, start: Start) -> None:
        """Let the process that was born in another's pid namespace take the first one's place; go on with the start."""
        note = start.take_note()
        assert note is not None
        try:
            self.process.reap(wait=True)
            born, said = note.read()
            self.process.succeed(born)
            if not born:
                reason = said.get("error") or "the container exited while it was being set up"
                raise process.ProcessFailed(reason, int(said.get("exit_code", 125)))
            self.record.update(pid=born, start_ticks=files.start_time(born) or 0)
            self.watch_exit()
            self.on_ready()
        except process.ProcessFailed as error:
            if not self._fail_as_reported():
                self.fail(str(error), error.exit_code)
        except Exception as error:
            self._services.on_error(error)
            self.fail(f"{error}", 125)

    def finish_status(self, status: int | None) -> None:
        """Record an exit by its wait status; None when nobody could see it."""
        executed = self.record.state.get("executed", True)
        if status is not None and not executed and exit_code_of(status) == _NOT_TOLD:
            # The word to start never came: the supervisor was killed between its record and that.
            self.record.update(started_ns=self.record.state.get("started_before_ns", 0))
            self.fail("the supervisor was killed while it was starting the container", _NOT_TOLD)
            return
        self._finish(None if status is None else exit_code_of(status))

    def _drain_start(self) -> bool:
        """Hear what it said before it died; False when that was all there is to it."""
        while self._start is not None:
            self._start.hear()
        return self.process.is_there()

    def _finish(self, exit_code: int | None) -> None:
        """Record an exit (None: nobody could see the code), and start it again or take its things away."""
        record, services = self.record, self._services
        if not sharing.has_own(record.config, "pid"):
            # No namespace that ends with its first process takes the others along.
            services.safely(self.process.cgroup.kill)
        if self.status == PAUSED:
            # it was paused as it was being killed; a next run in the same group would stand still, for ever
            services.safely(functools.partial(self.process.cgroup.freeze, False))
        services.safely(self._output.drain)
        self._forget_run()
        ended_ns = time.time_ns()
        ran_s = (ended_ns - int(record.state.get("started_ns") or ended_ns)) / 1e9
        stopped = record.is_stopped()
        pause_s = self._restarts.pause_s(exit_code=exit_code, ran_s=ran_s)
        is_renewed = bool(record.state.get("renewing")) and pause_s is not None
        changes: dict[str, Any] = {
            "exit_code": exit_code,
            "exit_unknown": exit_code is None,
            "oom_killed": self.process.cgroup.oom_kills() > self._seen_oom,
            "finished_ns": ended_ns,
            "pid": 0,
            "renewing": False,
            "renewed": is_renewed,
        }
        if pause_s is None:
            self._undo()
        record.transition(EXITED if pause_s is None else RESTARTING, durable=True, **changes)
        self.process.discard()  # until here whoever came next could have learnt from it how the program ended
        if record.state["oom_killed"]:
            record.emit("oom")
        shown = "" if exit_code is None else str(exit_code)
        restarts = "false" if pause_s is None else "true"
        record.emit("die", execDuration=str(int(ran_s)), exitCode=shown, willRestart=restarts)
        if pause_s is not None:
            # What a restart makes anew goes; addresses and ports stay.
            self.networking.withdraw()
            services.cgroup_removal.remove(self.process.cgroup)
            self.restart_after(pause_s)
        if stopped and not record.state.get("killed"):
            record.emit("stop")
        self._answer_enders()
        if pause_s is None and autoremove.is_due(record):
            services.safely(
                autoremove.remove, services, record, self._leave
            )  # else the next command removes it
        self._neighbours.on_ended()

    def _leave(self) -> None:
        self.release()
        self._neighbours.forget(self.id)

    def _undo(self, *, thorough: bool = False) -> None:
        """Take away what a start made outside of the container's own directory."""
        self.networking.undo(thorough=thorough)
        self._output.close_log(self._services.safely)
        self._services.safely(self._services.cgroup_removal.remove, self.process.cgroup)

    def restart_after(self, pause_s: float) -> None:
        self._timers.after("restart", pause_s, self._restart)

    def _restart(self) -> None:
        try:
            if sharing.is_coming_back(self._services.root, self.record.config):
                self.restart_after(sharing.PAUSE_S)
                return
            if not self.record.state.get("renewed"):
                self.record.update(restarts=int(self.record.state.get("restarts", 0)) + 1)
            self._begin()
        except Exception as error:
            self._services.on_error(error)
            if self.status == RESTARTING:
                # Out of descriptors or memory: it is tried until it is stopped.
                self.restart_after(FULL_DISK_PAUSE_S)

    def _forget_run(self) -> None:
        """Drop everything that belonged to this run of the program."""
        self._timers.cancel_all()
        probing_, self._probing = self._probing, None
        if probing_ is not None:
            probing_.stop()
        self._close_start()
        self.process.forget()
        self.networking.forget_names()
        self._output.stop()
        self._input.close()

    def _close_start(self) -> None:
        if self._start is not None:
            self._start.close()
            self._start = None

    # -------------------------------------------------------------- taken over from an earlier supervisor

    def adopt(self, held: dict[str, int]) -> None:
        """Take over what an earlier supervisor had of it: ``held`` are descriptors by key."""
        self.networking.adopt(held)
        self._output.adopt(held.pop("console", -1))
        self._input.adopt(held.pop("stdin", -1))
        self.process.adopt(int(self.record.state.get("pid") or 0), held.pop("pidfd", -1))

    # -------------------------------------------------------------- asked for

    def await_end(self, reply: Reply) -> None:
        """Have ``reply`` called with how it ended, when it does."""
        self._enders.append(reply)

    def forget_ender(self, reply: Reply) -> None:
        """Tell nothing to one who has gone."""
        self._enders = [kept for kept in self._enders if kept != reply]

    def wait(self, reply: Reply) -> None:
        """Reply with the exit code once it is not running."""
        if self.is_active():
            self.await_end(reply)
        else:
            reply(self._ending())

    def give_up_restart(self) -> None:
        """Stop a container that is waiting for its next start."""
        self._timers.cancel("restart")
        self._undo()
        self.record.transition(EXITED, durable=True)
        self._answer_enders()
        self._neighbours.on_ended()

    def reload(self) -> None:
        """Take over a new name (in events, in error messages, for those who look it up), limits, a restart policy.

        Who asks writes the limits of a cgroup that is there: the kernel may let them wait.
        """
        self.unprepare()
        self.record.reload()
        self.process.cgroup = self.record.cgroup()
        self._restarts.take_policy()
        if self.status in (RUNNING, PAUSED):
            self.networking.announce()

    def release(self) -> None:
        """Let go of everything for good, also of what no record names."""
        self.unprepare()
        self._undo(thorough=True)
        self.record.forget_unsaved()

    def pause(self, reply: Reply) -> None:
        if self.status == PAUSED:
            reply({"ok": True})
            return
        if self.status != RUNNING:
            reply({"error": f"container {self.name} is not running", "kind": "Conflict"})
            return
        self.process.cgroup.freeze(True)
        self.record.transition(PAUSED)
        self.record.emit("pause")
        reply({"ok": True})

    def resume(self) -> None:
        if self.status == PAUSED:
            self.process.cgroup.freeze(False)
            self.record.transition(RUNNING)
            self.record.emit("unpause")

    # -------------------------------------------------------------- ports that pass from one to another

    def waits_for_ports(self) -> bool:
        """Tell a container that gets its ports from one that still has them."""
        source = self.record.network.get("takes_over")
        if not source:
            return False
        try:
            return self._neighbours.find(source).is_active()
        except KeyError:
            return False

    # -------------------------------------------------------------- small things

    def _ending(self) -> dict[str, Any]:
        state = self.record.state
        return {"ok": True, "exit_code": state.get("exit_code"), "unknown": bool(state.get("exit_unknown"))}

    def _answer_enders(self) -> None:
        for reply in _take(self._enders):
            reply(self._ending())

    def after(self, name: str, delay_s: float, call: Callable[[], None]) -> None:
        """Call a function later, unless this run of the program ends before."""
        self._timers.after(name, delay_s, call)


def _take(waiting: list[_Waiting]) -> list[_Waiting]:
    """Return all who wait; nobody waits any more."""
    taken = waiting[:]
    waiting.clear()
    return taken
