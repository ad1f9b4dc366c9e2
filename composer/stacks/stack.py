"""A project as a stack of a program."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from composer import errors
from composer.stacks import snapshots
from composer.stacks.opened import Opened
from composer.stacks.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from composer.stacks.snapshots import Snapshot


class Stack(Opened):
    """One project, started and taken down by a program. Safe for threads; use as a context manager, or close it.

    At the end of the block it is taken down, with its volumes, if `up` or a service of it made something in it.
    """

    def __getitem__(self, service: str) -> Service:
        """Return a service. Raises UnknownService."""
        known = {**(self.project.tree.get("services") or {}), **self.project.disabled}
        if service not in known:
            raise errors.no_such_service(service, known)
        return Service(self, service)

    # -------------------------------------------------------------- snapshots

    def snapshot(
        self,
        name: str | None = None,
        services: Iterable[str] = (),
        *,
        stop: bool | None = None,
        layers: bool = False,
        replace: bool = False,
    ) -> Snapshot:
        """Take a snapshot of the data of services, of all by default, and return it.

        Running services are frozen for as long as the copy takes, or with ``stop`` stopped and started again. Without
        the argument they are stopped where data comes back by an overlay: it is back sooner then.
        ``layers``: with the files that containers have written outside volumes. ``replace``: in the place of one that
        has this name. Raises Conflict.
        """
        return snapshots.take(self, name, services, stop=stop, layers=layers, replace=replace)

    def restore(
        self,
        snapshot: Snapshot | str,
        services: Iterable[str] = (),
        *,
        wait: bool = True,
        timeout: float | None = None,
    ) -> str:
        """Replace the data of services by that of a snapshot, also one of another stack of the same services.

        Services that run are killed before and started after; with ``wait`` it returns when they are healthy. Returns
        how the data came back: ``reflink``, ``overlay`` or ``copy``. Raises NotFound, Conflict.
        """
        return snapshots.put_back(self, snapshot, services, wait=wait, timeout=timeout)

    def snapshots(self) -> list[Snapshot]:
        """Return the snapshots of the stack, oldest first."""
        return snapshots.every(self)

    def remove_snapshots(self) -> None:
        """Remove every snapshot of the stack: taking it down keeps them."""
        snapshots.remove_all(self)

    def remove_snapshot(self, snapshot: Snapshot | str) -> None:
        """Remove a snapshot. Its files are kept for as long as a volume lies over them. Raises NotFound."""
        snapshots.remove(self, snapshot)

    def fork(
        self,
        name: str | None = None,
        *,
        snapshot: Snapshot | str | None = None,
        timeout: float | None = None,
    ) -> Stack:
        """Return a second stack that is up, with the data of this one: its own name, networks, ports and volumes.

        Without a ``snapshot`` one is taken, and goes with the fork. What the fork changes, only the fork has. Use it as
        a context manager. Raises StackFailed, Conflict, and ProjectError where this project was not loaded from files.
        """
        other = name or f"{self.name}-{os.urandom(3).hex()}"
        fork = Stack(
            snapshots.forked(self.project, other),
            backend=self.backend.name,
            services=self.chosen,
            env=self.env,
        )
        try:
            snapshots.fill(fork, self, snapshot, timeout)
        except BaseException:
            try:
                fork.down()
            finally:
                fork.close()
            raise
        return fork

    # -------------------------------------------------------------- its block

    def __enter__(self) -> Stack:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._made:
                self.down()
        finally:
            self.close()

    def __repr__(self) -> str:
        return f"<Stack {self.name}>"
