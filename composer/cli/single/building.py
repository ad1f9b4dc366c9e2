"""``composer image build``: an image from a Dockerfile, without a project."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared
from composer.cli.single import flags, standard
from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from composer.cli.context import Context
    from composer.engine.observed import Advance, ObservedImage
    from composer.engine.wanted import BuildSpec, FileSpec

_REMOTE = ("http://", "https://", "git://", "ssh://", "git@", "github.com/")


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what `docker build` understands, with the same names."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _many(*names: str, metavar: str, help: str) -> Callable[..., Any]:
    return click.option(*names, multiple=True, metavar=metavar, help=help)


_OPTIONS = (
    _many("-t", "--tag", "tags", metavar="NAME[:TAG]", help="Name the image."),
    click.option(
        "-f", "--file", "dockerfile", metavar="PATH", help="Set the Dockerfile (default: PATH/Dockerfile)."
    ),
    click.option("--target", metavar="STAGE", help="Build this stage, and what it needs."),
    _many("--build-arg", "args", metavar="KEY[=VALUE]", help="Set a build argument."),
    _many("--build-context", "contexts", metavar="NAME=SOURCE", help="Add a named context."),
    _many("--label", "labels", metavar="KEY=VALUE", help="Set a label of the image."),
    _many("--secret", "secrets", metavar="id=ID[,src=PATH|,env=NAME]", help="Give the build a secret."),
    _many("--ssh", "agents", metavar="default|ID=PATH", help="Give the build access to an SSH agent or key."),
    click.option("--no-cache", is_flag=True, help="Do not use cached results of earlier builds."),
    _many(
        "--no-cache-filter", "no_cache_filter", metavar="STAGE", help="Do not use cached results of a stage."
    ),
    click.option("--pull", is_flag=True, help="Pull newer versions of the base images."),
    _many(
        "--platform",
        "platforms",
        metavar="OS/ARCH[,OS/ARCH]",
        help="Set the platforms of the image.",
    ),
    click.option("--network", metavar="MODE", help="Set the network of RUN: default, host or none."),
    _many("--add-host", "extra_hosts", metavar="HOST=IP", help="Add a host name for RUN."),
    click.option("--shm-size", metavar="SIZE", help="Set the size of /dev/shm in RUN."),
    _many("--ulimit", "limits", metavar="NAME=SOFT[:HARD]", help="Set a resource limit of RUN."),
    _many("--allow", "entitlements", metavar="ENTITLEMENT", help="Allow network.host or security.insecure."),
    _many(
        "-o",
        "--output",
        "outputs",
        metavar="type=TYPE,dest=PATH",
        help="Write files or an archive: local, tar, oci, docker.",
    ),
    _many("--cache-from", "cache_from", metavar="SOURCE", help="Import a cache of an earlier build."),
    _many("--cache-to", "cache_to", metavar="TARGET", help="Export the cache of this build."),
    click.option("--provenance", metavar="MODE", help="Add a provenance attestation to the image."),
    click.option("--sbom", metavar="MODE", help="Add an SBOM attestation to the image."),
    click.option("--keep-failed", is_flag=True, help="Keep the container of a RUN that fails."),
    click.option("--check", is_flag=True, help="Check the Dockerfile, and build nothing."),
    flags.without_effect("--load", reason="the image of a build is always kept"),
    flags.without_effect("-D", "--debug", reason="--keep-failed keeps the container of a failed step"),
    flags.refused("--annotation", reason="set a label instead"),
    flags.refused("--attest", reason="use --provenance and --sbom"),
    flags.refused("--builder", reason="the backend has one builder"),
    flags.refused("--call", reason="use --check"),
    flags.refused("--cgroup-parent", reason="steps of a build run in the cgroup of the builder"),
    click.option("--push", is_flag=True, help="Push the image after the build."),
    click.option("--iidfile", metavar="PATH", help="Write the image ID to a file."),
    click.option("--metadata-file", "metadata", metavar="PATH", help="Write what was built to a JSON file."),
    click.option("-q", "--quiet", is_flag=True, help="Print only the image ID."),
    click.option(
        "--progress",
        type=click.Choice(("auto", "tty", "plain", "json", "quiet")),
        help="Set the form of progress.",
    ),
)


def build(context: Context, path: str, given: Mapping[str, Any]) -> None:
    """Build, and say what came of it."""
    mode = "quiet" if given["quiet"] else given["progress"]
    if mode:
        context.settings = context.settings._replace(progress=mode)
    spec = spec_of(context, path, given)
    if given["push"] and (not spec.reference or spec.outputs or spec.only_checks):
        raise click.UsageError("--push needs a --tag, and no --output or --check")
    with _to_standard_output(context, spec) as changed:
        image, findings = _built(context, changed, given["tags"])
    if given["check"]:
        from composer.cli import checking

        checking.conclude(context, findings)
    if image is None:
        return
    if given["iidfile"]:
        _write(context, given["iidfile"], image.whole_id)
    if given["push"]:
        from composer.cli.single import pushing

        pushing.push(context, list(dict.fromkeys(given["tags"])))
    if given["metadata"]:
        pushed = context.backend().find_image(spec.reference) if given["push"] else None
        _write(context, given["metadata"], _metadata(image, spec, pushed))
    if given["quiet"]:
        context.write(image.whole_id)


def _built(context: Context, spec: BuildSpec, tags: tuple[str, ...]) -> tuple[ObservedImage | None, int]:
    """Build; return the image, and how many warnings there were."""
    from composer.cli.checking import Findings
    from composer.engine.operations.images import build_phases
    from composer.engine.operations.row import Resource
    from composer.engine.progress import DONE, FAILED, WORKING, Progress

    display = Findings(context.display("build"))
    name = tags[0] if tags else os.path.basename(str(spec.attributes.get("context"))) or "image"
    resource = Resource("image", name)
    backend = context.backend()
    doing, done = build_phases(spec)

    def tell(advance: Advance) -> None:
        display.progress(Progress(WORKING, resource, doing, advance=advance))

    display.progress(Progress(WORKING, resource, doing))
    try:
        image = backend.build_image(spec, progress=tell)
    except BaseException:
        display.progress(Progress(FAILED, resource, "error"))
        raise
    display.progress(Progress(DONE, resource, done))
    return image, display.count


def _metadata(image: ObservedImage, spec: BuildSpec, pushed: ObservedImage | None) -> str:
    """Return what was built, with buildx's names; ``pushed`` is the image once the registry has it, too."""
    import json

    from composer import references

    names = [spec.reference, *(spec.attributes.get("tags") or ())]
    digests = pushed.digests if pushed is not None else ()
    repository = references.parse(spec.reference).familiar_name() if pushed is not None else ""
    in_registry = next((one.partition("@")[2] for one in digests if one.startswith(f"{repository}@")), "")
    found = {
        "containerimage.config.digest": "" if image.index_digest else image.id,
        "containerimage.digest": in_registry or image.index_digest,
        "image.name": ",".join(filter(None, names)),
    }
    return json.dumps({key: value for key, value in found.items() if value}, indent=2) + "\n"


def _write(context: Context, name: str, text: str) -> None:
    try:
        with open(os.path.join(context.working_dir, name), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ProjectError(f"cannot write '{name}': {(error.strerror or str(error)).lower()}") from error


def spec_of(context: Context, path: str, given: Mapping[str, Any]) -> BuildSpec:
    """Return what the backend is asked to build. Raises click.BadParameter."""
    from composer.cli.single.container_options import variables
    from composer.engine.wanted import BuildSpec

    tags = list(given["tags"])
    is_here = path != "-" and not path.startswith(_REMOTE)
    attributes: dict[str, Any] = {
        "context": os.path.normpath(os.path.join(context.working_dir, path)) if is_here else path,
        **_dockerfile(context, given["dockerfile"]),
        "args": {k: v for k, v in variables(context.environment, given["args"]).items() if v is not None},
        "additional_contexts": {
            name: _source(context, source) for name, source in _pairs("--build-context", given["contexts"])
        },
        "labels": shared.mapping(given["labels"]),
        "ssh": [_agent(context, entry) for entry in given["agents"]],
        "extra_hosts": list(given["extra_hosts"]),
        "ulimits": _limits(given["limits"]),
        "platforms": [one for text in given["platforms"] for one in text.split(",") if one],
        "tags": tags[1:],
    }
    for name in ("target", "no_cache", "pull", "network", "provenance", "sbom"):
        attributes[name] = given[name]
    attributes["shm_size"] = given["shm_size"] and _size(given["shm_size"])
    for name in ("no_cache_filter", "entitlements", "cache_from", "cache_to"):
        attributes[name] = list(given[name])
    return BuildSpec(
        tags[0] if tags else "",
        "",
        {name: value for name, value in attributes.items() if value not in (None, "", [], {}, False)},
        secrets=tuple(_secret(context, text) for text in given["secrets"]),
        keep_failed=given["keep_failed"],
        only_checks=given["check"],
        outputs=tuple(_output(context, text) for text in given["outputs"]),
    )


def _output(context: Context, text: str) -> str:
    """Return an output with an absolute path: what is relative is so to where the command runs."""
    if "=" not in text:
        text = "type=tar,dest=-" if text == "-" else f"type=local,dest={text}"
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    if fields.get("type") in ("tar", "oci"):
        fields.setdefault("dest", "-")
    if fields.get("dest", "-") != "-":
        fields["dest"] = os.path.normpath(os.path.join(context.working_dir, fields["dest"]))
    return ",".join(f"{key}={value}" for key, value in fields.items())


@contextmanager
def _to_standard_output(context: Context, spec: BuildSpec) -> Iterator[BuildSpec]:
    """Yield what is to be built, with a file where an output is to be written; print that at the end."""
    if not any(output.endswith("dest=-") for output in spec.outputs):
        yield spec
        return
    with standard.written_to(
        context, standard.STANDARD, "add dest=FILE to --output, or redirect the output"
    ) as path:
        outputs = (f"{o.removesuffix('-')}{path}" if o.endswith("dest=-") else o for o in spec.outputs)
        yield spec._replace(outputs=tuple(outputs))


def _dockerfile(context: Context, given: str | None) -> dict[str, str]:
    """Return where the Dockerfile is: unlike in a compose file, its path is relative to where the command runs."""
    if given == "-":
        return {"dockerfile_inline": context.stdin.read()}
    return {"dockerfile": os.path.normpath(os.path.join(context.working_dir, given))} if given else {}


def _source(context: Context, source: str) -> str:
    if "://" in source or source.startswith(_REMOTE):
        return source
    return os.path.normpath(os.path.join(context.working_dir, source))


def _agent(context: Context, entry: str) -> str:
    id, equals, path = entry.partition("=")
    if equals:
        return f"{id}={os.path.normpath(os.path.join(context.working_dir, path))}"
    return f"{id}={context.environment.get('SSH_AUTH_SOCK', '')}"


def _limits(given: tuple[str, ...]) -> dict[str, Any]:
    from composer.cli.single import reading

    try:
        return dict(reading.ulimits(given))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--ulimit") from None


def _size(text: str) -> str:
    from composer.units import parse_size_bytes

    try:
        parse_size_bytes(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--shm-size") from None
    return text


def _pairs(option: str, given: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for text in given:
        name, _, value = text.partition("=")
        if not name or not value:
            raise click.BadParameter(f"'{text}': write NAME=SOURCE", param_hint=option)
        yield name, value


def _secret(context: Context, text: str) -> FileSpec:
    """Read ``id=ID,src=PATH`` or ``id=ID,env=NAME``; without either, the variable or the file of the id's name."""
    from composer.engine.wanted import FileSpec

    fields = dict(part.partition("=")[::2] for part in text.split(","))
    id = fields.get("id", "")
    source, variable = fields.get("src") or fields.get("source"), fields.get("env")
    if not id or fields.keys() - {"id", "src", "source", "env", "type"}:
        raise click.BadParameter(f"'{text}': write id=ID,src=PATH or id=ID,env=NAME", param_hint="--secret")
    if variable is None and source is None and id in context.environment:
        variable = id
    if variable is not None:
        if variable not in context.environment:
            raise click.BadParameter(f"'{text}': variable {variable} is not set", param_hint="--secret")
        return FileSpec("secret", id, id, content=context.environment[variable].encode())
    path = os.path.join(context.working_dir, source or id)
    if not os.path.isfile(path):
        raise click.BadParameter(f"'{text}': cannot find file '{source or id}'", param_hint="--secret")
    return FileSpec("secret", id, id, source=path)
