"""What a Dockerfile needs of its client: logins for its images, secrets and agents for its commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.errors import BuildFailed
from composer.runtime.build import platforms
from composer.runtime.build.dockerfile import instructions as said
from composer.runtime.build.dockerfile import stages
from composer.runtime.build.dockerfile.reading import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEFAULT = "default"


class Needs(NamedTuple):
    """Names of images, and ids of secrets and agents, each once."""

    images: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()


def of(data: bytes, *, target: str, args: Mapping[str, str], contexts: Mapping[str, str]) -> Needs:
    """Return what is needed. Of a Dockerfile that cannot be read it is nothing: the build says what is wrong."""
    try:
        dockerfile = parse(data)
        native = platforms.native()
        plan = stages.resolve(
            dockerfile,
            target=target,
            build_args=args,
            target_platform=native,
            build_platform=native,
            contexts=contexts,
        )
    except BuildFailed:
        return Needs()
    images: dict[str, None] = {}
    secrets: dict[str, None] = {}
    agents: dict[str, None] = {}
    for number in plan.order:
        stage = plan.stages[number]
        _note_image(images, stage.base)
        for one in (*stage.triggers, *stage.stage.instructions):
            if isinstance(one, said.Copy) and one.origin:
                _note_origin(images, plan, one.origin)
            for mount in one.mounts if isinstance(one, said.Run) else ():
                if mount.type == "secret":
                    target_path = mount.options.get("target", "")
                    secrets[mount.options.get("id") or target_path.rpartition("/")[2] or _DEFAULT] = None
                elif mount.type == "ssh":
                    agents[mount.options.get("id") or _DEFAULT] = None
                elif mount.options.get("from"):
                    _note_origin(images, plan, mount.options["from"])
    return Needs(tuple(images), tuple(secrets), tuple(agents))


def _note_origin(images: dict[str, None], plan: stages.Build, text: str) -> None:
    try:
        _note_image(images, plan.origin(text))
    except ValueError:
        return  # the build says what is wrong


def _note_image(images: dict[str, None], origin: stages.Origin) -> None:
    if isinstance(origin, stages.ImageOrigin):
        images[origin.name] = None
