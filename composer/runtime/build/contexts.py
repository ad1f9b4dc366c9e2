"""The contexts of a build by name, opened when the first step wants one; and what fetches those from elsewhere."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from composer.errors import BuildFailed
from composer.runtime.build.context.adding import Fetching
from composer.runtime.build.context.contexts import Kind, classify, open_context
from composer.runtime.build.context.downloads import Downloads

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from composer.registry.transport import Transport
    from composer.runtime.build.context.contexts import Context
    from composer.runtime.build.context.git import Git
    from composer.runtime.build.requests import Request


def fetching(cache: str, environment: Mapping[str, str], held: contextlib.ExitStack) -> Fetching:
    """Return what fetches URLs and git repositories. ``cache`` is the directory of the build cache."""
    downloads = f"{cache}/downloads"

    def trim() -> None:
        from composer.runtime.build.cache import fetched

        fetched.trim(cache)

    def open_transport() -> Transport:
        from composer.registry import settings
        from composer.registry.transport import Transport

        held.callback(trim)
        found = Transport(settings.read(environment))
        held.callback(found.close)
        return found

    def open_git() -> Git:
        from composer.runtime.build.context.git import Git

        held.callback(trim)
        return Git(f"{downloads}/git", environment)

    pause = threading.Event()

    def wait(seconds: float) -> None:
        pause.wait(seconds)

    return Fetching(downloads, open_transport, open_git, wait, Downloads(f"{downloads}/files"))


class Contexts:
    """The contexts of one build. What they need is let go of with ``held``. Safe for threads."""

    def __init__(
        self,
        request: Request,
        fetching: Fetching,
        held: contextlib.ExitStack,
        layout: Callable[[str], str],
        standard_input: BinaryIO | None = None,
    ) -> None:
        """``layout`` loads an OCI layout (``PATH:TAG``, ``PATH@DIGEST``) into the store; it returns the image's id."""
        self._request, self._fetching, self._held, self._layout = request, fetching, held, layout
        self._standard_input = standard_input
        self._lock = threading.Lock()
        self._open: dict[str, Context] = {}
        self._images: dict[str, str] = {}

    def main(self) -> Context:
        """Open the build context, with the Dockerfile."""
        request = self._request
        return self._held.enter_context(
            open_context(
                request.context,
                self._fetching,
                dockerfile=request.dockerfile,
                inline=request.inline,
                standard_input=self._standard_input,
            )
        )

    def image(self, name: str) -> str | None:
        """Return the reference of the image that a named context is; None for one that is files."""
        kind, rest = classify(self._request.contexts[name])
        if kind is Kind.IMAGE:
            return rest
        if kind is not Kind.LAYOUT:
            return None
        with self._lock:
            if name not in self._images:
                self._images[name] = self._layout(rest)
            return self._images[name]

    def named(self, name: str) -> Context:
        """Return a named context that is files."""
        with self._lock:
            if name not in self._open:
                text = self._request.contexts[name]
                if classify(text)[0] in (Kind.TARGET, Kind.SERVICE, Kind.INPUT):
                    raise BuildFailed(
                        f"cannot use '{text}' as named context '{name}'",
                        hint="give a directory, a URL, a git repository or docker-image://NAME",
                    )
                opened = open_context(text, self._fetching, needs_dockerfile=False)
                self._open[name] = self._held.enter_context(opened)
            return self._open[name]
