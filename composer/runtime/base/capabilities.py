"""Linux capabilities: names, Docker's rules for choosing them, and giving up the others.

Names are without ``CAP_`` and in upper case, sets are frozensets of them. Nothing here imports or reads files
after it was loaded, so that all of it may be used between fork and exec. Spec: capabilities(7), capset(2).
"""

from __future__ import annotations

import ctypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# In the order of their numbers (linux/capability.h); 40 came with Linux 5.9.
_ALL = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT
SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP
MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
_DEFAULT = """
CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL
AUDIT_WRITE
"""
NAMES = tuple(_ALL.split())
_NUMBERS = {name: number for number, name in enumerate(NAMES)}

DEFAULT: frozenset[str] = frozenset(_DEFAULT.split())
"""What Docker gives a container that asks for nothing."""

_VERSION_3 = 0x20080522
_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 23, 24, 47, 4
_EINVAL = 22

_libc = ctypes.PyDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def known() -> frozenset[str]:
    """Return the capabilities that the running kernel knows."""
    return frozenset(name for name, number in _NUMBERS.items() if _bounding(number) is not None)


def bounding() -> frozenset[str]:
    """Return the bounding set of the calling thread: what it could give to a container."""
    return frozenset(name for name, number in _NUMBERS.items() if _bounding(number))


def resolve(
    cap_add: Iterable[str] = (), cap_drop: Iterable[str] = (), *, privileged: bool = False
) -> frozenset[str]:
    """Return a container's capabilities by Docker's rules. Raises Unsupported for a name that is none.

    ``ALL`` in ``cap_add`` starts from everything, in ``cap_drop`` from nothing; then what is added is added,
    and what is dropped by name is dropped, which therefore wins. A privileged container has everything.
    Everything is what this process's bounding set holds, since more cannot be given.
    """
    add, drop = _normalise("cap_add", cap_add), _normalise("cap_drop", cap_drop)
    if privileged:
        return bounding()
    if "ALL" in add:
        return bounding() - drop
    if "ALL" in drop:
        return add
    return (DEFAULT | add) - drop


def mask(names: Iterable[str]) -> int:
    """Return the bit mask of a set of capabilities."""
    return sum(1 << _NUMBERS[name] for name in set(names))


def names(mask: int) -> frozenset[str]:
    """Return the set of a bit mask, as /proc/PID/status prints it."""
    return frozenset(name for name, number in _NUMBERS.items() if mask >> number & 1)


def drop_bounding(keep: frozenset[str]) -> None:
    """Drop from the bounding set of the calling thread what is not in ``keep``; before the user changes."""
    kept = mask(keep)
    # Beyond the names that we know too: a newer kernel's capability must not stay. EINVAL is the end.
    for number in range(64):
        if not kept >> number & 1 and _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0):
            if ctypes.get_errno() == _EINVAL:
                return
            raise OSError(ctypes.get_errno(), f"cannot drop capability {number} from the bounding set")


def apply(keep: frozenset[str], *, effective: frozenset[str] | None = None) -> None:
    """Set permitted to ``keep`` and effective to ``effective`` (or ``keep``); inheritable and ambient become
    empty.

    Call it after the user changed, with PR_SET_KEEPCAPS set before that. Raises PermissionError when ``keep``
    has what the thread does not have itself.
    """
    permitted = mask(keep)
    active = permitted if effective is None else mask(effective)
    header = _Header(_VERSION_3, 0)
    data = (_Data * 2)()
    for word in range(2):
        shift = 32 * word
        data[word] = _Data((active >> shift) & 0xFFFFFFFF, (permitted >> shift) & 0xFFFFFFFF, 0)
    if _libc.capset(ctypes.byref(header), ctypes.byref(data)):
        raise OSError(ctypes.get_errno(), "cannot set the capabilities")
    if _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) and ctypes.get_errno() != _EINVAL:
        raise OSError(ctypes.get_errno(), "cannot clear the ambient capabilities")


def _bounding(number: int) -> bool | None:
    result: int = _libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0)
    return None if result < 0 else bool(result)


def _normalise(attribute: str, given: Iterable[str]) -> frozenset[str]:
    found = set()
    for one in given:
        name = one.upper().removeprefix("CAP_")
        if name != "ALL" and name not in _NUMBERS:
            raise _unknown(attribute, one)
        found.add(name)
    return frozenset(found)


def _unknown(attribute: str, name: str) -> Exception:
    import difflib

    from composer.errors import Unsupported

    near = difflib.get_close_matches(name.upper().removeprefix("CAP_"), NAMES, 1)
    hint = f"did you mean {near[0]}?" if near else "use a name of capabilities(7)"
    return Unsupported(attribute, f"invalid capability: {name}", hint=hint)
