"""``composer version``; as ``composer compose version``, the version of docker compose that programs ask for.

They compare it with the one that introduced a flag, and take one below 2 for Compose V1.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from composer.cli import flags
from composer.version import __version__

if TYPE_CHECKING:
    from composer.cli.context import Context

LIKE = "5.5.0"
"""The version of docker compose that has the commands, options and output of this one."""


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
@click.pass_context
def command(ctx: click.Context, /, short: bool, style: str, check: bool) -> None:
    context: Context = ctx.obj
    if flags.COMPOSE in ctx.meta:
        _show(context, short, style, LIKE, f"Docker Compose version v{LIKE}, by composer v{__version__}")
    else:
        _show(context, short, style, __version__, f"Composer version v{__version__}")
    if check:
        from composer.cli.single.releases import newest

        is_for_people = not short and style in ("", "pretty")
        stream = context.stdout if is_for_people else context.stderr
        stream.write(_told(newest()) + "\n")


def _told(newest: str | None) -> str:
    if newest is None:
        return "No version was released yet."
    if newest == __version__:
        return "This is the newest version."
    return f"Version {newest} is available: pipx upgrade composer-stack, or pip install -U composer-stack"


def _show(context: Context, short: bool, style: str, version: str, sentence: str) -> None:
    if short:
        context.write(version)
    elif style == "json":
        context.write(json.dumps({"version": f"v{version}"}))
    elif style not in ("", "pretty"):
        from composer.cli.record import Record
        from composer.cli.template import Template

        context.write(Template(style).render(Record(Version=version)))
    else:
        context.write(sentence)
