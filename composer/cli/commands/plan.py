"""``composer plan``: what ``up`` would do, and why. Changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="plan", help="Show what up would do, and why.")
@shared.creation
@click.option("--json", "as_json", is_flag=True, help="Print the plan for machines.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there is something to do.")
@shared.services
@click.pass_obj
def command(
    context: Context, /, services: tuple[str, ...], as_json: bool, detailed_exitcode: bool, **given: Any
) -> int:
    from composer.cli.creation import engine_options
    from composer.engine.actions import plan_up

    project = context.project()
    options = engine_options(context, project, services, given)
    plan = plan_up(context.engine(project.name), project, options)
    if as_json:
        context.write(
            json.dumps({"steps": plan.to_json(), "warnings": plan.warnings}, indent=2, ensure_ascii=False)
        )
    else:
        for sentence in plan.warnings:
            context.display().warn(sentence)
        context.write(str(plan) if plan.steps else f"nothing to do: '{project.name}' is up to date")
    return 2 if detailed_exitcode and plan.has_changes else 0
