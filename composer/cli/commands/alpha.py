"""``composer alpha``: docker compose's experimental commands, as far as they are here."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import click

from composer.cli.commands.registry import publish

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.cli.context import Context


@click.group(name="alpha", help="Experimental commands of docker compose.")
def command() -> None:
    """Group the subcommands."""


command.add_command(publish.command)


@command.command(name="viz", help="Print a Graphviz graph of the services and what they depend on.")
@click.option("--image", is_flag=True, help="Include the image of each service.")
@click.option(
    "--indentation-size",
    "size",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="N",
    help="Indent with N tabs or spaces.",
)
@click.option("--networks", is_flag=True, help="Include the networks of each service.")
@click.option("--ports", is_flag=True, help="Include the published ports of each service.")
@click.option("--spaces", is_flag=True, help="Indent with spaces instead of tabs.")
@click.pass_obj
def viz(context: Context, /, size: int, spaces: bool, **shown: bool) -> None:
    project = context.project()
    context.stderr.write("viz command is EXPERIMENTAL\n")
    services: Mapping[str, Any] = project.tree.get("services") or {}
    indent = (" " if spaces else "\t") * size
    lines = [f'digraph "{project.name}" {{', f"{indent}layout=dot;"]
    for name in sorted(services):
        image = services[name].get("image") or f"{project.name}{project.separator}{name}"
        label = "".join(_label(name, services[name], image, shown))
        lines.append(f'{indent}"{name}" [style="filled" label=<{label}>];')
    lines.append("")
    lines += [f'{indent}"{name}" -> "{needed}";' for name, needed in _edges(services)]
    context.write("\n".join([*lines, "}", ""]))


@command.command(
    name="generate",
    help="Print a compose file for existing containers.\n\n"
    "Containers of one service become one service. Networks and volumes are external, so that their data stays in use.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("yaml", "json")),
    default="yaml",
    show_default=True,
    help="Set the output format.",
)
@click.option("--name", default="", metavar="PROJECT", help="Put this project name into the file.")
@click.option(
    "--project-dir",
    "directory",
    default="",
    metavar="DIR",
    help="Write paths below this directory relative to it.",
)
@click.argument("names", nargs=-1, metavar="[CONTAINER]...")
@click.pass_obj
def generate(context: Context, /, names: tuple[str, ...], form: str, name: str, directory: str) -> None:
    import os

    from composer.engine.resolving import generating
    from composer.errors import NotFound, ProjectError
    from composer.schema import render

    context.stderr.write("generate command is EXPERIMENTAL\n")
    if not names:
        raise ProjectError(
            "at least one container must be specified", hint="list them with composer container ls -a"
        )
    backend = context.backend()
    found, missing = [], []
    for one in dict.fromkeys(names):
        try:
            container = backend.container(one)
            image = backend.find_image(container.image_id or container.image)
            found.append(generating.Made(container, backend.settings(container.id), image))
        except NotFound:
            missing.append(one)
    if missing:
        raise ProjectError(
            f"no container(s) found with the following name(s): {', '.join(missing)}",
            hint="list them with composer container ls -a",
        )
    base = os.path.normpath(os.path.join(context.working_dir, directory)) if directory else ""
    tree = render.escape_dollars(generating.project(found, name=name, directory=base))
    context.stdout.write(render.to_json(tree) + "\n" if form == "json" else render.yaml_text(tree))


def _label(name: str, service: Mapping[str, Any], image: str, shown: dict[str, bool]) -> Iterator[str]:
    yield f'<font point-size="15">{name}</font>'
    if shown["networks"] and service.get("networks"):
        yield _part("Networks", "".join(f"<br/>{escape(one)}" for one in _networks(service["networks"])))
    if shown["ports"] and service.get("ports"):
        yield _part("Ports", "".join(f"<br/>{_port(one)}" for one in service["ports"]))
    if shown["image"]:
        yield _part("Image", f"<br/>{escape(image)}")


def _part(title: str, lines: str) -> str:
    return f'<font point-size="10"><br/><br/><b>{title}:</b>{lines}</font>'


def _networks(networks: Mapping[str, Any]) -> list[str]:
    """Return the names of networks, the most important first."""
    return sorted(networks, key=lambda name: (-((networks[name] or {}).get("priority") or 0), name))


def _port(port: Mapping[str, Any]) -> str:
    host = f"{port['host_ip']}:" if port.get("host_ip") else ""
    kind = f"{port.get('protocol', '')}, {port.get('mode', '')}"
    return f"{host}{port.get('published', '')}:{port['target']} ({kind})"


def _edges(services: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in sorted(services):
        for needed in sorted(services[name].get("depends_on") or ()):
            if needed in services:
                yield name, needed
