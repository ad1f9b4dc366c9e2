"""A project opened on a backend, for a program: up, down, and what is there."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.backends import choice
from composer.engine import actions, labels
from composer.engine.observed import lines
from composer.engine.options import Options
from composer.engine.planning.lifecycle import Teardown
from composer.engine.progress import Silence
from composer.schema.model import Project
from composer.session.session import Session
from composer.stacks import loading, reports, surroundings
from composer.stacks.results import LogLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from composer.engine.backend import Backend, EventStream, LogStream
    from composer.engine.engine import Engine
    from composer.engine.observed import Event, ObservedContainer
    from composer.engine.plan import Plan
    from composer.engine.progress import Events
    from composer.stacks.faulting import Fault

_LOOK_S = 0.5


class Lines:
    """Lines of logs as they come. `close` ends them, from any thread."""

    def __init__(self, stream: LogStream, containers: Mapping[str, ObservedContainer]) -> None:
        self._stream, self._containers = stream, containers

    def __iter__(self) -> Iterator[LogLine]:
        try:
            for piece in self._stream:
                container = self._containers[piece.container_id]
                service = labels.service_of(container)
                for line in lines([piece]):
                    text = line.decode(errors="replace").rstrip("\r\n")
                    yield LogLine(service, container.name, piece.time_ns, piece.stream, text)
        finally:
            self._stream.close()

    def close(self) -> None:
        self._stream.close()


class Happenings:
    """Events as they come. `close` ends them, from any thread."""

    def __init__(self, stream: EventStream, timeout_s: float | None) -> None:
        self._stream, self._timeout_s = stream, timeout_s
        self._is_over = False

    def __iter__(self) -> Iterator[Event]:
        look_s = _LOOK_S if self._timeout_s is None else min(_LOOK_S, self._timeout_s)
        last_s = time.monotonic()
        try:
            while not self._is_over:
                event = self._stream.next(look_s)
                if event is not None:
                    last_s = time.monotonic()
                    yield event
                elif self._timeout_s is not None and time.monotonic() - last_s >= self._timeout_s:
                    return
        finally:
            self._stream.close()

    def close(self) -> None:
        self._is_over = True


class Opened:
    """A project opened on a backend: what its stack and its services share. Safe for threads."""

    def __init__(
        self,
        project: Project | str | Iterable[str],
        *,
        backend: str | None = None,
        name: str | None = None,
        services: Iterable[str] = (),
        env: Mapping[str, str | None] | None = None,
        watch: Events | None = None,
    ) -> None:
        """``project`` is one from `load`, or the paths of its files. ``name`` is the stack's, instead of the project's.

        ``backend`` is ``namespace`` or ``docker``; without it the one that has the project, or that works here.
        ``services`` limits `up` to these and what they depend on. ``watch`` is told of progress.
        """
        loaded = project if isinstance(project, Project) else loading.load(project, env=env, name=name)
        self.project = loading.renamed(loaded, name) if name else loaded
        self.chosen = tuple(services)
        self._watch: Events = watch or Silence()
        self.env = env
        environment = surroundings.environment(env)
        self._session = Session(environment, wanted=backend or choice.configured(environment, None))
        self._lock = threading.RLock()
        self._opened: Backend | None = None
        self._made = False
        self._faults: list[Fault] = []

    @property
    def name(self) -> str:
        return self.project.name

    @property
    def backend(self) -> Backend:
        """The backend, opened when it is first needed. Raises Unavailable."""
        with self._lock:
            if self._opened is None:
                self._opened = self._session.backend(self.name)
            return self._opened

    # -------------------------------------------------------------- up and down

    def plan(self, *, services: Iterable[str] = (), build: bool | None = None) -> Plan:
        """Return what `up` would do now; nothing is changed."""
        return actions.plan_up(self._engine(), self.project, self.options(services, build=build))

    def up(
        self,
        *,
        services: Iterable[str] = (),
        wait: bool = True,
        timeout: float | None = None,
        build: bool | None = None,
        recreate: bool = False,
        scale: Mapping[str, int] | None = None,
    ) -> Plan:
        """Create and start what is missing or has changed; return what was done.

        With ``wait`` it returns when all services are healthy, or running where they have no health check; ``timeout``
        is in seconds. ``build``: True builds images anew, False none. Raises StackFailed.
        """
        options = self.options(services, build=build)._replace(
            wait=wait,
            wait_timeout_s=timeout,
            recreate="force" if recreate else "diverged",
            scale=scale or {},
        )
        with self.changing("up") as engine:
            self.note_made()
            try:
                return actions.up(engine, self.project, options)
            except (errors.ComposerError, ExceptionGroup) as error:
                raise self._failed(error) from error

    def down(self, *, volumes: bool = True, timeout: float | None = None, images: str = "") -> Plan:
        """Remove containers and networks, and with ``volumes`` the data. Nothing to remove is no error.

        ``timeout`` is the grace period in seconds; ``images`` is ``local`` or ``all`` to remove these too.
        """
        with self.changing("down") as engine:
            plan = actions.down(engine, self.name, Teardown((), volumes, images, timeout))
            self._made = False
            return plan

    def note_made(self) -> None:
        """Take the stack down at the end of its block."""
        self._made = True

    def options(
        self, services: Iterable[str] = (), *, build: bool | None = None, start: bool = True
    ) -> Options:
        """Return what an `up` of these services is asked for, of the stack's own by default."""
        named = tuple(services) or self.chosen
        return Options(services=named, build=build, start=start, remove_orphans=False, ignore_orphans=True)

    def _engine(self) -> Engine:
        _ = self.backend
        return self._session.engine(self.name, self._watch)

    @contextmanager
    def changing(self, verb: str) -> Iterator[Engine]:
        """Hold the project's lock: other commands and stacks of the same project wait."""
        backend = self.backend
        with self._lock, self._session.lock(self.name, verb):
            backend.recover(self.name)
            try:
                yield self._engine()
            finally:
                backend.rest()

    def _failed(self, error: BaseException) -> reports.StackFailed:
        causes = list(error.exceptions) if isinstance(error, BaseExceptionGroup) else [error]
        try:
            plan: Plan | None = self.plan()
        except errors.ComposerError:
            plan = None  # what went wrong keeps it from being made
        containers = reports.unwell(self.ps(all=True))
        return reports.StackFailed(causes, plan, reports.report(self.backend, containers))

    # -------------------------------------------------------------- looking

    def ps(self, *, all: bool = False) -> list[ObservedContainer]:
        """Return the running containers of the stack; with ``all`` the others too."""
        found = [one for one in self.backend.observe(self.name).containers if not labels.is_oneoff(one)]
        found.sort(key=lambda one: (labels.service_of(one), labels.number_of(one)))
        return [one for one in found if all or one.state.value in ("running", "paused", "restarting")]

    @property
    def services(self) -> list[str]:
        """The names of the services that profiles enable."""
        return sorted(self.project.tree.get("services") or ())

    def logs(
        self,
        *,
        services: Iterable[str] = (),
        follow: bool = False,
        since: float | None = None,
        until: float | None = None,
        tail: int | None = None,
    ) -> Iterator[LogLine]:
        """Yield the lines of services, of all by default. ``since`` and ``until`` are Unix times in seconds.

        With ``follow`` it goes on until no container can write any more; close the iterator to end it before.
        """
        return iter(self.open_logs(services, follow=follow, since=since, until=until, tail=tail))

    def open_logs(
        self,
        services: Iterable[str] = (),
        *,
        follow: bool = False,
        since: float | None = None,
        until: float | None = None,
        tail: int | None = None,
    ) -> Lines:
        """Return what `logs` yields, to be closed from another thread."""
        wanted = set(services)
        containers = {
            one.id: one for one in self.ps(all=True) if not wanted or labels.service_of(one) in wanted
        }
        stream = self.backend.logs(
            list(containers),
            follow=follow,
            since_ns=int((since or 0) * 1e9),
            until_ns=None if until is None else int(until * 1e9),
            tail=tail,
        )
        return Lines(stream, containers)

    def events(self, *, timeout: float | None = None) -> Iterator[Event]:
        """Yield what happens to the stack's objects from the call on, until the iterator is closed.

        ``timeout``: seconds without an event after which it ends.
        """
        return iter(self.open_events(timeout=timeout))

    def open_events(self, *, timeout: float | None = None) -> Happenings:
        """Return what `events` yields, to be closed from another thread."""
        return Happenings(self.backend.events(self.name), timeout)

    @property
    def state_directory(self) -> str:
        """Where commands keep what they know: locks of this user's programs, too."""
        return self._session.state_root.own

    def await_that(self, is_so: Callable[[], bool], *, timeout: float, what: str) -> None:
        """Wait until something is so: looked at now and after each event of the stack. Raises Timeout."""
        stream = self.backend.events(self.name)
        until = time.monotonic() + timeout
        try:
            while not is_so():
                left = until - time.monotonic()
                if left <= 0:
                    raise errors.Timeout(f"{what} within {timeout:g} s: it was not so")
                stream.next(min(left, _LOOK_S))
        finally:
            stream.close()

    # -------------------------------------------------------------- faults

    def fault(self, services: Iterable[str], kind: str, **values: Any) -> Fault:
        """Make a fault in the running containers of services; see `composer.faults.wishes` for the kinds."""
        from composer.stacks import faulting

        wanted = set(services)
        containers = [one for one in self.ps(all=True) if labels.service_of(one) in wanted]
        wishes = faulting.wishes_of(self.backend, containers, kind, values)
        made = faulting.Fault(wishes, self._session.state_root.own, self._session.environment)
        with self._lock:
            self._faults.append(made)
        return made

    def partition(self, one: Iterable[str], other: Iterable[str]) -> Fault:
        """Let no packet through between services of one side and those of the other."""
        from composer.stacks import faulting

        others = list(other)
        containers = [found for found in self.ps() if labels.service_of(found) in others]
        return self.fault(one, "partition", addresses=faulting.addresses_of(containers), names=others)

    def heal(self) -> None:
        """Undo all faults that this stack's methods have made."""
        with self._lock:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.heal()

    # -------------------------------------------------------------- the end

    def close(self) -> None:
        """Undo faults, and let go of the backend. What runs goes on."""
        self.heal()
        with self._lock:
            self._session.close()
            self._opened = None
