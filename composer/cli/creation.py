"""From the options of up, create, scale and plan to the engine's `Options`."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from composer.cli import options as shared
from composer.engine.options import Options
from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.cli.context import Context
    from composer.cli.timeline import Timeline
    from composer.engine.engine import Engine
    from composer.schema.model import Project


_CONTRADICTIONS = (
    ("force_recreate", "no_recreate"),
    ("always_recreate_deps", "no_recreate"),
    ("build", "no_build"),
)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def engine_options(
    context: Context, project: Project, services: tuple[str, ...], given: dict[str, Any]
) -> Options:
    """Return the options of a plan; what a command does not have counts as not given.

    Raises ProjectError for options that contradict each other and UnknownService for names.
    """
    context.quiet_pulls = context.quiet_pulls or bool(given.get("quiet_pull") or given.get("quiet_build"))
    known = project.tree.get("services") or {}
    shared.check_services(known, project.disabled, services)
    scale = shared.scale(given.get("scales") or ())
    shared.check_services(known, project.disabled, scale)
    for one, other in _CONTRADICTIONS:
        if given.get(one) and given.get(other):
            raise ProjectError(
                f"{_flag(one)} and {_flag(other)} are incompatible", hint="use only one of them"
            )
    force = given.get("force_recreate") or given.get(
        "renew_anon_volumes"
    )  # a container keeps the volumes it has
    recreate = "never" if given.get("no_recreate") else "force" if force else "diverged"
    # of themselves: whether or not what needs them is recreated
    dependencies = (
        "force" if given.get("always_recreate_deps") else "diverged" if recreate == "force" else recreate
    )
    pull = given.get("pull")
    remove_orphans, ignore_orphans = shared.orphans(context, bool(given.get("remove_orphans")))
    return Options(
        services=services,
        recreate=recreate,
        recreate_dependencies=dependencies,
        scale=scale,
        dependencies=not given.get("no_deps"),
        renew_anonymous_volumes=bool(given.get("renew_anon_volumes")),
        replace_volumes=bool(given.get("yes")),
        new_volumes=bool(given.get("yes")),
        timeout_s=given.get("timeout_s"),
        pull=None if pull == "policy" else pull,
        build=True if given.get("build") else False if given.get("no_build") else None,
        remove_orphans=remove_orphans,
        ignore_orphans=ignore_orphans,
    )


def nothing_selected(project: Project, services: tuple[str, ...]) -> ProjectError | None:
    """Return the error of an ``up`` that has nothing to do, in Docker Compose's words; None when it has something."""
    if services or project.tree.get("services"):
        return None
    profiles = sorted({one for tree in project.disabled.values() for one in tree.get("profiles") or ()})
    all_of_them = (
        f"enable a profile with composer --profile NAME; available profiles: {', '.join(profiles)}"
        if profiles
        else None
    )
    return ProjectError("no service selected", hint=all_of_them)


@contextmanager
def timed(context: Context, engine: Engine, project: str, given: dict[str, Any]) -> Iterator[Engine]:
    """Watch the clock where ``--timeline`` asks for it; the file is written after a failure too."""
    timeline: Timeline | None = given["timeline"]
    if timeline is None:
        yield engine
        return
    try:
        yield timeline.watching(engine)
    finally:
        timeline.write(os.path.join(context.working_dir, timeline.path), project)
