"""Limits and the restart policy of a container that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import errors
from composer.api.http.problems import Problem
from composer.backends.namespace import translate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.api.world import World
    from composer.runtime.base.record_types import Meta


def update(
    world: World, meta: Meta, attributes: dict[str, Any], more: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Change what these attributes say, and ``more`` of OCI's `linux.resources`; return warnings. Raises Problem."""
    for one in translate.limitations(attributes):
        if one.fatal:
            raise Problem(400, f"{'.'.join(map(str, one.path))}: {one.reason}")
    try:
        resources, restart = translate.update_of(attributes)
        for group, values in more.items():
            resources.setdefault(group, {}).update(values)
        return world.engine.containers.update(meta["id"], resources=resources, restart=restart)
    except errors.Conflict as error:
        raise Problem(409, str(error)) from None
    except errors.BackendError as error:
        raise Problem(400, str(error)) from None
