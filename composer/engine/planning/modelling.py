"""Services that use AI models: which models a plan has to prepare, and which variables a service gets of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine.operations.providers import PrepareModel
from composer.engine.providers.models import Model
from composer.schema.tree import NOWHERE, Map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.schema.model import Project


def prepared(project: Project, cause: str) -> list[PrepareModel]:
    """Return the operations that prepare the models that a project's services use, by the models' names."""
    models = project.tree.get("models") or {}
    services = project.tree.get("services") or {}
    used = sorted({name for tree in services.values() for name in tree.get("models") or ()})
    return [
        PrepareModel(
            name,
            Model(
                models[name].get("name") or name,
                models[name]["model"],
                int(models[name].get("context_size") or 0),
                tuple(map(str, models[name].get("runtime_flags") or ())),
            ),
            project.environment,
            cause,
        )
        for name in used
        if name in models
    ]


def resolved(project: Project, endpoints: Mapping[str, str]) -> Project:
    """Return a project whose services know their models: name and URL in variables, as the compose file calls them.

    ``endpoints`` are where models are served, by name; a URL that is not known yet is left out.
    """
    models = project.tree.get("models") or {}
    services: Map = project.tree.get("services") or Map()
    changed = Map()
    for name in services:
        changed.take(name, services)
        used = services[name].get("models") or {}
        if used:
            changed[name] = _with_variables(services[name], used, models, endpoints)
    return project.with_services(changed, project.provided)


def _with_variables(
    service: Map,
    used: Mapping[str, Mapping[str, str] | None],
    models: Mapping[str, Map],
    endpoints: Mapping[str, str],
) -> Map:
    environment: Map = (service.get("environment") or Map()).copy()
    mark = service.mark("models")
    for name, wanted in used.items():
        prefix = name.upper().replace("-", "_")
        wanted = wanted or {}
        if name in models:
            environment.put(wanted.get("model_var") or f"{prefix}_MODEL", models[name]["model"], mark)
        if endpoints.get(name):
            environment.put(wanted.get("endpoint_var") or f"{prefix}_URL", endpoints[name], mark)
    changed = service.copy()
    changed.put("environment", environment, service.marks.get("environment", NOWHERE))
    return changed
