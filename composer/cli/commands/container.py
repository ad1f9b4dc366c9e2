"""``composer container``: single containers, of a project or of none, with the flags of the docker CLI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared
from composer.cli.single import flags, run_flags
from composer.cli.single.container_filters import HELP as FILTERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.cli.context import Context
    from composer.engine.observed import ObservedContainer

_names = click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
_name = click.argument("name", metavar="CONTAINER")
_wait = click.option(
    "-t",
    "--timeout",
    "--time",
    "timeout_s",
    type=int,
    metavar="SECONDS",
    help="Wait this long for containers to stop before they are killed; -1 waits for ever.",
)
_stop_signal = click.option(
    "-s", "--signal", metavar="SIGNAL", help="Send this signal instead of the container's own."
)
_detach_keys = click.option(
    "--detach-keys",
    default="ctrl-p,ctrl-q",
    metavar="KEYS",
    show_default=True,
    help="Set the keys that detach and leave it running.",
)
_no_trust = flags.without_effect(
    "--disable-content-trust", reason="the docker CLI verifies no images either, by default"
)


class _Group(click.Group):
    command_class = flags.Command


@click.group(name="container", cls=_Group, help="Manage individual containers, inside and outside projects.")
def command() -> None:
    """Group the subcommands."""


# ------------------------------------------------------------------ seen


@command.command(name="ls", help="List containers.")
@click.option("-a", "--all", "everything", is_flag=True, help="Also show stopped containers.")
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help=FILTERS)
@click.option(
    "-n", "--last", type=int, default=-1, metavar="N", help="Show the N newest containers in any state."
)
@click.option("-l", "--latest", is_flag=True, help="Show the newest container in any state.")
@click.option("--no-trunc", is_flag=True, help="Do not truncate IDs and commands.")
@click.option("-q", "--quiet", is_flag=True, help="Print only IDs.")
@click.option("-s", "--size", is_flag=True, help="Show the size of the container's files.")
@shared.style
@click.pass_obj
def list_containers(
    context: Context, /, filters: tuple[str, ...], style: str, latest: bool, last: int, **given: Any
) -> None:
    from composer.cli.single import container_list

    container_list.show(context, filters, style, last=1 if latest else last, **given)


@command.command(name="inspect", help="Print detailed information about containers.")
@shared.template
@click.option("-s", "--size", is_flag=True, help="Also print the size of the container's files.")
@_names
@click.pass_obj
def inspect_containers(context: Context, /, names: tuple[str, ...], style: str | None, size: bool) -> None:
    from composer.cli import listing
    from composer.cli.single.container_picture import picture
    from composer.errors import NotFound

    backend = context.backend()

    def find(name: str) -> ObservedContainer | None:
        try:
            return backend.container(name)
        except NotFound:
            return None

    listing.inspect(
        context, style, "container", names, find, lambda found: picture(backend, found, size=size)
    )


@command.command(name="logs", help="Print the output of containers.")
@click.option("-f", "--follow", is_flag=True, help="Keep printing new output until the containers stop.")
@click.option(
    "-n", "--tail", default="all", metavar="N", help="Print only the last N lines of each container."
)
@click.option("-t", "--timestamps", is_flag=True, help="Print a timestamp before each line.")
@click.option("--since", metavar="TIME", help="Print only output after this time or relative time.")
@click.option("--until", metavar="TIME", help="Print only output before this time or relative time.")
@flags.refused("--details", reason="logs keep no labels and variables of log-opt", takes_value=False)
@_names
@click.pass_obj
def show_logs(context: Context, /, names: tuple[str, ...], **given: Any) -> int | None:
    from composer.cli.single import looking

    return looking.logs(context, names, **given)


@command.command(name="top", help="List the running processes of a container.")
@_name
@click.pass_obj
def show_processes(context: Context, /, name: str) -> None:
    from composer.cli import table

    found = context.backend().processes(name)
    context.write(table.align([found.titles, *found.rows]))


@command.command(name="port", help="Print where the ports of a container are published, or one of them.")
@_name
@click.argument("private_port", required=False, metavar="[PORT[/PROTOCOL]]")
@click.pass_obj
def show_ports(context: Context, /, name: str, private_port: str | None) -> None:
    from composer.cli.single import looking

    looking.ports(context, name, private_port)


@command.command(
    name="diff", help="List the files of a container that were changed (C), added (A) or deleted (D)."
)
@_name
@click.pass_obj
def show_differences(context: Context, /, name: str) -> None:
    from composer.cli.single import looking

    looking.differences(context, name)


@command.command(name="stats", help=shared.USAGE)
@shared.usage
@click.argument("names", nargs=-1, metavar="[CONTAINER]...")
@click.pass_obj
def show_usage(context: Context, /, names: tuple[str, ...], style: str, **given: Any) -> int | None:
    from composer.cli.single import looking

    return looking.stats(context, names, style, **given)


# ------------------------------------------------------------------ files


@command.command(
    name="cp",
    help="Copy files between a container and the local filesystem.\n\n"
    "Use - for a tar archive on standard input or output.",
)
@click.option(
    "-a", "--archive", is_flag=True, help="Make the container's user the owner of the copied files."
)
@click.option(
    "-L", "--follow-link", is_flag=True, help="If SOURCE is a symbolic link, copy what it points to."
)
@click.option("-q", "--quiet", is_flag=True, help="Do not show the progress.")
@click.argument("source", metavar="[CONTAINER:]SOURCE|-")
@click.argument("destination", metavar="[CONTAINER:]DESTINATION|-")
@click.pass_obj
def copy(context: Context, /, source: str, destination: str, **given: Any) -> None:
    from composer.cli.commands import cp
    from composer.engine import labels
    from composer.session.session import NOBODY

    ends = cp.split(source), cp.split(destination)
    name = ends[0].service or ends[1].service
    if ends[0].service and ends[1].service:
        raise click.UsageError("copying between containers is not supported: copy to a local path first")
    if not name:
        raise click.UsageError("unknown copy direction: source or destination must be CONTAINER:PATH")
    if given["quiet"]:
        context.settings = context.settings._replace(progress="quiet")
    backend = context.backend()
    container = backend.container(name)
    follow = given["follow_link"]
    if ends[0].service:
        cp.copy_out(context, backend, container, ends[0].path, ends[1].path, follow=follow)
        return
    project = container.labels.get(labels.PROJECT) or NOBODY
    cp.In(context, backend, project, follow, given["archive"]).run([container], ends[0].path, ends[1].path)


@command.command(
    name="export",
    help="Export the filesystem of a container as a tar archive.\n\n"
    "Mounted volumes and directories are not included.",
)
@click.option(
    "-o", "--output", type=click.Path(), help="Write the archive to this file instead of standard output."
)
@_name
@click.pass_obj
def export_container(context: Context, /, name: str, output: str | None) -> None:
    from composer.cli.single import looking

    looking.export(context, name, output)


@command.command(name="commit", help="Create an image from the changes in a container.")
@shared.commit
@_name
@click.argument("reference", required=False, metavar="[REPOSITORY[:TAG]]")
@click.pass_obj
def commit_container(context: Context, /, name: str, reference: str | None, **given: Any) -> None:
    from composer.cli.single import looking

    looking.commit(context, name, reference, **given)


# ------------------------------------------------------------------ changed


@command.command(name="start", help="Start containers.")
@click.option("-a", "--attach", is_flag=True, help="Connect the output, and forward received signals.")
@click.option("-i", "--interactive", is_flag=True, help="Connect standard input.")
@_detach_keys
@_names
@click.pass_obj
def start_containers(
    context: Context, /, names: tuple[str, ...], attach: bool, interactive: bool, detach_keys: str
) -> int:
    from composer.cli.single import lifecycle

    if not attach and not interactive:
        lifecycle.each(
            context, names, "start", lambda backend, container: backend.start_container(container.id)
        )
        return 0
    if len(names) > 1:
        raise click.UsageError("you cannot start and attach multiple containers at once")
    return lifecycle.start_attached(context, names[0], interactive=interactive, detach_keys=detach_keys)


@command.command(name="attach", help="Connect the terminal to a running container.")
@click.option("--no-stdin", is_flag=True, help="Do not connect standard input.")
@click.option(
    "--sig-proxy/--no-sig-proxy",
    default=True,
    help="Forward received signals to the process.",
    show_default=True,
)
@_detach_keys
@_name
@click.pass_obj
def attach_container(
    context: Context, /, name: str, no_stdin: bool, sig_proxy: bool, detach_keys: str
) -> int:
    from composer.cli.single import lifecycle

    return lifecycle.attach(context, name, no_stdin=no_stdin, signals=sig_proxy, detach_keys=detach_keys)


@command.command(name="stop", help="Stop containers.")
@_stop_signal
@_wait
@_names
@click.pass_obj
def stop_containers(
    context: Context, /, names: tuple[str, ...], signal: str | None, timeout_s: int | None
) -> None:
    from composer.cli.single import lifecycle

    number, grace_s = shared.signal_name(signal) if signal else "", lifecycle.grace_s(timeout_s)
    lifecycle.each(
        context,
        names,
        "stop",
        lambda backend, container: backend.stop_container(container.id, timeout_s=grace_s, signal=number),
    )


@command.command(name="restart", help="Restart containers.")
@_stop_signal
@_wait
@_names
@click.pass_obj
def restart_containers(
    context: Context, /, names: tuple[str, ...], signal: str | None, timeout_s: int | None
) -> None:
    from composer.cli.single import lifecycle

    number = shared.signal_name(signal) if signal else ""
    lifecycle.each(context, names, "restart", lifecycle.restart(number, lifecycle.grace_s(timeout_s)))


@command.command(name="kill", help="Kill containers, or send them a signal.")
@click.option(
    "-s", "--signal", default="SIGKILL", show_default=True, help="Send this signal, given by name or number."
)
@_names
@click.pass_obj
def kill_containers(context: Context, /, names: tuple[str, ...], signal: str) -> None:
    from composer.cli.single import lifecycle

    number = shared.signal_name(signal)
    lifecycle.each(
        context, names, "kill", lambda backend, container: backend.kill_container(container.id, number)
    )


@command.command(name="pause", help="Pause containers.")
@_names
@click.pass_obj
def pause_containers(context: Context, /, names: tuple[str, ...]) -> None:
    from composer.cli.single import lifecycle

    lifecycle.each(context, names, "pause", lambda backend, container: backend.pause_container(container.id))


@command.command(name="unpause", help="Resume paused containers.")
@_names
@click.pass_obj
def unpause_containers(context: Context, /, names: tuple[str, ...]) -> None:
    from composer.cli.single import lifecycle

    lifecycle.each(
        context, names, "unpause", lambda backend, container: backend.unpause_container(container.id)
    )


@command.command(name="rename", help="Rename a container.")
@_name
@click.argument("new_name", metavar="NEW_NAME")
@click.pass_obj
def rename_container(context: Context, /, name: str, new_name: str) -> None:
    from composer.cli.single import lifecycle

    with lifecycle.changing(context, name, "rename") as (backend, container):
        if context.settings.dry_run:
            context.write(f"rename container {container.name} to {new_name}")
        else:
            backend.rename_container(container.id, new_name)


@command.command(
    name="update", help="Change the limits and the restart policy of containers, running or not."
)
@flags.options(run_flags.LIMITS)
@flags.refused("--cpuset-mems", reason=run_flags.NO_MEMS)
@_names
@click.pass_obj
def update_containers(context: Context, /, names: tuple[str, ...], **given: Any) -> None:
    from composer.cli.single import lifecycle

    lifecycle.update(context, names, flags.attributes(run_flags.LIMITS, given))


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
@flags.refused("-l", "--link", reason="disconnect the container from the network instead", takes_value=False)
@_names
@click.pass_obj
def remove_containers(context: Context, /, names: tuple[str, ...], force: bool, volumes: bool) -> None:
    from composer.cli.single import lifecycle

    lifecycle.each(
        context,
        names,
        "remove",
        lambda backend, container: backend.remove_container(container.id, force=force, volumes=volumes),
        missing_is_fine=force,
    )


@command.command(name="prune", help="Remove all stopped containers.")
@shared.force
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Select containers: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE].",
)
@click.pass_obj
def prune_containers(context: Context, /, filters: tuple[str, ...], force: bool) -> None:
    from composer.cli.single import pruning

    pruning.stopped(context, filters, force=force)


# ------------------------------------------------------------------ commands in them, and new ones


@command.command(
    name="exec",
    help="Run a command in a running container.",
    context_settings={"allow_interspersed_args": False},
)
@click.option("-d", "--detach", is_flag=True, help="Run the command in the background.")
@click.option(
    "-e", "--env", "variables", multiple=True, metavar="KEY=VALUE", help="Set an environment variable."
)
@click.option(
    "--env-file",
    "env_files",
    multiple=True,
    metavar="FILE",
    help="Read environment variables from a file.",
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
@_detach_keys
@_name
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND [ARG]...")
@click.pass_obj
def execute(context: Context, /, name: str, words: tuple[str, ...], **given: Any) -> int:
    from composer.cli.single import lifecycle

    return lifecycle.execute(context, name, words, given)


def _made(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what a container of no project is made of: flags, image, command."""
    arguments = (
        flags.options(run_flags.ALL),
        _no_trust,
        *(flags.refused(name, reason=reason) for name, reason in run_flags.REFUSED.items()),
        click.argument("image"),
        click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND] [ARG]..."),
    )
    for argument in reversed(arguments):
        command = argument(command)
    return command


@command.command(
    name="run",
    help="Create and start a container.",
    context_settings={"allow_interspersed_args": False},
)
@flags.options(run_flags.RUNNING)
@_made
@click.pass_obj
def run_container(context: Context, /, image: str, words: tuple[str, ...], **given: Any) -> int:
    from composer.cli.single import running as container_run

    return container_run.run(context, image, words, given)


@command.command(
    name="create",
    help="Create a container without starting it.",
    context_settings={"allow_interspersed_args": False},
)
@click.option("--rm", is_flag=True, help="Remove the container when it exits.")
@_made
@click.pass_obj
def create_container(context: Context, /, image: str, words: tuple[str, ...], **given: Any) -> None:
    from composer.cli.single import running as container_run

    id = container_run.create(context, image, words, {**given, "detach": True})
    if id:
        context.write(id)
