"""``composer up`` in the foreground: start, show output, and stop with the terminal.

The first Ctrl-C stops the containers gracefully, in reverse order; the second kills them. As with Docker Compose
these are all containers, or those of the services that were named: what they depend on goes on. Exit codes are
Docker Compose's too: 130 after a signal, that of the service asked for with --exit-code-from, or of the first
that ended.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.cli.creation import timed
from composer.cli.foreground.watching import Screen, polls, rules_of
from composer.cli.interrupt import interruptible
from composer.cli.lines import Printer
from composer.engine import actions, labels
from composer.engine.actions import carry_out
from composer.engine.observed import ACTIVE, Capability, LogPiece
from composer.engine.operations.row import Resource
from composer.engine.progress import WORKING, Progress
from composer.engine.running.attach import RETURNING, Attachment, Death, Return
from composer.engine.running.returning import Returning
from composer.engine.wanted import RestartsWith
from composer.errors import Cancelled, ComposerError, no_such_service
from composer.graph import HEALTHY, dependencies
from composer.watching.session import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from composer.cli.context import Context
    from composer.engine.engine import Change, Engine
    from composer.engine.options import Options
    from composer.engine.plan import Outcome
    from composer.engine.progress import Cancellation
    from composer.schema.model import Project

_INTERRUPTED = 130
_PAUSE_S = 0.1
_ABORTING = Progress(WORKING, Resource("compose", ""), "stopping", "Aborting on container exit...")


class Abort(NamedTuple):
    """When the end of one container ends everything: any end, or any failure.

    As with Docker Compose ``code_from`` wants any end as well: a test waits in vain for a database that is gone.
    """

    on_exit: bool = False
    on_failure: bool = False
    code_from: str | None = None

    @property
    def is_asked_for(self) -> bool:
        return self.on_exit or self.on_failure or self.code_from is not None

    def is_due(self, death: Death) -> bool:
        if self.on_failure:
            return death.exit_code != 0
        return self.on_exit or self.code_from is not None


def run_attached(context: Context, project: Project, options: Options, given: dict[str, Any]) -> int:
    """Run ``up`` attached; return the exit code."""
    services = tuple(project.select(options.services, dependencies=options.dependencies).tree["services"])
    abort = Abort(
        given["abort_on_container_exit"], given["abort_on_container_failure"], given["exit_code_from"]
    )
    if abort.code_from is not None and abort.code_from not in services:
        raise no_such_service(abort.code_from, services)
    with ExitStack() as lock, interruptible() as cancel:
        lock.enter_context(context.lock(project.name, "up"))
        engine = context.engine(project.name, title="up", cancel=cancel)
        engine = lock.enter_context(timed(context, engine, project.name, given))
        output = _Output(context, given)
        watching = _Watching(context, engine, project, options, output) if given["watch"] else None
        change = actions.prepare_up(engine, project, options, context.asker())
        shown = _shown(project, services, options, given)
        awaited = _awaited(services, options, given) & shown or shown or frozenset(services)
        awaited |= {abort.code_from} if abort.code_from else set()
        changed_by = partial(context.session().changed_by, project.name)
        changing = partial(watching.changing, changed_by) if watching is not None else changed_by
        returning = _returning(engine, project)
        attachment = Attachment(engine.backend, project.name, awaited, shown, output, changing, returning)
        cancel.subscribe(_Impatience(attachment))
        locked = partial(context.lock, project.name, "restart")
        session = _Session(
            engine, project.name, options.services, attachment, output, abort, cancel, locked, watching
        )
        attachment.open(change.plan)
        try:
            return session.run(change, lock)
        finally:
            if not attachment.close():
                context.abandon_output()


def _returning(engine: Engine, project: Project) -> Returning | None:
    """Return what finds services that restart with others; None where the backend does it, or nobody wants it."""
    if Capability.RESTARTS_DEPENDENTS in engine.backend.capabilities:
        return None
    wishes = {
        name: tuple(
            RestartsWith(d.service, d.condition == HEALTHY)
            for d in dependencies(tree)
            if d.restart and not d.implicit
        )
        for name, tree in project.tree["services"].items()
    }
    return Returning(wishes) if any(wishes.values()) else None


def _shown(
    project: Project, services: tuple[str, ...], options: Options, given: dict[str, Any]
) -> frozenset[str]:
    """Return the services whose output is shown."""
    if given["attach"]:
        shown = set(given["attach"])
    elif options.services and not given["attach_dependencies"]:
        shown = set(options.services)
    else:
        trees = project.tree["services"]
        shown = {name for name in services if (trees.get(name) or {}).get("attach") is not False}
    return frozenset(shown - set(given["no_attach"]))


def _awaited(services: tuple[str, ...], options: Options, given: dict[str, Any]) -> frozenset[str]:
    """Return the services whose end matters: when all of these have ended, or one does that ends everything.

    As with Docker Compose: those that were named, of which the dependencies go on.
    """
    return frozenset(given["attach"] or options.services or services)


class _Watching:
    """The watch beside an attached ``up``: it ends before the containers are stopped."""

    def __init__(
        self, context: Context, engine: Engine, project: Project, options: Options, output: _Output
    ) -> None:
        assert engine.cancel is not None
        chosen = project.select(options.services, dependencies=options.dependencies)
        self._cancel = engine.cancel.following()
        self._screen = _Screen(context, project.name, output)
        self._watcher = Watcher(
            engine._replace(cancel=self._cancel),
            chosen,
            options,
            rules_of(context, chosen),
            self._screen,
            polls=polls(context),
        )

    def changing(self, changed_by: Callable[[], str]) -> str:
        """Return the verb of the command that changes the project now, this one's watch included."""
        return "watch" if self._watcher.is_changing else changed_by()

    def start(self) -> None:
        """Begin. Where nothing can be watched the containers go on, and that is said."""
        try:
            self._watcher.start()
        except ComposerError as error:
            self._screen.ended(error)

    def close(self) -> None:
        """End it; what it is doing is done first, unless it is told a second time."""
        if not self._cancel.level:
            self._cancel.request()
        self._watcher.close()


class _Screen(Screen):
    """What the watch says between the lines of containers."""

    def __init__(self, context: Context, project: str, output: _Output) -> None:
        super().__init__(context, project)
        self._output = output

    def say(self, sentence: str) -> None:
        self._output.remark(sentence)

    def output(self, container: str, stream: str, data: bytes) -> None:
        self._output.write(LogPiece(container, time.time_ns(), stream, data))

    def ended(self, error: BaseException) -> None:
        self.say(f"Watch disabled with errors: {error}")
        self.report(error)


class _Output:
    """A `Printer` that lets the progress settle before the first line."""

    def __init__(self, context: Context, given: dict[str, Any]) -> None:
        self._display = context.display("up")
        self._stderr, self._stdout = context.stderr, context.stdout
        self._as_json = context.settings.progress == "json"
        self._greeting_lock = threading.Lock()
        self._alone = threading.Lock()
        """A watch shows things too, between those of the attachment."""
        self._greeting = ""
        """Says whose output is shown, before the first line of it or when all has started: progress moves till then."""
        self._printer = Printer(
            context.stdout,
            context.errors,
            color=not given["no_color"] and context.is_colored(context.stdout),
            prefix=not given["no_log_prefix"],
            timestamps=given["timestamps"],
        )

    def reserve(self, names: Iterable[str]) -> None:
        names = sorted(set(names))
        if names:
            self._greeting = f"Attaching to {', '.join(names)}\n"
        self._printer.reserve(names)

    def add(self, containers: Any) -> None:
        self._printer.add(containers)

    def settle(self) -> None:
        """End what moves."""
        self._display.settle()
        with self._greeting_lock:  # the first line and the end of all starts may come at once
            if self._greeting:
                self._stdout.write(self._greeting)
                self._stdout.flush()
                self._greeting = ""

    def write(self, line: LogPiece) -> None:
        self.settle()
        with self._alone:
            self._printer.write(line)

    def remark(self, sentence: str) -> None:
        """Write a line of a watch."""
        self.settle()
        with self._alone:
            self._printer.remark(sentence)

    def note(self, text: str) -> None:
        self._greeting = ""  # who interrupts need not be told who would have been shown
        if self._as_json:
            self._display.warn(text.strip())
            return
        self._display.settle()
        self._stderr.write(text + "\n")
        self._stderr.flush()

    def say(self, id: str, sentence: str) -> None:
        self.settle()
        with self._alone:
            self._printer.say(id, sentence)


class _Wake:
    """Puts a request to cancel on the queue that the session reads."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment

    def cancelled(self, level: int) -> None:
        self._attachment.deaths.put(None)


class _Impatience:
    """Handle the second Ctrl-C: do not wait for the reader of the output."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment

    def cancelled(self, level: int) -> None:
        if level > 1:
            self._attachment.hurry()


class _Session:
    """One attached ``up``: execute the plan, then wait for an end, then stop what is left."""

    def __init__(
        self,
        engine: Engine,
        project: str,
        services: tuple[str, ...],
        attachment: Attachment,
        output: _Output,
        abort: Abort,
        cancel: Cancellation,
        locked: Callable[[], AbstractContextManager[None]],
        watching: _Watching | None = None,
    ) -> None:
        """``locked`` keeps other commands from changing the project for a block."""
        self._locked, self._watching = locked, watching
        self._engine, self._project, self._services = engine, project, services
        self._attachment, self._output = attachment, output
        self._abort, self._cancel = abort, cancel

    def run(self, change: Change, lock: ExitStack) -> int:
        """Carry the change out and follow what runs; ``lock`` is let go as soon as there is nothing to change."""
        self._cancel.subscribe(_Wake(self._attachment))
        outcome = carry_out(self._engine, change)
        if not self._cancel.level:
            self._output.settle()
        lock.close()
        if outcome.failures:
            self._stop_after_failures(outcome).check()
        death = None if self._cancel.level else self._watch_and_wait()
        if self._attachment.failure is not None:
            raise self._attachment.failure  # containers go on, as they do when this process is killed
        if death is None and not self._cancel.level:
            return self._code_of(self._abort.code_from) if self._abort.code_from else 0
        self._stop(self._cancel.level, interrupted=death is None)
        if death is None:
            return _INTERRUPTED
        if self._abort.code_from is not None:
            return self._code_of(self._abort.code_from)
        return death.exit_code if death.exit_code is not None else 1

    def _watch_and_wait(self) -> Death | None:
        if self._watching is None:
            return self._wait()
        try:
            self._watching.start()
            return self._wait()
        finally:
            self._watching.close()

    def _stop_after_failures(self, outcome: Outcome) -> Outcome:
        """Stop the rest where that was asked for; return all that went wrong."""
        if not self._abort.is_asked_for:
            return outcome
        try:
            self._stop(self._cancel.level, interrupted=False)
        except ComposerError as error:
            return outcome._replace(failures=(*outcome.failures, error))
        except ExceptionGroup as group:
            more = [error for error in group.exceptions if isinstance(error, ComposerError)]
            return outcome._replace(failures=(*outcome.failures, *more))
        return outcome

    def _wait(self) -> Death | None:
        """Return the end that ends everything; None when all have ended, or after a Ctrl-C."""
        while not self._cancel.level and self._attachment.failure is None:
            if self._attachment.is_over():
                if self._attachment.changing():
                    # another command is at work, which may start what it stopped: over is what stays so after it
                    self._attachment.look_again(_PAUSE_S)
                    continue
                if not self._attachment.is_over():
                    continue  # it has been started again in this moment
                return next(filter(self._abort.is_due, self._attachment.ends()), None)
            death = self._attachment.deaths.get()
            if isinstance(death, Return):
                self._restart(death.services)
                continue
            if death is not None and self._abort.is_due(death) and self._is_its_own(death):
                return death
        return None

    def _restart(self, services: tuple[str, ...]) -> None:
        """Restart services with what they depend on, which came back by itself; a failure is only told."""
        with self._locked():
            containers = self._engine.backend.observe(self._project).containers
            there = [c for c in containers if labels.service_of(c) in services and c.state in ACTIVE]
            names = tuple(sorted({labels.service_of(c) for c in there}))
            if not names:
                return
            self._attachment.expect(there)
            try:
                actions.restart(self._engine, self._project, names)
            except (ComposerError, ExceptionGroup) as error:
                self._output.note(f"warning: cannot restart {', '.join(names)}: {error}")

    def _is_its_own(self, death: Death) -> bool:
        """Tell whether a container ended by itself: when other commands are over, which may restart or replace it."""
        attachment = self._attachment
        while attachment.changing() in RETURNING and not self._cancel.level:
            time.sleep(_PAUSE_S)
        return attachment.has_ended(death.id)

    def _stop(self, level: int, *, interrupted: bool) -> None:
        """Stop what was asked for; ``level`` is how often that was asked for when it was decided."""
        gracefully = level < 2
        services = self._present()
        if self._services and not services:
            return  # none of them has come into being
        self._attachment.expect_all()
        if interrupted and gracefully:
            self._output.note("\nGracefully Stopping... press Ctrl+C again to force")
        elif not interrupted:
            self._engine.events.progress(_ABORTING)
        engine = self._engine._replace(cancel=self._cancel.following(urgent=True))
        try:
            # one more that came before anybody listened for it counts as well
            if gracefully and self._cancel.level == level:
                actions.stop(engine, self._project, services)
                return
        except Cancelled:
            pass  # the second Ctrl-C: do not wait for them any longer
        actions.kill(self._engine._replace(cancel=None), self._project, services)

    def _present(self) -> tuple[str, ...]:
        """Return the services that were named and have a container."""
        found = {labels.service_of(c) for c in self._engine.backend.observe(self._project).containers}
        return tuple(name for name in self._services if name in found)

    def _code_of(self, service: str) -> int:
        """Return the exit code of a service: of its first container, in the order of numbers."""
        containers = sorted(self._engine.backend.observe(self._project).containers, key=labels.number_of)
        for container in containers:
            if labels.service_of(container) == service and not labels.is_oneoff(container):
                return container.exit_code if container.exit_code is not None else 1
        return 1
