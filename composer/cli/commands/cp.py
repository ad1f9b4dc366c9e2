"""``composer cp``: files into containers and out of them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import click

from composer.cli import options as shared
from composer.cli.single.effects import told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.cli.context import Context
    from composer.engine.backend import Backend
    from composer.engine.observed import Observed, ObservedContainer


@click.command(
    name="cp",
    help="Copy files between service containers and the local filesystem.\n\n"
    "Files copied to a service go to all its replicas; files copied from a service come from its first replica. "
    "Use - for a tar archive on standard input or output.",
    options_metavar="[OPTIONS]",
)
@click.option(
    "-a", "--archive", is_flag=True, help="Make the container's user the owner of the copied files."
)
@click.option(
    "-L", "--follow-link", is_flag=True, help="If SOURCE is a symbolic link, copy what it points to."
)
@shared.index
@click.option("--all", "everything", is_flag=True, help="Include containers created by the run command.")
@click.argument("source", metavar="[SERVICE:]SOURCE|-")
@click.argument("destination", metavar="[SERVICE:]DESTINATION|-")
@click.pass_obj
def command(
    context: Context,
    /,
    source: str,
    destination: str,
    archive: bool,
    follow_link: bool,
    index: int | None,
    everything: bool,
) -> None:
    ends = split(source), split(destination)
    service = ends[0].service or ends[1].service
    if ends[0].service and ends[1].service:
        raise click.UsageError("copying between services is not supported: copy to a local path first")
    if not service:
        raise click.UsageError("unknown copy direction: source or destination must be SERVICE:PATH")
    project = context.project_name()
    backend = context.backend(project)
    containers = _containers(backend.observe(project), service, index, everything=everything)
    if ends[0].service:
        # Without the project's lock: a look disturbs no start, and an `up` that waits for long keeps nobody from it.
        copy_out(context, backend, containers[0], ends[0].path, ends[1].path, follow=follow_link)
        return
    copying = In(context, backend, project, follow_link, archive)
    copying.run(containers, ends[0].path, ends[1].path)


class End(NamedTuple):
    """A source or destination; ``service`` is empty for this machine."""

    service: str
    path: str


def split(text: str) -> End:
    """Tell ``SERVICE:PATH`` from a local path: what is absolute or starts with a dot is local, colon or not."""
    before, colon, after = text.partition(":")
    if os.path.isabs(text) or not colon or before.startswith("."):
        return End("", text)
    return End(before, after)


def _containers(
    observed: Observed, service: str, index: int | None, *, everything: bool
) -> list[ObservedContainer]:
    from composer.cli.target import container_of, nearest
    from composer.engine import labels

    if not any(labels.service_of(c) == service for c in observed.containers):
        from composer.errors import ProjectError

        raise ProjectError(f'no container found for service "{service}"', hint=nearest(observed, service))
    first = container_of(observed, service, index)
    if index or (labels.is_oneoff(first) and not everything):
        return [first]
    found = [
        c
        for c in observed.containers
        if labels.service_of(c) == service and (everything or not labels.is_oneoff(c))
    ]
    return sorted(found, key=lambda c: (labels.is_oneoff(c), labels.number_of(c), c.created_ns))


def _local(context: Context, path: str) -> str:
    """Return a local path from the root, with what its end says about it."""
    clean = os.path.normpath(os.path.join(context.working_dir, path))
    if os.path.basename(path) == ".":
        return os.path.join(clean, ".")
    return f"{clean}{os.sep}" if path.endswith(os.sep) and clean != os.sep else clean


def copy_out(
    context: Context,
    backend: Backend,
    container: ObservedContainer,
    source: str,
    target: str,
    *,
    follow: bool,
) -> None:
    from composer.engine.running import copying

    if context.settings.dry_run:
        context.write(f"copy {container.name}:{source} to {target}")
        return
    with told(context, container, "copying", "copied", f"{container.name}:{source} to {target}"):
        if target == "-":
            stream = context.stdout.buffer
            copying.stream_out(backend, container.id, source, stream.write, follow=follow)
            stream.flush()
        else:
            copying.copy_out(backend, container.id, source, _local(context, target), follow=follow)


@contextmanager
def _undisturbed(context: Context, project: str, container: ObservedContainer) -> Iterator[None]:
    """Keep other commands from starting a container that does not run while its files are written."""
    from composer.engine.observed import ContainerState

    if container.state in (ContainerState.RUNNING, ContainerState.PAUSED):
        yield
        return
    with context.lock(project, "cp"):
        yield


class In:
    """Copying into one or more containers. One that does not run is not started meanwhile by another command."""

    def __init__(self, context: Context, backend: Backend, project: str, follow: bool, to_user: bool) -> None:
        self._context, self._backend, self._project = context, backend, project
        self._follow, self._to_user = follow, to_user

    def run(self, containers: list[ObservedContainer], source: str, target: str) -> None:
        if self._context.settings.dry_run:
            for container in containers:
                self._context.write(f"copy {source} to {container.name}:{target}")
        elif source == "-" and len(containers) > 1:
            self._spooled(containers, target)
        else:
            for container in containers:
                self._one(container, source, target)

    def _one(self, container: ObservedContainer, source: str, target: str) -> None:
        from composer.engine.running import copying

        with (
            _undisturbed(self._context, self._project, container),
            told(self._context, container, "copying", "copied", f"{source} to {container.name}:{target}"),
        ):
            if source == "-":
                stream = self._context.stdin.buffer
                copying.stream_in(self._backend, container.id, stream, target, to_user=self._to_user)
            else:
                local = _local(self._context, source)
                copying.copy_in(
                    self._backend, container.id, local, target, follow=self._follow, to_user=self._to_user
                )

    def _spooled(self, containers: list[ObservedContainer], target: str) -> None:
        """Standard input comes once, and every replica is to have it: it is kept beside meanwhile."""
        import shutil
        import tempfile

        from composer.engine.running import copying

        with tempfile.TemporaryFile() as kept:
            shutil.copyfileobj(self._context.stdin.buffer, kept)
            for container in containers:
                kept.seek(0)
                with (
                    _undisturbed(self._context, self._project, container),
                    told(self._context, container, "copying", "copied", f"- to {container.name}:{target}"),
                ):
                    copying.stream_in(self._backend, container.id, kept, target, to_user=self._to_user)
