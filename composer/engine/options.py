"""What the command line asks of an ``up``, in the engine's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Options(NamedTuple):
    """What the command line asks of an ``up``.

    ``services`` are the ones that were named (none: all); ``known`` every service of the project, selected or not.
    ``recreate`` is ``diverged``, ``force`` or ``never``. ``dependencies`` False leaves other services alone.
    """

    services: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    recreate: str = "diverged"
    recreate_dependencies: str = "diverged"
    scale: Mapping[str, int] = {}
    dependencies: bool = True
    start: bool = True
    remove_orphans: bool = False
    ignore_orphans: bool = False
    renew_anonymous_volumes: bool = False
    replace_volumes: bool = False
    timeout_s: float | None = None
    wait: bool = False
    wait_timeout_s: float | None = None
    pull: str | None = None
    build: bool | None = None
    """True builds what can be built anew, False builds nothing, None what is missing."""
    on_failure: str = "keep"

    def recreate_policy(self, service: str) -> str:
        named = not self.services or service in self.services
        return self.recreate if named else self.recreate_dependencies
