"""``composer completion``: the script with which a shell completes commands, options and names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli.completion import SHELLS

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(
    name="completion",
    help="Print the completion script for a shell.\n\n"
    "Load it in ~/.bashrc: source <(composer completion bash).\n\n"
    "Load it in ~/.zshrc, after compinit: source <(composer completion zsh).\n\n"
    "Load it in ~/.config/fish/config.fish: composer completion fish | source.",
)
@click.option(
    "--name",
    default="composer",
    show_default=True,
    metavar="PROGRAM",
    help="Complete a program of this name.",
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_obj
def command(context: Context, shell: str, name: str) -> None:
    from composer.cli.completion import shells

    context.write(shells.script(shell, name).strip())
