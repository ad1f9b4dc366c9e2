"""``composer pause`` and ``composer unpause``: freeze services that run, and let them go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="pause", help="Pause services.")
@shared.services
@click.pass_obj
def command(context: Context, services: tuple[str, ...]) -> None:
    from composer.cli.pausing import freeze

    freeze(context, services, frozen=True)


@click.command(name="unpause", help="Resume paused services.")
@shared.services
@click.pass_obj
def unpause(context: Context, services: tuple[str, ...]) -> None:
    from composer.cli.pausing import freeze

    freeze(context, services, frozen=False)
