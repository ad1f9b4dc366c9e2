"""A build in the words of Docker's classic builder: one step after the other, each with what it led to.

Stages are built side by side. The lines of one step come together all the same: a step that begins while another one
is shown waits for its end.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.runtime.build.requests import News

_SHORT = 12


class Classic:
    """Lines of a build. Safe for threads."""

    def __init__(
        self, write: Callable[[Any], None], base: Callable[[str], str], *, quiet: bool = False
    ) -> None:
        """``base`` returns the id of the image that a FROM names; empty where it is none."""
        self._write, self._base, self._quiet = write, base, quiet
        self._lock = threading.Lock()
        self._total = self._count = 0
        self._shown: int | None = None
        self._names: dict[int, str] = {}
        self._waiting: dict[int, deque[News]] = {}

    def tell(self, news: News) -> None:
        if self._quiet:
            return
        with self._lock:
            if news.kind == "planned":
                self._total += int(news.text)
            elif news.kind == "warning":
                self._say(f"[Warning] {news.text}\n")
            elif not news.vertex.name.startswith("[internal]"):
                self._take(news)

    def _take(self, news: News) -> None:
        number = news.vertex.number
        if self._shown is None:
            self._shown = number
        if number != self._shown:
            self._waiting.setdefault(number, deque()).append(news)
            return
        if self._show(news):
            self._next()

    def _next(self) -> None:
        """Show the steps that waited, in the order in which they began, as far as they have come."""
        self._shown = None
        while self._waiting:
            number = next(iter(self._waiting))
            self._shown = number
            has_ended = False
            for news in self._waiting.pop(number):
                has_ended |= self._show(news)
            if not has_ended:
                return  # it goes on
            self._shown = None

    def _show(self, news: News) -> bool:
        """Show what happened; return whether the step has come to its end."""
        name = news.vertex.name
        if news.kind == "begun":
            if not name.startswith("exporting"):
                self._count += 1
                self._say(f"Step {self._count}/{max(self._total, self._count)} : {name}")
                self._say("\n")
            return False
        if name.startswith("exporting"):
            return news.kind in ("done", "failed")
        if news.kind == "line":
            self._say(f"{news.text}\n")
        elif news.kind == "cached" and not name.startswith("FROM"):
            self._say(" ---> Using cache\n")
        elif news.kind == "result":
            self._say(f" ---> {self._id(name, news.text)}\n")
            return True
        return news.kind == "failed"

    def _id(self, name: str, key: str) -> str:
        """Return twelve digits for what a step led to: an image's where it is one, else those of its files."""
        words = [word for word in name.split()[1:] if not word.startswith("--")]
        found = self._base(words[0]) if name.startswith("FROM ") and words else ""
        return (found.removeprefix("sha256:") or key)[:_SHORT]

    def _say(self, text: str) -> None:
        self._write({"stream": text})
