"""``--instance``: a project loaded as one of several that are there beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.session import instances

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.schema.model import Project


def wanted(context: Context) -> str:
    """Return the instance that is meant: the option's, or COMPOSER_INSTANCE; empty for none."""
    text = context.settings.instance or context.environment.get("COMPOSER_INSTANCE", "")
    return instances.name_of(text, context.settings.directory or context.working_dir) if text else ""


def apart(context: Context, project: Project, base: str, instance: str, *, makes: bool) -> Project:
    """Return the project with ports and names of its own; with ``makes`` they are kept for the next time."""
    from composer.stacks import ports

    state = context.session().state_root.own
    record = instances.read(state, project.name)

    def mine() -> set[int]:
        observed = context.backend(project.name).observe(project.name)
        return {
            port.host_port for container in observed.containers for port in container.ports if port.host_port
        }

    chosen = instances.Ports(record, project.name, mine)
    moved = ports.apart(project, chosen.choose, suffix=instance)
    made = {"base": base, "instance": instance, "ports": chosen.chosen}
    if makes and made != record and not context.settings.dry_run:
        instances.write(state, project.name, made)
    return moved
