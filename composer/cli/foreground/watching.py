"""``composer watch``, and what ``up --watch`` shares with it: rules are read, and what happens is shown."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from composer.cli.creation import engine_options
from composer.cli.interrupt import interruptible
from composer.cli.lines import Printer
from composer.engine import actions
from composer.engine.observed import LogPiece
from composer.watching import dockerignore, rebuilding
from composer.watching.rules import nothing_to_watch, read_rules
from composer.watching.session import Watcher

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from composer.cli.context import Context
    from composer.engine.engine import Engine
    from composer.engine.options import Options
    from composer.engine.progress import Cancellation
    from composer.schema.model import Project
    from composer.watching.rules import Watched

_INTERRUPTED = 130
_OFF = ("false", "disable", "disabled")


class Screen:
    """What a watch says: lines on standard output as Docker Compose's, warnings and errors beside."""

    def __init__(self, context: Context, project: str) -> None:
        self._context, self._project = context, project
        self._printer = Printer(context.stdout, context.errors, color=False, prefix=False)
        self._alone = threading.RLock()

    def say(self, sentence: str) -> None:
        with self._alone:
            self._context.write(sentence)
            self._context.stdout.flush()

    def warn(self, sentence: str) -> None:
        with self._alone:
            self._context.display().warn(sentence)

    def report(self, error: BaseException) -> None:
        from composer.cli.report import report

        with self._alone:
            report(error, self._context)

    def output(self, container: str, stream: str, data: bytes) -> None:
        with self._alone:
            self._printer.write(LogPiece(container, time.time_ns(), stream, data))

    def lock(self) -> AbstractContextManager[None]:
        return self._context.lock(self._project, "watch")

    def ended(self, error: BaseException) -> None:
        """`Watcher.wait` raises it."""


def rules_of(context: Context, project: Project) -> Watched:
    """Return the rules of a project, and tell of those left out. Raises ConfigError, and ProjectError for none left."""
    watched = read_rules(project, dockerignore.read)
    for sentence in watched.warnings:
        context.display().warn(sentence)
    if not watched.rules:
        raise nothing_to_watch()
    return watched


def polls(context: Context) -> bool:
    """Tell whether files are looked at again and again: watchfiles' own variable, for file systems without notices."""
    return context.environment.get("WATCHFILES_FORCE_POLLING", "").lower() not in ("", "0", *_OFF)


def run_watch(context: Context, project: Project, services: tuple[str, ...], given: dict[str, Any]) -> int:
    """Start the services unless told not to, and watch until Ctrl-C; return the exit code."""
    options = engine_options(context, project, services, {"quiet_build": given["quiet"]})
    options = options._replace(recreate_dependencies="never")
    chosen = project.select(services)
    watched = rules_of(context, chosen)
    with ExitStack() as lock:
        if not given["no_up"]:
            lock.enter_context(context.lock(project.name, "watch"))
        with interruptible() as cancel:
            engine = context.engine(project.name, title="watch", cancel=cancel)
            if context.settings.dry_run:
                if not given["no_up"]:
                    _up(context, engine, project, watched, options)
                show(context, watched)
                return 0
            screen = Screen(context, project.name)
            watcher = Watcher(
                engine, chosen, options, watched, screen, prunes=given["prune"], polls=polls(context)
            )
            try:
                if not given["no_up"]:
                    _up(context, engine, project, watched, options)
                    lock.close()
                context.display().settle()
                _follow(watcher)
            finally:
                _end(watcher, cancel)
    return _INTERRUPTED


def _follow(watcher: Watcher) -> None:
    watcher.start()
    watcher.wait()


def _end(watcher: Watcher, cancel: Cancellation) -> None:
    if not cancel.level:
        cancel.request()
    watcher.close()


def _up(context: Context, engine: Engine, project: Project, watched: Watched, options: Options) -> None:
    """Build the images of the services that are watched, and start everything."""
    if not context.settings.dry_run:
        engine.backend.recover(project.name)
    chosen = project.select(options.services)
    built = [name for name in watched.services if chosen.tree["services"][name].get("build")]
    if built:
        rebuilding.build(engine, chosen, built)
    actions.up(engine, project, options, context.asker())


def show(context: Context, watched: Watched) -> None:
    """Print what would be watched."""
    for rule in watched.rules:
        target = f" to {rule.target}" if rule.does.syncs else ""
        context.write(f"watch {rule.path}: {rule.action} {rule.service}{target}")
