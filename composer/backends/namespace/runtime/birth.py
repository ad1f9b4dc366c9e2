"""Processes that are born in a pid namespace which others can already look into.

A process is visible in a pid namespace from its birth. Whoever has SYS_PTRACE there may then open its root, its
descriptors and its memory through /proc, whatever PR_SET_DUMPABLE says. So a helper that nobody there can see does
everything that takes rights or shows the host, and then clones a process that has just the container's root,
directory, namespaces, capabilities and filter. It is the supervisor's own child (CLONE_PARENT).

Facts: pid_namespaces(7), clone(2), ptrace(2) under "Ptrace access mode checking".
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import struct

from composer.backends.namespace.runtime import console, process, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NOTE_BYTES = 4096
_NUMBER = struct.Struct("=i")


class Note:
    """Memory that a helper shares with the supervisor to report its result. The helper's children do not have it.

    Memory and not a descriptor: a descriptor could be taken from the process that is born inside, and a number
    written into it would be that of somebody else's process.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _NOTE_BYTES)

    def write(self, **values: Any) -> None:
        """Write the report, once: ``error`` and ``exit_code``."""
        data = json.dumps(values).encode()
        if len(data) > _NOTE_BYTES - _NUMBER.size:
            data = json.dumps({**values, "error": str(values["error"])[: _NOTE_BYTES // 16]}).encode()
        self._memory[_NUMBER.size : _NUMBER.size + len(data)] = data

    def number(self) -> ctypes.c_int:
        """Return the place for the number of the process that is born: the kernel writes it there."""
        self._memory[: _NUMBER.size] = bytes(_NUMBER.size)  # the page is there, whatever the cgroup's limit
        return ctypes.c_int.from_buffer(self._memory)

    def keep_from_children(self) -> None:
        """Exclude this memory from all processes that this one clones later."""
        self._memory.madvise(mmap.MADV_DONTFORK)

    def read(self) -> dict[str, Any]:
        """Return the helper's report and free the memory: ``pid``, or what `write` was given.

        Empty if the helper died before it reported. It is killed with the container: it is in its cgroup.
        """
        (pid,) = _NUMBER.unpack_from(self._memory)
        data = self._memory[_NUMBER.size :].rstrip(b"\0")
        self._memory.close()
        if pid:
            return {"pid": pid}
        try:
            found: dict[str, Any] = json.loads(data) if data else {}
        except ValueError:
            found = {}  # it was killed while it wrote
        return found


def give(note: Note) -> bool:
    """Clone this process into the joined pid namespace. Return True in the helper, False in the clone."""
    note.keep_from_children()
    try:
        pid = syscalls.clone_sibling(note.number())
    except OSError as error:
        hint = "; the container's seccomp profile has to allow clone" if error.errno == errno.EPERM else ""
        raise process.ProcessFailed(
            f"cannot make a process inside: {os.strerror(error.errno or 0)}{hint}", 126
        ) from None
    return bool(pid)


def lead_session(*, has_terminal: bool) -> None:
    """Begin a session in the new process, which gets its terminal that way."""
    try:
        os.setsid()
        if has_terminal:
            console.take_control()
    except OSError as error:
        # Without a terminal the helper's own session, which nobody is left in, does as well.
        if has_terminal:
            raise process.ProcessFailed(f"cannot take the terminal: {error.strerror}", 126) from None
