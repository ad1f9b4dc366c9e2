"""The contexts of a build by name, opened when the first step wants one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.runtime.build.context.contexts import open_context

if TYPE_CHECKING:
    import contextlib

    from composer.runtime.build.context.contexts import Context
    from composer.runtime.build.requests import Request

_IMAGE = "docker-image://"


class Contexts:
    """Named contexts. What they need is let go of with ``held``."""

    def __init__(self, request: Request, downloads: str, held: contextlib.ExitStack) -> None:
        self._request, self._downloads, self._held = request, downloads, held
        self._open: dict[str, Context] = {}

    def image(self, name: str) -> str | None:
        """Return the reference of the image that a named context is; None for one that is files."""
        source = self._source(name)
        return source.removeprefix(_IMAGE) if source.startswith(_IMAGE) else None

    def _source(self, name: str) -> str:
        key = name.lower()
        return next(value for given, value in self._request.contexts.items() if given.lower() == key)

    def named(self, name: str) -> Context:
        """Return a named context. Not for threads."""
        key = name.lower()
        if key not in self._open:
            self._open[key] = self._held.enter_context(
                open_context(
                    self._source(name),
                    environment=self._request.environment,
                    downloads=self._downloads,
                    name=name,
                )
            )
        return self._open[key]
