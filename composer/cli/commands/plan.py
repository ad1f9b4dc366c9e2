"""``composer plan``: what ``up`` (or ``down``) would do, and why. Changes nothing."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared
from composer.cli import target

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.engine.plan import Plan


@click.command(name="plan", help="Show what up would change, and why.")
@shared.creation
@click.option("--destroy", is_flag=True, help="Show what down would change.")
@click.option("--verbose", is_flag=True, help="Show each step.")
@click.option("-v", "short", is_flag=True, help="Same as --verbose; with --destroy, same as --volumes.")
@click.option("--volumes", is_flag=True, help="With --destroy, also remove volumes, as down --volumes does.")
@click.option("--rmi", type=click.Choice(("local", "all")), help="With --destroy, also remove images.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit with code 2 if the plan has changes, 0 if not, 1 on error.",
)
@click.option("--out", metavar="FILE", help="Save the plan to a file for composer apply.")
@shared.services
@click.pass_obj
def command(
    context: Context,
    /,
    services: tuple[str, ...],
    destroy: bool,
    as_json: bool,
    detailed_exitcode: bool,
    verbose: bool,
    short: bool,
    out: str | None,
    **given: Any,
) -> int:
    from composer.engine import saved

    given["volumes"] = given["volumes"] or (short and destroy)
    verb = "down" if destroy else "up"
    if destroy:
        plan, project, options = _plan_down(context, services, given)
    else:
        plan, project, options = _plan_up(context, services, given, shows_builds=out is None)
    if out is not None:
        inputs = _inputs(context, project)
        key = context.key()
        _write(
            os.path.join(context.working_dir, out),
            saved.saved_document(plan, project, verb, inputs=inputs, options=options, key=key),
        )
    if as_json:
        context.write(json.dumps(saved.document(plan, project, verb), indent=2, ensure_ascii=False))
    else:
        context.show_plan(plan, steps=verbose or (short and not destroy))
    return 2 if detailed_exitcode and plan.has_changes else 0


def _plan_up(
    context: Context, services: tuple[str, ...], given: dict[str, Any], *, shows_builds: bool
) -> tuple[Plan, str, dict[str, Any]]:
    from composer.cli.creation import engine_options, nothing_selected
    from composer.engine.actions import look_at_builds, look_elsewhere, plan_up

    project = context.project(makes=True, services=services)
    if nothing_selected(project, services):
        context.display().warn("no service selected")
    options = engine_options(context, project, services, given)
    engine = context.engine(project.name)
    plan = plan_up(engine, project, options)
    if shows_builds:
        # what a plan does that was saved is settled: it builds what is missing, and nothing anew
        plan = plan.after(*look_elsewhere(engine, project, options))
        plan = plan.after(*look_at_builds(engine, project, options))
    return plan, project.name, {k: v for k, v in options._asdict().items() if k != "known"}


_LOOKED_UP = ("external", "found_images")
"""What a saved plan does not keep of a ``down``: it is looked up again when the plan is applied."""


def _plan_down(
    context: Context, services: tuple[str, ...], given: dict[str, Any]
) -> tuple[Plan, str, dict[str, Any]]:
    from composer.cli.commands.down import Given, meaning, nothing_to_remove
    from composer.engine.plan import PlanBuilder
    from composer.engine.planning.lifecycle import plan_down

    project = context.project_name()
    asked = Given(services, given["volumes"], given["rmi"], None, given["remove_orphans"])
    meant = meaning(context, context.engine(project), project, asked)
    options = meant.teardown
    values = {
        **{name: value for name, value in options._asdict().items() if name not in _LOOKED_UP},
        "spare": sorted(options.spare),
        "kept_volumes": sorted(options.kept_volumes),
    }
    if meant.is_nothing:
        builder = PlanBuilder()
        builder.warn(nothing_to_remove(project))
        return builder.build(), project, values
    return plan_down(project, meant.observed, options), project, values


def _inputs(context: Context, project: str) -> dict[str, Any]:
    """Return what the compose files were found by, absolute, so that ``apply`` finds the same from anywhere."""
    from composer.schema import files

    settings, base = context.settings, context.working_dir
    absolute = [file if files.is_remote(file) else target.absolute(context, file) for file in settings.files]
    return {
        "files": absolute,
        "working_dir": base,
        "directory": os.path.join(base, settings.directory) if settings.directory else None,
        "name": project,
        "name_origin": context.name_origin,
        "profiles": list(settings.profiles),
        "env_files": [os.path.join(base, file) for file in settings.env_files],
        "backend": settings.backend,
    }


def _write(path: str, document: dict[str, Any]) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    from composer.archives import whole_file
    from composer.errors import ProjectError

    try:
        with whole_file(path, 0o600) as file:
            file.write(f"{json.dumps(document, indent=2, ensure_ascii=False)}\n".encode())
    except OSError as error:
        raise ProjectError(f"cannot write '{path}': {(error.strerror or str(error)).lower()}") from None
