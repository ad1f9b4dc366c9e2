"""The steps of a build as BuildKit's clients show them: vertices, their logs, and how they ended."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.runtime.build.requests import News

    Update = dict[str, Any]

_MOST_WAITING, _MOST_UNSEEN = 10_000, 1_000
"""How many updates are kept for a client that looks, and for one that may begin to."""
_EXPORTING = "exporting"


def moment(time_ns: int) -> dict[str, int]:
    seconds, nanos = divmod(time_ns, 1_000_000_000)
    return {"seconds": seconds, "nanos": nanos}


class Showing:
    """What a build tells, for one client that looks. Safe for threads.

    A client that looks late, or slowly, is told the rest; the build waits for it once too much is waiting.
    """

    def __init__(self, ref: str) -> None:
        self._ref = ref
        self._changed = threading.Condition()
        self._waiting: list[Update] = []
        self._vertices: dict[int, dict[str, Any]] = {}
        self._is_over = self._is_looked_at = False

    def tell(self, news: News) -> None:
        update = self._update(news)
        if update is not None:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._is_over or not self._is_looked_at or len(self._waiting) < _MOST_WAITING
                )
                if len(self._waiting) < (_MOST_WAITING if self._is_looked_at else _MOST_UNSEEN):
                    self._waiting.append(update)
                self._changed.notify_all()

    def warn(self, text: str) -> None:
        self._add({"warnings": [{"vertex": self._digest(0), "level": 1, "short": text.encode()}]})

    def _add(self, update: Update) -> None:
        with self._changed:
            self._waiting.append(update)
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def updates(self) -> Iterator[Update]:
        """Yield what happens until the build's end, what came together as one."""
        with self._changed:
            self._is_looked_at = True
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting or self._is_over)
                    found, self._waiting = self._waiting, []
                    self._changed.notify_all()
                if not found:
                    return
                yield _joined(found)
        finally:
            with self._changed:
                self._is_looked_at = False
                self._changed.notify_all()

    def _digest(self, number: int) -> str:
        return f"sha256:{hashlib.sha256(f'{self._ref}/{number}'.encode()).hexdigest()}"

    def _update(self, news: News) -> Update | None:
        number, now = news.vertex.number, moment(time.time_ns())
        if news.kind == "warning":
            return {"warnings": [{"vertex": self._digest(0), "level": 1, "short": news.text.encode()}]}
        vertex = self._vertices.setdefault(
            number, {"digest": self._digest(number), "name": news.vertex.name, "started": now}
        )
        if news.kind == "line":
            if news.vertex.name.startswith(_EXPORTING):
                return {"statuses": [self._status(vertex, news.text, now)]}
            line = {
                "vertex": vertex["digest"],
                "timestamp": now,
                "stream": 1,
                "msg": f"{news.text}\n".encode(),
            }
            return {"logs": [line]}
        if news.kind == "cached":
            vertex.update(cached=True, completed=now)
        elif news.kind == "done":
            vertex["completed"] = now
        elif news.kind == "failed":
            vertex.update(completed=now, error=news.text)
        elif news.kind != "begun":
            return None
        return {"vertices": [dict(vertex)]}

    def _status(self, vertex: Mapping[str, Any], text: str, now: dict[str, int]) -> dict[str, Any]:
        return {
            "ID": text,
            "name": text,
            "vertex": vertex["digest"],
            "timestamp": now,
            "started": now,
            "completed": now,
        }


def _joined(found: list[Update]) -> Update:
    joined: Update = {}
    for update in found:
        for key, values in update.items():
            joined.setdefault(key, []).extend(values)
    return joined
