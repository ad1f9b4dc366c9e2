"""Digests of images from their registries, on any machine: neither an engine nor the runtime need be there."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from composer import references
from composer.registry import settings
from composer.registry.registry import Registries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@contextmanager
def resolver(environment: Mapping[str, str]) -> Iterator[Callable[[str], str]]:
    """Yield what asks registries: ``redis`` → ``docker.io/library/redis:latest@sha256:…``. Safe for threads.

    It raises PullFailed, or ImageError for what is no reference.
    """
    registries = Registries(settings.read(environment))

    def resolve(name: str) -> str:
        parsed = references.parse(name)
        if parsed.digest:
            return str(parsed._replace(tag=""))
        return str(parsed._replace(digest=registries.resolve(parsed)))

    try:
        yield resolve
    finally:
        registries.close()
