"""The way to the keeper. What it is given to hold is remembered, for a keeper may be killed too."""

from __future__ import annotations

import time

from composer.runtime.base import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from typing import Any

    from composer.runtime.base.loop import Loop
    from composer.runtime.tasks.reaping import Reaper

_SHORT_LIFE_S, _LONGEST_PAUSE_S = 1.0, 5.0


class KeeperLink:
    """``start`` starts another keeper and returns the way to it; it raises OSError where there is no room for one."""

    def __init__(
        self,
        loop: Loop,
        reaper: Reaper,
        peer: socket.socket,
        *,
        start: Callable[[], socket.socket],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._loop, self._reaper, self._peer = loop, reaper, peer
        self._start_keeper, self._on_error = start, on_error
        self._started_s = time.monotonic()
        self._pause_s = 0.0
        self._held: dict[str, tuple[int, int]] = {}

    def restore(self) -> dict[str, tuple[int, int]]:
        """Take back what a supervisor before this one gave to the keeper: (descriptor, pid) by key."""
        found: dict[str, tuple[int, int]] = {}
        while True:
            message, descriptors = wire.receive(self._peer)
            if message is None or "restored" in message:
                return found
            if "reaped" in message:
                self._reaper.saw_exit(message)
            elif "held" in message:
                found[message["held"]] = (descriptors[0], int(message["pid"]))
                self._held[message["held"]] = found[message["held"]]

    def watch(self) -> None:
        self._loop.watch(self._peer.fileno(), lambda _: self._on_message())

    def hold(self, descriptors: Mapping[str, int], pid: int = 0) -> None:
        """Let the keeper keep duplicates, by key. They must stay open here until `drop`."""
        if descriptors:
            self._held.update({key: (fd, pid) for key, fd in descriptors.items()})
            self._send({"hold": list(descriptors), "pid": pid}, list(descriptors.values()))

    def drop(self, *keys: str) -> None:
        dropped = [key for key in keys if self._held.pop(key, None) is not None]
        if dropped:
            self._send({"drop": dropped})

    def bye(self) -> None:
        self._send({"bye": True})

    def _send(self, message: Mapping[str, Any], descriptors: tuple[int, ...] | list[int] = ()) -> None:
        try:
            wire.send(self._peer, message, descriptors)
        except OSError:
            pass  # it is dead: `_on_message` sees the end, starts another and sends everything again

    def _on_message(self) -> None:
        try:
            message, descriptors = wire.receive(self._peer)
        except OSError:
            message, descriptors = None, []
        wire.close_all(descriptors)
        if message is None:
            self._replace()
        elif "reaped" in message:
            self._reaper.saw_exit(message)

    def _replace(self) -> None:
        """Start another keeper; where the last one did not live for long, after a pause that grows."""
        self._loop.forget(self._peer.fileno())
        self._peer.close()
        lived_s = time.monotonic() - self._started_s
        self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2 + 0.05) if lived_s < _SHORT_LIFE_S else 0.0
        self._loop.after(self._pause_s, self._start)

    def _start(self) -> None:
        self._started_s = time.monotonic()
        try:
            self._peer = self._start_keeper()
        except OSError as error:
            self._on_error(error)  # no room for its log, no process: there may be later
            self._loop.after(_LONGEST_PAUSE_S, self._start)
            return
        for key, (fd, pid) in self._held.items():
            self._send({"hold": [key], "pid": pid}, [fd])
        self.watch()
