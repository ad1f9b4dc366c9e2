"""Digests of images from their registries, on any machine: the runtime itself need not work there."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from composer.backends.namespace import state
from composer.backends.namespace.images import Store, reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@contextmanager
def resolver(environment: Mapping[str, str]) -> Iterator[Callable[[str], str]]:
    """Yield what asks registries: ``redis`` → ``docker.io/library/redis:latest@sha256:…``. Safe for threads.

    It raises PullFailed, or ImageError for what is no reference.
    """
    puller = Store(f"{state.paths_of(environment).root}/images").puller(environment)

    def resolve(name: str) -> str:
        parsed = reference.parse(name)
        if parsed.digest:
            return str(parsed._replace(tag=""))
        return str(parsed._replace(digest=puller.resolve(parsed)))

    try:
        yield resolve
    finally:
        puller.close()
