"""``composer container run`` and ``create``: a container of no project, from flags alone."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import click

from composer.cli.single import container_options, flags, placing, run_flags
from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.cli.context import Context
    from composer.engine.backend import Backend
    from composer.engine.wanted import ContainerSpec

_STREAMS = ("stdin", "stdout", "stderr")


def create(context: Context, image: str, words: tuple[str, ...], given: dict[str, Any]) -> str:
    """Create the container and return its id; its image is pulled where it is not there."""
    from composer.session.session import NOBODY

    spec = spec_of(context, image, words, given)
    if context.settings.dry_run:
        context.write(f"create container {spec.name}")
        return ""
    with _id_file(context, given["cidfile"]) as file:
        _check(context.backend(), spec)
        _provide(context, image, given)
        with context.lock(NOBODY, "container create"):
            backend = context.backend()
            backend.recover(NOBODY)
            id = backend.create_container(_with_exposed(backend, spec, given))
        if file is not None:
            with open(file, "w", encoding="ascii") as stream:
                stream.write(id)
        return id


def run(context: Context, image: str, words: tuple[str, ...], given: dict[str, Any]) -> int:
    """Create it, start it, and stay with it to its end; with ``--detach`` print its id."""
    from composer.cli.keys import parse_keys
    from composer.cli.terminal import run_created

    streams = _streams(given)
    is_terminal = terminal_of(context, given["tty"], "stdin" in streams, given["detach"])
    keys = parse_keys(given["detach_keys"])
    id = create(context, image, words, given)
    if context.settings.dry_run:
        return 0
    told = {
        "detach": given["detach"],
        "interactive": "stdin" in streams,
        "remove": given["rm"],
        "detach_keys": keys,
        "signals": given["sig_proxy"],
        "streams": streams,
    }
    return run_created(context, id, told, tty=is_terminal)


def _streams(given: Mapping[str, Any]) -> frozenset[str]:
    """Return which of a container's streams are connected. Raises click.UsageError."""
    chosen = [text.lower() for text in given["attach"]]
    for text in chosen:
        if text not in _STREAMS:
            raise click.BadParameter(f"'{text}' must be stdin, stdout or stderr", param_hint="--attach")
    if chosen and given["detach"]:
        raise click.UsageError("--attach and --detach are incompatible")
    if not chosen:
        return frozenset(_STREAMS if given["interactive"] else _STREAMS[1:])
    return frozenset(chosen)


def terminal_of(context: Context, wants: bool, interactive: bool, detached: bool = False) -> bool:
    """Tell whether the container's terminal is ours. Raises ProjectError where our input is none and is to be one."""
    if wants and interactive and not detached and not context.stdin.isatty():
        raise ProjectError("the input device is not a TTY", hint="leave out --tty, or --interactive")
    return wants and context.stdout.isatty()


def spec_of(context: Context, image: str, words: tuple[str, ...], given: dict[str, Any]) -> ContainerSpec:
    """Return what the backend is asked to create. Raises click.BadParameter, or ProjectError."""
    from composer.engine.wanted import ContainerSpec

    name = given["name"] or f"container-{os.urandom(6).hex()}"
    mode, endpoints = placing.networks(name, given)
    return ContainerSpec(
        name=name,
        project="",
        service="",
        number=0,
        image=image,
        labels=placing.labels(context, given),
        attributes=_attributes(context, words, given),
        mounts=tuple(placing.mounts(context, given)),
        endpoints=endpoints,
        network_mode=mode,
        oneoff=given["interactive"] and not given["detach"],
        auto_remove=given["detach"] and given["rm"],
    )


def _attributes(context: Context, words: tuple[str, ...], given: dict[str, Any]) -> dict[str, Any]:
    found = flags.attributes(run_flags.ATTRIBUTES, given)
    if "test" in found.get("healthcheck", {}) and found["healthcheck"].get("disable"):
        raise click.UsageError("--no-healthcheck and --health-cmd are incompatible")
    if words:
        found["command"] = list(words)
    variables = {
        **container_options.file_variables(context, given["env_file"]),
        **container_options.variables(context.environment, given["env"]),
    }
    if variables:
        found["environment"] = variables
    published = placing.ports(given)
    if published:
        found["ports"] = published
    return found


def _with_exposed(backend: Backend, spec: ContainerSpec, given: Mapping[str, Any]) -> ContainerSpec:
    """Return what is to be created, with all exposed ports published where that is wanted."""
    if not given["publish_all"]:
        return spec
    published = spec.attributes.get("ports") or []
    image = backend.find_image(spec.image)
    more = placing.exposed_ports(published, list(given["expose"]), image)
    return spec._replace(attributes={**spec.attributes, "ports": [*published, *more]})


def _check(backend: Backend, spec: ContainerSpec) -> None:
    """Raise ProjectError for what the backend cannot do, before anything is made."""
    wrong = [one for one in backend.limitations(spec.attributes) if one.fatal]
    if wrong:
        place = ".".join(map(str, wrong[0].path))
        raise ProjectError(f"{place}: {wrong[0].reason}", hint=wrong[0].hint)


def _provide(context: Context, image: str, given: Mapping[str, Any]) -> None:
    """Pull the image where it is wanted, with its progress on standard error."""
    backend = context.backend()
    if given["pull"] == "never" or (given["pull"] == "missing" and backend.find_image(image) is not None):
        return
    if given["quiet"]:
        backend.pull_image(image)
        return
    from composer.cli.interrupt import interruptible
    from composer.engine.operations.images import PullImage
    from composer.engine.plan import PlanBuilder

    builder = PlanBuilder()
    builder.add(PullImage(image, "run"))
    with interruptible() as cancel:
        context.engine("", title="pull", cancel=cancel).apply("", builder.build())


@contextlib.contextmanager
def _id_file(context: Context, name: str | None) -> Iterator[str | None]:
    """Yield the path of ``--cidfile``, which must be new; without a container it goes again. Raises ProjectError."""
    if name is None:
        yield None
        return
    path = os.path.join(context.working_dir, name)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError:
        raise ProjectError(
            f"file '{name}' exists already: another container may have its ID in it", hint="remove the file"
        ) from None
    except OSError as error:
        raise ProjectError(f"cannot write '{name}': {(error.strerror or str(error)).lower()}") from error
    try:
        yield path
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        raise
