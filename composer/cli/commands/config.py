"""``composer config``: the project as composer understands it, and where each value came from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from composer.cli.safe import safe
from composer.errors import DisabledService

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from composer.cli.context import Context
    from composer.schema.model import Project


_OF_ALL = frozenset(("services", "volumes", "networks", "models", "variables"))
"""What is listed of the whole project, whichever services are named: so does docker compose."""


@click.command(name="config", help="Check the compose files and print the resolved project.")
@click.option("--format", "form", type=click.Choice(("yaml", "json")), help="Set the output format.")
@click.option("--services", "show", flag_value="services", help="Print the service names, one per line.")
@click.option("--volumes", "show", flag_value="volumes", help="Print the volume names, one per line.")
@click.option("--networks", "show", flag_value="networks", help="Print the network names, one per line.")
@click.option("--models", "show", flag_value="models", help="Print the model names, one per line.")
@click.option("--images", "show", flag_value="images", help="Print the image names, one per line.")
@click.option("--profiles", "show", flag_value="profiles", help="Print the profile names, one per line.")
@click.option(
    "--environment",
    "show",
    flag_value="environment",
    help="Print the variables that are available for interpolation.",
)
@click.option(
    "--variables",
    "show",
    flag_value="variables",
    help="Print the variables that the compose files use, and their defaults.",
)
@click.option(
    "--hash",
    "hashed",
    metavar="SERVICE",
    help="Print the config hash of SERVICE, or of all services for '*'.",
)
@click.option(
    "--origins",
    is_flag=False,
    flag_value="",
    metavar="[PATH]",
    help="Print the file and line of each value, or only of values below PATH (such as services.web).",
)
@click.option(
    "--resolve-image-digests", is_flag=True, help="Pin each image to its current digest in the registry."
)
@click.option(
    "--lock-image-digests", is_flag=True, help="Print an override file that pins each image to its digest."
)
@click.option("--no-interpolate", is_flag=True, help="Do not interpolate variables.")
@click.option(
    "--no-normalize", is_flag=True, help="Do not add defaults such as the default network and resource names."
)
@click.option("--no-path-resolution", is_flag=True, help="Do not resolve relative paths.")
@click.option(
    "--no-consistency", is_flag=True, help="Do not check references between services and resources."
)
@click.option("--no-env-resolution", is_flag=True, help="Do not read the env_file of services.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write the output to a file."
)
@click.option("-q", "--quiet", is_flag=True, help="Check the project without printing it.")
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.pass_obj
def command(
    context: Context,
    /,
    services: tuple[str, ...],
    form: str | None,
    show: str | None,
    hashed: str | None,
    origins: str | None,
    output: str | None,
    quiet: bool,
    **given: bool,
) -> int:
    project = _load(context, given, show)
    if services and given["no_interpolate"] and show is None and hashed is None:
        context.display().warn("service filtering is not applied when --no-interpolate is set")
    if not quiet:
        # docker compose is silent about a project that it prints; its warnings come while it loads, as ours do
        for notice in project.warnings:
            context.display().warn(str(notice))
    if services and hashed is None and show not in _OF_ALL and not given["no_interpolate"]:
        project = project.select(services)
    if quiet:
        return 0
    if show is None and hashed is None and origins is None:
        text = _rendered(context, project, form, given)
    else:
        text = _text(context, project, form, show, hashed, origins)
    if output:
        from composer.errors import ProjectError

        path = os.path.join(context.working_dir, output)
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise ProjectError(f"cannot write '{output}': {(error.strerror or str(error)).lower()}") from None
    else:
        safe(context.stdout).document(text)
    return 0


def _load(context: Context, given: dict[str, bool], show: str | None) -> Project:
    from composer.schema.load import load

    options = context.load_options()
    options = options._replace(
        interpolate=not given["no_interpolate"] and show != "variables",
        normalize=not given["no_normalize"],
        resolve_paths=not given["no_path_resolution"],
        consistency=not given["no_consistency"],
        resolve_env=not given["no_env_resolution"],
        all_resources=options.all_resources or show == "variables",
    )
    project = load(options)
    # ports that are not interpolated, or still as they were written, cannot be moved
    return context.as_instance(project) if options.interpolate and options.normalize else project


def _text(
    context: Context,
    project: Project,
    form: str | None,
    show: str | None,
    hashed: str | None,
    origins: str | None,
) -> str:
    if show == "variables":
        return _variables(project, form)
    if show == "environment":
        return _lines(f"{key}={value}" for key, value in sorted(project.environment.items()))
    if show is not None:
        return _lines(_names(project, show))
    if hashed is not None:
        return _lines(_hashes(project, hashed))
    return _origins(project, form, origins or "")


def _rendered(context: Context, project: Project, form: str | None, given: dict[str, bool]) -> str:
    from composer.schema import render

    tree: Mapping[str, Any] = project.tree
    extensions = project.extensions
    if given["resolve_image_digests"] or given["lock_image_digests"]:
        from composer.cli.remote import digests

        tree = digests.resolved(tree, context.environment)
    if given["lock_image_digests"]:
        tree, extensions = digests.locked(tree, in_json=form == "json"), {}
    if given["no_interpolate"]:
        return render.to_json(tree) + "\n" if form == "json" else render.yaml_text(tree)
    if form == "json":
        return render.project_json(render.escape_dollars(tree)) + "\n"
    return render.to_yaml(render.escape_dollars(tree), extensions)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _names(project: Project, show: str) -> list[str]:
    services = project.tree.get("services") or {}
    if show == "profiles":
        every = [*services.values(), *project.disabled.values()]
        return sorted({profile for service in every for profile in service.get("profiles") or ()})
    if show == "services":
        return _dependencies_first(services)
    if show == "images":
        return [service.get("image") or f"{project.name}-{name}" for name, service in services.items()]
    if show == "models":
        return [model["model"] for model in (project.tree.get("models") or {}).values()]
    return list(project.tree.get(show) or ())


def _dependencies_first(services: Mapping[str, Any]) -> list[str]:
    """Return the names as docker compose prints them: what a service depends on stands before it."""
    from graphlib import CycleError, TopologicalSorter

    edges = {name: service.get("depends_on") or () for name, service in services.items()}
    try:
        return [name for name in TopologicalSorter(edges).static_order() if name in services]
    except CycleError:  # --no-consistency
        return list(services)


def _hashes(project: Project, wanted: str) -> list[str]:
    from composer.engine.resolving.hashing import service_hash

    for name in wanted.split(","):
        if name in project.disabled:
            raise DisabledService(
                f"service '{name}' is not enabled", hint="enable its profile with --profile"
            )
    if wanted != "*":
        project = project.select(wanted.split(","), dependencies=False)
    return [f"{name} {service_hash(service)}" for name, service in project.tree["services"].items()]


def _origins(project: Project, form: str | None, wanted: str) -> str:
    from composer.schema.origins import origins, shown
    from composer.schema.tree import dotted

    found = origins(project.tree, wanted)
    if form != "json":
        return _lines(f"{dotted(path)}: {shown(value)}  ← {mark}" for path, value, mark in found)
    from composer.schema.render import to_json

    return (
        to_json(
            [
                {
                    "path": list(path),
                    "value": value,
                    "file": mark.file or None,
                    "line": mark.line or None,
                    "column": mark.column or None,
                    "why": mark.why or None,
                }
                for path, value, mark in found
            ]
        )
        + "\n"
    )


def _variables(project: Project, form: str | None) -> str:
    from composer.schema.origins import variables
    from composer.schema.render import to_json

    found = variables(project.tree)
    if form == "json":
        return (
            to_json(
                {
                    one.name: {
                        "Name": one.name,
                        "DefaultValue": one.default,
                        "PresenceValue": one.alternate,
                        "Required": one.required,
                    }
                    for one in found
                }
            )
            + "\n"
        )
    rows = [("NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE")]
    rows += [(one.name, str(one.required).lower(), one.default, one.alternate) for one in found]
    return _lines(_table(rows))


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return rows as columns: at least 20 wide, three apart, as docker prints them."""
    widths = [max(20, *(len(row[column]) + 3 for row in rows)) for column in range(len(rows[0]) - 1)]
    return [
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + row[-1] for row in rows
    ]
