"""``composer wait``: block until containers have stopped."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.cli.context import Context
    from composer.engine.backend import Backend
    from composer.engine.observed import ObservedContainer


@click.command(
    name="wait",
    help="Wait until the containers of services stop, and exit with the exit code of the last one.",
)
@click.option("--down-project", is_flag=True, help="Take the project down when the first container stops.")
@click.argument("services", nargs=-1, required=True, metavar="SERVICE...")
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], down_project: bool) -> int:
    from composer.cli.target import present
    from composer.engine import actions
    from composer.engine.planning.lifecycle import Teardown, selected
    from composer.errors import ProjectError

    project = context.project_name()
    backend = context.backend(project)
    observed = backend.observe(project)
    chosen = present(context, observed, services)
    if chosen is None:
        raise ProjectError(
            f'no containers for project "{project}"',
            hint=f"start them with composer up -d {' '.join(services)}",
        )
    containers = selected(observed, chosen)
    code: int | None = None
    for name, code in _ends(backend, containers):
        context.write(f'container "{name}" exited with status code {"unknown" if code is None else code}')
        context.stdout.flush()
        if down_project:
            break
    if down_project:
        actions.down(context.engine(project, title="down"), project, Teardown())
    return 1 if code is None else code


def _ends(backend: Backend, containers: list[ObservedContainer]) -> Iterator[tuple[str, int | None]]:
    """Yield containers as they end. One thread each: a backend waits for one container at a time."""
    ended: SimpleQueue[tuple[str, int | None] | Exception] = SimpleQueue()

    def wait(container: ObservedContainer) -> None:
        try:
            ended.put((container.name, backend.wait_container(container.id)))
        except Exception as error:
            ended.put(error)

    for container in containers:
        threading.Thread(target=wait, args=(container,), daemon=True).start()
    for _ in containers:
        found = ended.get()
        if isinstance(found, Exception):
            raise found
        yield found
