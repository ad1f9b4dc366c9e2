"""Linux capabilities: names, Docker's rules for choosing them, and giving up the others.

Names are without ``CAP_`` and in upper case, sets are frozensets of them. Spec: capabilities(7).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT: frozenset[str] = frozenset(
    ["CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"]
)
"""What Docker gives a container that asks for nothing."""


def known() -> frozenset[str]:
    """Return the capabilities that the running kernel knows."""
    raise NotImplementedError


def resolve(
    cap_add: Iterable[str] = (), cap_drop: Iterable[str] = (), *, privileged: bool = False
) -> frozenset[str]:
    """Return a container's capabilities by Docker's rules. Raises Unsupported for a name that the kernel does not know."""
    raise NotImplementedError


def mask(names: Iterable[str]) -> int:
    """Return the bit mask of a set of capabilities."""
    raise NotImplementedError


def drop_bounding(keep: frozenset[str]) -> None:
    """Drop from the bounding set of the calling thread what is not in ``keep``; before the user changes."""
    raise NotImplementedError


def apply(keep: frozenset[str], *, effective: frozenset[str] | None = None) -> None:
    """Set permitted to ``keep`` and effective to ``effective`` (or ``keep``); inheritable and ambient become empty.

    Call it after the user changed, with PR_SET_KEEPCAPS set before that.
    """
    raise NotImplementedError
