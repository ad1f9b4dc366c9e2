"""Changing single containers: each alone with what it belongs to, one after the other, every failure told."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from composer.cli.context import Context
    from composer.engine.backend import Backend, Session
    from composer.engine.observed import ObservedContainer

    Act = Callable[[Backend, ObservedContainer], object]

_FOR_EVER_S = 10 * 365 * 24 * 3600.0


@contextmanager
def changing(context: Context, name: str, verb: str) -> Iterator[tuple[Backend, ObservedContainer]]:
    """Yield a container, alone with what it belongs to: its project, or all containers of none."""
    from composer.engine import labels
    from composer.session.session import NOBODY

    found = context.backend().container(name)
    project = found.labels.get(labels.PROJECT) or NOBODY
    with context.lock(project, f"container {verb}"):
        backend = context.backend()
        if not context.settings.dry_run:
            backend.recover(project)
        yield backend, backend.container(found.id)


def each(
    context: Context, names: Sequence[str], verb: str, act: Act, *, missing_is_fine: bool = False
) -> None:
    """Do something to containers, one by one; one that fails keeps none of the others from it."""
    from composer.errors import BackendError, NotFound, OperationFailed, StartFailed

    failures: list[Exception] = []
    for name in names:
        try:
            with changing(context, name, verb) as (backend, container):
                if context.settings.dry_run:
                    context.write(f"{verb} container {container.name}")
                    continue
                act(backend, container)
        except StartFailed as error:
            failures.append(OperationFailed(f"{verb} container {name}", error))
        except NotFound as error:
            if not missing_is_fine:
                failures.append(error)
        except BackendError as error:
            failures.append(error)
        else:
            context.write(name)
    if failures:
        raise ExceptionGroup(f"some containers failed to {verb}", failures)


def grace_s(given: int | None) -> float | None:
    """Return a grace period as backends take it: a negative one never ends."""
    return None if given is None else _FOR_EVER_S if given < 0 else float(given)


def restart(signal: str, timeout_s: float | None) -> Act:
    def act(backend: Backend, container: ObservedContainer) -> None:
        backend.restart_container(container.id, timeout_s=timeout_s, signal=signal)

    return act


def update(context: Context, names: Sequence[str], attributes: dict[str, Any]) -> None:
    """Change limits and restart policies. Raises click.UsageError where nothing was said."""
    if not attributes:
        raise click.UsageError("provide one or more flags of what is to change")

    def act(backend: Backend, container: ObservedContainer) -> None:
        for warning in backend.update_container(container.id, attributes):
            context.stderr.write(f"WARNING: {warning}\n")

    each(context, names, "update", act)


# ------------------------------------------------------------------ connected


def start_attached(context: Context, name: str, *, interactive: bool, detach_keys: str) -> int:
    """Start a container and stay with it; return its exit code."""
    from composer.cli.keys import parse_keys

    keys = parse_keys(detach_keys)
    with changing(context, name, "start") as (backend, container):
        if context.settings.dry_run:
            context.write(f"start container {container.name}")
            return 0
    session = backend.attach(container.id, stdin=interactive, start=True)
    return converse(context, session, interactive=interactive, signals=True, keys=keys)


def attach(context: Context, name: str, *, no_stdin: bool, signals: bool, detach_keys: str) -> int:
    """Connect to a running container; return its exit code."""
    from composer.cli.keys import parse_keys
    from composer.errors import Conflict

    keys = parse_keys(detach_keys)
    backend = context.backend()
    container = backend.container(name)
    if container.state.value == "paused":
        raise Conflict(
            f"cannot attach to container '{container.name}': it is paused", hint="unpause it first"
        )
    interactive = not no_stdin and backend.settings(container.id).stdin_open
    session = backend.attach(container.id, stdin=interactive)
    return converse(context, session, interactive=interactive, signals=signals, keys=keys)


def converse(context: Context, session: Session, *, interactive: bool, signals: bool, keys: bytes) -> int:
    from composer.cli import terminal

    try:
        is_ours = session.tty and context.stdout.isatty() and (not interactive or context.stdin.isatty())
        return terminal.converse(
            session, context, tty=is_ours, interactive=interactive, signals=signals, detach=keys
        )
    finally:
        session.close()


def execute(context: Context, name: str, words: tuple[str, ...], given: dict[str, Any]) -> int:
    """Run a command in a running container; return its exit code."""
    from composer.cli import terminal
    from composer.cli.keys import parse_keys
    from composer.cli.single import container_options
    from composer.cli.single.running import terminal_of
    from composer.engine.wanted import ExecSpec

    keys = parse_keys(given["detach_keys"])
    is_ours = terminal_of(context, given["tty"], given["interactive"], given["detach"])
    variables = {
        **container_options.file_variables(context, given["env_files"]),
        **container_options.variables(context.environment, given["variables"]),
    }
    backend = context.backend()
    spec = ExecSpec(
        command=words,
        environment=tuple(f"{key}={value}" for key, value in variables.items() if value is not None),
        **{
            name: given[name]
            for name in ("user", "working_dir", "tty", "interactive", "privileged", "detach")
        },
    )
    session = backend.exec(backend.container(name).id, spec)
    try:
        if spec.detach:
            return 0
        return terminal.converse(session, context, tty=is_ours, interactive=spec.interactive, detach=keys)
    finally:
        session.close()
