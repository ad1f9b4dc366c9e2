"""``composer help``: what ``--help`` of a command shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="help", help="Show the help of a command.")
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def command(ctx: click.Context, /, words: tuple[str, ...]) -> None:
    context: Context = ctx.obj
    found = ctx.find_root()
    for word in words:
        found = _below(found, word)
    context.write(found.get_help())


def _below(ctx: click.Context, word: str) -> click.Context:
    """Return the context of a command below another. Raises click.UsageError."""
    group = ctx.command
    if not isinstance(group, click.Group):
        raise click.UsageError(f"'{ctx.command_path}' has no commands", ctx)
    below = group.get_command(ctx, word)
    if below is not None:
        return click.Context(below, parent=ctx, info_name=word)
    from composer.cli import flags, unknown_verbs

    if ctx.parent is None:
        raise click.UsageError(unknown_verbs.explain(word, group.list_commands(ctx)), ctx)
    raise click.UsageError(flags.unknown_below(group, word, ctx), ctx)
