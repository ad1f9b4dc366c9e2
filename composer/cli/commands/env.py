"""``composer env`` and ``composer url``: where the services of a project are, for programs that connect to them."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.cli.context import Context
    from composer.engine.observed import ObservedContainer, ObservedPort

_EVERYWHERE = ("", "0.0.0.0", "::")
_SCHEMES = {
    80: "http",
    443: "https",
    1433: "mssql",
    3000: "http",
    3306: "mysql",
    5000: "http",
    5432: "postgresql",
    5672: "amqp",
    6379: "redis",
    8000: "http",
    8080: "http",
    8443: "https",
    9200: "http",
    27017: "mongodb",
}
"""What is usually spoken at a port of a container."""


@click.command(
    name="env",
    help="Print variables with the addresses of the project's running services.",
    epilog="Variables of a service that publishes a port: SERVICE_HOST, SERVICE_PORT and SERVICE_URL, of its first "
    "container and its lowest container port. If it publishes several, each also has variables with its number, such "
    "as SERVICE_80_PORT.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(("dotenv", "json", "shell")),
    default="dotenv",
    show_default=True,
    help="Print a .env file, JSON, or shell commands.",
)
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], style: str) -> None:
    project = context.project_name()
    observed = context.backend(project).observe(project)
    found: dict[str, str] = {"COMPOSE_PROJECT_NAME": project}
    for container in observed.containers:
        found.update(_variables(container, services))
    if style == "json":
        context.write(json.dumps(found, indent=2))
        return
    for key, value in found.items():
        context.write(f"export {key}={shlex.quote(value)}" if style == "shell" else f"{key}={value}")


def _variables(container: ObservedContainer, services: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    from composer.engine import labels

    service = labels.service_of(container)
    is_another = labels.number_of(container) > 1 or labels.is_oneoff(container)
    if is_another or (services and service not in services):
        return
    ports = sorted({one.container_port: one for one in container.ports if one.host_port}.items())
    prefix = "".join(character if character.isalnum() else "_" for character in service.upper())
    for number, (_, port) in enumerate(ports):
        names = [f"{prefix}_{port.container_port}"] if len(ports) > 1 else []
        for name in [*names, *([prefix] if not number else [])]:
            yield f"{name}_HOST", _host(port)
            yield f"{name}_PORT", str(port.host_port)
            yield f"{name}_URL", _url(port)


def _host(port: ObservedPort) -> str:
    return "127.0.0.1" if port.host_ip in _EVERYWHERE else port.host_ip


def _url(port: ObservedPort, scheme: str = "") -> str:
    host = _host(port)
    shown = f"[{host}]" if ":" in host else host
    kind = scheme or ("udp" if port.protocol == "udp" else _SCHEMES.get(port.container_port, "tcp"))
    return f"{kind}://{shown}:{port.host_port}"


@click.command(name="url", help="Print the URL of a published port of a service: by default of its lowest.")
@click.option(
    "--scheme",
    metavar="NAME",
    default="",
    help="Set the scheme (default: the usual one of the container port).",
)
@shared.index
@click.argument("service")
@click.argument("private_port", type=click.IntRange(1, 65535), required=False)
@click.pass_obj
def url(context: Context, /, service: str, private_port: int | None, scheme: str, index: int | None) -> None:
    from composer.cli.target import container_of
    from composer.errors import ProjectError

    project = context.project_name()
    container = container_of(context.backend(project).observe(project), service, index)
    ports = [one for one in container.ports if one.host_port and private_port in (None, one.container_port)]
    if not ports:
        what = f"port {private_port}" if private_port else "any port"
        raise ProjectError(
            f"service '{service}' does not publish {what}", hint="list published ports with composer ps"
        )
    port = min(ports, key=lambda one: (one.container_port, ":" in one.host_ip))
    context.write(_url(port, scheme))
