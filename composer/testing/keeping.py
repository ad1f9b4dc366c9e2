"""Stacks by what they were asked for: each made once, used by many tests, taken down in the end."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import errors
from composer.stacks import loading, ports
from composer.stacks.reports import StackFailed
from composer.stacks.stack import Stack
from composer.testing.leases import Lease
from composer.testing.report import Recorder, picture_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.engine.plan import Plan
    from composer.testing.reaping import Reaper
    from composer.testing.report import Picture

NEVER, FAILED, ALWAYS = "never", "failed", "always"
DECLARED, MOVED = "declared", "moved"
_BASE_LENGTH = 30


class Wish(NamedTuple):
    """What a test asks for. ``files`` are absolute; ``overrides`` and ``env`` are JSON, to be compared."""

    files: tuple[str, ...]
    services: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    env: str = "{}"
    overrides: str = "{}"
    ports: str = MOVED
    build: bool | None = None
    timeout_s: float | None = None

    def digest(self, *more: str) -> str:
        text = json.dumps([*self, *more])
        return hashlib.sha256(text.encode()).hexdigest()[:8]


class Plans(NamedTuple):
    """How stacks are kept in this run. ``run`` names it, ``worker`` its process; ``shared`` is a directory or empty."""

    run: str
    worker: str
    backend: str | None = None
    keep: str = NEVER
    reuse: bool = False
    shared: str = ""


class Held(NamedTuple):
    """A stack that is up."""

    stack: Stack
    lease: Lease | None
    recorder: Recorder
    plan: str = ""
    failure: Exception | None = None
    """Why it is not up: the next test that asks for it hears the same."""


class Keeper:
    """The stacks of one scope."""

    def __init__(self, plans: Plans, reaper: Reaper, durations: dict[str, float]) -> None:
        self._plans, self._reaper, self._durations = plans, reaper, durations
        self._held: dict[str, Held] = {}
        self.has_failed = False
        self.pictures: list[Picture] | None = None
        """Where a report is wanted: the stacks as they were before they were taken down, once a test has failed."""

    @property
    def stacks(self) -> list[Stack]:
        return [held.stack for held in self._held.values()]

    def get(self, wish: Wish, scope: str, label: str = "") -> Stack:
        """Return the stack of a wish, brought up for the first who asks. ``label`` tells one from another like it.

        Raises StackFailed; what was made of it is taken down all the same.
        """
        name = self._name(wish, scope, label)
        if name in self._held:
            failure = self._held[name].failure
            if failure is not None:
                raise failure
            return self._held[name].stack
        recorder = Recorder()
        stack = self._make(wish, name, recorder)
        lease = Lease(self._plans.shared, name) if self._is_shared(scope) else None
        began = time.monotonic()
        # before anything is made: whatever happens from here on, it goes
        self._held[name] = Held(stack, lease, recorder)
        if self._plans.keep != ALWAYS and not self._plans.reuse:
            where = (lease.directory, lease.stack) if lease is not None else None
            self._reaper.add(name, self._plans.backend, where)
        try:
            if lease is None:
                self._bring_up(name, wish)
            else:
                with lease.gate():
                    lease.take()
                    self._bring_up(name, wish)
        except Exception as error:
            self._held[name] = self._held[name]._replace(failure=error)
            raise
        self._durations[name] = time.monotonic() - began
        return stack

    def _is_shared(self, scope: str) -> bool:
        return bool(self._plans.shared) and scope == "session"

    def _bring_up(self, name: str, wish: Wish) -> None:
        stack = self._held[name].stack
        if self._plans.reuse and not stack.plan(build=wish.build).steps:
            return
        plan: Plan | None = None
        try:
            plan = stack.up(build=wish.build, timeout=wish.timeout_s)
        except StackFailed as failed:
            plan = failed.plan
            raise
        finally:
            self._held[name] = self._held[name]._replace(plan=str(plan or ""))

    def _name(self, wish: Wish, scope: str, label: str) -> str:
        base = os.path.basename(os.path.dirname(wish.files[0])) if wish.files else "stack"
        clean = re.sub(r"[^a-z0-9_-]", "", base.lower()).strip("-_")[:_BASE_LENGTH] or "stack"
        if self._plans.reuse:
            return f"{clean}-{wish.digest(label)}"
        worker = "" if self._is_shared(scope) else self._plans.worker
        return f"{clean}-{wish.digest(label, scope, self._plans.run, worker)}"

    def _make(self, wish: Wish, name: str, recorder: Recorder) -> Stack:
        overrides: Mapping[str, Any] = json.loads(wish.overrides)
        env: Mapping[str, str] = json.loads(wish.env)
        project = loading.load(
            wish.files, env=env, profiles=wish.profiles, overrides=overrides or None, name=name
        )
        if wish.ports == MOVED:
            project = ports.apart(project)
        return Stack(project, backend=self._plans.backend, services=wish.services, env=env, watch=recorder)

    def close(self) -> list[str]:
        """Take the stacks down, or leave them as was asked for; return the names of those that stay."""
        self._take_pictures()
        kept = []
        failures: list[Exception] = []
        for name, held in self._held.items():
            try:
                if self._stays():
                    kept.append(name)
                    self._reaper.remove(name)
                else:
                    self._take_down(name, held)
            except Exception as error:  # the others are taken down all the same
                failures.append(error)
            finally:
                held.stack.close()
        self._held.clear()
        if failures:
            raise failures[0] if len(failures) == 1 else ExceptionGroup("some stacks stay", failures)
        return kept

    def _take_pictures(self) -> None:
        if self.pictures is None or not self.has_failed:
            return
        for held in self._held.values():
            try:
                self.pictures.append(picture_of(held.stack, held.plan, held.recorder))
            except errors.ComposerError:
                continue  # a backend that does not answer: the test's own error says more

    def _stays(self) -> bool:
        keep = self._plans.keep
        return self._plans.reuse or keep == ALWAYS or (keep == FAILED and self.has_failed)

    def _take_down(self, name: str, held: Held) -> None:
        if held.lease is None:
            _remove(held.stack)
        else:
            with held.lease.gate():
                if held.lease.release():
                    _remove(held.stack)
                    held.lease.remove()
        self._reaper.remove(name)


def _remove(stack: Stack) -> None:
    """Take a stack down. The next run has another name for it, so nobody would find its snapshots."""
    stack.down(timeout=0)
    stack.remove_snapshots()
