"""``composer run``: a one-off command in a new container of a service."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.engine.backend import Backend
    from composer.engine.options import OneOff
    from composer.schema.model import Project


@click.command(
    name="run",
    help="Run a one-off command in a new container of a service.",
    context_settings={"allow_interspersed_args": False},
)
@click.option("--build", is_flag=True, help="Build the image before the container is created.")
@click.option("--cap-add", multiple=True, metavar="CAP", help="Add a Linux capability.")
@click.option("--cap-drop", multiple=True, metavar="CAP", help="Drop a Linux capability.")
@click.option("-d", "--detach", is_flag=True, help="Run the container in the background and print its ID.")
@click.option("--entrypoint", metavar="COMMAND", help="Override the entrypoint of the image.")
@click.option(
    "-e", "--env", "variables", multiple=True, metavar="KEY=VALUE", help="Set an environment variable."
)
@click.option(
    "--env-from-file", multiple=True, metavar="FILE", help="Read environment variables from a file."
)
@click.option("-i", "--interactive/--no-interactive", default=True, help="Keep standard input open.")
@click.option(
    "-l", "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Add a label to the container."
)
@click.option("--name", metavar="NAME", help="Set the name of the container.")
@click.option("-T", "--no-tty", "--no-TTY", "no_tty", is_flag=True, help="Do not allocate a terminal.")
@click.option("-t", "--tty", "_tty", is_flag=True, hidden=True)
@click.option("--no-deps", is_flag=True, help="Do not start the dependencies of the service.")
@click.option(
    "-p", "--publish", multiple=True, metavar="PORT", help="Publish a container port on this machine."
)
@click.option(
    "--pull", type=click.Choice(("always", "missing", "never")), help="Set when the image is pulled."
)
@click.option("-q", "--quiet", is_flag=True, help="Do not show the progress before the command starts.")
@click.option("--quiet-pull", is_flag=True, hidden=True)
@click.option("--quiet-build", is_flag=True, hidden=True)
@click.option(
    "--remove-orphans",
    is_flag=True,
    help="Remove containers of services that the compose file does not define.",
)
@click.option("--rm", "remove", is_flag=True, help="Remove the container when it exits.")
@click.option("-P", "--service-ports", is_flag=True, help="Publish the ports of the service on this machine.")
@click.option("--use-aliases", is_flag=True, help="Give the container the network aliases of the service.")
@click.option("-u", "--user", metavar="USER", help="Run the command as this user.")
@click.option(
    "-v",
    "--volume",
    "volumes",
    multiple=True,
    metavar="VOLUME",
    help="Mount a volume, or a directory or file of this machine.",
)
@click.option(
    "-w",
    "--workdir",
    "working_dir",
    metavar="DIR",
    help="Run the command in this directory of the container.",
)
@click.option("-y", "--yes", is_flag=True, help="Answer all prompts with yes.")
@click.argument("service")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND] [ARG]...")
@click.pass_obj
def command(context: Context, /, service: str, words: tuple[str, ...], **given: Any) -> int:
    from composer.cli import options as shared
    from composer.cli.remote.consent import agree
    from composer.cli.terminal import run_created
    from composer.engine.actions import create_oneoff
    from composer.engine.options import Options

    context.build_output = context.stderr  # standard output is the command's
    project = context.project(makes=True, starts=True, services=(service,))
    known = project.tree.get("services") or {}
    shared.check_services(known, project.disabled, (service,))
    agree(context, project, yes=given["yes"])
    has_terminal = context.stdin.isatty() and context.stdout.isatty()
    tty = has_terminal and not given["no_tty"] and not given["detach"]
    remove_orphans, ignore_orphans = shared.orphans(context, given["remove_orphans"])
    options = Options(
        dependencies=not given["no_deps"],
        pull=given["pull"],
        build=True if given["build"] else None,
        remove_orphans=remove_orphans,
        ignore_orphans=ignore_orphans,
    )
    oneoff = _oneoff(context, project.select((service,)), service, words, given, tty=tty)
    if given["quiet"] or given["quiet_pull"] or given["quiet_build"]:
        context.settings = context.settings._replace(progress="quiet")
    with context.changing(project.name, "run") as engine:
        if context.settings.dry_run:
            from composer.engine.actions import plan_up

            context.show_plan(plan_up(engine, project, options._replace(services=(service,), oneoff=oneoff)))
            return 0
        _make_volumes(engine.backend, project, oneoff, service)
        id = create_oneoff(engine, project, oneoff, options)
    context.display().settle()
    return run_created(context, id, given, tty=tty)


def _oneoff(
    context: Context,
    project: Project,
    service: str,
    words: tuple[str, ...],
    given: dict[str, Any],
    *,
    tty: bool,
) -> OneOff:
    from composer.cli.single import container_options as given_options
    from composer.engine.options import OneOff
    from composer.engine.resolving.resolve import real_name

    real_names = {key: real_name(project, "volumes", key) for key in project.whole.get("volumes") or {}}
    slug = os.urandom(6).hex()
    tree = project.tree["services"][service]
    attributes: dict[str, Any] = {"tty": tty, "stdin_open": bool(given["interactive"])}
    if words:
        attributes["command"] = list(words)
    if given["entrypoint"] is not None:
        import shlex

        attributes["entrypoint"] = shlex.split(given["entrypoint"])
        attributes.setdefault("command", [])
    for key in ("user", "working_dir"):
        if given[key] is not None:
            attributes[key] = given[key]
    for key in ("cap_add", "cap_drop"):
        if given[key]:
            attributes[key] = [*(tree.get(key) or ()), *given[key]]
    return OneOff(
        service=service,
        name=given["name"] or project.separator.join((project.name, service, "run", slug)),
        slug=slug,
        attributes=attributes,
        environment={
            **given_options.file_variables(context, given["env_from_file"]),
            **given_options.variables(project.environment, given["variables"]),
        },
        labels=dict(label.partition("=")[::2] for label in given["labels"]),
        mounts=tuple(given_options.mount(context, text, real_names.get) for text in given["volumes"]),
        ports=tuple(port for text in given["publish"] for port in given_options.ports(text)),
        service_ports=given["service_ports"],
        use_aliases=given["use_aliases"],
        auto_remove=given["detach"] and given["remove"],
    )


def _make_volumes(backend: Backend, project: Project, oneoff: OneOff, service: str) -> None:
    """Make the volumes that ``-v`` names; one that the project does not have is nobody's, as with Docker.

    Those that the service has too are the plan's to make: it may have to ask.
    """
    from composer.engine.planning.infrastructure import wanted_volume
    from composer.engine.resolving.resolve import is_external, real_name
    from composer.engine.wanted import VolumeSpec

    entries = project.whole.get("volumes") or {}
    keys = {real_name(project, "volumes", key): key for key in entries}
    planned = project.select((service,)).tree.get("volumes") or {}
    for name in [mount.source for mount in oneoff.mounts if mount.type == "volume" and mount.source]:
        if keys.get(name) in planned:
            continue
        if backend.find_volume(name) is None and not is_external(entries.get(keys.get(name))):
            known = name in keys
            backend.create_volume(wanted_volume(project, keys[name]) if known else VolumeSpec(name, {}, {}))
