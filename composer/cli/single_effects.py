"""Showing what one command does to one container, where there is no plan that would."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.cli.context import Context
    from composer.engine.observed import ObservedContainer


@contextmanager
def told(context: Context, container: ObservedContainer, doing: str, done: str) -> Iterator[None]:
    """Show that something is being done to a container while the body runs, and what came of it."""
    from composer.engine.operations.row import Resource
    from composer.engine.progress import DONE, FAILED, WORKING, Progress

    display = context.display()
    resource = Resource("container", container.name)
    display.progress(Progress(WORKING, resource, doing))
    try:
        yield
    except BaseException:
        display.progress(Progress(FAILED, resource, "failed"))
        raise
    display.progress(Progress(DONE, resource, done))
