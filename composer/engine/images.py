"""Which images are pulled although they are here: ``pull_policy`` and ``--pull``. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine import resolve
from composer.engine.operations import PullImage
from composer.engine.plan import Plan, PlanBuilder

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.engine.backend import ObservedImage
    from composer.schema.model import Project


def plan_refresh(project: Project, find: Callable[[str], ObservedImage | None], override: str | None) -> Plan:
    """Return the pulls of policy ``always``. One that can also be built may fail: the local image will do."""
    builder = PlanBuilder()
    seen = set()
    services = project.tree.get("services") or {}
    for name in sorted(services):
        tree = services[name]
        policy = override or tree.get("pull_policy") or "missing"
        reference = resolve.image_of(project.name, name, tree)
        if policy == "always" and tree.get("image") and reference not in seen:
            seen.add(reference)
            optional = bool(tree.get("build")) and find(reference) is not None
            builder.add(PullImage(reference, "pull policy: always", optional))
    return builder.build()


def plan_pull(
    project: Project,
    find: Callable[[str], ObservedImage | None] | None,
    *,
    optional: bool = False,
    buildable: bool = True,
) -> Plan:
    """Return the pulls of every image that has a name: those that ``find`` does not find, or all without it."""
    builder = PlanBuilder()
    seen = set()
    services = project.tree.get("services") or {}
    for name in sorted(services):
        tree = services[name]
        reference = tree.get("image")
        if not reference or reference in seen or (tree.get("build") and not buildable):
            continue
        seen.add(reference)
        if find is None or find(reference) is None:
            builder.add(PullImage(reference, "pull", optional or bool(tree.get("build"))))
    return builder.build()
