"""The part of `reconcile` that decides which images are pulled and built, and refuses where that was forbidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine.operations.images import BuildImage, PullImage
from composer.engine.planning.decisions import Fetch
from composer.engine.resolving import resolve
from composer.engine.resolving.bases import builders, normal
from composer.errors import BuildFailed, PullFailed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from composer.engine.observing.observe import World
    from composer.engine.options import Options
    from composer.engine.planning.decisions import Decision, Tree
    from composer.schema.model import Project

_CAUSE = "image not found locally"


def fetches(
    project: Project, world: World, options: Options, decisions: Iterable[Decision], creates: Collection[str]
) -> list[Fetch]:
    """Return what is fetched for new containers, each image once, in the order of ``decisions``.

    ``creates`` are services that get a container besides those that are decided. Raises BuildFailed and PullFailed
    where an image is missing and may be neither built nor pulled.
    """
    fetching = _Fetching(project, world, options)
    for decision in decisions:
        makes_containers = bool(decision.create or decision.replace)
        tree: Tree = project.tree["services"][decision.service]
        if makes_containers or decision.service in creates:
            fetching.add(decision.service)
        for reference in _besides(tree) if makes_containers else ():
            fetching.add_beside(reference, decision.service)
    return list(fetching.found.values())


class _Fetching:
    """What is fetched, by reference, each after what it is built from."""

    def __init__(self, project: Project, world: World, options: Options) -> None:
        self._project, self._world, self._options = project, world, options
        self._builders = builders(project)
        self.found: dict[str, Fetch] = {}

    def add(self, service: str, above: tuple[str, ...] = ()) -> str | None:
        """Add the fetch of a service's image, unless it is here; return its reference where it is fetched."""
        tree: Tree = self._project.declared[service]
        reference = resolve.image_of(self._project, service, tree)
        if reference in self.found:
            return reference
        if reference in self._world.images or service in above:
            return None
        builder = service if tree.get("build") else self._builder_of(reference)
        if builder not in (None, service):
            self._same(reference, self.add(builder, (*above, service)))
            return reference
        bases = [self.add(base, (*above, service)) for base in self._world.bases.get(service, ())]
        fetch = _of_service(self._project, self._options, service, tree, reference)
        self.found[reference] = fetch._replace(bases=tuple(base for base in bases if base is not None))
        return reference

    def _builder_of(self, reference: str) -> str | None:
        """Return the service that builds an image, however the image is written."""
        return self._builders.get(normal(reference))

    def _same(self, reference: str, other: str | None) -> None:
        """Have an image be there when that is which is the same by another name."""
        if other not in (None, reference):
            self.found[reference] = Fetch(reference, (), (other,))

    def add_beside(self, reference: str, service: str) -> None:
        """Add the fetch of an image that a service uses besides its own."""
        if reference in self._world.images or reference in self.found:
            return
        builder = self._builder_of(reference)
        if builder is not None:
            self._same(reference, self.add(builder))
        else:
            self.found[reference] = Fetch(reference, (PullImage(reference, f"used by service '{service}'"),))


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
                f"image '{reference}' of service '{service}' not found locally, and --no-build was given",
                hint="run composer build, or remove --no-build",
            )
        return Fetch(reference, (BuildImage(resolve.build_spec(project, service), _CAUSE),))
    if policy == "never":
        raise PullFailed(
            f"image '{reference}' of service '{service}' not found locally, and pull_policy is never",
            hint="run composer pull, or import it with composer image load",
        )
    if not builds or options.build is False:
        return Fetch(reference, (PullImage(reference, _CAUSE),))
    build = BuildImage(resolve.build_spec(project, service), "if the pull fails", unless_there=True)
    return Fetch(reference, (PullImage(reference, _CAUSE, optional=True), build))
