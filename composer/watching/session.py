"""The loop of a watch: waits for changes, and acts.

One thread reads what the others put on its queue: where something has changed, which containers have started. What
comes while it acts is handled afterwards. The project's lock is held only while containers are replaced, restarted, or
written to while they do not run, so that other commands can work beside a watch.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager, nullcontext
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, Protocol

from composer.engine import labels
from composer.engine.observed import Capability, ContainerState
from composer.errors import BackendError, Cancelled, ComposerError, CopyFailed, NotFound
from composer.watching import hooks, rebuilding
from composer.watching.batches import Batch
from composer.watching.ledger import Ledger
from composer.watching.notices import Notices
from composer.watching.sources import Tree
from composer.watching.transfer import transfer
from composer.watching.work import entries_of, work_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from composer.engine.backend import EventStream
    from composer.engine.engine import Engine
    from composer.engine.observed import ObservedContainer
    from composer.engine.options import Options
    from composer.schema.model import Project
    from composer.watching.rules import Rule, Watched
    from composer.watching.work import Entry, Work

_LARGE = 1000
_ANYWHERE = ""
"""Stands for every path in a batch."""


class Host(Protocol):
    """Who runs a watch: shows what happens, and has the project's lock."""

    def say(self, sentence: str) -> None: ...
    def warn(self, sentence: str) -> None: ...
    def report(self, error: BaseException) -> None:
        """Show an error that does not end the watch."""
        ...

    def output(self, container: str, stream: str, data: bytes) -> None:
        """Show what a command in a container, given by its id, wrote to ``stdout`` or ``stderr``."""
        ...

    def lock(self) -> AbstractContextManager[None]:
        """Keep other commands from changing the project; waits for one that does."""
        ...

    def ended(self, error: BaseException) -> None:
        """Tell what ended the watch, other than a request to."""
        ...


class _Changed(NamedTuple):
    paths: Iterable[str]


class _Lost(NamedTuple):
    """Anything may have changed."""


class _Started(NamedTuple):
    service: str


class _Failed(NamedTuple):
    error: Exception


class Watcher:
    """One watch of a project. Make it before anything is built: what changes from then on is not missed.

    ``options`` are those of an ``up``; with ``prunes`` images are removed that a rebuild has replaced; ``polls`` as in
    `Notices`.
    """

    def __init__(
        self,
        engine: Engine,
        project: Project,
        options: Options,
        watched: Watched,
        host: Host,
        *,
        prunes: bool = True,
        polls: bool = False,
    ) -> None:
        assert engine.cancel is not None
        self._engine, self._project, self._options, self._host = engine, project, options, host
        self._rules, self._services = watched.rules, watched.services
        self._prunes, self._polls = prunes, polls
        self._cancel = engine.cancel
        # a build that is given up has changed nothing; containers are not left half replaced
        self._building = engine._replace(cancel=engine.cancel.following(urgent=True))
        self._queue: SimpleQueue[_Changed | _Lost | _Started | _Failed | None] = SimpleQueue()
        self._trees = [
            Tree(path, self._pass_over(path)) for path in dict.fromkeys(rule.path for rule in watched.rules)
        ]
        self._batch, self._has_lost = Batch(), False
        self._ledger = Ledger()
        self._notices: Notices | None = None
        self._events: EventStream | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._ends: SimpleQueue[None] = SimpleQueue()
        self._is_idle = threading.Event()
        """Set while nothing is going on that must be waited for: not begun, over, or another command has the lock."""
        self._is_idle.set()
        self.failure: BaseException | None = None
        self.is_changing = False
        """Containers are being replaced or restarted: those that end are coming back."""
        self._cancel.subscribe(self)
        for tree in self._trees:
            tree.look()
            if not os.path.lexists(tree.root):
                host.warn(f"path '{tree.root}' does not exist; it is watched once it does")

    def _pass_over(self, path: str) -> Callable[[str], bool]:
        rules = [rule for rule in self._rules if rule.path == path]
        return lambda directory: all(rule.passes_over(directory) for rule in rules)

    # -------------------------------------------------------------- begin and end

    def start(self) -> None:
        """Begin to watch, with the containers that are there. Raises ProjectError or BackendError."""
        self._events = self._engine.backend.events(self._project.name)
        for container in self._containers(self._services):
            self._ledger.begin(labels.service_of(container), container.id, container.started_ns)
        self._notices = Notices(
            [tree.root for tree in self._trees],
            lambda paths: self._queue.put(_Changed(paths)),
            lambda: self._queue.put(_Lost()),
            lambda error: self._queue.put(_Failed(error)),
            polls=self._polls,
        )
        self._notices.start()
        self._note_initial()
        self._host.say("Watch enabled")
        self._queue.put(_Lost())  # what has changed since this was made
        threading.Thread(
            target=self._read_events, args=(self._events,), name="watch events", daemon=True
        ).start()
        self._is_idle.clear()
        self._thread.start()

    def cancelled(self, level: int) -> None:
        """Wake who waits after a request to cancel; after the second nobody waits for what is being done."""
        self._queue.put(None)
        self._ends.put(None)
        if level > 1:
            self._is_idle.set()

    def wait(self) -> None:
        """Return when the watch has ended. Raises what ended it, unless that was a request to cancel."""
        self._ends.get()
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """Let go of everything, once what is being done is done. The request to cancel comes before."""
        self._is_idle.wait()
        if self._notices is not None:
            self._notices.close()
        if self._events is not None:
            self._events.close()

    def _run(self) -> None:
        try:
            while not self._cancel.level:
                self._next()
        except Cancelled:
            return
        except BaseException as error:
            self.failure = error
            self._host.ended(error)
        finally:
            self._is_idle.set()
            self._ends.put(None)

    def _next(self) -> None:
        due_in_s = self._batch.due_in_s(time.monotonic())
        if due_in_s == 0:
            self._handle(self._batch.take())
            return
        if due_in_s is None:
            self._engine.backend.rest()
        try:
            item = self._queue.get(timeout=due_in_s)
        except Empty:
            return
        if isinstance(item, _Changed):
            for path in item.paths:
                self._batch.add(path, time.monotonic())
        elif isinstance(item, _Lost):
            self._has_lost = True
            self._batch.add(_ANYWHERE, time.monotonic())
        elif isinstance(item, _Started):
            self._sync([item.service], started=True)
        elif isinstance(item, _Failed):
            raise item.error

    def _read_events(self, events: EventStream) -> None:
        try:
            while (event := events.next(None)) is not None:
                service = event.attributes.get(labels.SERVICE, "")
                if (event.kind, event.action) == ("container", "start") and service in self._services:
                    self._queue.put(_Started(service))
        except BackendError as error:
            self._queue.put(_Failed(error))

    # -------------------------------------------------------------- what has changed

    def _handle(self, paths: frozenset[str]) -> None:
        """Find out what has changed at paths, and do what that means."""
        lost, self._has_lost = self._has_lost, False
        changes = {}
        for tree in self._trees:
            found = tree.look() if lost else {}
            changes[tree.root] = {**found, **tree.look_at(paths - {_ANYWHERE})}
        work = work_of(changes, self._rules)
        if work:
            self._act(work)

    def _act(self, work: Work) -> None:
        if sum(map(len, work.syncs.values())) > _LARGE:
            self._host.say(
                "Large batch of file changes detected. If you just switched branches, this is expected."
            )
        rebuilt = self._rebuild(work.rebuilds) if work.rebuilds else ()
        for service, entries in work.syncs.items():
            self._host.say(f'Syncing service "{service}" after {len(entries)} changes were detected')
            self._ledger.note(service, entries)
        self._sync(self._services)
        self._restart([service for service in work.restarts if service not in rebuilt])
        for rule in work.hooks:
            self._execute(rule)

    def _note_initial(self) -> None:
        """Copy what ``initial_sync`` asks for; every container that comes later gets it too."""
        for rule in self._rules:
            if rule.left_out is None:
                continue
            tree = next(tree for tree in self._trees if tree.root == rule.path)
            files = {path: False for path in tree.files() if rule.counts_at_first(path)}
            self._ledger.note(rule.service, entries_of(rule, files, os.path.isdir))
        self._sync(self._services)

    # -------------------------------------------------------------- files

    def _containers(self, services: Iterable[str]) -> list[ObservedContainer]:
        wanted = frozenset(services)
        found = [
            container
            for container in self._engine.backend.observe(self._project.name).containers
            if labels.service_of(container) in wanted and not labels.is_oneoff(container)
        ]
        return sorted(found, key=lambda c: (labels.service_of(c), labels.number_of(c)))

    def _sync(self, services: Iterable[str], *, started: bool = False) -> None:
        """Bring the containers of services what they lack; ``started``: because one of them was started."""
        containers = self._containers(self._services)
        self._ledger.keep([container.id for container in containers])
        wanted = frozenset(services)
        for container in containers:
            service = labels.service_of(container)
            if service not in wanted:
                continue
            self._ledger.meet(service, container.id, container.started_ns, self._volatile(service))
            lacking = self._ledger.lacking(container.id)
            if lacking and not self._cancel.level:
                if started:
                    self._host.say(
                        f'Syncing service "{service}" after container {container.name} was started'
                    )
                self._bring(container, lacking)

    def _volatile(self, service: str) -> list[str]:
        """Return where a service has file systems that go when its container stops."""
        tree = self._project.tree["services"][service]
        targets = [str(text).partition(":")[0] for text in tree.get("tmpfs") or ()]
        return targets + [
            str(one["target"]) for one in tree.get("volumes") or () if one.get("type") == "tmpfs"
        ]

    def _bring(self, container: ObservedContainer, lacking: Mapping[str, Entry]) -> None:
        backend = self._engine.backend
        runs = container.state is ContainerState.RUNNING
        reached = Capability.REACHES_TMPFS in backend.capabilities
        hidden = () if reached else self._volatile(labels.service_of(container))
        # so that nobody starts it meanwhile
        guard = nullcontext() if runs or container.state is ContainerState.PAUSED else self._locked()
        try:
            with guard:
                mounts = [mount.target for mount in container.mounts]
                done = transfer(backend, container.id, lacking, running=runs, hidden=hidden, mounts=mounts)
        except (BackendError, CopyFailed) as error:
            if self._is_there(container.id):
                count = f"{len(lacking)} change{'s' if len(lacking) > 1 else ''}"
                self._host.warn(
                    f"cannot sync {count} to container '{container.name}': {error}; "
                    "this is tried again with the next change"
                )
            return
        for sentence in done.warnings:
            self._host.warn(sentence)
        self._ledger.done(container.id, {path: lacking[path] for path in done.paths})

    def _is_there(self, id: str) -> bool:
        try:
            self._engine.backend.container(id)
        except NotFound:
            return False
        return True

    # -------------------------------------------------------------- containers

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the project's lock. Raises Cancelled where that was asked for meanwhile."""
        self._is_idle.set()
        with self._host.lock():
            self._is_idle.clear()
            if self._cancel.level:
                raise Cancelled("cancelled")
            self._engine.backend.recover(self._project.name)
            yield

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock while containers end that are coming back."""
        with self._locked():
            self.is_changing = True
            try:
                yield
            finally:
                self.is_changing = False

    def _rebuild(self, services: Sequence[str]) -> Sequence[str]:
        """Build services and replace their containers; return those where that worked."""
        engine, project = self._engine, self._project
        self._host.say(f"Rebuilding service(s) {_quoted(services)} after changes were detected...")
        try:
            before = rebuilding.image_ids(engine, project, services)
            rebuilding.build(self._building, project, services)
        except (ComposerError, ExceptionGroup) as error:
            self._failed(f"Build failed. Error: {_brief(error)}", error)
            return ()
        self._host.say(f"service(s) {_quoted(services)} successfully built")
        try:
            with self._changing():
                rebuilding.replace(engine, project, services, self._options)
        except (ComposerError, ExceptionGroup) as error:
            self._failed(f"Failed to recreate services after update. Error: {_brief(error)}", error)
            return ()
        if self._prunes:
            rebuilding.prune(engine, before)
        return services

    def _failed(self, sentence: str, error: Exception) -> None:
        """Tell what went wrong, and go on. Raises Cancelled where it was a request to cancel."""
        if isinstance(error, Cancelled) or self._cancel.level:
            raise Cancelled("cancelled")
        self._host.say(sentence)
        self._host.report(error)

    def _restart(self, services: Sequence[str]) -> None:
        from composer.engine import actions

        there = {labels.service_of(container) for container in self._containers(services)}
        services = [service for service in services if service in there]
        if not services:
            return
        try:
            with self._changing():
                actions.restart(self._engine, self._project.name, services)
        except (ComposerError, ExceptionGroup) as error:
            self._failed(f"Failed to restart service(s) {_quoted(services)}. Error: {_brief(error)}", error)
            return
        self._host.say(f"service(s) {_quoted(services)} restarted")

    def _execute(self, rule: Rule) -> None:
        """Run the command of a rule in the containers that run, one after the other."""
        assert rule.hook is not None
        for container in self._containers([rule.service]):
            if container.state is not ContainerState.RUNNING or self._cancel.level:
                continue
            show = partial(self._host.output, container.id)
            try:
                code = hooks.run(self._engine.backend, container.id, rule.hook, show, self._cancel)
            except BackendError as error:
                self._host.report(error)
                continue
            if code:
                command = " ".join(rule.hook.command)
                self._host.warn(
                    f"command '{command}' in container '{container.name}' exited with code {code}"
                )


def _quoted(names: Iterable[str]) -> str:
    """Return names as Docker Compose's messages have them: ``["web" "db"]``."""
    quoted = (f'"{name}"' for name in names)
    return f"[{' '.join(quoted)}]"


def _brief(error: BaseException) -> str:
    """Return an error in one line."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_brief(one) for one in error.exceptions)
    return str(error).partition("\n")[0]
