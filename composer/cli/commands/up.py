"""``composer up``: make what runs be what the compose files say. ``composer watch``: and again after changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.cli.timeline import Timeline


def _timeline(ctx: click.Context, _option: click.Parameter, path: str | None) -> Timeline | None:
    """Look at the clock from now on, where ``--timeline`` is given."""
    if not path:
        return None
    from composer.cli.timeline import Timeline

    context: Context = ctx.obj
    return Timeline(path, context.began)


@click.command(name="up", help="Create and start containers.")
@click.option("-d", "--detach", is_flag=True, help="Run the containers in the background.")
@shared.waiting
@click.option(
    "--on-failure",
    type=click.Choice(("keep", "rollback", "down")),
    default="keep",
    help="Set what happens on failure: keep the current state, roll back to the previous containers, "
    "or take the project down.",
)
@click.option(
    "--timeline",
    metavar="FILE",
    callback=_timeline,
    help="Write the times of the phases of the command, and those at which each resource was created, started and "
    "became healthy, to FILE.",
)
@click.option("--no-start", is_flag=True, help="Create containers without starting them.")
@click.option("--abort-on-container-exit", is_flag=True, help="Stop all containers when any container exits.")
@click.option(
    "--abort-on-container-failure",
    is_flag=True,
    help="Stop all containers when any container exits with an error.",
)
@click.option(
    "--exit-code-from",
    metavar="SERVICE",
    help="Exit with the exit code of this service. Implies --abort-on-container-exit.",
)
@click.option(
    "--attach", "attach", multiple=True, metavar="SERVICE", help="Show only the output of this service."
)
@click.option("--attach-dependencies", is_flag=True, help="Also show the output of dependencies.")
@click.option("--no-attach", multiple=True, metavar="SERVICE", help="Do not show the output of this service.")
@click.option("--no-color", is_flag=True, help="Do not use colors in the output of containers.")
@click.option(
    "--no-log-prefix", is_flag=True, help="Do not print the name of the container before each line."
)
@click.option("--timestamps", is_flag=True, help="Print a timestamp before each line.")
@click.option("--quiet-build", is_flag=True, help="Do not show the progress of builds.")
@click.option("--menu", is_flag=True, hidden=True)  # of keys, under the output: there is none
@click.option(
    "-w",
    "--watch",
    is_flag=True,
    help="Copy changes of the source into the containers, as develop.watch says. Implies --build.",
)
@shared.creation
@shared.timeout
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], **given: Any) -> int | None:
    from composer.cli.creation import engine_options, nothing_selected
    from composer.cli.remote.consent import agree

    project = context.project(makes=True, starts=not given["no_start"], services=services)
    if given["timeline"] is not None:
        given["timeline"].enter("opening")
    _check(given)
    given["build"] = given["build"] or given["watch"]
    nothing = nothing_selected(project, services)
    if nothing is not None:
        raise nothing
    agree(context, project, yes=given["yes"])
    known = project.tree.get("services") or {}
    shared.check_services(known, project.disabled, (*given["attach"], *given["no_attach"]))
    options = engine_options(context, project, services, given)._replace(
        start=not given["no_start"],
        wait=given["wait"] and not given["no_start"],  # what is only created becomes ready of nothing
        wait_timeout_s=given["wait_timeout_s"],
        wait_restarts=given["wait_restarts"],
        on_failure=given["on_failure"],
    )
    if given["detach"] or given["wait"] or given["no_start"] or context.settings.dry_run:
        from composer.cli.creation import timed
        from composer.engine.actions import up

        with (
            context.changing(project.name, "up") as engine,
            timed(context, engine, project.name, given) as engine,
        ):
            up(engine, project, options, context.asker())
        if given["watch"]:  # a dry run
            from composer.cli.foreground import watching

            watching.show(context, watching.rules_of(context, project.select(services)))
        return None
    from composer.cli.foreground.attached import run_attached

    return run_attached(context, project, options, given)


def _check(given: dict[str, Any]) -> None:
    from composer.errors import ProjectError

    if given["watch"] and given["no_build"]:
        raise ProjectError("--no-build and --watch are incompatible", hint="use only one of them")
    if given["watch"] and given["no_start"]:
        raise ProjectError("--no-start and --watch are incompatible", hint="use only one of them")
    aborts = (
        given["abort_on_container_exit"] or given["abort_on_container_failure"] or given["exit_code_from"]
    )
    attaches = aborts or given["attach"] or given["attach_dependencies"] or given["watch"]
    if given["detach"] and attaches:
        raise ProjectError(
            "--detach cannot be combined with --abort-on-container-exit, --abort-on-container-failure, --attach, "
            "--attach-dependencies or --watch"
        )
    if given["wait"] and attaches:
        raise ProjectError(
            "--wait cannot be combined with --abort-on-container-exit, --attach, --attach-dependencies or --watch"
        )
    if given["attach"] and given["attach_dependencies"]:
        raise ProjectError("--attach and --attach-dependencies are incompatible", hint="use only one of them")
    if given["abort_on_container_exit"] and given["abort_on_container_failure"]:
        raise ProjectError("--abort-on-container-exit and --abort-on-container-failure are incompatible")


# ------------------------------------------------------------------ watch


@click.command(
    name="watch",
    help="Copy changes of the source into the containers of services, or rebuild or restart them, as develop.watch "
    "says. Runs until Ctrl-C; the containers keep running.",
)
@click.option("--no-up", is_flag=True, help="Do not build and start the services first.")
@click.option(
    "--prune/--no-prune", default=True, help="Remove the images that a rebuild replaces (default: --prune)."
)
@click.option("--quiet", is_flag=True, help="Do not show the progress of builds.")
@click.option("-y", "--yes", is_flag=True, help="Answer all prompts with yes.")
@shared.services
@click.pass_obj
def watch(context: Context, /, services: tuple[str, ...], **given: Any) -> int:
    project = context.project(makes=True, starts=not given["no_up"], services=services)
    shared.check_services(project.tree.get("services") or {}, project.disabled, services)
    from composer.cli.foreground.watching import run_watch
    from composer.cli.remote.consent import agree

    agree(context, project, yes=given["yes"])
    return run_watch(context, project, services, given)
