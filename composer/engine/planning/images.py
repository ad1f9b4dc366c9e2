"""What ``composer build``, ``push`` and ``pull`` do, each as a plan.

https://github.com/compose-spec/compose-spec/blob/main/05-services.md#pull_policy; where that is silent, as Docker
Compose 2.40 does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import references
from composer.engine.operations.images import PULL, BuildImage, PullImage, PushImage
from composer.engine.operations.row import Resource
from composer.engine.plan import Plan, PlanBuilder
from composer.engine.planning.builds import add_builds
from composer.engine.resolving import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.engine.observed import ObservedImage
    from composer.engine.planning.builds import BasesOf
    from composer.schema.model import Project

    Find = Callable[[str], ObservedImage | None]


def plan_build(
    project: Project,
    bases: BasesOf,
    *,
    no_cache: bool = False,
    pull: bool = False,
    wanted: Mapping[str, Any] | None = None,
    only_checks: bool = False,
) -> Plan:
    """Return the builds of every service that has one, and of what these are built from, which comes first.

    ``wanted`` are attributes of ``build`` that the command line asks for: ``args`` and ``ssh`` come on top of the
    file's, others take their place. With ``only_checks`` nothing is built.
    """
    builder = PlanBuilder()

    def make(name: str) -> BuildImage | None:
        if not project.declared[name].get("build"):
            return None
        spec = resolve.build_spec(project, name)
        spec = spec._replace(
            attributes=_asked(spec.attributes, wanted or {}),
            no_cache=no_cache,
            pull=pull,
            only_checks=only_checks,
        )
        return BuildImage(spec, "build")

    add_builds(builder, sorted(project.tree.get("services") or {}), bases, make)
    return builder.build()


def _asked(attributes: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    args = {**(attributes.get("args") or {}), **(wanted.get("args") or {})}
    ssh = [*(attributes.get("ssh") or ()), *(wanted.get("ssh") or ())]
    return {**attributes, **wanted, "args": args, **({"ssh": ssh} if ssh else {})}


def plan_push(project: Project, *, optional: bool = False) -> Plan:
    """Return the pushes of every image that is built here and has a name of its own."""
    builder = PlanBuilder()
    services = project.tree.get("services") or {}
    seen = set()
    for name in sorted(services):
        tree = services[name]
        if not tree.get("build") or not tree.get("image"):
            builder.tell(Resource("", name), "skipped")
        elif tree["image"] not in seen:
            seen.add(tree["image"])
            builder.add(PushImage(tree["image"], "push", optional))
    return builder.build()


def plan_pull(
    project: Project,
    find: Find,
    *,
    policy: str | None = None,
    optional: bool = False,
    buildable: bool = True,
) -> Plan:
    """Return the pulls of ``composer pull``: what has a name, except where a policy says that it is not pulled.

    ``policy`` takes the place of every service's own. As in Docker Compose, ``missing`` still asks about
    ``latest``, and a window (``daily``) counts as over: whoever pulls wants to know.
    """
    builder = PlanBuilder()
    seen = set()
    services = project.tree.get("services") or {}
    for name in sorted(services):
        tree = services[name]
        reference = tree.get("image")
        if not reference:
            builder.tell(Resource("", name), "skipped", detail="No image to be pulled")
        elif reference not in seen:
            skipped = _not_pulled(tree, find, policy, buildable=buildable)
            if skipped is not None:
                builder.tell(Resource("image", reference), "skipped", detail=skipped)
            else:
                seen.add(reference)
                builder.add(PullImage(reference, PULL, optional))
    return builder.build()


def _not_pulled(tree: Mapping[str, Any], find: Find, policy: str | None, *, buildable: bool) -> str | None:
    """Return why an image is not pulled, in Docker Compose's words; None where it is."""
    reference = tree["image"]
    wanted = policy or tree.get("pull_policy") or "always"
    if wanted in ("never", "build"):
        return ""
    is_asked_about = wanted not in ("missing", "if_not_present") or references.is_latest(reference)
    if not is_asked_about and find(reference) is not None:
        return "Image is already present locally"
    return "Image can be built" if tree.get("build") and not buildable else None
