"""Things to do later, each by a name: whoever sets one anew, or ends, takes the one before back."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.runtime.base.loop import Loop, Timer


class Timers:
    """Timers of one container."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._timers: dict[str, Timer] = {}

    def after(self, name: str, delay_s: float, call: Callable[[], None]) -> None:
        self.cancel(name)
        self._timers[name] = self._loop.after(delay_s, call)

    def cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def cancel_all(self) -> None:
        for name in list(self._timers):
            self.cancel(name)
