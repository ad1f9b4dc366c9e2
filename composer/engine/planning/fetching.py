"""The part of `reconcile` that decides which images are pulled and built, and refuses where that was forbidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine.operations.images import BuildImage, PullImage
from composer.engine.planning.decisions import Fetch
from composer.engine.resolving import resolve
from composer.errors import BuildFailed, PullFailed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from composer.engine.observing.observe import World
    from composer.engine.options import Options
    from composer.engine.planning.decisions import Decision, Tree
    from composer.schema.model import Project

_CAUSE = "not in the store"


def fetches(
    project: Project, world: World, options: Options, decisions: Iterable[Decision], creates: Collection[str]
) -> list[Fetch]:
    """Return what is fetched for new containers, each image once, in the order of ``decisions``.

    ``creates`` are services that get a container besides those that are decided. Raises BuildFailed and PullFailed
    where an image is missing and may be neither built nor pulled.
    """
    found: dict[str, Fetch] = {}
    for decision in decisions:
        makes_containers = bool(decision.create or decision.replace)
        tree: Tree = project.tree["services"][decision.service]
        if makes_containers or decision.service in creates:
            reference = resolve.image_of(project, decision.service, tree)
            if reference not in world.images and reference not in found:
                found[reference] = _of_service(project, options, decision.service, tree, reference)
        for reference in _besides(tree) if makes_containers else ():
            if reference not in world.images and reference not in found:
                pull = PullImage(reference, f"used by service '{decision.service}'")
                found[reference] = Fetch(reference, (pull,))
    return list(found.values())


def _besides(tree: Tree) -> Iterator[str]:
    """Yield what a service's containers use besides their own image: of hooks, and mounted images."""
    for hook in tree.get("pre_start") or ():
        if hook.get("image"):
            yield hook["image"]
    for mount in tree.get("volumes") or ():
        if mount["type"] == "image" and mount.get("source"):
            yield mount["source"]


def _of_service(project: Project, options: Options, service: str, tree: Tree, reference: str) -> Fetch:
    policy = options.pull or tree.get("pull_policy") or "missing"
    builds = bool(tree.get("build"))
    if builds and (policy in ("build", "never") or not tree.get("image")):
        if options.build is False:
            raise BuildFailed(
                f"image '{reference}' of service '{service}' is not here, and --no-build was given",
                hint="build it: composer build, or leave --no-build out",
            )
        return Fetch(reference, (BuildImage(resolve.build_spec(project, service), _CAUSE),))
    if policy == "never":
        raise PullFailed(
            f"image '{reference}' of service '{service}' is not here, and pull_policy is never",
            hint="pull it, or import it with composer image load",
        )
    if not builds or options.build is False:
        return Fetch(reference, (PullImage(reference, _CAUSE),))
    build = BuildImage(resolve.build_spec(project, service), "unless it could be pulled", unless_there=True)
    return Fetch(reference, (PullImage(reference, _CAUSE, optional=True), build))
