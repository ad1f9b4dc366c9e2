"""One build for several platforms: the stages of each, side by side, and what comes of them together.

Each platform has its own plan of the same Dockerfile. What they have in common, such as a stage ``FROM
--platform=$BUILDPLATFORM``, has the same keys: one of them carries it out, and the others wait for it and find it in
the cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer import parallel
from composer.errors import BuildFailed
from composer.runtime.build import outputs
from composer.runtime.build.steps import building
from composer.runtime.build.steps.stage import failed
from composer.runtime.build.steps.work import Stopped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.registry.platforms import Platform
    from composer.runtime.build.cache.exchange import Used
    from composer.runtime.build.cache.filesystems import Filesystem
    from composer.runtime.build.context.contexts import Context
    from composer.runtime.build.dockerfile.instructions import Dockerfile
    from composer.runtime.build.requests import Request
    from composer.runtime.build.steps.stage import Stage
    from composer.runtime.build.steps.work import Work
    from composer.runtime.images import Image

_MOST_AT_ONCE = 4


class Made(NamedTuple):
    """What the target became for one platform, and the steps that this took."""

    stage: Stage
    steps: Sequence[Used]


def check_outputs(request: Request, wanted: Sequence[Platform]) -> None:
    """Refuse an output that has one image. Raises BuildFailed."""
    if len(wanted) > 1 and any(one.type == outputs.DOCKER for one in request.outputs):
        raise BuildFailed(
            "output type=docker is for one platform, and the build is for several: "
            f"{', '.join(map(str, wanted))}",
            hint="use type=oci, or leave --output out to keep the images in the store",
        )


def build(
    work: Work, wanted: Sequence[Platform], context: Context, dockerfile: Dockerfile
) -> dict[Platform, Made]:
    """Build the target for each platform; return what it became. Raises BuildFailed.

    ``work`` is for the first of them; in the end it knows the steps of all.
    """
    if len(wanted) == 1:
        return {wanted[0]: Made(building.build(work, context, dockerfile), work.steps())}
    works = [work.of(work.bases.of(platform)) for platform in wanted]
    for one in works:
        # all before the first: nothing is built where one of them cannot be
        building.plan(one, context, dockerfile)
        _check_target(one, dockerfile)
    failures: list[BaseException] = []

    def build_one(one: Work) -> Made:
        try:
            return Made(building.build_planned(one, dockerfile), one.steps())
        except BaseException as error:
            if not isinstance(error, Stopped):
                failures.append(error)
            stop()
            raise

    def stop() -> None:
        for one in works:
            one.stopped.set()

    try:
        made = parallel.each(works, build_one, _MOST_AT_ONCE, name="platform")
    except Stopped:
        raise failures[0] from None  # of another platform, which is why this one was stopped
    finally:
        stop()  # after Ctrl-C no step begins any more
    for one in works:
        work.add_steps(one)
    return dict(zip(wanted, made, strict=True))


def _check_target(work: Work, dockerfile: Dockerfile) -> None:
    """Refuse a target that is of one platform whatever is wanted: an index would have it for another."""
    found = building.target_platform(work)
    if found[:3] != work.bases.platform[:3]:
        base = work.plan.stages[work.plan.target].stage.base
        raise failed(
            dockerfile,
            base.at,
            f"this stage is for {found}, and the image is to be for {work.bases.platform}",
            hint="remove --platform from the stage that is built last, and from what it is built from",
        )


def trees(made: Mapping[Platform, Made]) -> list[tuple[str, Filesystem]]:
    """Return the files of each target with the name of a directory: ``linux_arm64``; one alone has none."""
    if len(made) == 1:
        return [("", one.stage.files) for one in made.values()]
    return [(str(platform).replace("/", "_"), one.stage.files) for platform, one in made.items()]


def difference(current: Image, ids: Sequence[str]) -> str:
    """Return how an image differs from those that a build would make; empty where it does not."""
    have = {one.id: one.platform for one in (current, *current.others)}
    if set(have) == set(ids):
        return ""
    return "its configuration changed" if len(have) == len(set(ids)) else "its platforms changed"
