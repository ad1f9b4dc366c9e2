"""``composer publish``: the compose files of a project into a registry, for ``-f oci://…``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from composer.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.cli.context import Context
    from composer.schema.model import Project
    from composer.session.publishing.gathering import Source
    from composer.session.remote.artifacts import File

_HINT = "look at it, and use -y"


@click.command(name="publish", help="Publish the compose files of the project to a registry.")
@click.option("--app", is_flag=True, help="Also publish the images of the services.")
@click.option(
    "--oci-version",
    type=click.Choice(("1.0", "1.1")),
    help="Set the version of the OCI specification (default: the newest that the registry accepts).",
)
@click.option("--resolve-image-digests", is_flag=True, help="Pin each image to its current digest.")
@click.option("--with-env", is_flag=True, help="Also publish env files.")
@click.option("-y", "--yes", is_flag=True, help="Answer all prompts with yes.")
@click.option("--insecure-registry", is_flag=True, hidden=True)
@click.argument("repository", metavar="REPOSITORY[:TAG]")
@click.pass_obj
def command(context: Context, /, repository: str, **given: Any) -> None:
    from composer.session.publishing import gathering, questions, upload

    reference = upload.reference_of(repository)
    project = _project(context)
    gathered = gathering.gather(_sources(context, project), project.environment, project.home)
    services: Mapping[str, Any] = project.tree.get("services") or {}
    questions.check(services, gathered.findings)
    for path in _looked_into(project):
        gathered.findings.sensitive.extend(gathering.look_into(path))
    for question in questions.questions(services, gathered.findings, with_env=given["with_env"]):
        _ask(context, question, yes=given["yes"])
    for what in questions.left_behind(project.tree):
        context.display().warn(f"{what} is not published")
    _push_images(context, project)
    files = [*gathered.files, *(gathered.env_files if given["with_env"] else ())]
    if given["resolve_image_digests"] or given["app"]:
        files.append(_digests(context, project))
    if context.settings.dry_run:
        _show(context, str(reference), files)
        return
    publication = upload.Publication(
        reference,
        context.environment,
        version=__version__,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        insecure=given["insecure_registry"],
    )
    try:
        images = (
            sorted({one["image"] for one in services.values() if one.get("image")}) if given["app"] else ()
        )
        digest = publication.send(files, given["oci_version"] or "", images)
    finally:
        publication.close()
    context.write(f"oci://{reference}@{digest}")


def _project(context: Context) -> Project:
    """Load the project with all its profiles: whoever reads it chooses."""
    context.settings = context.settings._replace(profiles=("*",), all_resources=True)
    return context.project()


def _sources(context: Context, project: Project) -> list[Source]:
    """Return the compose files as they are written."""
    from composer.schema import files
    from composer.session.publishing.gathering import Source

    found = []
    for name in project.files:
        if name == "-":
            found.append(Source("compose.yaml", "stdin", project.directory, context.typed()))
            continue
        path = context.place_of(name)
        shown = name if path != name else files.label(path, context.working_dir)
        found.append(Source(path, shown, project.directory, files.read_text(path, shown)))
    return found


def _looked_into(project: Project) -> list[str]:
    """Return the files of configs and secrets, which Docker Compose looks into as well."""
    found = [
        one["file"]
        for section in ("configs", "secrets")
        for one in (project.tree.get(section) or {}).values()
        if one.get("file")
    ]
    return sorted(set(found))


def _ask(context: Context, question: str, *, yes: bool) -> None:
    from composer.errors import Cancelled

    if yes or context.settings.dry_run:
        if not yes:
            context.stderr.write(f"{question} [y/N] (not asked: --dry-run)\n")
        return
    if not context.confirm(question, hint=_HINT):
        raise Cancelled("nothing was published")


def _push_images(context: Context, project: Project) -> None:
    """Push what is built here; that an image cannot be pushed is said, and does not matter."""
    services: Mapping[str, Any] = project.tree.get("services") or {}
    if not any(one.get("build") and one.get("image") for one in services.values()):
        return  # no backend is needed
    from composer.cli.interrupt import interruptible
    from composer.engine.planning.images import plan_push

    with interruptible() as cancel:
        engine = context.engine(project.name, title="publish", cancel=cancel)
        engine.apply(project.name, plan_push(project, optional=True))


def _digests(context: Context, project: Project) -> File:
    """Return the compose file that pins every image."""
    from composer.cli.remote import digests
    from composer.schema import render
    from composer.session.remote.artifacts import File

    tree = digests.locked(digests.resolved(project.tree, context.environment), in_json=False)
    return File("image-digests.yaml", render.to_yaml(tree).encode())


def _show(context: Context, reference: str, files: Sequence[File]) -> None:
    """``--dry-run``: what would be sent."""
    import os.path

    context.write(f"would publish oci://{reference}:")
    for file in files:
        context.write(f"  {os.path.basename(file.name)}  {len(file.data)} B")
