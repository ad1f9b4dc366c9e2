"""The engine's events, of one project or of all, as they come.

A thread reads the answer and puts what it finds on a queue; so `EngineEvents.next` can wait for a time, and
`close` can come from anywhere. The engine does not say whether a container that died will be started again by its
restart policy, and our events do: its state at that moment tells.
"""

from __future__ import annotations

import json
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from composer.backends.docker import failures
from composer.backends.docker.http import Broken
from composer.engine.observed import Event
from composer.errors import BackendError

if TYPE_CHECKING:
    from composer.backends.docker.client import Client

_KINDS = ("container", "network", "volume", "image")


class EngineEvents:
    """Events from the moment of the call: the engine sends its headers once it has subscribed us."""

    def __init__(
        self,
        client: Client,
        project: str | None,
        since_ns: int | None = None,
        until_ns: int | None = None,
    ) -> None:
        filters: dict[str, list[str]] = {"type": list(_KINDS)}
        if project is not None:
            filters["label"] = [f"com.docker.compose.project={project}"]
        self._client = client
        query = {"filters": filters, "since": _seconds(since_ns), "until": _seconds(until_ns)}
        self._response = client.open("/events", query)
        self._ends = until_ns is not None
        self._queue: SimpleQueue[Event | BackendError | None] = SimpleQueue()
        self._closed = False
        threading.Thread(target=self._pump, name="docker events", daemon=True).start()

    def _pump(self) -> None:
        is_whole = False
        try:
            for line in self._response.lines():
                if line.strip():
                    self._queue.put(self._read(json.loads(line)))
            is_whole = self._ends
        except (Broken, BackendError, OSError, ValueError):
            pass  # told below, unless it was us who hung up
        finally:
            is_fine = self._closed or is_whole
            self._queue.put(None if is_fine else failures.lost(self._client.endpoint.url))
            self._response.close()

    def _read(self, entry: dict[str, Any]) -> Event:
        actor = entry.get("Actor") or {}
        kind, action = entry.get("Type") or "", entry.get("Action") or ""
        attributes = {str(key): str(value) for key, value in (actor.get("Attributes") or {}).items()}
        id = str(actor.get("ID") or "")
        if kind == "container" and action == "die":
            attributes["willRestart"] = "true" if self._is_restarting(id) else "false"
        if action.startswith("health_status:"):
            action, _, health = action.partition(":")
            attributes["health_status"] = health.strip()
        time_ns = int(entry.get("timeNano") or int(entry.get("time") or 0) * 1_000_000_000)
        return Event(time_ns, kind, action, id, attributes)

    def _is_restarting(self, id: str) -> bool:
        if self._closed:
            return False
        try:
            entry = self._client.get(f"/containers/{id}/json")
        except BackendError:
            return False  # it was removed as it ended, or the engine is going
        state = entry["State"]
        return bool(state.get("Restarting") or (state.get("Running") and entry.get("RestartCount")))

    def next(self, timeout_s: float | None) -> Event | None:
        try:
            found = self._queue.get(timeout=timeout_s)
        except Empty:
            return None
        if isinstance(found, Event):
            return found
        self._queue.put(found)  # the end stays the end
        if found is not None and not self._closed:
            raise found
        return None

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._response.connection.interrupt()


def _seconds(time_ns: int | None) -> str | None:
    """Return a time as the engine reads it: Unix seconds with nine digits behind the point."""
    return None if time_ns is None else f"{time_ns // 1_000_000_000}.{time_ns % 1_000_000_000:09}"
