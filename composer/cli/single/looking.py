"""Looking at single containers: their output, processes, ports, files and what they use."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.commands.stats import Sample
    from composer.cli.context import Context
    from composer.engine.backend import Backend

_KINDS = "CAD"
_INTERRUPTED = 130


def logs(context: Context, names: tuple[str, ...], **given: Any) -> int | None:
    from composer.cli.lines import Printer
    from composer.cli.times import moment

    backend = context.backend()
    found = [backend.container(name) for name in names]
    printer = Printer(
        context.stdout,
        context.errors,
        color=context.is_colored(context.stdout),
        prefix=len(found) > 1,
        timestamps=given["timestamps"],
    )
    printer.add((container.id, container.name) for container in found)
    now_ns = time.time_ns()
    stream = backend.logs(
        [container.id for container in found],
        follow=given["follow"],
        since_ns=moment(given["since"], "--since", now_ns) or 0,
        until_ns=moment(given["until"], "--until", now_ns),
        tail=shared.tail(given["tail"]),
    )
    try:
        for line in stream:
            printer.write(line)
    except KeyboardInterrupt:
        context.abandon_output()
        return _INTERRUPTED
    finally:
        stream.close()
    return None


def ports(context: Context, name: str, private_port: str | None) -> None:
    """Write where the ports of a container are published, or one of them. Raises ProjectError for that."""
    from composer.errors import ProjectError

    container = context.backend().container(name)
    published = sorted(
        (port for port in container.ports if port.host_port),
        key=lambda port: (port.container_port, port.protocol, ":" in port.host_ip, port.host_ip),
    )
    if private_port is None:
        for port in published:
            place = _place(port.host_ip, port.host_port)
            context.write(f"{port.container_port}/{port.protocol} -> {place}")
        return
    number, _, protocol = private_port.partition("/")
    if not (number.isascii() and number.isdecimal()):
        raise click.BadParameter(f"'{private_port}' must be PORT[/PROTOCOL]", param_hint="PRIVATE_PORT")
    wanted = (int(number), protocol or "tcp")
    found = [port for port in published if (port.container_port, port.protocol) == wanted]
    if not found:
        raise ProjectError(
            f"no public port '{number}/{wanted[1]}' published for {name}",
            hint=f"list its ports with composer container port {name}",
        )
    for port in found:
        context.write(_place(port.host_ip, port.host_port))


def _place(host: str, port: int) -> str:
    host = host or "0.0.0.0"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def differences(context: Context, name: str) -> None:
    """Write what was changed (C), added (A) and deleted (D) of a container's files."""
    backend = context.backend()
    for change in backend.changes(backend.container(name).id):
        context.write(f"{_KINDS[change.kind]} {change.path}")


def export(context: Context, name: str, output: str | None) -> None:
    from composer.cli.single import standard

    if output is None:
        standard.refuse_terminal(context, "use -o FILE, or redirect the output")
    backend = context.backend()
    container = backend.container(name)
    if context.settings.dry_run:
        context.write(f"export {container.name}{f' to {output}' if output else ''}")
        return
    standard.write_pieces(context, output, backend.export_container(container.id))


def commit(context: Context, name: str, reference: str | None, **given: Any) -> None:
    from composer.cli.commands.commit import spec_of
    from composer.cli.single.lifecycle import changing

    spec = spec_of(reference, **given)
    with changing(context, name, "commit") as (backend, container):
        if context.settings.dry_run:
            context.write(f"commit {container.name}{f' as {reference}' if reference else ''}")
            return
        image = backend.commit_container(container.id, spec)
    context.write(image.id)


# ------------------------------------------------------------------ what they use


def stats(
    context: Context, names: tuple[str, ...], style: str, *, everything: bool, no_stream: bool, no_trunc: bool
) -> int | None:
    """Show what containers use, every second until Ctrl-C, or once."""
    from composer.cli.commands.stats import follow

    backend = context.backend()
    ids = [backend.container(name).id for name in names]

    def look() -> list[Sample]:
        return _samples(backend, ids, everything=everything)

    return follow(context, look, style, no_stream=no_stream, no_trunc=no_trunc)


def _samples(backend: Backend, ids: list[str], *, everything: bool) -> list[Sample]:
    """Look at each container once; at all where none was named. One that has gone meanwhile is left out."""
    from composer.errors import NotFound

    found = []
    for container in backend.containers():
        if ids and container.id not in ids:
            continue
        try:
            usage = backend.usage(container.id)
        except NotFound:
            continue
        if usage is not None or everything or ids:
            found.append((container, usage))
    return sorted(found, key=lambda pair: (-pair[0].created_ns, pair[0].name))
