"""The options of an ``up``, under the engine's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.engine.wanted import MountSpec


class OneOff(NamedTuple):
    """A container of ``run``: a service's, under a name of its own, with what was asked for instead.

    ``attributes`` replace the service's, ``environment`` and ``labels`` are added to its own, ``mounts`` too.
    ``ports`` None is none at all; ``use_aliases``: it answers to the service's names; ``auto_remove``: it goes by
    itself when it has ended.
    """

    service: str
    name: str
    slug: str
    attributes: Mapping[str, Any] = {}
    environment: Mapping[str, str | None] = {}
    labels: Mapping[str, str] = {}
    mounts: tuple[MountSpec, ...] = ()
    ports: tuple[Mapping[str, Any], ...] = ()
    service_ports: bool = False
    use_aliases: bool = False
    auto_remove: bool = False


class Options(NamedTuple):
    """The options of an ``up``.

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
    new_volumes: bool = False
    """Volumes may start empty whose data is in others that are lost from sight."""
    timeout_s: float | None = None
    wait: bool = False
    wait_timeout_s: float | None = None
    wait_restarts: int | None = None
    """With ``wait``: the number of restarts of one container after which the command fails."""
    pull: str | None = None
    build: bool | None = None
    """True builds what can be built anew, False builds nothing, None what is missing."""
    on_failure: str = "keep"
    oneoff: OneOff | None = None
    """Create this container, with what its service needs, and leave the service's own containers alone."""

    def recreate_policy(self, service: str) -> str:
        named = not self.services or service in self.services
        return self.recreate if named else self.recreate_dependencies
