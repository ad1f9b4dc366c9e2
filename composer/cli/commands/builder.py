"""``composer builder``: the build cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.group(name="builder", help="Manage the build cache.")
def command() -> None:
    """Group the subcommands."""


@command.command(name="prune", help="Remove the build cache that is not in use.")
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Also remove cache mounts, and what images share."
)
@shared.force
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Select entries: until=24h, unused-for=24h.",
)
@click.option(
    "--max-used-space", "--keep-storage", "most", metavar="SIZE", help="Stop when the cache is not larger."
)
@click.pass_obj
def prune(
    context: Context, /, everything: bool, force: bool, filters: tuple[str, ...], most: str | None
) -> None:
    from composer.cli import table
    from composer.units import parse_size_bytes

    shared.refuse_dry_run(context, "builder prune", "system df")
    unused_for_s = _age_s(filters)
    try:
        most_bytes = None if most is None else parse_size_bytes(most)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--max-used-space") from None
    what = "all build cache" if everything else "the build cache that no image shares"
    if not shared.agreed(context, f"This will remove {what}.", force=force):
        return
    ids, freed = context.backend().prune_builds(
        everything=everything, most_bytes=most_bytes, unused_for_s=unused_for_s
    )
    for id in ids:
        context.write(id[:12])
    context.write(f"Total reclaimed space: {table.size(freed)}")


def _age_s(filters: tuple[str, ...]) -> float:
    """Return how long an entry must not have been used, in seconds."""
    from composer.units import parse_duration_ns

    found = 0.0
    for key, value in shared.mapping(filters).items():
        if key not in ("until", "unused-for"):
            raise click.BadParameter(f"'{key}': use until or unused-for", param_hint="--filter")
        try:
            found = parse_duration_ns(value) / 1e9
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--filter") from None
    return found
