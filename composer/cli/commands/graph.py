"""``composer graph``: who needs what, and on what condition; what of it runs, and what the last start waited for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from composer.errors import CycleError, ProjectInvalid

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.cli.pictures import Live
    from composer.documents.timeline import Timeline
    from composer.graph import Graph, Node
    from composer.schema.model import Project

_FORMATS = ("text", "json", "mermaid", "dot")


@click.command(name="graph", help="Show the dependency graph of services and their state.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="text", help="Set the output format.")
@click.option(
    "--needs",
    metavar="NAME",
    help="Show only the direct and indirect dependencies of NAME, a service or a resource such as volume:data.",
)
@click.option("--needed-by", metavar="NAME", help="Show only direct and indirect dependents of NAME.")
@click.option(
    "--critical-path",
    is_flag=True,
    help="Show only the chain of services that determined the duration of the last start.",
)
@click.option(
    "--services",
    "only_services",
    is_flag=True,
    help="Show only services, without networks, volumes, configs, secrets and images.",
)
@click.option("--unreduced", is_flag=True, help="Also show dependencies that follow from other dependencies.")
@click.option("--no-live", is_flag=True, help="Do not show the state of containers (no backend is needed).")
@click.option(
    "--timeline", metavar="FILE", help="Read states and times from a file written by up --timeline."
)
@click.pass_obj
def command(
    context: Context,
    /,
    form: str,
    needs: str | None,
    needed_by: str | None,
    critical_path: bool,
    only_services: bool,
    unreduced: bool,
    no_live: bool,
    timeline: str | None,
) -> None:
    from composer.cli import pictures
    from composer.graph import Graph

    if sum((needs is not None, needed_by is not None, critical_path)) > 1:
        raise click.UsageError("--needs, --needed-by and --critical-path are incompatible")
    project = _project(context)
    graph = Graph(project.tree, project.mark)
    graph.order()  # a cycle is an error, and no picture
    asked = graph.find(needs or needed_by or "") if needs is not None or needed_by is not None else None
    found, phases = None, ""
    if timeline is not None:
        read = _read(context, project, timeline)
        found, phases = _lived(project, read), pictures.phases_text(read)
    elif not no_live:
        found = pictures.live(context.backend(project.name).observe(project.name).containers)
    if critical_path and form == "text":
        context.write(_path(graph, found))
        return
    shown = pictures.drawing(
        graph,
        found,
        project.name,
        within=_within(
            graph, found, asked, needed=needs is not None, path=critical_path, only_services=only_services
        ),
        roots=(asked,) if asked else (),
        upwards=needed_by is not None,
        reduced=not unreduced,
    )
    context.write(pictures.FORMATS[form](shown))
    if phases and form == "text":
        context.write(f"\nphases of the command: {phases}")


def _within(
    graph: Graph,
    found: dict[str, Live] | None,
    asked: Node | None,
    *,
    needed: bool,
    path: bool,
    only_services: bool,
) -> set[Node]:
    """Return the nodes that are drawn."""
    from composer.cli.pictures import critical_path

    nodes = set(graph.nodes)
    if path:
        names = {hop.service for hop in critical_path(graph, found)}
        nodes = {node for node in nodes if node.kind == "service" and node.name in names}
    elif asked is not None:
        nodes = set(graph.all_that_is_needed_by([asked]) if needed else graph.all_that_needs([asked]))
    return {node for node in nodes if node.kind == "service" or node == asked or not only_services}


def _read(context: Context, project: Project, file: str) -> Timeline:
    """Read a timeline of a project. Raises ProjectError."""
    from composer.documents import timeline
    from composer.errors import ProjectError

    try:
        with open(os.path.join(context.working_dir, file), encoding="utf-8") as stream:
            found = timeline.read(stream.read(), file)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ProjectError(f"cannot read the timeline '{file}': {(reason or str(error)).lower()}") from None
    if found.project != project.name:
        raise ProjectError(
            f"the timeline '{file}' belongs to project '{found.project}', not to '{project.name}'"
        )
    return found


def _lived(project: Project, timeline: Timeline) -> dict[str, Live]:
    """Return what a timeline says of the services."""
    from composer.cli.pictures import lived

    services = project.tree.get("services") or {}
    begins = {f"{project.name}{project.separator}{name}": name for name in services}
    names = {one["container_name"]: name for name, one in services.items() if "container_name" in one}
    for resource in timeline.resources:
        begin, _, number = resource.name.rpartition(project.separator)
        if begin in begins and number.isdigit():
            names[resource.name] = begins[begin]
    return lived(timeline, names)


def _path(graph: Graph, found: dict[str, Live] | None) -> str:
    from composer.cli.pictures import critical_path, path_text

    hops = critical_path(graph, found)
    if not hops:
        return "the project has no services"
    if hops[0].seconds is None:
        return f"{path_text(hops)}  (no service has started: this is the longest chain)"
    return path_text(hops)


# ------------------------------------------------------------------ cycles


def _project(context: Context) -> Project:
    """Load the project. Raises ProjectInvalid with every cycle, where any other command names one."""
    try:
        return context.project()
    except ProjectInvalid as error:
        if any(isinstance(each, CycleError) for each in error.errors):
            _raise_cycles(context, error)
        raise


def _raise_cycles(context: Context, first: ProjectInvalid) -> None:
    from composer.graph import MAX_CYCLES, Graph
    from composer.schema.consistency import report_cycle
    from composer.schema.load import load
    from composer.schema.problems import Problems

    problems = Problems()
    try:
        project = load(context.load_options()._replace(consistency=False), problems)
    except ProjectInvalid:
        return  # the cycle is one of includes, or of extends
    cycles = Graph(project.tree).cycles(MAX_CYCLES + 1)
    for ring in cycles[:MAX_CYCLES]:
        report_cycle(project.tree["services"], ring, problems)
    problems.errors += [each for each in first.errors if not isinstance(each, CycleError)]
    if len(cycles) > MAX_CYCLES:
        context.display().warn(f"only the first {MAX_CYCLES} cycles are shown")
    problems.raise_all()
