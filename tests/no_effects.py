"""Services of the runtime that take every call and have no effect: for tests of what uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Nothing:
    """Takes every call, and has no effect."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *arguments, **named: None


class NoNetworks(Nothing):
    """Has no network, and takes everything back."""

    def __init__(self) -> None:
        self.firewall = Nothing()

    def plan(
        self, container: str, wanted: Sequence[Any], present: Sequence[Any] = (), former: str = ""
    ) -> list[Any]:
        """Return the endpoints that would be made: none."""
        return []


class NoCgroup(Nothing):
    """Has no process in it."""

    name = "none"

    def apply(self, resources: Mapping[str, Any]) -> list[str]:
        """Return the limits that could not be set: none."""
        return []

    def oom_kills(self) -> int:
        """Return how often the kernel killed for want of memory: never."""
        return 0

    def remove(self) -> bool:
        """Say that nothing is left of it."""
        return True
