"""``composer context``: where clients of Docker's API find the server of `composer serve`."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from composer.cli.context import Context

_FORMATS = ("shell", "json", "host")


@click.command(
    name="context",
    help="Print the DOCKER_HOST setting for clients of composer serve.",
    epilog='Set it in a shell with: eval "$(composer context)"',
)
@click.option(
    "--format",
    "style",
    type=click.Choice(_FORMATS),
    default="shell",
    show_default=True,
    help="Print a shell command, JSON, or only the address.",
)
@click.option("--socket", "path", metavar="PATH", help="Use this Unix socket, as given to composer serve.")
@click.pass_obj
def command(context: Context, /, style: str, path: str | None) -> None:
    from composer.cli.booting import serving

    host = f"unix://{path or serving.client_path(context.environment)}"
    texts = {
        "shell": f"export DOCKER_HOST={shlex.quote(host)}",
        "json": json.dumps({"DOCKER_HOST": host}),
        "host": host,
    }
    context.write(texts[style])
