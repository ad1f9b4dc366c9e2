"""Where in a container nothing may be mounted, as far as the text says it: for `lint`, and before any effect.

Runtimes compare what they have opened, and refuse what a link of an image leads to as well; the list is runc's.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_IN_PROC = frozenset(
    "cpuinfo diskstats meminfo stat swaps uptime loadavg slabinfo sys/kernel/ns_last_pid "
    "sys/crypto/fips_enabled".split()
)
_PROC = "/proc"

HINT = "use another directory in the container"


def problem(target: str, source: str | None = None) -> str | None:
    """Return why nothing can be mounted at ``target``; ``source`` is the directory of the host that is bound."""
    if not target.startswith("/"):
        return "the path must be absolute"
    path = _clean(target)
    if path == "/":
        return "mounting over the root directory is not allowed"
    if path == _PROC:
        is_procfs = source is not None and _clean(source) == _PROC
        return None if is_procfs else "only the host's /proc may be mounted at /proc"
    if path.startswith(f"{_PROC}/") and path.removeprefix(f"{_PROC}/") not in _IN_PROC:
        return "mounts inside /proc are not allowed"
    return None


def problems(service: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Yield the place, the target and the reason of each mount of a canonical service that cannot be."""
    for section in ("volumes", "configs", "secrets"):
        for index, entry in enumerate(service.get(section) or ()):
            target = entry.get("target") if isinstance(entry, dict) else None
            if not isinstance(target, str) or (section != "volumes" and not target.startswith("/")):
                continue  # a name below the directory of configs or secrets
            source = entry.get("source") if entry.get("type") == "bind" else None
            reason = problem(target, source if isinstance(source, str) else None)
            if reason:
                yield (section, index), target, reason
    entries = service.get("tmpfs") or ()
    for index, entry in enumerate([entries] if isinstance(entries, str) else entries):
        target = str(entry).partition(":")[0]
        reason = problem(target)
        if reason:
            yield ("tmpfs", index), target, reason


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))
