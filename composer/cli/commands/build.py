"""``composer build``: build the images of services. ``composer builder``: the cache of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.engine.engine import Engine
    from composer.engine.plan import Plan
    from composer.schema.model import Project


@click.command(name="build", help="Build or rebuild service images.")
@click.option("--build-arg", "arguments", multiple=True, metavar="KEY=VALUE", help="Set a build argument.")
@click.option("--builder", metavar="NAME", help="Select the builder of docker buildx.")
@click.option(
    "-m",
    "--memory",
    metavar="SIZE",
    help="Accepted without effect: BuildKit does not limit the memory of builds.",
)
@click.option("--no-cache", is_flag=True, help="Do not use cached results of earlier builds.")
@click.option("--check", is_flag=True, help="Check the Dockerfiles, and build nothing.")
@click.option("--print", "prints", is_flag=True, help="Print the builds as a bake file, and build nothing.")
@click.option("--provenance", metavar="MODE", help="Add a provenance attestation to the images.")
@click.option("--pull", is_flag=True, help="Pull newer versions of the base images.")
@click.option("--push", is_flag=True, help="Push the images after the build.")
@click.option("--sbom", metavar="MODE", help="Add an SBOM attestation to the images.")
@click.option("--ssh", metavar="default|ID=PATH", help="Give the build access to an SSH agent or key.")
@click.option("--with-dependencies", is_flag=True, help="Also build the images of dependencies.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show the progress of the build.")
@click.option("-y", "--yes", is_flag=True, help="Answer all prompts with yes.")
@shared.without_effect("--compress", "--force-rm", "--no-rm", "--parallel")
@click.option("--progress", type=click.Choice(("auto", "tty", "plain", "json", "quiet")), hidden=True)
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], arguments: tuple[str, ...], **given: Any) -> None:
    from composer.cli.image_selection import images_of
    from composer.cli.remote.consent import agree
    from composer.engine.planning.images import plan_build, plan_push
    from composer.engine.resolving.bases import Bases

    if given["progress"]:
        context.settings = context.settings._replace(progress=given["progress"])
    if given["builder"]:
        context.environment = {**context.environment, "BUILDX_BUILDER": given["builder"]}
    if given["memory"]:
        context.display().warn("--memory has no effect: BuildKit does not limit the memory of a build")
    wanted: dict[str, Any] = {"args": _arguments(context, arguments)}
    wanted.update({key: given[key] for key in ("provenance", "sbom") if given[key] is not None})
    if given["ssh"]:
        wanted["ssh"] = [given["ssh"]]
    with images_of(
        context, "build", services, dependencies=given["with_dependencies"], quiet=given["quiet"]
    ) as (chosen, engine):
        plan = plan_build(
            chosen,
            Bases(chosen).of,
            no_cache=given["no_cache"],
            pull=given["pull"],
            wanted=wanted,
            only_checks=given["check"],
        )
        if given["prints"]:
            _print(context, chosen, plan, push=given["push"])
            return
        if given["check"]:
            _check(context, engine, chosen.name, plan)
            return
        agree(context, chosen, yes=given["yes"])  # a build reads secrets, and runs commands
        engine.apply(chosen.name, plan)
        if given["push"]:
            engine.apply(chosen.name, plan_push(chosen))


def _check(context: Context, engine: Engine, project: str, plan: Plan) -> None:
    from composer.cli import checking

    findings = checking.Findings(engine.events)
    engine._replace(events=findings).apply(project, plan)
    if not context.settings.dry_run:
        checking.conclude(context, findings.count)


def _print(context: Context, project: Project, plan: Plan, *, push: bool) -> None:
    from composer.cli import bake
    from composer.engine.operations.images import BuildImage

    specs = [step.operation.spec for step in plan.steps if isinstance(step.operation, BuildImage)]
    context.write(bake.text(project, specs, push=push))


def _arguments(context: Context, given: tuple[str, ...]) -> dict[str, str]:
    """Read ``--build-arg``: one without a value has it from the environment, or is left out."""
    values = {}
    for argument in given:
        key, separator, value = argument.partition("=")
        if separator or key in context.environment:
            values[key] = value if separator else context.environment[key]
    return values


# ------------------------------------------------------------------ the cache


@click.group(name="builder", help="Manage the build cache.")
def builder() -> None:
    """Group the subcommands."""


@builder.command(name="prune", help="Remove the build cache that is not in use.")
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Also remove cache mounts, and what images share."
)
@shared.force
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Select entries: until=24h, unused-for=24h.",
)
@click.option(
    "--max-used-space", "--keep-storage", "most", metavar="SIZE", help="Stop when the cache is not larger."
)
@click.pass_obj
def prune(
    context: Context, /, everything: bool, force: bool, filters: tuple[str, ...], most: str | None
) -> None:
    from composer.cli import table
    from composer.units import parse_size_bytes

    shared.refuse_dry_run(context, "builder prune", "system df")
    unused_for_s = _age_s(filters)
    try:
        most_bytes = None if most is None else parse_size_bytes(most)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--max-used-space") from None
    what = "all build cache" if everything else "the build cache that no image shares"
    if not shared.agreed(context, f"This will remove {what}.", force=force):
        return
    ids, freed = context.backend().prune_builds(
        everything=everything, most_bytes=most_bytes, unused_for_s=unused_for_s
    )
    for id in ids:
        context.write(id[:12])
    context.write(f"Total reclaimed space: {table.size(freed)}")


def _age_s(filters: tuple[str, ...]) -> float:
    """Return how long an entry must not have been used, in seconds."""
    from composer.units import parse_duration_ns

    found = 0.0
    for key, value in shared.mapping(filters).items():
        if key not in ("until", "unused-for"):
            raise click.BadParameter(f"'{key}': use until or unused-for", param_hint="--filter")
        try:
            found = parse_duration_ns(value) / 1e9
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--filter") from None
    return found
