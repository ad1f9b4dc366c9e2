"""``composer version``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from composer import __version__

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="version", help="Print the version of composer.")
@click.option("--short", is_flag=True, help="Print only the version number.")
@click.option(
    "-f",
    "--format",
    "style",
    default="pretty",
    metavar="pretty|json|TEMPLATE",
    help="Set the output format: pretty, json, or a Go template.",
)
@click.option("--check", is_flag=True, help="Also ask the package index for the newest version.")
@click.pass_obj
def command(context: Context, /, short: bool, style: str, check: bool) -> None:
    _show(context, short, style)
    if check:
        from composer.cli.single.releases import newest

        found = newest()
        if found is None:
            context.write("This is the newest version.")
        else:
            context.write(
                f"Version {found} is available: pipx upgrade composer-stack, or pip install -U composer-stack"
            )


def _show(context: Context, short: bool, style: str) -> None:
    if short:
        context.write(__version__)
    elif style == "json":
        context.write(json.dumps({"version": f"v{__version__}"}))
    elif style not in ("", "pretty"):
        from composer.cli.record import Record
        from composer.cli.template import Template

        context.write(Template(style).render(Record(Version=__version__)))
    else:
        context.write(f"Composer version v{__version__}")
