"""``composer ls``: the projects on this machine, on every backend that works here."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.engine.observed import ObservedContainer

_HEADERS = {
    "Name": "NAME",
    "Instance": "INSTANCE",
    "Status": "STATUS",
    "ConfigFiles": "CONFIG FILES",
    "Backend": "BACKEND",
}
_SHOWN = ("running", "restarting", "paused")


@click.command(name="ls", help="List projects.")
@click.option("-a", "--all", "everything", is_flag=True, help="Also show stopped projects.")
@click.option("-q", "--quiet", is_flag=True, help="Print only names.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="name=NAME",
    help="Show only projects whose name contains NAME.",
)
@shared.style
@click.pass_obj
def command(context: Context, /, everything: bool, quiet: bool, filters: tuple[str, ...], style: str) -> None:
    from composer.cli import listing
    from composer.cli.record import Record

    rows = [row for row in _grouped(context, _rows(context, everything)) if _matches(row[0], filters)]
    if quiet:
        for row in rows:
            context.write(row[0])
        return
    records = [Record(zip(_HEADERS, row, strict=True)) for row in rows]
    headers = dict(_HEADERS)
    if len({row[-1] for row in rows}) < 2:
        del headers["Backend"]  # it would say the same of all
    if not any(row[1] for row in rows):
        del headers["Instance"]
    listing.show(context, style, records, headers, array=True)


def _grouped(context: Context, rows: list[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str, str]]:
    """Return rows with the name of the instance behind that of the project; instances follow their project."""
    from composer.session import instances

    state = context.session().state_root.own
    known = {row[0]: instances.read(state, row[0]) for row in rows}
    found = [(row[0], str(known[row[0]].get("instance") or ""), *row[1:]) for row in rows]
    return sorted(found, key=lambda row: (str(known[row[0]].get("base") or row[0]), row[1], row))


def _rows(context: Context, everything: bool) -> list[tuple[str, str, str, str]]:
    from composer.engine import labels

    rows = []
    for backend in context.backends():
        projects: dict[str, list[ObservedContainer]] = {}
        for container in backend.projects():
            if not everything and container.state.value not in _SHOWN:
                continue
            projects.setdefault(labels.project_of(container), []).append(container)
        for name, containers in projects.items():
            states = Counter(c.state.value for c in containers)
            if everything or any(states[state] for state in _SHOWN):
                status = ", ".join(f"{state}({count})" for state, count in sorted(states.items()))
                files = {f for c in containers for f in c.labels.get(labels.CONFIG_FILES, "").split(",") if f}
                rows.append((name, status, ",".join(sorted(files)), backend.name))
    return sorted(rows)


def _matches(name: str, filters: tuple[str, ...]) -> bool:
    for entry in filters:
        key, _, value = entry.partition("=")
        if key != "name" or not value:
            raise click.BadParameter(f"'{entry}' must be name=NAME", param_hint="--filter")
        if value not in name:
            return False
    return True
