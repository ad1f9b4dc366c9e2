"""What a container needs of the others that its supervisor has."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Neighbour(Protocol):
        def is_active(self) -> bool: ...


class Neighbours:
    """``find`` raises KeyError; ``forget`` lets go of one.

    ``on_ended`` is told when one has nothing left to do, ``on_changed`` when the program of one (its id) has been
    executed, or its health has changed.
    """

    __slots__ = ("find", "forget", "on_changed", "on_ended")

    def __init__(
        self,
        *,
        find: Callable[[str], Neighbour],
        forget: Callable[[str], None],
        on_ended: Callable[[], None],
        on_changed: Callable[[str], None],
    ) -> None:
        self.find, self.forget = find, forget
        self.on_ended, self.on_changed = on_ended, on_changed
