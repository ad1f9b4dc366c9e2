"""Which images are pulled, by ``pull_policy``, ``--pull`` and ``--policy``. Pure: the time is an argument.

https://github.com/compose-spec/compose-spec/blob/main/05-services.md#pull_policy; where that is silent, as Docker
Compose 2.40 does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import references
from composer.engine.operations import BuildImage, PullImage, PushImage
from composer.engine.plan import Plan, PlanBuilder
from composer.engine.resolving import resolve
from composer.units import parse_duration_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.engine.observed import ObservedImage
    from composer.schema.model import Project

    Find = Callable[[str], ObservedImage | None]

_WINDOWS = {"daily": "1d", "weekly": "1w"}


def window_ns(policy: str) -> int | None:
    """Return how long an image is good for: ``daily``, ``weekly``, ``every_12h``; None for other policies."""
    text = _WINDOWS.get(policy) or (policy.removeprefix("every_") if policy.startswith("every_") else "")
    return parse_duration_ns(text) if text else None


def plan_refresh(
    project: Project, find: Find, override: str | None, now_ns: int = 0, build: bool | None = None
) -> Plan:
    """Return the pulls of images that are here and are to be asked about all the same, and the builds asked for.

    One that can also be built may fail, and so may one whose window has passed: the local image will do.
    """
    builder = PlanBuilder()
    seen = set()
    services = project.tree.get("services") or {}
    for name in sorted(services):
        tree = services[name]
        reference = resolve.image_of(project, name, tree)
        policy = override or tree.get("pull_policy") or "missing"
        if tree.get("build") and build is not False and (build or policy == "build"):
            if reference not in seen:
                seen.add(reference)
                cause = "--build" if build else "pull policy: build"
                builder.add(BuildImage(resolve.build_spec(project, name), cause))
            continue
        if not tree.get("image") or tree.get("provider") or reference in seen:
            continue
        cause = _refresh_cause(tree, find(reference), override, now_ns)
        if cause:
            seen.add(reference)
            has_window = cause != _ALWAYS
            optional = (has_window or bool(tree.get("build"))) and find(reference) is not None
            builder.add(PullImage(reference, cause, optional))
    return builder.build()


_ALWAYS = "pull policy: always"


def _refresh_cause(
    tree: Mapping[str, Any], found: ObservedImage | None, override: str | None, now_ns: int
) -> str:
    policy = override or tree.get("pull_policy") or "missing"
    if policy == "always":
        return _ALWAYS
    window = window_ns(policy)
    if window is None or found is None or now_ns <= found.tagged_ns + window:
        return ""
    return f"pull policy: {policy}"


def plan_build(
    project: Project,
    *,
    no_cache: bool = False,
    pull: bool = False,
    wanted: Mapping[str, Any] | None = None,
) -> Plan:
    """Return the builds of every service that has one, after those whose image is a context of theirs.

    ``wanted`` are attributes of ``build`` that the command line asks for: ``args`` and ``ssh`` come on top of the
    file's, others take their place.
    """
    builder = PlanBuilder()
    services = project.tree.get("services") or {}
    steps: dict[str, int] = {}

    def add(name: str, above: tuple[str, ...] = ()) -> int | None:
        tree = services.get(name) or {}
        if name in steps or not tree.get("build") or name in above:
            return steps.get(name)
        contexts = (tree["build"].get("additional_contexts") or {}).values()
        bases = (str(c).removeprefix("service:") for c in contexts if str(c).startswith("service:"))
        needs = [step for base in bases if (step := add(base, (*above, name)))]
        spec = resolve.build_spec(project, name)
        spec = spec._replace(attributes=_asked(spec.attributes, wanted or {}), no_cache=no_cache, pull=pull)
        steps[name] = builder.add(BuildImage(spec, "build"), needs)
        return steps[name]

    for name in sorted(services):
        add(name)
    return builder.build()


def _asked(attributes: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    args = {**(attributes.get("args") or {}), **(wanted.get("args") or {})}
    ssh = [*(attributes.get("ssh") or ()), *(wanted.get("ssh") or ())]
    return {**attributes, **wanted, "args": args, **({"ssh": ssh} if ssh else {})}


def plan_push(project: Project, *, optional: bool = False) -> Plan:
    """Return the pushes of every image that is built here and has a name of its own."""
    builder = PlanBuilder()
    services = project.tree.get("services") or {}
    references = {tree["image"] for tree in services.values() if tree.get("build") and tree.get("image")}
    for reference in sorted(references):
        builder.add(PushImage(reference, "push", optional))
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
        if not reference or reference in seen or (tree.get("build") and not buildable):
            continue
        wanted = policy or tree.get("pull_policy") or "always"
        if wanted in ("never", "build"):
            continue
        if (
            wanted in ("missing", "if_not_present")
            and not references.is_latest(reference)
            and find(reference) is not None
        ):
            continue
        seen.add(reference)
        builder.add(PullImage(reference, "pull", optional or bool(tree.get("build"))))
    return builder.build()
