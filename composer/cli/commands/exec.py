"""``composer exec``: run a command in a running container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(
    name="exec",
    help="Run a command in a running container.",
    context_settings={"allow_interspersed_args": False},
)
@click.option("-d", "--detach", is_flag=True, help="Run the command in the background.")
@click.option(
    "-e", "--env", "variables", multiple=True, metavar="KEY=VALUE", help="Set an environment variable."
)
@click.option("-u", "--user", metavar="USER", help="Run the command as this user.")
@click.option(
    "-w",
    "--workdir",
    "working_dir",
    metavar="DIR",
    help="Run the command in this directory of the container.",
)
@click.option("-T", "--no-tty", is_flag=True, help="Do not allocate a terminal.")
@click.option("-t", "--tty", "_tty", is_flag=True, hidden=True)
@click.option("-i", "--interactive/--no-interactive", default=True, hidden=True)
@shared.index
@click.option("--privileged", is_flag=True, help="Give the process all capabilities.")
@click.argument("service")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND [ARG]...")
@click.pass_obj
def command(context: Context, /, service: str, words: tuple[str, ...], **given: Any) -> int:
    from composer.cli.target import container_of
    from composer.cli.terminal import converse
    from composer.engine.wanted import ExecSpec

    project = context.project_name()
    backend = context.backend(project)
    context.expect_starts(backend, project)
    container = container_of(backend.observe(project), service, given["index"], running=True)
    has_terminal = context.stdin.isatty() and context.stdout.isatty()
    spec = ExecSpec(
        command=words,
        environment=_environment(context, given["variables"]),
        user=given["user"],
        working_dir=given["working_dir"],
        tty=has_terminal and not given["no_tty"] and not given["detach"],
        interactive=given["interactive"] and not given["detach"],
        privileged=given["privileged"],
        detach=given["detach"],
    )
    session = backend.exec(container.id, spec)
    try:
        if spec.detach:
            return 0
        return converse(session, context, tty=spec.tty, interactive=spec.interactive)
    finally:
        session.close()


def _environment(context: Context, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``KEY=VALUE`` pairs; a bare ``KEY`` takes its value from here, and is left out where there is none."""
    pairs = []
    for entry in given:
        if "=" in entry:
            pairs.append(entry)
        elif entry in context.environment:
            pairs.append(f"{entry}={context.environment[entry]}")
    return tuple(pairs)
