"""Removing containers' cgroups, which the kernel keeps busy for moments after the last process has gone."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.runtime.base.loop import Loop
    from composer.runtime.container.cgroups import Cgroup

_ATTEMPTS = 100
_PAUSE_S = 0.002


class CgroupRemoval:
    """Tries until a cgroup has gone; ``on_gone`` is called for one that did not go at once."""

    def __init__(self, loop: Loop, on_gone: Callable[[], None]) -> None:
        self._loop, self._on_gone = loop, on_gone
        self._busy: set[str] = set()

    def is_busy(self) -> bool:
        return bool(self._busy)

    def remove(self, cgroup: Cgroup, attempt: int = 0) -> None:
        if attempt and cgroup.name not in self._busy:
            return  # a new start has taken it over
        if cgroup.remove() or attempt >= _ATTEMPTS:
            self._busy.discard(cgroup.name)
            if attempt:
                self._on_gone()
            return
        self._busy.add(cgroup.name)
        self._loop.after(_PAUSE_S * (attempt + 1), lambda: self.remove(cgroup, attempt + 1))

    def keep(self, cgroup: Cgroup) -> None:
        """Take a cgroup back from its removal: the container starts again."""
        self._busy.discard(cgroup.name)
