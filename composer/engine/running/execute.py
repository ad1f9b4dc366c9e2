"""`execute(plan, backend, …) → Outcome`: runs a plan as parallel as it allows, and decides nothing.

One coordinator, the calling thread, owns all state; worker threads only call the backend and put a result on
its queue, as do the event stream and Ctrl-C. A step runs when all that it needs succeeded; when one failed it is
skipped, and reported as skipped. What only execution can know (the id of what was just created, the digest of
what was just pulled) is filled in here.

                      tasks ────►  workers ──backend──►
      coordinator ◄── queue ◄──┴── event stream, Ctrl-C
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from composer.engine import labels
from composer.engine.operations.containers import CreateContainer
from composer.engine.operations.images import BuildImage, PullImage
from composer.engine.operations.providers import PrepareModel, StartProvider
from composer.engine.operations.registry import is_abandoned, perform, progress_of, resource_of, text_of
from composer.engine.operations.row import ContainerRef, DoneAndFailed, Kept
from composer.engine.operations.waiting import READY, STEADY, WaitService
from composer.engine.plan import PARALLEL, Outcome
from composer.engine.progress import DONE, FAILED, SKIPPED, WARNING, WORKING, Cancellation, Progress
from composer.engine.running import wait
from composer.engine.running.preparations import Preparations
from composer.engine.running.wait import MET, PENDING, SETTLING, Look, Restarts, look, timed_out
from composer.errors import (
    ComposerError,
    EngineError,
    ImageError,
    MachineFailed,
    NotFound,
    OperationFailed,
)
from composer.graph import HEALTHY

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.engine.backend import Backend, EventStream
    from composer.engine.observed import Advance, Event, ObservedImage
    from composer.engine.operations.registry import Operation
    from composer.engine.operations.row import Resource
    from composer.engine.plan import Plan, Step
    from composer.engine.progress import Events
    from composer.engine.providers.protocol import Variables


def execute(
    plan: Plan,
    backend: Backend,
    events: Events,
    *,
    project: str | None = None,
    parallel: int = PARALLEL,
    cancel: Cancellation | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Carry out a plan and return what came of it; failures are returned, see `Outcome.check`."""
    coordinator = _Coordinator(plan, backend, events, clock)
    return coordinator.run(project, max(1, parallel), cancel or Cancellation())


class _Gate:
    """A condition that is being waited for.

    ``dirty``: something happened while it was being looked at. ``over``: its time is over, and one last look decides.
    ``settled_at`` is when what runs without a health check will have run for long enough. ``rechecked``: the others of
    ``--wait`` were looked at once more, for they may have ended while this one was waited for.
    """

    __slots__ = (
        "_runs",
        "deadline",
        "dirty",
        "ids",
        "looking",
        "operation",
        "over",
        "rechecked",
        "restarts",
        "settled_at",
    )

    def __init__(
        self, operation: WaitService, ids: tuple[str, ...], deadline: float | None, restarts: Restarts
    ) -> None:
        self.operation, self.ids, self.deadline, self.restarts = operation, ids, deadline, restarts
        self.looking = True
        self.dirty = self.over = self.rechecked = False
        self.settled_at: float | None = None
        self._runs: tuple[int, ...] = ()

    def settled(self, now_s: float) -> tuple[int, ...] | None:
        """Return when what has run for long enough was started; None where nothing has yet."""
        return self._runs if self.settled_at is not None and self.settled_at <= now_s else None

    def settle(self, found: Look, now_s: float) -> None:
        """Begin to wait until what runs has run for long enough; anew where it was started again."""
        if found.state is not SETTLING:
            self.settled_at = None
        elif self.settled_at is None or found.runs != self._runs:
            self.settled_at, self._runs = now_s + wait.SETTLE_S, found.runs


def _failure(operation: Operation, error: Exception) -> ComposerError:
    """Return an error with what was being done, unless it says so by itself."""
    if isinstance(error, ImageError) and resource_of(operation).name in str(error):
        return error
    if isinstance(error, EngineError) and not isinstance(error, MachineFailed):
        return error
    failure = OperationFailed(text_of(operation), error)
    failure.__cause__ = error
    for note in getattr(error, "__notes__", ()):
        failure.add_note(note)
    return failure


def _shown(operation: Operation, error: Exception) -> str:
    """Return what is said of a failure beside its resource; the error itself comes at the end."""
    if isinstance(operation, WaitService) and operation.waiting and operation.condition == HEALTHY:
        return f"dependency {operation.service} failed to start"
    return str(error)


def _is_for_the_end(operation: Operation) -> bool:
    """Tell a wait of ``--wait``, which only removals of what was replaced wait for."""
    return isinstance(operation, WaitService) and operation.condition == READY and operation.cause == "--wait"


class _Interrupt:
    """Puts a request to cancel on the coordinator's queue; SimpleQueue.put is safe in a signal handler."""

    def __init__(self, inbox: SimpleQueue[tuple[Any, ...]]) -> None:
        self._inbox = inbox

    def cancelled(self, level: int) -> None:
        self._inbox.put(("cancel", level))


class _Coordinator:
    def __init__(self, plan: Plan, backend: Backend, events: Events, clock: Callable[[], float]) -> None:
        self._steps: dict[int, Step] = {step.id: step for step in plan.steps}
        self._backend, self._events, self._clock = backend, events, clock
        self._inbox: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._missing = {step.id: len(step.needs) + len(step.after) for step in plan.steps}
        self._followers: dict[int, list[int]] = {step.id: [] for step in plan.steps}
        for step in plan.steps:
            for other in (*step.needs, *step.after):
                self._followers[other].append(step.id)
        self._state: dict[int, str] = {}
        self._left: dict[Resource, int] = {}
        for step in plan.steps:
            self._left[resource_of(step.operation)] = self._left.get(resource_of(step.operation), 0) + 1
        self._running: set[int] = set()
        self._gates: dict[int, _Gate] = {}
        self._failures: list[ComposerError] = []
        self._ids: dict[str, str] = {}
        self._restarted: dict[str, int] = {}
        """How often what is there already was restarted before, of what is waited for."""
        self._firsts: dict[str, tuple[int, str]] = {}
        self._images: dict[str, ObservedImage] = {}
        self._variables: dict[str, Variables] = {}
        self._endpoints: dict[str, str] = {}
        self._preparations = Preparations(backend, self._steps, self._followers)
        self._level = 0
        self._blind: Exception | None = None
        self._threads: list[threading.Thread] = []
        self._receivers: dict[str, Callable[..., None]] = {
            "done": self._done,
            "looked": self._looked,
            "event": self._event,
            "lost": self._lost,
            "cancel": self._cancelled,
            "news": self._news,
        }

    # ------------------------------------------------------------- the loop

    def run(self, project: str | None, parallel: int, cancel: Cancellation) -> Outcome:
        interrupt = _Interrupt(self._inbox)
        cancel.subscribe(interrupt)
        stream = self._watch(project)
        self._parallel = parallel
        try:
            self._events.begin(tuple(self._left))
            self._level = cancel.level
            self._count_restarts()
            self._release([id for id, missing in self._missing.items() if not missing])
            while len(self._state) < len(self._steps):
                self._next()
        finally:
            cancel.unsubscribe(interrupt)
            if stream is not None:
                stream.close()
            for _ in self._threads:
                self._tasks.put(None)
            self._preparations.close(wait=self._level < 2)
        return self._outcome()

    def _watch(self, project: str | None) -> EventStream | None:
        """Open the event stream before anything runs, so that nothing that a gate waits for is missed."""
        if not any(isinstance(step.operation, WaitService) for step in self._steps.values()):
            return None
        stream = self._backend.events(project)

        def pump() -> None:
            try:
                while (event := stream.next(None)) is not None:
                    self._inbox.put(("event", event))
            except Exception as error:
                self._inbox.put(("lost", error))

        threading.Thread(target=pump, name="events", daemon=True).start()
        return stream

    def _next(self) -> None:
        deadlines = [gate.deadline for gate in self._gates.values() if gate.deadline is not None]
        deadlines += [
            gate.settled_at
            for gate in self._gates.values()
            if gate.settled_at is not None and not gate.looking
        ]
        timeout = max(0.0, min(deadlines) - self._clock()) if deadlines else None
        try:
            message = self._inbox.get(timeout=timeout)
        except Empty:
            self._expire()
            return
        kind, *rest = message
        self._receivers[kind](*rest)

    # ------------------------------------------------------------- scheduling

    def _release(self, ids: list[int]) -> None:
        """Run, skip or cancel steps all of whose predecessors have ended."""
        pending = list(reversed(ids))
        while pending:
            id = pending.pop()
            step = self._steps[id]
            if any(self._state[other] != DONE for other in step.needs):
                is_cancelled = all(self._state[o] in (DONE, "cancelled") for o in step.needs)
                pending += self._finish(id, "cancelled" if is_cancelled else SKIPPED)
            elif self._level:
                pending += self._finish(id, "cancelled")
            else:
                self._begin(step)
        if self._gates and not self._level:
            self._preparations.look(self._gates, self._state, self._id)

    def _finish(self, id: int, state: str) -> list[int]:
        """Record the end of a step; return the steps that nothing keeps any longer."""
        self._state[id] = state
        self._running.discard(id)
        operation = self._steps[id].operation
        self._left[resource_of(operation)] -= 1
        if state == SKIPPED:
            self._events.progress(Progress(SKIPPED, resource_of(operation), "skipped", self._blame(id)))
        released = []
        for follower in self._followers[id]:
            self._missing[follower] -= 1
            if not self._missing[follower]:
                released.append(follower)
        return released

    def _blame(self, id: int) -> str:
        step = self._steps[id]
        failed = next(o for o in step.needs if self._state[o] in (FAILED, SKIPPED))
        words = "failed" if self._state[failed] == FAILED else "was skipped"
        return f"because {resource_of(self._steps[failed].operation).name} {words}"

    def _begin(self, step: Step) -> None:
        operation = step.operation
        self._running.add(step.id)
        if doing := progress_of(operation)[0]:
            self._events.progress(Progress(WORKING, resource_of(operation), doing))
        if isinstance(operation, WaitService):
            ids = self._ids_of(operation)
            limit = operation.timeout_s
            gate = _Gate(
                operation, ids, None if limit is None else self._clock() + limit, Restarts(self._restarted)
            )
            self._gates[step.id] = gate
            self._submit(lambda: self._look(step.id, gate))
        else:
            bound = self._bind(operation)
            self._preparations.begun(step.id)
            self._submit(lambda: self._work(step.id, bound))

    def _submit(self, task: Callable[[], None]) -> None:
        if len(self._threads) < min(self._parallel, len(self._running)):
            thread = threading.Thread(target=self._worker, name="worker", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._tasks.put(task)

    def _count_restarts(self) -> None:
        for step in self._steps.values():
            if isinstance(step.operation, WaitService):
                for container in step.operation.containers:
                    if container.id:
                        with suppress(NotFound):
                            self._restarted[container.id] = self._backend.container(container.id).restarts

    # ------------------------------------------------------------- on the workers

    def _worker(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()

    def _work(self, id: int, operation: Operation) -> None:
        try:
            value = perform(self._backend, operation, lambda text: self._inbox.put(("news", id, text)))
        except Exception as error:
            self._inbox.put(("done", id, None, error))
        else:
            self._inbox.put(("done", id, value, None))

    def _look(
        self, id: int, gate: _Gate, *, is_last: bool = False, settled: tuple[int, ...] | None = None
    ) -> None:
        operation = gate.operation
        try:
            found = look(self._backend, operation, gate.ids, gate.restarts)
            if found.state is SETTLING and (is_last or found.runs == settled):
                found = found._replace(state=MET)
            elif is_last and found.state is PENDING:
                # for `steady`, nothing has happened for as long as was asked
                is_met = operation.condition == STEADY
                error = None if is_met else timed_out(self._backend, operation, gate.ids)
                found = Look(MET if is_met else FAILED, error, found.news)
        except Exception as error:
            self._inbox.put(("done", id, None, error))
        else:
            self._inbox.put(("looked", id, found))

    # ------------------------------------------------------------- what the queue brings

    def _done(self, id: int, value: Any, error: Exception | None) -> None:
        self._gates.pop(id, None)
        if id in self._state:
            return
        operation = self._steps[id].operation
        if isinstance(error, Kept):
            self._events.progress(Progress(WARNING, resource_of(operation), error.phase, str(error)))
        elif isinstance(error, DoneAndFailed):
            self._failures.append(_failure(operation, error.reason))
            self._events.progress(Progress(WARNING, resource_of(operation), progress_of(operation)[1]))
        elif error is not None:
            self._fail(id, error)
            return
        else:
            self._learn(operation, value)
            status = WORKING if self._left[resource_of(operation)] > 1 else DONE
            self._events.progress(Progress(status, resource_of(operation), progress_of(operation)[1]))
        self._release(self._finish(id, DONE))

    def _fail(self, id: int, error: Exception) -> None:
        operation = self._steps[id].operation
        if isinstance(operation, WaitService) and isinstance(error, ComposerError):
            failure = error
        else:
            failure = _failure(operation, error)
        self._failures.append(failure)
        self._events.progress(Progress(FAILED, resource_of(operation), "error", _shown(operation, error)))
        self._release(self._finish(id, FAILED))

    def _learn(self, operation: Operation, value: Any) -> None:
        if isinstance(operation, CreateContainer):
            name, service, number, _ = operation.container
            self._ids[name] = value
            if service not in self._firsts or number < self._firsts[service][0]:
                self._firsts[service] = (number, value)
        elif isinstance(operation, PullImage) and value is not None:
            self._images[operation.reference] = value
        elif isinstance(operation, BuildImage):
            self._images[operation.spec.reference] = value
        elif isinstance(operation, StartProvider):
            self._variables[operation.service] = value
        elif isinstance(operation, PrepareModel):
            self._endpoints[operation.name] = value

    def _looked(self, id: int, found: Look) -> None:
        gate = self._gates.get(id)
        if gate is None:
            return
        gate.looking = False
        if found.news:
            self._events.progress(Progress(WARNING, resource_of(gate.operation), "restarted", found.news))
        if found.state is SETTLING and self._blind is not None:
            found = found._replace(state=MET)  # it runs, and nothing more can be known
        if found.state in (PENDING, SETTLING):
            gate.settle(found, self._clock())
            if self._blind is not None:
                self._done(id, None, self._blind)
            elif gate.dirty or gate.over:
                self._look_again(id, gate)
            return
        others = self._waited_for_before(id) if found.state is MET and not gate.rechecked else []
        if others:
            gate.rechecked = gate.looking = True
            self._submit(lambda: self._recheck(id, others))
            return
        if found.state is MET or gate.operation.required:
            self._done(id, None, found.error)
            return
        self._events.warn(str(found.error))
        self._gates.pop(id)
        self._events.progress(Progress(WARNING, resource_of(gate.operation), "skipped"))
        self._release(self._finish(id, DONE))

    def _waited_for_before(self, id: int) -> list[tuple[WaitService, tuple[str, ...]]]:
        """Return what else ``--wait`` waits for, with ids, when this is the last that was missing; else nothing."""
        if not _is_for_the_end(self._steps[id].operation):
            return []
        found = []
        for step in self._steps.values():
            if step.id == id or not _is_for_the_end(step.operation):
                continue
            if self._state.get(step.id) != DONE:
                return []
            operation = step.operation
            assert isinstance(operation, WaitService)
            found.append((operation, self._ids_of(operation)))
        return found

    def _recheck(self, id: int, others: list[tuple[WaitService, tuple[str, ...]]]) -> None:
        try:
            looks = [look(self._backend, *other) for other in others]
        except Exception as error:
            self._inbox.put(("done", id, None, error))
        else:
            self._inbox.put(
                ("looked", id, next((one for one in looks if one.state is wait.FAILED), Look(MET)))
            )

    def _look_again(self, id: int, gate: _Gate) -> None:
        if gate.looking:
            gate.dirty = True
            return
        gate.looking, gate.dirty = True, False
        is_last = gate.over
        settled = gate.settled(self._clock())
        self._submit(lambda: self._look(id, gate, is_last=is_last, settled=settled))

    def _event(self, event: Event) -> None:
        for id, gate in tuple(self._gates.items()):
            if event.id in gate.ids:
                self._look_again(id, gate)

    def _expire(self) -> None:
        now = self._clock()
        for id, gate in tuple(self._gates.items()):
            if gate.deadline is not None and gate.deadline <= now:
                gate.deadline, gate.over = None, True
                self._look_again(id, gate)
            elif gate.settled_at is not None and gate.settled_at <= now and not gate.looking:
                self._look_again(id, gate)

    def _lost(self, error: Exception) -> None:
        """Without events nothing that is waited for can be known: look once more, and then fail."""
        self._blind = error
        for id, gate in tuple(self._gates.items()):
            self._look_again(id, gate)

    def _cancelled(self, level: int) -> None:
        self._level = max(self._level, level)
        for id in tuple(self._gates):
            del self._gates[id]
            self._release(self._finish(id, "cancelled"))
        self._abandon(everything=level > 1)

    def _abandon(self, *, everything: bool) -> None:
        """Wait no longer for what leaves nothing half done, such as builds, or for anything.

        The workers are daemons: what they are doing ends with the process, or by itself.
        """
        for id in tuple(self._running):
            operation = self._steps[id].operation
            if everything or is_abandoned(operation):
                if not everything:
                    self._events.progress(Progress(WARNING, resource_of(operation), "cancelled"))
                self._release(self._finish(id, "cancelled"))

    def _news(self, id: int, advance: Advance) -> None:
        if id not in self._state:
            operation = self._steps[id].operation
            resource = resource_of(operation)
            if advance.is_phase:
                self._events.progress(Progress(WORKING, resource, advance.what, is_quoted=True))
            else:
                self._events.progress(Progress(WORKING, resource, progress_of(operation)[0], advance=advance))

    # ------------------------------------------------------------- what only execution knows

    def _ids_of(self, operation: WaitService) -> tuple[str, ...]:
        """Return the ids of what is waited for.

        One that could not be created has none: its name is not found, which is the right answer.
        """
        return tuple(c.id or self._ids.get(c.name, c.name) for c in operation.containers)

    def _id(self, container: ContainerRef) -> str:
        return container.id or self._ids[container.name]

    def _bind(self, operation: Operation) -> Operation:
        """Fill in the ids of what this plan created or pulled."""
        if isinstance(operation, CreateContainer):
            return self._bind_creation(operation)
        container = getattr(operation, "container", None)
        if container is None or container.id:
            return operation
        bound: Operation = operation._replace(container=container._replace(id=self._id(container)))  # type: ignore[call-arg]
        return bound

    def _bind_creation(self, operation: CreateContainer) -> CreateContainer:
        spec = operation.spec
        own = dict(spec.labels)
        image = self._images.get(spec.image)
        if spec.image_id is None and image is not None:
            spec = spec._replace(image_id=image.id)
            own[labels.IMAGE] = image.id
        mounted = {
            f"image:{m.source}": self._images[m.source].id for m in spec.mounts if m.source in self._images
        }
        if mounted:
            had = json.loads(own.get(labels.CONTENTS) or "{}")
            own[labels.CONTENTS] = json.dumps({**had, **mounted}, sort_keys=True, separators=(",", ":"))
        if operation.hashed is not None:
            from composer.engine.resolving.hashing import DEFAULT, named, service_hash
            from composer.engine.resolving.identity import substitute_shared

            ids = {service: id for service, (_, id) in self._firsts.items()}
            form = named(own.get(labels.FORM, "")) or DEFAULT
            own[labels.CONFIG_HASH] = service_hash(substitute_shared(operation.hashed, ids), form)
        return operation._replace(spec=spec._replace(labels=own))

    def _outcome(self) -> Outcome:
        def having(state: str) -> tuple[int, ...]:
            return tuple(sorted(id for id, found in self._state.items() if found == state))

        return Outcome(
            done=having(DONE),
            failures=tuple(self._failures),
            failed=having(FAILED),
            skipped=having(SKIPPED),
            cancelled=having("cancelled"),
            ids=dict(self._ids),
            variables=dict(self._variables),
            endpoints=dict(self._endpoints),
        )
