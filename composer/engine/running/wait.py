"""Whether a container meets a condition, and what to say when it never will.

`judge` is pure. `look` asks the backend, once per event that concerns the containers: the state at that moment
decides, never the event, so a missed or repeated event cannot mislead. Health from before the last start does
not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.engine.observed import ContainerState, Health, lines
from composer.engine.operations.waiting import READY, STEADY
from composer.errors import ComposerError, DependencyFailed, NotFound, Timeout, Unhealthy
from composer.graph import COMPLETED, HEALTHY
from composer.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.engine.backend import Observer
    from composer.engine.observed import ObservedContainer
    from composer.engine.operations.waiting import WaitService

MET = "met"
SETTLING = "settling"
"""Met by what runs without a health check, if it still does in `SETTLE_S`: a program that fails most often does so at
once. Docker Compose looks for the first time after as long."""
PENDING = "pending"
FAILED = "failed"

SETTLE_S = 0.5


_LOG_LINES = 20
_OUTPUT_LINES = 5


class Verdict(NamedTuple):
    """``reason`` completes "container 'x' …"; empty unless failed."""

    state: str
    reason: str = ""


def judge(condition: str, container: ObservedContainer) -> Verdict:
    """Return whether a container meets a depends_on condition, or ``ready``."""
    state = container.state
    if state is ContainerState.RESTARTING:
        return Verdict(PENDING)
    if state is ContainerState.RUNNING:
        return Verdict(PENDING) if condition == COMPLETED else _judge_health(condition, container.health)
    if state in (ContainerState.EXITED, ContainerState.DEAD):
        return _judge_exit(condition, container)
    if state is ContainerState.CREATED:
        return Verdict(FAILED, "was not started")
    return Verdict(FAILED, f"is {state.value}")


def _judge_health(condition: str, health: Health) -> Verdict:
    if health is Health.NONE:
        if condition == HEALTHY:
            return Verdict(FAILED, "has no healthcheck configured")
        return Verdict(SETTLING if condition == READY else MET)
    if health is Health.STARTING:
        return Verdict(PENDING)
    return Verdict(MET) if health is Health.HEALTHY else Verdict(FAILED, "is unhealthy")


def _judge_exit(condition: str, container: ObservedContainer) -> Verdict:
    if container.exit_code is None:
        return Verdict(FAILED, "exited with an unknown exit code")
    if container.exit_code == 0 and condition != HEALTHY:
        return Verdict(MET)
    return Verdict(
        FAILED, f"exited ({container.exit_code}){' out of memory' if container.oom_killed else ''}"
    )


class Look(NamedTuple):
    """What one look at the containers of a service found. ``error`` is set when the condition cannot be met.

    ``news`` is what happened since the look before, for those who watch. ``runs`` has the times when what settles was
    started.
    """

    state: str
    error: ComposerError | None = None
    news: str = ""
    runs: tuple[int, ...] = ()


class Restarts:
    """How often each container was restarted since it began to be waited for. ``before`` has the counts of then.

    A count is a container's own: a backend may begin anew at a start, and then what was before does not count.
    """

    __slots__ = ("_before", "_seen")

    def __init__(self, before: Mapping[str, int] | None = None) -> None:
        self._before = dict(before or {})
        self._seen: dict[str, int] = {}

    def count(self, container: ObservedContainer) -> tuple[int, bool]:
        """Return the number of restarts, and whether it is another one than the last time."""
        if container.restarts < self._before.get(container.id, 0):
            self._before[container.id] = 0
        count = container.restarts - self._before.get(container.id, 0)
        is_news = count > self._seen.get(container.id, 0)
        self._seen[container.id] = count
        return count, is_news


def look(
    observer: Observer, operation: WaitService, ids: Sequence[str], restarts: Restarts | None = None
) -> Look:
    """Judge every container of a service; the worst verdict counts. A failure comes with its diagnosis."""
    restarts = Restarts() if restarts is None else restarts
    if operation.condition == STEADY:
        return _look_steady(observer, operation, ids)
    states, news, runs = {MET}, "", list[int]()
    for id in ids:
        try:
            container = observer.container(id)
        except NotFound:
            return Look(FAILED, _error(operation, id, "was removed"))
        verdict = judge(operation.condition, container)
        if verdict.state is PENDING:
            count, is_news = restarts.count(container)
            if operation.restarts is not None and count >= operation.restarts:
                verdict = Verdict(FAILED, f"was restarted {_times(count)} and is not {operation.condition}")
            elif is_news:
                news = f"{_times(count)}{_last_words(observer, container)}"
        if (
            verdict.state is FAILED
            and container.health is Health.UNHEALTHY
            and _is_stale(observer, container)
        ):
            verdict = Verdict(PENDING)
        if verdict.state is FAILED:
            error = _error(operation, container.name, verdict.reason, container.exit_code)
            for note in diagnose(observer, container, operation.waiting):
                error.add_note(note)
            return Look(FAILED, error)
        states.add(verdict.state)
        if verdict.state is SETTLING:
            runs.append(container.started_ns)
    state = next(state for state in (PENDING, SETTLING, MET) if state in states)
    return Look(state, news=news, runs=tuple(runs))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _last_words(observer: Observer, container: ObservedContainer) -> str:
    """Return how a container that is restarted ended, and the last line of its output."""
    code = "" if container.exit_code is None else f", exit {container.exit_code}"
    lines = _output(observer, container, 1)
    return f"{code}: {lines[-1]}" if lines else code


def _output(observer: Observer, container: ObservedContainer, count: int) -> list[str]:
    stream = observer.logs([container.id], tail=count)
    try:
        return [line.decode(errors="replace").rstrip("\r\n") for line in lines(stream)]
    finally:
        stream.close()


def _look_steady(observer: Observer, operation: WaitService, ids: Sequence[str]) -> Look:
    """See whether more containers failed than are tolerated. What ended well by itself has not failed."""
    failed: list[ComposerError] = []
    for id in ids:
        try:
            container = observer.container(id)
        except NotFound:
            failed.append(Unhealthy(f"container '{id}' no longer exists"))
            continue
        verdict = judge(READY, container)
        if verdict.state is FAILED and not _is_stale(observer, container):
            error = _error(operation, container.name, verdict.reason, container.exit_code)
            for note in diagnose(observer, container):
                error.add_note(note)
            failed.append(error)
    return Look(FAILED, failed[0]) if len(failed) > operation.tolerated else Look(PENDING)


def _is_stale(observer: Observer, container: ObservedContainer) -> bool:
    """Tell whether the last probe ran before the last start."""
    if container.state is not ContainerState.RUNNING:
        return False
    probes = observer.probes(container.id)
    return bool(probes) and probes[-1].ended_ns < container.started_ns


def _error(operation: WaitService, name: str, reason: str, code: int | None = None) -> ComposerError:
    """Return the error for a container that failed; it begins with Docker Compose's words, which scripts match."""
    container = f"container {name} {reason}"
    if operation.condition == STEADY:
        return Unhealthy(f"update of service '{operation.service}' failed: {container}")
    if not operation.waiting:
        return Unhealthy(container)
    dependency = "" if operation.required else f'optional dependency "{operation.service}"'
    if operation.condition == COMPLETED:
        how = f"exit {code} (container {name})" if code else container
        subject = dependency or f'service "{operation.service}"'
        return DependencyFailed(f"{subject} didn't complete successfully: {how}")
    return DependencyFailed(f"{dependency or 'dependency'} failed to start: {container}")


def timed_out(observer: Observer, operation: WaitService, ids: Sequence[str]) -> ComposerError:
    """Return the error for a condition that was not met in time, with the state of what was waited for."""
    limit = format_duration(round((operation.timeout_s or 0) * 1_000_000_000))
    error = Timeout(
        f"application not healthy after {limit}: service '{operation.service}' is not {operation.condition}",
        hint="increase --wait-timeout, or check its output with composer logs",
    )
    for id in ids:
        try:
            container = observer.container(id)
        except NotFound:
            continue
        if judge(operation.condition, container).state is not MET:
            for note in diagnose(observer, container, operation.waiting):
                error.add_note(note)
    return error


def diagnose(observer: Observer, container: ObservedContainer, waiting: Sequence[str] = ()) -> list[str]:
    """Return what explains a failure, a line each: last probe, exit code, last output, who was waiting."""
    notes = [f"container '{container.name}' is {describe(container)}"]
    if container.error:
        notes.append(f"error: {container.error}")
    probes = observer.probes(container.id)
    if probes and probes[-1].exit_code:
        notes.append(f"last health check: exit {probes[-1].exit_code}")
        notes += [f"  {line}" for line in probes[-1].output.rstrip().splitlines()[-_OUTPUT_LINES:]]
    lines = _output(observer, container, _LOG_LINES)
    if lines:
        notes.append("last output:")
        notes += [f"  {line}" for line in lines[-_LOG_LINES:]]
    if waiting:
        notes.append(f"waiting for it: {', '.join(waiting)}")
    return notes


def describe(container: ObservedContainer) -> str:
    """Return a container's state in words: ``running (unhealthy)``, ``exited (137, out of memory)``."""
    details = []
    if container.state in (ContainerState.EXITED, ContainerState.DEAD, ContainerState.RESTARTING):
        details.append("unknown exit code" if container.exit_code is None else str(container.exit_code))
    if container.oom_killed:
        details.append("out of memory")
    if container.state is ContainerState.RUNNING and container.health is not Health.NONE:
        details.append(container.health.value)
    return f"{container.state.value} ({', '.join(details)})" if details else container.state.value
