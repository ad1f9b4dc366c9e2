"""Events of images: they are nobody's project's, and so in the journal of those that are none's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.runtime.base import records

if TYPE_CHECKING:
    from composer.api.world import World


def event(world: World, action: str, id: str, name: str) -> None:
    """Note what became of an image."""
    world.core.emit_of(records.NOBODY, {}, "image", action, id, name)
