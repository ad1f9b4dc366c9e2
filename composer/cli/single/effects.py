"""Showing what one command does to one container, where there is no plan that would."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.cli.context import Context
    from composer.engine.observed import ObservedContainer


@contextmanager
def told(
    context: Context, container: ObservedContainer, doing: str, done: str, detail: str = ""
) -> Iterator[None]:
    """Show that something is being done to a container while the body runs, and what came of it.

    What has a ``detail`` is shown under the container's bare name, as Docker Compose shows a copy.
    """
    from composer.engine.operations.row import Resource
    from composer.engine.progress import DONE, FAILED, WORKING, Progress

    display = context.display()
    resource = Resource("" if detail else "container", container.name)
    if doing:
        display.progress(Progress(WORKING, resource, doing, detail))
    try:
        yield
    except BaseException:
        display.progress(Progress(FAILED, resource, "error"))
        raise
    display.progress(Progress(DONE, resource, done, detail))
