"""The contexts of a build by name, opened when the first step wants one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.runtime.build.context.contexts import open_context

if TYPE_CHECKING:
    import contextlib

    from composer.runtime.build.context.contexts import Context
    from composer.runtime.build.requests import Request


class Contexts:
    """Named contexts. What they need is let go of with ``held``."""

    def __init__(self, request: Request, downloads: str, held: contextlib.ExitStack) -> None:
        self._request, self._downloads, self._held = request, downloads, held
        self._open: dict[str, Context] = {}

    def named(self, name: str) -> Context:
        """Return a named context. Not for threads."""
        key = name.lower()
        if key not in self._open:
            source = next(value for given, value in self._request.contexts.items() if given.lower() == key)
            self._open[key] = self._held.enter_context(
                open_context(
                    source, environment=self._request.environment, downloads=self._downloads, name=name
                )
            )
        return self._open[key]
