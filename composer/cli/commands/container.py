"""``composer container``: single containers, of a project or of none."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from composer.cli.context import Context
    from composer.engine.backend import Backend
    from composer.engine.observed import ObservedContainer

_HEADERS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Names": "NAMES",
}
_OTHERS = {"Project": "PROJECT", "State": "STATE", "Networks": "NETWORKS", "Mounts": "MOUNTS"}
_RUNNING = ("running", "restarting", "paused")

_names = click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")


@click.group(name="container", help="Manage individual containers, inside and outside projects.")
def command() -> None:
    """Group the subcommands."""


# ------------------------------------------------------------------ seen


@command.command(name="ls", help="List containers.")
@click.option("-a", "--all", "everything", is_flag=True, help="Also show stopped containers.")
@click.option("-q", "--quiet", is_flag=True, help="Print only IDs.")
@click.option("--no-trunc", is_flag=True, help="Do not truncate IDs and commands.")
@shared.label_filters
@shared.style
@click.pass_obj
def list_containers(context: Context, /, filters: tuple[str, ...], style: str, **given: Any) -> None:
    from composer.cli import listing

    labels = shared.read_label_filters(filters)
    found = [
        container
        for container in context.backend().containers()
        if (given["everything"] or container.state.value in _RUNNING)
        and all(label.matches(container.labels) for label in labels)
    ]
    found.sort(key=lambda container: (-container.created_ns, container.name))
    if given["quiet"]:
        for container in found:
            context.write(container.id if given["no_trunc"] else container.id[:12])
        return
    now_ns = time.time_ns()
    rows = [_row(container, now_ns, whole=given["no_trunc"]) for container in found]
    listing.show(context, style, rows, _HEADERS, others=_OTHERS)


def _row(container: ObservedContainer, now_ns: int, *, whole: bool) -> Any:
    from composer.cli import table
    from composer.cli.record import Record
    from composer.engine import labels

    return Record(
        ID=container.id if whole else container.id[:12],
        Image=container.image,
        Command=table.command_line(container.command, None if whole else 20),
        CreatedAt=shared.moment(container.created_ns),
        RunningFor=f"{table.duration((now_ns - container.created_ns) / 1e9)} ago",
        Status=table.status(container, now_ns),
        State=container.state.value,
        Ports=table.ports(container.ports),
        Names=container.name,
        Networks=",".join(endpoint.network for endpoint in container.endpoints),
        Mounts=",".join(mount.name or mount.source or mount.target for mount in container.mounts),
        Project=container.labels.get(labels.PROJECT, ""),
        Labels=shared.pairs(container.labels),
        Label=shared.label_of(container.labels),
    )


@command.command(name="inspect", help="Print detailed information about containers.")
@shared.template
@_names
@click.pass_obj
def inspect_containers(context: Context, /, names: tuple[str, ...], style: str | None) -> None:
    from composer.cli import listing
    from composer.errors import NotFound

    backend = context.backend()

    def find(name: str) -> ObservedContainer | None:
        try:
            return backend.container(name)
        except NotFound:
            return None

    listing.inspect(context, style, "container", names, find, _picture)


def _picture(found: ObservedContainer) -> dict[str, Any]:
    """Return Docker's fields of an inspected container, as far as every backend knows them."""
    ports: dict[str, Any] = {}
    for port in found.ports:
        bindings = ports.setdefault(f"{port.container_port}/{port.protocol}", None)
        if port.host_port:
            bound = {"HostIp": port.host_ip, "HostPort": str(port.host_port)}
            ports[f"{port.container_port}/{port.protocol}"] = [*(bindings or ()), bound]
    return {
        "Id": found.id,
        "Name": f"/{found.name}",
        "Created": shared.moment(found.created_ns),
        "Image": found.image_id,
        "RestartCount": found.restarts,
        "State": {
            "Status": found.state.value,
            "Running": found.state.value in _RUNNING,
            "Paused": found.state.value == "paused",
            "Restarting": found.state.value == "restarting",
            "OOMKilled": found.oom_killed,
            "ExitCode": found.exit_code or 0,
            "Error": found.error,
            "StartedAt": shared.moment(found.started_ns),
            "FinishedAt": shared.moment(found.finished_ns),
            "Health": found.health.value,
        },
        "Config": {"Image": found.image, "Cmd": list(found.command), "Labels": dict(found.labels)},
        "NetworkSettings": {
            "Ports": ports,
            "Networks": {
                endpoint.network: {
                    "NetworkID": endpoint.network_id,
                    "IPAddress": endpoint.ipv4,
                    "GlobalIPv6Address": endpoint.ipv6,
                    "MacAddress": endpoint.mac,
                    "Aliases": list(endpoint.aliases),
                }
                for endpoint in found.endpoints
            },
        },
        "Mounts": [
            {
                "Type": mount.type,
                "Name": mount.name,
                "Source": mount.source,
                "Destination": mount.target,
                "RW": not mount.read_only,
            }
            for mount in found.mounts
        ],
    }


@command.command(name="logs", help="Print the output of containers.")
@click.option("-f", "--follow", is_flag=True, help="Keep printing new output until the containers stop.")
@click.option(
    "-n", "--tail", default="all", metavar="N", help="Print only the last N lines of each container."
)
@click.option("-t", "--timestamps", is_flag=True, help="Print a timestamp before each line.")
@click.option("--since", metavar="TIME", help="Print only output after this time or relative time.")
@click.option("--until", metavar="TIME", help="Print only output before this time or relative time.")
@_names
@click.pass_obj
def show_logs(context: Context, /, names: tuple[str, ...], **given: Any) -> int | None:
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
        return 130
    finally:
        stream.close()
    return None


@command.command(name="top", help="List the running processes of a container.")
@click.argument("name", metavar="CONTAINER")
@click.pass_obj
def show_processes(context: Context, /, name: str) -> None:
    from composer.cli import table

    found = context.backend().processes(name)
    context.write(table.align([found.titles, *found.rows]))


# ------------------------------------------------------------------ changed


@contextmanager
def _changing(context: Context, name: str, verb: str) -> Iterator[tuple[Backend, ObservedContainer]]:
    """Yield a container, alone with what it belongs to: its project, or all containers of none."""
    from composer.engine import labels
    from composer.session.session import NOBODY

    found = context.backend().container(name)
    project = found.labels.get(labels.PROJECT) or NOBODY
    with context.lock(project, f"container {verb}"):
        backend = context.backend()
        if not context.settings.dry_run:
            backend.recover(project)
        yield backend, backend.container(found.id)


def _each(
    context: Context,
    names: tuple[str, ...],
    verb: str,
    act: Callable[[Backend, ObservedContainer], object],
) -> None:
    """Do something to containers, one by one; one that fails keeps none of the others from it."""
    from composer.errors import BackendError, OperationFailed, StartFailed

    failures: list[Exception] = []
    for name in names:
        try:
            with _changing(context, name, verb) as (backend, container):
                if context.settings.dry_run:
                    context.write(f"{verb} container {container.name}")
                    continue
                act(backend, container)
        except StartFailed as error:
            failures.append(OperationFailed(f"{verb} container {name}", error))
        except BackendError as error:
            failures.append(error)
        else:
            context.write(name)
    if failures:
        raise ExceptionGroup(f"some containers failed to {verb}", failures)


@command.command(name="start", help="Start containers.")
@_names
@click.pass_obj
def start_containers(context: Context, /, names: tuple[str, ...]) -> None:
    _each(context, names, "start", lambda backend, container: backend.start_container(container.id))


@command.command(name="stop", help="Stop containers.")
@shared.timeout
@_names
@click.pass_obj
def stop_containers(context: Context, /, names: tuple[str, ...], timeout_s: int | None) -> None:
    _each(
        context,
        names,
        "stop",
        lambda backend, container: backend.stop_container(container.id, timeout_s=timeout_s),
    )


@command.command(name="restart", help="Restart containers.")
@shared.timeout
@_names
@click.pass_obj
def restart_containers(context: Context, /, names: tuple[str, ...], timeout_s: int | None) -> None:
    def restart(backend: Backend, container: ObservedContainer) -> None:
        backend.stop_container(container.id, timeout_s=timeout_s)
        backend.start_container(container.id)

    _each(context, names, "restart", restart)


@command.command(name="kill", help="Kill containers, or send them a signal.")
@click.option(
    "-s", "--signal", default="SIGKILL", show_default=True, help="Send this signal, given by name or number."
)
@_names
@click.pass_obj
def kill_containers(context: Context, /, names: tuple[str, ...], signal: str) -> None:
    number = shared.signal_name(signal)
    _each(context, names, "kill", lambda backend, container: backend.kill_container(container.id, number))


@command.command(name="pause", help="Pause containers.")
@_names
@click.pass_obj
def pause_containers(context: Context, /, names: tuple[str, ...]) -> None:
    _each(context, names, "pause", lambda backend, container: backend.pause_container(container.id))


@command.command(name="unpause", help="Resume paused containers.")
@_names
@click.pass_obj
def unpause_containers(context: Context, /, names: tuple[str, ...]) -> None:
    _each(context, names, "unpause", lambda backend, container: backend.unpause_container(container.id))


@command.command(name="rename", help="Rename a container.")
@click.argument("name", metavar="CONTAINER")
@click.argument("new_name", metavar="NEW_NAME")
@click.pass_obj
def rename_container(context: Context, /, name: str, new_name: str) -> None:
    with _changing(context, name, "rename") as (backend, container):
        if context.settings.dry_run:
            context.write(f"rename container {container.name} to {new_name}")
        else:
            backend.rename_container(container.id, new_name)


@command.command(name="wait", help="Wait until containers stop, and print their exit codes.")
@_names
@click.pass_obj
def wait_for_containers(context: Context, /, names: tuple[str, ...]) -> None:
    backend = context.backend()
    for name in names:
        code = backend.wait_container(backend.container(name).id)
        context.write("unknown" if code is None else str(code))


@command.command(name="rm", help="Remove containers.")
@click.option("-f", "--force", is_flag=True, help="Kill running containers first.")
@click.option(
    "-v",
    "--volumes",
    is_flag=True,
    help="Also remove anonymous volumes of the containers. Their data is lost.",
)
@_names
@click.pass_obj
def remove_containers(context: Context, /, names: tuple[str, ...], force: bool, volumes: bool) -> None:
    _each(
        context,
        names,
        "remove",
        lambda backend, container: backend.remove_container(container.id, force=force, volumes=volumes),
    )


@command.command(name="prune", help="Remove all stopped containers.")
@shared.force
@shared.label_filters
@click.pass_obj
def prune_containers(context: Context, /, filters: tuple[str, ...], force: bool) -> None:
    from composer.errors import BackendError
    from composer.session.session import NOBODY

    shared.refuse_dry_run(context, "container prune", "container ls -a")
    labels = shared.read_label_filters(filters)
    if not shared.agreed(context, "This will remove all stopped containers.", force=force):
        return
    with context.lock(NOBODY, "container prune"):
        context.backend().recover(NOBODY)  # what removed itself may have left its network
    gone = []
    for container in context.backend().containers():
        if container.state.value in _RUNNING or not all(one.matches(container.labels) for one in labels):
            continue
        try:
            with _changing(context, container.id, "prune") as (backend, found):
                if found.state.value not in _RUNNING:
                    backend.remove_container(found.id)
                    gone.append(found.id)
        except BackendError:
            continue  # it was started, or removed, in this moment
    if gone:
        context.write("\n".join(("Deleted Containers:", *gone)))


@command.command(
    name="exec",
    help="Run a command in a running container.",
    context_settings={"allow_interspersed_args": False},
)
@click.option("-d", "--detach", is_flag=True, help="Run the command in the background.")
@click.option(
    "-e", "--env", "variables", multiple=True, metavar="KEY=VALUE", help="Set an environment variable."
)
@click.option("-u", "--user", metavar="USER", help="Run the command as this user.")
@click.option(
    "-w",
    "--workdir",
    "working_dir",
    metavar="DIR",
    help="Run the command in this directory of the container.",
)
@click.option("-t", "--tty", is_flag=True, help="Allocate a terminal.")
@click.option("-i", "--interactive", is_flag=True, help="Connect standard input.")
@click.option("--privileged", is_flag=True, help="Give the process all capabilities.")
@click.argument("name", metavar="CONTAINER")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND [ARG]...")
@click.pass_obj
def execute(context: Context, /, name: str, words: tuple[str, ...], **given: Any) -> int:
    from composer.cli.single import container_options
    from composer.cli.terminal import converse
    from composer.engine.wanted import ExecSpec

    backend = context.backend()
    variables = container_options.variables(context.environment, given.pop("variables"))
    environment = tuple(f"{key}={value}" for key, value in variables.items())
    spec = ExecSpec(command=words, environment=environment, **given)
    session = backend.exec(backend.container(name).id, spec)
    try:
        return 0 if spec.detach else converse(session, context, tty=spec.tty, interactive=spec.interactive)
    finally:
        session.close()


@command.command(
    name="run",
    help="Create and start a container.",
    context_settings={"allow_interspersed_args": False},
)
@click.option("-d", "--detach", is_flag=True, help="Run the container in the background and print its ID.")
@click.option("--rm", "remove", is_flag=True, help="Remove the container when it exits.")
@shared.single_container
@click.pass_obj
def run_container(context: Context, /, image: str, words: tuple[str, ...], **given: Any) -> int:
    from composer.cli.single import running as container_run

    return container_run.run(context, image, words, given)


@command.command(
    name="create",
    help="Create a container without starting it.",
    context_settings={"allow_interspersed_args": False},
)
@shared.single_container
@click.pass_obj
def create_container(context: Context, /, image: str, words: tuple[str, ...], **given: Any) -> None:
    from composer.cli.single import running as container_run

    context.write(container_run.create(context, image, words, {**given, "detach": True, "remove": False}))
