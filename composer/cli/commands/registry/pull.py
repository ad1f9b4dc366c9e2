"""``composer pull``: get the images of services, those that are here too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared
from composer.engine.progress import FAILED, WARNING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.cli.context import Context
    from composer.engine.operations.row import Resource
    from composer.engine.progress import Events, Progress


@click.command(name="pull", help="Pull service images.")
@click.option(
    "--policy",
    type=click.Choice(("missing", "always")),
    help="Apply this pull policy instead of the pull_policy of each service.",
)
@click.option("--include-deps", is_flag=True, help="Also pull the images of dependencies.")
@click.option("--ignore-pull-failures", is_flag=True, help="Do not fail if some images cannot be pulled.")
@click.option("--ignore-buildable", is_flag=True, help="Skip images that can be built.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show the progress of pulls.")
@shared.without_effect("--parallel/--no-parallel")
@shared.services
@click.pass_obj
def command(
    context: Context,
    /,
    services: tuple[str, ...],
    policy: str | None,
    include_deps: bool,
    ignore_pull_failures: bool,
    ignore_buildable: bool,
    quiet: bool,
) -> None:
    from composer.cli.image_selection import images_of
    from composer.engine.planning.images import plan_pull

    with images_of(context, "pull", services, dependencies=include_deps, quiet=quiet) as (chosen, engine):
        events = _Watched(engine.events)
        plan = plan_pull(
            chosen,
            engine.backend.find_image,
            policy=policy,
            optional=ignore_pull_failures,
            buildable=not ignore_buildable,
        )
        outcome = engine._replace(events=events).attempt(chosen.name, plan)
        trees: Mapping[str, Any] = chosen.tree["services"]
        buildable = [
            n for n, tree in trees.items() if tree.get("build") and tree.get("image") in events.failed
        ]
        if buildable:
            context.display().warn(
                "Some service image(s) must be built from source by running: "
                f"composer build {' '.join(sorted(buildable))}"
            )
        outcome.check()


class _Watched:
    """Events on their way to the display; remembers the images that could not be pulled, needed or not."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self.failed: set[str] = set()

    def begin(self, resources: Sequence[Resource]) -> None:
        self._events.begin(resources)

    def progress(self, event: Progress) -> None:
        if event.status in (FAILED, WARNING):
            self.failed.add(event.resource.name)
        self._events.progress(event)

    def warn(self, sentence: str) -> None:
        self._events.warn(sentence)
