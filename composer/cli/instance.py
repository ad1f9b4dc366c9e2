"""``--instance``: a project loaded as one of several that are there beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.session import instances

if TYPE_CHECKING:
    from composer.engine.backend import Backend
    from composer.schema.model import Project


def apart(
    project: Project, base: str, instance: str, *, state: str, backend: Backend, keeps: bool
) -> Project:
    """Return the project with ports and names of its own; with ``keeps`` they are kept for the next time."""
    from composer.stacks import ports

    record = instances.read(state, project.name)

    def mine() -> set[int]:
        containers = backend.observe(project.name).containers
        return {port.host_port for container in containers for port in container.ports if port.host_port}

    chosen = instances.Ports(record, project.name, mine)
    moved = ports.apart(project, chosen.choose, suffix=instance)
    made = {"base": base, "instance": instance, "ports": chosen.chosen}
    if keeps and made != record:
        instances.write(state, project.name, made)
    return moved
