"""``composer image``: the backend's own images."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared
from composer.cli.single import building, flags, standard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.cli.context import Context
    from composer.engine.backend import Backend
    from composer.engine.observed import ObservedImage


class _Group(click.Group):
    command_class = flags.Command


@click.group(name="image", cls=_Group, help="Manage images.")
def command() -> None:
    """Group the subcommands."""


_no_platform = flags.refused("--platform", reason="a name stands for all of its platforms: use an image ID")
_no_trust = flags.without_effect(
    "--disable-content-trust", reason="the docker CLI verifies no images either, by default"
)


@command.command(name="ls", help="List images.")
@click.option("-q", "--quiet", is_flag=True, help="Print only IDs.")
@click.option("-a", "--all", "everything", is_flag=True, help="Also list intermediate images.")
@click.option("--digests", is_flag=True, help="Show the digests that registries know images by.")
@click.option("--no-trunc", is_flag=True, help="Print whole IDs.")
@click.option(
    "-f",
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Select images: dangling=true, label=KEY[=VALUE], reference=PATTERN, before=IMAGE, since=IMAGE, until=TIME.",
)
@shared.style
@flags.refused("--tree", reason="image inspect shows the platforms of an image", takes_value=False)
@click.argument("name", required=False, metavar="[NAME]")
@click.pass_obj
def list_images(context: Context, /, name: str | None, style: str, everything: bool, **given: Any) -> None:
    from composer.cli.single import images

    images.show(context, name, style, **given)


@command.command(name="history", help="Show how an image was made.")
@click.option("-q", "--quiet", is_flag=True, help="Print only IDs.")
@click.option("--no-trunc", is_flag=True, help="Print whole IDs and commands.")
@click.option(
    "-H",
    "--human/--no-human",
    "human",
    default=True,
    help="Print sizes and times for people (default), or bytes and dates.",
)
@shared.style
@_no_platform
@click.argument("reference", metavar="IMAGE")
@click.pass_obj
def history(context: Context, /, reference: str, style: str, **given: Any) -> None:
    from composer.cli.single import images

    images.show_history(context, reference, style, **given)


@command.command(name="push", help="Push an image to its registry.")
@click.option("-a", "--all-tags", is_flag=True, help="Push all tags of the image's repository.")
@click.option(
    "--compression",
    type=click.Choice(("gzip", "zstd")),
    help="Set the compression of layers that are not compressed yet (default: gzip).",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only the name of the image.")
@_no_platform
@_no_trust
@click.argument("reference", metavar="NAME[:TAG]")
@click.pass_obj
def push_image(context: Context, /, reference: str, all_tags: bool, **given: Any) -> None:
    from composer.cli.single import pushing

    names = pushing.all_tags(context, reference) if all_tags else [reference]
    pushing.push(context, names, **given)


@command.command(name="build", help="Build an image from a Dockerfile.")
@building.options
@click.argument("path")
@click.pass_obj
def build_image(context: Context, /, path: str, **given: Any) -> None:
    building.build(context, path, given)


@command.command(
    name="import",
    help="Create an image from a root filesystem tarball, plain or compressed.\n\nThe path - is standard input.",
)
@shared.changes
@click.option(
    "--config", "config_file", type=click.Path(), help="Read the image configuration from a JSON file."
)
@click.option(
    "--cmd", metavar="COMMAND", help='Set the default command: ["/bin/server", "-v"], or a shell command.'
)
@click.option("--entrypoint", metavar="COMMAND", help="Set the entrypoint, in the same form as --cmd.")
@click.option("-e", "--env", multiple=True, metavar="KEY=VALUE", help="Set an environment variable.")
@click.option(
    "--expose",
    multiple=True,
    metavar="PORT[/PROTOCOL]",
    help="Declare a port that the image's command listens on.",
)
@click.option("--label", multiple=True, metavar="KEY=VALUE", help="Set a label.")
@click.option("--stop-signal", metavar="SIGNAL", help="Set the signal that stops containers.")
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Set the user that the command runs as.")
@click.option("--volume", multiple=True, metavar="PATH", help="Declare a directory as a volume.")
@click.option("-w", "--workdir", metavar="PATH", help="Set the working directory of the command.")
@flags.refused("-m", "--message", reason="imported images have no history to put it in")
@flags.refused("--platform", reason="imported images are of the platform of this machine")
@click.argument("path", type=click.Path())
@click.argument("reference")
@click.pass_obj
def import_image(
    context: Context,
    /,
    path: str,
    reference: str,
    changes: tuple[str, ...],
    config_file: str | None,
    **instructions: str | tuple[str, ...] | None,
) -> None:
    from composer.cli.changes import apply_changes

    given = [*_instructions(instructions), *changes]
    config = apply_changes(_read_config(context, config_file), given)
    if context.settings.dry_run:
        context.write(f"import {path} as {reference}")
        return
    with standard.read_from(context, path, "a root filesystem") as archive:
        image = context.backend().import_image(archive, reference, config)
    context.write(image.id)


_INSTRUCTION_OF = {
    "cmd": "CMD",
    "entrypoint": "ENTRYPOINT",
    "env": "ENV",
    "expose": "EXPOSE",
    "label": "LABEL",
    "stop_signal": "STOPSIGNAL",
    "user": "USER",
    "volume": "VOLUME",
    "workdir": "WORKDIR",
}
# Words that are split like a shell command line, where an option's value is one word.
_SPLIT = frozenset(("ENV", "EXPOSE", "LABEL", "VOLUME"))


def _instructions(options: Mapping[str, str | tuple[str, ...] | None]) -> Iterator[str]:
    """Yield the options as the instructions that they stand for."""
    for name, values in options.items():
        word = _INSTRUCTION_OF[name]
        for value in (values,) if isinstance(values, str) else values or ():
            yield f"{word} {shlex.quote(value) if word in _SPLIT else value}"


def _absolute(context: Context, path: str) -> str:
    return os.path.normpath(os.path.join(context.working_dir, path))


def _read_config(context: Context, path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        with open(_absolute(context, path), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"cannot read '{path}': {error}", param_hint="--config") from None
    if not isinstance(found, dict):
        raise click.BadParameter(f"'{path}' must be a JSON object", param_hint="--config")
    # the whole image configuration of OCI, or its inner part
    inner = found.get("config", found)
    return dict(inner) if isinstance(inner, dict) else {}


@command.command(name="pull", help="Pull images from their registries.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show the progress of pulls.")
@flags.refused("-a", "--all-tags", reason="name the tags that are wanted", takes_value=False)
@flags.refused("--platform", reason="images are pulled for the platform of this machine")
@_no_trust
@click.argument("references", nargs=-1, required=True, metavar="IMAGE...")
@click.pass_obj
def pull_images(context: Context, /, references: tuple[str, ...], quiet: bool) -> None:
    from composer.cli.interrupt import interruptible
    from composer.engine.operations.images import PullImage
    from composer.engine.plan import PlanBuilder

    if quiet:
        context.settings = context.settings._replace(progress="quiet")
    builder = PlanBuilder()
    for reference in dict.fromkeys(references):
        builder.add(PullImage(reference, "pull"))
    with interruptible() as cancel:
        context.engine("", title="pull", cancel=cancel).apply("", builder.build())


@command.command(name="inspect", help="Print detailed information about images.")
@shared.template
@_no_platform
@click.argument("references", nargs=-1, required=True, metavar="IMAGE...")
@click.pass_obj
def inspect_images(context: Context, /, references: tuple[str, ...], style: str | None) -> None:
    from composer.cli import listing
    from composer.cli.single import images

    def picture(found: ObservedImage) -> dict[str, Any]:
        return {
            "Id": found.id,
            "RepoTags": [name for name in found.references if "@" not in name],
            "RepoDigests": list(found.digests),
            "Created": found.created,
            **images.platform(found.platform),
            "Size": found.size_bytes,
            "Config": {
                **found.config,
                "Labels": dict(found.labels),
                "Volumes": {path: {} for path in found.volumes},
            },
            "RootFS": {"Type": "layers", "Layers": list(found.layers)},
            **images.variants(found),
        }

    listing.inspect(context, style, "image", references, context.backend().find_image, picture)


@command.command(
    name="load",
    help="Load images from a Docker archive or an OCI layout.\n\n"
    "Without a path, an archive is read from standard input.",
)
@click.option("-i", "--input", "path_option", metavar="FILE", type=click.Path(), help="Read this archive.")
@click.option("-q", "--quiet", is_flag=True, help="Do not print the loaded images.")
@flags.refused("--platform", reason="all images of an archive are loaded")
@click.argument("path", type=click.Path(), required=False, metavar="[PATH]")
@click.pass_obj
def load_images(context: Context, /, path: str | None, path_option: str | None, quiet: bool) -> None:
    found = path or path_option or standard.STANDARD
    if context.settings.dry_run:
        context.write(f"load {found}")
        return
    with standard.read_from(context, found, "an image archive") as archive:
        images = context.backend().load_images(archive)
    for image in images:
        for reference in () if quiet else image.references or (image.id,):
            context.write(f"Loaded image: {reference}")


@command.command(
    name="save",
    help="Save images to a tar archive, for image load or docker load.\n\n"
    "Without --output, the archive goes to standard output.",
)
@click.option("-o", "--output", type=click.Path(), default="-", help="Write the archive to this file.")
@_no_platform
@click.argument("references", nargs=-1, required=True, metavar="IMAGE...")
@click.pass_obj
def save_images(context: Context, /, references: tuple[str, ...], output: str) -> None:
    if context.settings.dry_run:
        context.write(f"save {' '.join(references)} to {output}")
        return
    store = _store(context)
    with standard.written_to(context, output, "add --output FILE, or redirect the output") as path:
        store.save_images(references, path)


@command.command(name="tag", help="Add a name to an image.")
@click.argument("reference", metavar="IMAGE")
@click.argument("name", metavar="NAME[:TAG]")
@click.pass_obj
def tag_image(context: Context, /, reference: str, name: str) -> None:
    if context.settings.dry_run:
        context.write(f"tag {reference} as {name}")
        return
    context.backend().tag_image(reference, name)


@command.command(name="prune", help="Remove images without a name, and unused layers.")
@click.option(
    "-a", "--all", "unused", is_flag=True, help="Remove all unused images, not only those without a name."
)
@shared.force
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Select images: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE].",
)
@click.pass_obj
def prune_images(context: Context, /, filters: tuple[str, ...], unused: bool, force: bool) -> None:
    from composer.cli import table
    from composer.cli.single import pruning

    wanted = pruning.Wanted.of(filters)
    shared.refuse_dry_run(context, "image prune", "image ls")
    store = _store(context)
    which = (
        "all images without at least one container associated to them" if unused else "all dangling images"
    )
    if not shared.agreed(context, f"This will remove {which}.", force=force):
        return
    gone, freed_bytes = pruning.images(store, wanted, unused=unused)
    for id in gone:
        context.write(f"Removed: {id}")
    context.write(f"Total reclaimed space: {table.size(freed_bytes)}")


def _store(context: Context) -> Backend:
    """Return the backend where it keeps its images itself. Raises Unsupported."""
    from composer.engine.observed import Capability
    from composer.errors import Unsupported

    backend = context.backend()
    if Capability.KEEPS_IMAGES not in backend.capabilities:
        raise Unsupported(
            "images",
            f"the {backend.name} backend has no image store of its own",
            hint="use the command of the engine, such as docker image save",
        )
    return backend


@command.command(name="rm", help="Remove images.")
@click.option(
    "-f", "--force", is_flag=True, help="Also remove images that containers use, and all names of an ID."
)
@flags.refused(
    "--no-prune", reason="layers that nothing uses are removed with their image", takes_value=False
)
@_no_platform
@click.argument("references", nargs=-1, required=True, metavar="IMAGE...")
@click.pass_obj
def remove_images(context: Context, /, references: tuple[str, ...], force: bool) -> None:
    from composer.errors import BackendError, NotFound

    backend = context.backend()
    failures: list[Exception] = []
    for reference in references:
        try:
            if backend.find_image(reference) is None:
                raise NotFound(f"no such image: {reference}")
            if context.settings.dry_run:
                context.write(f"remove image {reference}")
                continue
            removed = backend.remove_image(reference, force=force)
        except NotFound as error:
            if not force:
                failures.append(error)
        except BackendError as error:
            failures.append(error)
        else:
            for name in removed.untagged:
                context.write(f"Untagged: {name}")
            for digest in removed.deleted:
                context.write(f"Deleted: {digest}")
    if failures:
        raise ExceptionGroup("some images were not removed", failures)
