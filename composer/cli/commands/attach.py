"""``composer attach``: a running container's output, and its input, as if it had been started here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="attach", help="Connect the terminal to a running container of a service.")
@click.option("--index", type=click.IntRange(min=1), metavar="N", help="Select the replica with this number.")
@click.option("--no-stdin", is_flag=True, help="Do not connect standard input.")
@click.option(
    "--sig-proxy/--no-sig-proxy",
    default=True,
    help="Forward received signals to the process.",
    show_default=True,
)
@click.option(
    "--detach-keys",
    default="ctrl-p,ctrl-q",
    show_default=True,
    help="Set the keys that detach from the container and leave it running.",
)
@click.argument("service")
@click.pass_obj
def command(
    context: Context, service: str, index: int | None, no_stdin: bool, sig_proxy: bool, detach_keys: str
) -> int:
    from composer.cli.keys import parse_keys
    from composer.cli.target import container_of
    from composer.cli.terminal import converse

    project = context.project_name()
    backend = context.backend(project)
    container = container_of(backend.observe(project), service, index, running=True)
    keys = parse_keys(detach_keys)
    session = backend.attach(container.id, stdin=not no_stdin)
    try:
        return converse(
            session,
            context,
            tty=not no_stdin and context.stdin.isatty() and context.stdout.isatty() and session.tty,
            interactive=not no_stdin,
            signals=sig_proxy,
            detach=keys,
        )
    finally:
        session.close()
