"""The builder, with the logins of one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from composer.api.world import World
    from composer.runtime.engine.builds import Builds
    from composer.runtime.engine.images import Images


def builds_with(world: World, images: Images) -> Builds:
    """Return the builder, with base images pulled by what has a request's logins."""
    from composer.runtime.engine.builds import Builds

    return Builds(world.core, world.engine.containers, images)
