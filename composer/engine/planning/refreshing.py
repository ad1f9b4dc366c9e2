"""Which images are asked about again before an ``up``: ``pull_policy`` and ``--pull``. Pure: the time is an argument.

https://github.com/compose-spec/compose-spec/blob/main/05-services.md#pull_policy; where that is silent, as Docker
Compose 2.40 does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.engine.plan import Plan, PlanBuilder
from composer.engine.resolving import resolve
from composer.units import parse_duration_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.engine.observed import ObservedImage
    from composer.engine.operations.images import BuildImage
    from composer.schema.model import Project

    Find = Callable[[str], ObservedImage | None]

_WINDOWS = {"daily": "1d", "weekly": "1w"}


def window_ns(policy: str) -> int | None:
    """Return how long an image is good for: ``daily``, ``weekly``, ``every_12h``; None for other policies."""
    text = _WINDOWS.get(policy) or (policy.removeprefix("every_") if policy.startswith("every_") else "")
    return parse_duration_ns(text) if text else None


def plan_refresh(
    project: Project,
    find: Find,
    override: str | None,
    now_ns: int = 0,
    build: bool | None = None,
) -> Plan:
    """Return the pulls of images that are here and are to be asked about all the same, and the builds asked for.

    One that can also be built may fail, and so may one whose window has passed: the local image will do.
    """
    builder = PlanBuilder()
    services = project.tree.get("services") or {}
    built = [name for name in sorted(services) if _is_built(services[name], override, build)]
    if built:
        from composer.engine.planning.builds import add_builds
        from composer.engine.resolving.bases import Bases

        bases = Bases(project).of
        add_builds(builder, built, bases, lambda name: _build(project, find, override, build, name))
    pulled = set()
    for name in sorted(services):
        tree = services[name]
        if name in built:
            continue
        reference = resolve.image_of(project, name, tree)
        if not tree.get("image") or tree.get("provider") or reference in pulled:
            continue
        cause = _refresh_cause(tree, lambda reference=reference: find(reference), override, now_ns)  # type: ignore[misc]
        if cause:
            from composer.engine.operations.images import PullImage

            pulled.add(reference)
            has_window = cause != _ALWAYS
            optional = (has_window or bool(tree.get("build"))) and find(reference) is not None
            builder.add(PullImage(reference, cause, optional))
    return builder.build()


def _is_built(tree: Mapping[str, Any], override: str | None, build: bool | None) -> bool:
    policy = override or tree.get("pull_policy") or "missing"
    return bool(tree.get("build")) and build is not False and (bool(build) or policy == "build")


def _build(
    project: Project, find: Find, override: str | None, build: bool | None, name: str
) -> BuildImage | None:
    """Return the build of a service that is to be built, or is a base of one and not here."""
    from composer.engine.operations.images import BuildImage

    tree = project.declared[name]
    is_asked_for = _is_built(tree, override, build)
    if not tree.get("build") or not (is_asked_for or find(resolve.image_of(project, name, tree)) is None):
        return None
    cause = "--build" if build else "pull policy: build" if is_asked_for else "others are built from it"
    return BuildImage(resolve.build_spec(project, name), cause)


_ALWAYS = "pull policy: always"


def _refresh_cause(
    tree: Mapping[str, Any], find: Callable[[], ObservedImage | None], override: str | None, now_ns: int
) -> str:
    """Return why an image is asked about; most policies are not even interested in whether it is here."""
    policy = override or tree.get("pull_policy") or "missing"
    if policy == "always":
        return _ALWAYS
    window = window_ns(policy)
    found = find() if window is not None else None
    if window is None or found is None or now_ns <= found.tagged_ns + window:
        return ""
    return f"pull policy: {policy}"
