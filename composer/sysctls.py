"""Which kernel settings (sysctls) belong to a container: those of a namespace that it has to itself.

Every other one would change the whole machine. The names are those that Docker Engine and OCI runtimes accept.
"""

from __future__ import annotations

from composer.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PART = pattern(r"[A-Za-z0-9_@:+-]+\Z")
_OF_IPC = frozenset(
    f"kernel.{name}" for name in "msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced".split()
)
_KNOWN = "use kernel.msg*, kernel.sem, kernel.shm*, fs.mqueue.* or net.*"
_LEAST_PARTS = {"net": 3, "fs": 3}


def namespace_of(name: str) -> str | None:
    """Return the kind of namespace that a setting belongs to: ``network``, ``ipc``, ``uts``; None for the machine's."""
    if name in _OF_IPC or name.startswith("fs.mqueue."):
        return "ipc"
    if name == "kernel.domainname":
        return "uts"
    return "network" if name.startswith("net.") else None


def find_fault(name: str, shared: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """Return (reason, remedy) where a container cannot have a setting.

    ``shared``: the kinds of namespaces that are not its own, and what says so (``{"network": "network_mode: host"}``).
    """
    parts = name.split(".")
    if not all(_PART.match(part) for part in parts) or len(parts) < _LEAST_PARTS.get(parts[0], 2):
        return f"invalid kernel setting name '{name}'", "use dots, such as net.core.somaxconn"
    kind = namespace_of(name)
    if name == "kernel.hostname":
        return "kernel.hostname is set by the attribute hostname", "use hostname"
    if kind is None:
        return f"'{name}' is a setting of the whole host, not of a container", _KNOWN
    owner = (shared or {}).get(kind)
    if owner:
        return (
            f"'{name}' would change a namespace that is not the container's own ({owner})",
            f"remove it or {owner}",
        )
    return None


def find_faults(attributes: Mapping[str, object]) -> list[tuple[str | int, str, str]]:
    """Return (key or index, reason, remedy) of each setting of a Compose service that it cannot have."""
    value = attributes.get("sysctls") or {}
    if isinstance(value, dict):
        entries: list[tuple[str | int, str]] = [(name, str(name)) for name in value]
    elif isinstance(value, list):
        entries = [(index, str(entry).partition("=")[0]) for index, entry in enumerate(value)]
    else:
        return []
    shared = shared_namespaces(attributes)
    found = []
    for key, name in entries:
        fault = find_fault(name, shared)
        if fault:
            found.append((key, *fault))
    return found


def shared_namespaces(attributes: Mapping[str, object]) -> dict[str, str]:
    """Return which namespaces a Compose service does not have to itself, with the words that say so."""
    written = {"network": "network_mode", "ipc": "ipc", "uts": "uts"}
    found = {}
    for kind, attribute in written.items():
        mode = str(attributes.get(attribute) or "")
        if mode == "host" or mode.startswith(("service:", "container:")):
            found[kind] = f"{attribute}: {mode}"
    return found
