"""``composer port``: where a container's port is published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="port", help="Print the host address that a container port is published on.")
@click.option(
    "--protocol",
    type=click.Choice(("tcp", "udp", "sctp")),
    default="tcp",
    show_default=True,
    help="Set the protocol.",
)
@shared.index
@click.argument("service")
@click.argument("private_port", type=click.IntRange(1, 65535))
@click.pass_obj
def command(context: Context, /, service: str, private_port: int, protocol: str, index: int | None) -> None:
    from composer.cli.target import container_of
    from composer.engine.observed import ContainerState
    from composer.errors import ProjectError

    project = context.project_name()
    container = container_of(context.backend(project).observe(project), service, index)
    published = [
        port
        for port in container.ports
        if (port.protocol, port.container_port) == (protocol, private_port) and port.host_port
    ]
    if not published and container.state is ContainerState.EXITED:
        raise ProjectError(
            f"service '{service}' is not running", hint=f"start it with composer up -d {service}"
        )
    if not published:
        known = dict.fromkeys(f"{port.container_port}/{port.protocol}" for port in container.ports)
        raise ProjectError(
            f"no port {private_port}/{protocol} for container {container.name}: "
            + (", ".join(known) or "it publishes no ports"),
            hint="list published ports with composer ps",
        )
    # one line, as scripts take it; IPv4 where it is published in both families
    port = min(published, key=lambda one: ":" in one.host_ip)
    host = port.host_ip or "0.0.0.0"
    context.write(f"[{host}]:{port.host_port}" if ":" in host else f"{host}:{port.host_port}")
