"""``composer ps``: the project's containers. Reads labels and never loads the model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.cli.record import Record
    from composer.engine.observed import ObservedContainer, ObservedPort

_HEADERS = {
    "Name": "NAME",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "Service": "SERVICE",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
}
_OTHERS = {
    "ID": "CONTAINER ID",
    "ExitCode": "EXIT CODE",
    "Names": "NAMES",
    "State": "STATE",
    "Publishers": "PORTS",
}
_STATES = ("created", "running", "restarting", "paused", "removing", "exited", "dead")


@click.command(name="ps", help="List containers.")
@click.option(
    "-a",
    "--all",
    "everything",
    is_flag=True,
    help="Also show stopped containers, and those created by the run command.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only IDs.")
@click.option("--services", "names", is_flag=True, help="Print only the names of services.")
@click.option(
    "--status",
    "states",
    multiple=True,
    type=click.Choice(_STATES),
    help="Show only containers in this state.",
)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="status=STATE",
    help="Show only containers in this state (the same as --status).",
)
@shared.styled(None)
@click.option("--no-trunc", is_flag=True, help="Do not truncate commands.")
@click.option(
    "--orphans/--no-orphans",
    default=True,
    help="Show containers of services that the compose file does not define.",
)
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], **given: Any) -> None:
    project = context.project_name()
    observed = context.backend(project).observe(project)
    containers = _selected(list(observed.containers), services, given)
    if services:
        from composer.cli.target import present

        present(context, observed, services)  # what was not created yet is no mistake
    if not given["orphans"]:
        known = context.project().tree.get("services") or {}
        containers = [c for c in containers if _service(c) in known]
    if given["quiet"]:
        lines = [container.id for container in containers]
    elif given["names"]:
        lines = sorted({_service(container) for container in containers})
    else:
        from composer.cli import listing

        style = _style(context, given["style"])
        width = None if given["no_trunc"] else 20
        now_ns = time.time_ns()
        # two hundred containers are a tenth of a second: what no column shows is not made
        fields = _columns if style in ("", "table") else _fields
        rows = [fields(container, width, now_ns) for container in containers]
        _add_faults(context, project, rows)
        listing.show(context, style, rows, _HEADERS, others=_OTHERS)
        return
    for line in lines:
        context.write(line)


def _style(context: Context, given: str | None) -> str:
    """Return the format that was asked for, or ``psFormat`` of Docker's config.json."""
    if given is not None:
        return given
    from composer import userconfig
    from composer.errors import ProjectError

    try:
        found = userconfig.read_docker(context.environment).get("psFormat")
    except ProjectError as error:
        context.display().warn(str(error))
        found = None
    return found if isinstance(found, str) else "table"


def _service(container: ObservedContainer) -> str:
    from composer.engine import labels

    return labels.service_of(container)


def _selected(
    containers: list[ObservedContainer], services: tuple[str, ...], given: dict[str, Any]
) -> list[ObservedContainer]:
    from composer.engine import labels

    states = set(given["states"])
    for entry in given["filters"]:
        key, _, value = entry.partition("=")
        if key != "status" or value not in _STATES:
            raise click.BadParameter(f"'{entry}' must be status=STATE", param_hint="--filter")
        states.add(value)
    found = [
        c
        for c in containers
        if (not services or labels.service_of(c) in services)
        and (c.state.value in states if states else given["everything"] or c.state.value in _STATES[1:4])
        and (given["everything"] or not labels.is_oneoff(c))
    ]
    return sorted(found, key=lambda c: (labels.service_of(c), labels.number_of(c), c.name))


def _add_faults(context: Context, project: str, rows: list[Record]) -> None:
    """Say of a container with faults which ones it has: behind its status."""
    from composer import faults

    state = context.session().state_root.own
    if not faults.are_noted(state):
        return
    from composer.faults import marks

    found: dict[str, list[str]] = {}
    for wish, _ in marks.all_of(state, project):
        found.setdefault(wish.container, []).append(wish.effect)
    for row in rows:
        if row["Name"] in found:
            row["Status"] += f" (fault: {'; '.join(found[row['Name']])})"


def _columns(container: ObservedContainer, width: int | None, now_ns: int) -> Record:
    """Return the fields of the plain table."""
    from composer.cli import table
    from composer.cli.record import Record

    return Record(
        {
            "Command": table.command_line(container.command, width),
            "Image": container.image,
            "Name": container.name,
            "Ports": table.ports(container.ports),
            "RunningFor": f"{table.duration((now_ns - container.created_ns) / 1e9)} ago",
            "Service": _service(container),
            "Status": table.status(container, now_ns),
        }
    )


def _fields(container: ObservedContainer, width: int | None, now_ns: int) -> Record:
    """Return Docker Compose's fields (formatter/container.go), which templates name and other tools parse."""
    from composer.cli.record import Record
    from composer.engine import labels
    from composer.engine.observed import Health

    created_s = container.created_ns / 1e9
    found = _columns(container, width, now_ns)
    found.update(
        {
            "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(created_s)),
            "ExitCode": container.exit_code or 0,
            "Health": "" if container.health is Health.NONE else container.health.value,
            "ID": container.id if width is None else container.id[:12],
            "Labels": shared.pairs(container.labels),
            "Label": shared.label_of(container.labels),
            "LocalVolumes": str(sum(m.type == "volume" for m in container.mounts)),
            "Mounts": ",".join(m.name or m.source or m.target for m in container.mounts),
            "Names": container.name,
            "Networks": ",".join(endpoint.network for endpoint in container.endpoints),
            "Project": labels.project_of(container),
            "Publishers": [_publisher(port) for port in container.ports],
            "Size": "0B",
            "State": container.state.value,
        }
    )
    return Record(sorted(found.items()))


def _publisher(port: ObservedPort) -> Record:
    from composer.cli.record import Record

    return Record(
        {
            "URL": port.host_ip or ("0.0.0.0" if port.host_port else ""),
            "TargetPort": port.container_port,
            "PublishedPort": port.host_port,
            "Protocol": port.protocol,
        }
    )
