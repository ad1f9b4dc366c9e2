"""Services that an external program provides: when their providers run, and what others get of them.

A provider says only when it has run which variables the services that depend on it get. So ``up`` goes in turns: what
a provider needs, the provider, and then all the rest, planned with its variables. A plan that is only shown is made
with the variables of the last time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.engine.operations.providers import RemoveProvided, StartProvider, StopProvided
from composer.engine.providers.protocol import Provider, Variables, injected
from composer.graph import STARTED, Graph
from composer.schema.tree import NOWHERE, Map

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from composer.schema.model import Project


class Held(NamedTuple):
    """A service whose provider made something. ``needs`` are the services that it depends on.

    ``is_whole`` is false from the provider's start to its success: it may have made a part.
    """

    provider: Provider
    needs: tuple[str, ...] = ()
    variables: Variables = Variables()
    is_whole: bool = True

    def to_json(self) -> dict[str, Any]:
        return {
            "type": self.provider.type,
            "options": {key: list(values) for key, values in self.provider.options.items()},
            "needs": list(self.needs),
            "prefixed": dict(self.variables.prefixed),
            "raw": dict(self.variables.raw),
            "stops": self.variables.stops,
            "whole": self.is_whole,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Held:
        """Read what `to_json` wrote. Raises KeyError, TypeError, AttributeError for anything else."""
        return cls(
            Provider(str(found["type"]), {key: tuple(found["options"][key]) for key in found["options"]}),
            tuple(found["needs"]),
            Variables(dict(found["prefixed"]), dict(found["raw"]), found["stops"] is True),
            found.get("whole") is not False,
        )


class Given(NamedTuple):
    """What came from elsewhere: the variables of providers, by service, and where models are served, by name."""

    variables: Mapping[str, Variables] = {}
    endpoints: Mapping[str, str] = {}


class Kept(NamedTuple):
    """What is known from earlier commands: what providers made, by service, and where models are served, by name."""

    services: Mapping[str, Held] = {}
    endpoints: Mapping[str, str] = {}

    def given(self) -> Given:
        return Given({name: held.variables for name, held in self.services.items()}, self.endpoints)


class Turn(NamedTuple):
    """Providers that may run at the same time, once the services in ``needs`` are up.

    ``waits``: one of them has to be ready, or to have ended, and not only to be started.
    """

    providers: tuple[str, ...]
    needs: tuple[str, ...]
    waits: bool


def held_of(project: Project) -> dict[str, Held]:
    """Return the services of a project that have a provider."""
    services = project.tree.get("services") or {}
    return {
        name: Held(provider_of(tree), tuple(sorted(tree.get("depends_on") or ())))
        for name, tree in services.items()
        if tree.get("provider")
    }


def provider_of(service: Mapping[str, Any]) -> Provider:
    provider = service["provider"]
    options = provider.get("options") or {}
    return Provider(
        provider.get("type") or "", {key: tuple(map(str, values)) for key, values in options.items()}
    )


def turns(project: Project) -> list[Turn]:
    """Return in which turns the providers of a project run. Raises CycleError."""
    providers = held_of(project)
    graph = Graph(project.tree, project.mark)
    level: dict[str, int] = {}
    for name in graph.order():
        below = [level[d.service] for d in graph.conditions[name]]
        level[name] = max(below, default=0) + (name in providers)
    found: list[Turn] = []
    for number in sorted({level[name] for name in providers}):
        names = tuple(sorted(name for name in providers if level[name] == number))
        needed = {
            d.service: d for name in names for d in graph.conditions[name] if d.service not in providers
        }
        waits = any(d.condition != STARTED for name in names for d in graph.conditions[name])
        found.append(Turn(names, tuple(sorted(needed)), waits))
    return found


def start(project: Project, name: str, cause: str) -> StartProvider:
    """Return the operation that has a provider make what a service stands for."""
    return StartProvider(name, held_of(project)[name].provider, project.name, project.environment, cause)


def removal(name: str, held: Held, project: str, environment: Mapping[str, str]) -> RemoveProvided:
    return RemoveProvided(name, held.provider, project, environment, "down")


def stopping(name: str, held: Held, project: str, environment: Mapping[str, str]) -> StopProvided:
    return StopProvided(name, held.provider, project, environment, "stop")


def names_of(project: Project) -> frozenset[str]:
    """Return all services of a project that have a provider, chosen or not."""
    services = {**project.disabled, **project.declared}
    return frozenset(name for name, tree in services.items() if tree.get("provider"))


def resolved(chosen: Project, whole: Project, given: Given, warn: Callable[[str], None]) -> Project:
    """Return the chosen services without those of providers; who depends on one has its variables.

    ``whole`` is the project that they were chosen from: with ``--no-deps`` a provider is not among them.
    """
    services: Map = chosen.tree.get("services") or Map()
    providers = names_of(whole)
    left = Map()
    for name in services:
        if name not in providers:
            left.take(name, services)
            origin = whole.declared.get(name) or whole.disabled.get(name) or services[name]
            needed = sorted(providers & set(origin.get("depends_on") or ()))
            left[name] = _with_variables(name, services[name], needed, given, warn)
    return chosen.with_services(left, providers & set(services))


def _with_variables(
    name: str, service: Map, needed: Sequence[str], given: Given, warn: Callable[[str], None]
) -> Map:
    if not needed:
        return service
    environment: Map = (service.get("environment") or Map()).copy()
    for provider in needed:
        variables = given.variables.get(provider, Variables())
        for key in variables.raw:
            if key in environment and environment[key] != variables.raw[key]:
                warn(f'provider "{provider}" overrides environment variable "{key}" in service "{name}"')
        for key, value in injected(provider, variables).items():
            environment.put(key, value, service.mark("depends_on"))
    changed = service.copy()
    if environment:
        changed.put("environment", environment, service.marks.get("environment", NOWHERE))
    return changed
