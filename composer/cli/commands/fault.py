"""``composer fault``: faults in the containers of services, as long as the command runs."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.cli.context import Context

_PERCENT = click.FloatRange(min=0, min_open=True, max=100)
_MS = click.FloatRange(min=0)

_service = click.argument("service")
_for = click.option(
    "--for",
    "seconds",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Undo the fault after this time (default: at Ctrl-C).",
)


@click.group(
    name="fault",
    help="Make faults in running services: lost packets, late answers, refused ports, full disks.",
    epilog="A fault holds as long as its command runs. It is undone also if the command is killed.",
)
def command() -> None:
    """Group the subcommands."""


def _made(name: str, text: str, *decorators: Callable[[Any], Any]) -> Callable[[Any], click.Command]:
    """Return a decorator for the command of a fault."""

    def decorate(function: Any) -> click.Command:
        for decorator in reversed((_for, *decorators, click.pass_obj)):
            function = decorator(function)
        made: click.Command = command.command(name=name, help=text)(function)
        return made

    return decorate


@_made(
    "delay",
    "Delay the answers of a service.",
    click.option(
        "--jitter",
        type=_MS,
        default=0.0,
        metavar="MS",
        help="Vary the delay by up to this many milliseconds.",
    ),
    click.option(
        "--port",
        "ports",
        type=click.IntRange(1, 65535),
        multiple=True,
        metavar="PORT",
        help="Delay only connections to this port. Can be repeated.",
    ),
    _service,
    click.argument("ms", type=_MS, metavar="MS"),
)
def delay(
    context: Context, /, service: str, ms: float, jitter: float, ports: tuple[int, ...], seconds: float | None
) -> None:
    _hold(context, [service], "delay", seconds, ms=ms, jitter_ms=jitter, ports=list(ports))


@_made(
    "slow-close",
    "Delay the closing of connections to a service.",
    _service,
    click.argument("ms", type=_MS, metavar="MS"),
)
def slow_close(context: Context, /, service: str, ms: float, seconds: float | None) -> None:
    _hold(context, [service], "slow_close", seconds, ms=ms, ports=[])


@_made(
    "reset-peer",
    "Reset connections to a service.",
    _service,
    click.argument("ms", type=_MS, default=0.0, metavar="[MS]"),
)
def reset_peer(context: Context, /, service: str, ms: float, seconds: float | None) -> None:
    _hold(context, [service], "reset_peer", seconds, ms=ms, ports=[])


@_made(
    "loss",
    "Lose packets from and to a service.",
    _service,
    click.argument("percent", type=_PERCENT, metavar="PERCENT"),
)
def loss(context: Context, /, service: str, percent: float, seconds: float | None) -> None:
    _hold(context, [service], "loss", seconds, percent=percent)


@_made(
    "bandwidth",
    "Limit how fast a service sends.",
    _service,
    click.argument("rate", metavar="BYTES_PER_SECOND"),
)
def bandwidth(context: Context, /, service: str, rate: str, seconds: float | None) -> None:
    from composer.units import parse_size_bytes

    try:
        number = parse_size_bytes(rate)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="BYTES_PER_SECOND") from None
    _hold(context, [service], "bandwidth", seconds, bytes_per_s=number)


@_made(
    "refuse",
    "Let a port of a service refuse connections.",
    click.option("--udp", is_flag=True, help="Refuse a UDP port."),
    _service,
    click.argument("port", type=click.IntRange(1, 65535)),
)
def refuse(context: Context, /, service: str, port: int, udp: bool, seconds: float | None) -> None:
    _hold(context, [service], "refuse", seconds, port=port, protocol="udp" if udp else "tcp")


@_made("dns-fail", "Make a service fail to resolve a name.", _service, click.argument("name"))
def dns_fail(context: Context, /, service: str, name: str, seconds: float | None) -> None:
    _hold(context, [service], "dns_fail", seconds, name=name)


@_made("disk-full", "Fill a tmpfs, or a volume with a size, of a service.", _service, click.argument("path"))
def disk_full(context: Context, /, service: str, path: str, seconds: float | None) -> None:
    _hold(context, [service], "disk_full", seconds, path=path)


@command.command(
    name="oom",
    help="Make a service run out of memory: the kernel kills its largest process.",
    short_help="Make a service run out of memory.",
)
@_service
@click.pass_obj
def oom(context: Context, /, service: str) -> None:
    _hold(context, [service], "oom", 0)


@_made(
    "partition",
    "Let no packet through between two services.",
    click.argument("one", metavar="SERVICE"),
    click.argument("other", metavar="SERVICE"),
)
def partition(context: Context, /, one: str, other: str, seconds: float | None) -> None:
    from composer.engine import labels
    from composer.stacks import faulting

    project = context.project_name()
    observed = context.backend(project).observe(project)
    others = [found for found in observed.containers if labels.service_of(found) == other]
    addresses = faulting.addresses_of(others)
    _hold(context, [one], "partition", seconds, addresses=addresses, names=[other])


def _hold(context: Context, services: Sequence[str], kind: str, seconds: float | None, **values: Any) -> None:
    """Make a fault, and undo it at Ctrl-C, at SIGTERM, or when its time is over."""
    from composer.cli.target import container_of
    from composer.engine import labels
    from composer.stacks import faulting

    project = context.project_name()
    backend = context.backend(project)
    observed = backend.observe(project)
    for service in services:
        container_of(observed, service, None)
    found = [one for one in observed.containers if labels.service_of(one) in services]
    wishes = faulting.wishes_of(backend, found, kind, values)
    if context.settings.dry_run:
        for wish in wishes:
            context.write(str(wish))
        return
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with faulting.Fault(wishes, context.session().state_root.own, context.environment) as fault:
        ends = "" if seconds == 0 else " (Ctrl-C ends it)"
        context.stderr.write(f"{fault}{ends}\n")
        context.stderr.flush()
        over.wait(seconds)


@command.command(name="ls", help="List faults.")
@shared.style
@click.pass_obj
def list_faults(context: Context, /, style: str) -> None:
    from composer.cli import listing
    from composer.cli.record import Record
    from composer.faults import marks

    rows = [
        Record(ID=wish.id, Container=wish.container, Fault=wish.effect, PID=str(pid))
        for wish, pid in marks.all_of(context.session().state_root.own)
    ]
    headers = {"ID": "FAULT ID", "Container": "CONTAINER", "Fault": "FAULT", "PID": "PID"}
    listing.show(context, style, rows, headers)


@command.command(name="clear", help="Undo all faults of the project.")
@click.pass_obj
def clear(context: Context, /) -> None:
    from composer.faults import marks

    for wish, pid in marks.all_of(context.session().state_root.own, context.project_name()):
        context.write(str(wish))
        if not context.settings.dry_run:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue  # it has ended in this moment
