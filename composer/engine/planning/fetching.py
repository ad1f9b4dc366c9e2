"""The part of `reconcile` that decides which images are pulled and built, and refuses where that was forbidden."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from composer.engine.operations.images import BuildImage, PullImage
from composer.engine.planning.decisions import Fetch
from composer.engine.resolving import resolve
from composer.errors import BuildFailed, PullFailed
from composer.graph import after_needs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from composer.engine.observe import World
    from composer.engine.options import Options
    from composer.engine.planning.decisions import Decision, Tree
    from composer.engine.resolving.bases import Bases
    from composer.schema.model import Project

_CAUSE = "image not found locally"


def fetches(
    project: Project, world: World, options: Options, decisions: Iterable[Decision], creates: Collection[str]
) -> list[Fetch]:
    """Return what is fetched for new containers, each image once, in the order of ``decisions``.

    ``creates`` are services that get a container besides those that are decided. Raises BuildFailed and PullFailed
    where an image is missing and may be neither built nor pulled.
    """
    known = list(decisions)
    chosen = {one.service for one in known if one.create or one.replace or one.service in creates}
    fetching = _Fetching(project, world, options, chosen)
    for decision in known:
        makes_containers = bool(decision.create or decision.replace)
        tree: Tree = project.tree["services"][decision.service]
        if makes_containers or decision.service in creates:
            fetching.add(decision.service)
        for reference in _besides(tree) if makes_containers else ():
            fetching.add_beside(reference, decision.service)
    return list(fetching.found.values())


class _Fetching:
    """What is fetched, by reference, each after what it is built from."""

    def __init__(self, project: Project, world: World, options: Options, chosen: Collection[str]) -> None:
        self._project, self._world, self._options, self._chosen = project, world, options, chosen
        self._made: dict[str, Fetch] = {}
        self.found: dict[str, Fetch] = {}

    @cached_property
    def _known(self) -> Bases:
        """Who builds what: asked only where an image is not here."""
        from composer.engine.resolving.bases import Bases

        return Bases(self._project)

    def add(self, service: str) -> None:
        """Add the fetch of a service's image, and before it those of its bases; nothing of what is here."""
        for name in after_needs([service], self._bases):
            reference = self._reference(name)
            if name not in self._made or reference in self.found:
                continue
            bases = (self._reference(base) for base in self._bases(name))
            known = tuple(base for base in bases if base in self.found and base != reference)
            fetch = self._made[name]
            # without operations it is the image of another service, by another name
            if fetch.operations or known:
                self.found[reference] = fetch._replace(bases=known)

    def _bases(self, service: str) -> Sequence[str]:
        """Return the services whose images are fetched before a service's."""
        if service not in self._made:
            if self._reference(service) in self._world.images:
                return ()
            self._made[service] = self._fetch(service)
        operations = self._made[service].operations
        if not operations:
            return (self._builder_of(service),)
        if not isinstance(operations[-1], BuildImage):
            return ()
        bases = self._world.bases.get(service, ())
        # a build that comes only where a pull fails takes what is built anyway, and has nothing built for it
        return bases if len(operations) == 1 else [base for base in bases if base in self._chosen]

    def _fetch(self, service: str) -> Fetch:
        reference = self._reference(service)
        if self._builder_of(service) != service:
            return Fetch(reference, ())
        tree: Tree = self._project.declared[service]
        return _of_service(self._project, self._options, service, tree, reference)

    def _reference(self, service: str) -> str:
        return resolve.image_of(self._project, service, self._project.declared[service])

    def _builder_of(self, service: str) -> str:
        """Return the service that builds a service's image: itself, or another, however the image is written."""
        if self._project.declared[service].get("build"):
            return service
        return self._known.builder_of(self._reference(service)) or service

    def add_beside(self, reference: str, service: str) -> None:
        """Add the fetch of an image that a service uses besides its own."""
        if reference in self._world.images or reference in self.found:
            return
        builder = self._known.builder_of(reference)
        if builder is None:
            self.found[reference] = Fetch(reference, (PullImage(reference, f"used by service '{service}'"),))
            return
        self.add(builder)
        own = self._reference(builder)
        if own in self.found and own != reference:
            self.found[reference] = Fetch(reference, (), (own,))


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
