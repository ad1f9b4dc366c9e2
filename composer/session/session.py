"""The way from a project's name to its backend: which one has it, and who may change it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from composer import state_root
from composer.backends import choice
from composer.errors import PermissionDenied, ProjectError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from composer.backends.choice import Connect
    from composer.engine.backend import Backend
    from composer.engine.engine import Engine
    from composer.engine.plan import Plan
    from composer.engine.progress import Cancellation, Events
    from composer.schema.setting import Named


NOBODY = "@nobody"
"""Stands for all containers of no project, where `Session.lock` and `Backend.recover` take a project's name."""


class Session:
    """One use of composer on this machine: at most one backend is open, for one project or for none in particular.

    ``environment`` is the user's, ``wanted`` the backend that was asked for; ``warn`` gets what a person should know.
    Close it.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        wanted: str | None = None,
        connect: Connect = choice.connect,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.environment = environment
        self._wanted, self._connect, self._warn = wanted, connect, warn
        self._backend: Backend | None = None

    @property
    def state_root(self) -> state_root.StateRoot:
        return state_root.find(self.environment)

    # -------------------------------------------------------------- backends

    def backend(
        self, project: str | None = None, named: Named | None = None, *, makes: bool = False
    ) -> Backend:
        """Return the backend that has a project, or that should get it.

        ``named`` says where the name is from: the stack that an earlier version made of the same directory is looked
        for, and with ``makes``, before a second one is created, it is an error. Raises Conflict when the project lives
        on another backend than the one asked for, Unavailable when none works, ProjectError.
        """
        if self._backend is None:
            backend = choice.choose(project, self._wanted, self.environment, self._connect)
            if named is not None and project == named.name:
                self._look_for_earlier(named, backend, makes=makes)
            self._backend = backend
        return self._backend

    def _look_for_earlier(self, named: Named, backend: Backend, *, makes: bool) -> None:
        if os.path.realpath(named.directory) == named.directory:
            return  # no link is on the way there: no other name was ever made of it
        from composer.session import names

        earlier = names.name_of_earlier(named, backend, self.backends())
        if earlier and makes:
            raise ProjectError(names.sentence(named, earlier), hint=names.hint(earlier))
        if earlier:
            self._warn(f"{names.sentence(named, earlier)} (select it with -p {earlier})")

    def backends(self) -> Iterator[Backend]:
        """Yield every backend that works here, or the one that was asked for."""
        if self._wanted:
            yield self.backend()
            return
        for name in choice.CHOICES:
            try:
                backend = self._connect(name, self.environment)
            except (Unavailable, PermissionDenied):
                continue
            try:
                yield backend
            finally:
                backend.close()

    # -------------------------------------------------------------- actions

    def engine(
        self,
        project: str,
        events: Events,
        *,
        parallel: int | None = None,
        cancel: Cancellation | None = None,
        review: Callable[[Plan], bool] | None = None,
        ask: Callable[[str], bool] | None = None,
    ) -> Engine:
        """Return what an action on a project needs; the arguments are those of `Engine`."""
        from composer.engine.engine import Engine
        from composer.engine.plan import PARALLEL
        from composer.session.provided import Provided

        return Engine(
            self.backend(project),
            events,
            self.key(),
            parallel or PARALLEL,
            cancel,
            review,
            ask,
            Provided(self.state_root.own, project),
        )

    @contextmanager
    def lock(self, project: str, verb: str) -> Iterator[None]:
        """Keep others from changing the project meanwhile; wait for one that does, and warn of it by name."""
        from composer.session.locks import project_lock

        with project_lock(self.state_root.own, project, verb, self._warn):
            yield

    def changed_by(self, project: str) -> str:
        """Return the verb of the command that changes a project now; empty where none does."""
        from composer.session import locks

        return locks.holder(self.state_root.own, project)

    def key(self) -> bytes:
        """Return the key that seals values in labels. Raises PermissionDenied."""
        from composer.session import key

        return key.read(self.state_root.own)

    def close(self) -> None:
        if self._backend is not None:
            self._backend.close()
            self._backend = None
