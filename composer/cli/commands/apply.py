"""``composer apply``: carry out a plan that was written to a file, as long as it is still the one to make."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.documents.plans import SavedDown, SavedUp
    from composer.engine.engine import Engine
    from composer.engine.plan import Plan


@click.command(name="apply", help="Apply a plan saved with composer plan --out.")
@click.option("-y", "--yes", is_flag=True, help="Answer all prompts with yes.")
@click.argument("file", metavar="FILE")
@click.pass_obj
def command(context: Context, file: str, yes: bool) -> None:
    from composer.documents import plans
    from composer.errors import ProjectError

    path = os.path.join(context.working_dir, file)
    try:
        with open(path, encoding="utf-8") as stream:
            found = plans.read(stream.read(), file)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ProjectError(f"cannot read the plan '{file}': {(reason or str(error)).lower()}") from None
    _adopt(context, found)
    with context.changing(found.project, "apply") as engine:
        engine = engine._replace(review=_review(context, found))
        if yes:
            engine = engine._replace(ask=lambda question: True)
        if isinstance(found, plans.SavedDown):
            _down(context, engine, found)
        else:
            _up(context, engine, found)


def _adopt(context: Context, found: SavedUp | SavedDown) -> None:
    """Look at the compose files that the plan was made from, wherever this command is run."""
    inputs = found.inputs
    context.working_dir = inputs.working_dir
    context.settings = context.settings._replace(
        files=inputs.files,
        directory=inputs.directory,
        name=inputs.name,
        profiles=inputs.profiles,
        env_files=inputs.env_files,
        backend=context.settings.backend or inputs.backend,
    )


def _down(context: Context, engine: Engine, found: SavedDown) -> None:
    from composer.cli.commands.down import looked_up
    from composer.engine.actions import down
    from composer.engine.planning.lifecycle import Teardown

    values = dict(found.options)
    for key in ("spare", "kept_volumes"):
        values[key] = frozenset(values[key])
    observed = engine.backend.observe(found.project)
    options = looked_up(context, engine, found.project, observed, Teardown(**values))
    down(engine, found.project, options, observed)


def _up(context: Context, engine: Engine, found: SavedUp) -> None:
    from composer.engine.actions import apply_up
    from composer.engine.options import Options

    project = context.project(makes=True)
    # the plan was made by that name: to have it from the plan is not to choose it
    project.name_origin = found.inputs.name_origin or project.name_origin
    apply_up(engine, project, Options(**dict(found.options)))


def _review(context: Context, found: SavedUp | SavedDown) -> Any:
    from composer.engine import saved

    def review(plan: Plan) -> bool:
        saved.check([dict(each) for each in found.operations], plan, context.key())
        if context.settings.dry_run:
            context.show_plan(plan)
        return not context.settings.dry_run

    return review
