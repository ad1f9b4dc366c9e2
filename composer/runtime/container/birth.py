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

from composer.runtime.base import syscalls
from composer.runtime.container import console, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NOTE_BYTES = 4096
_NUMBER_BYTES = ctypes.sizeof(ctypes.c_int)


class Note:
    """Memory that a helper shares with the supervisor to report its result. The helper's children do not have it.

    Memory and not a descriptor: a descriptor could be taken from the process that is born inside, and a number
    written into it would be that of somebody else's process. The number of that process is first, written by the
    kernel: a helper that is killed as soon as it has cloned (a stop, no memory left) leaves a child of the supervisor
    that has to be reaped, or the end of its container would wait for it.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _NOTE_BYTES)
        self.number = ctypes.c_int.from_buffer(self._memory)
        self.number.value = 0  # the page is there from now on: a fault could fail for want of memory

    def fail(self, error: str, exit_code: int) -> None:
        """Report, once, why there is no process."""
        data = json.dumps({"error": error, "exit_code": exit_code}).encode()
        if len(data) > _NOTE_BYTES - _NUMBER_BYTES:
            data = json.dumps({"error": error[: _NOTE_BYTES // 16], "exit_code": exit_code}).encode()
        self._memory[_NUMBER_BYTES : _NUMBER_BYTES + len(data)] = data

    def keep_from_children(self) -> None:
        """Exclude this memory from all processes that this one clones later."""
        self._memory.madvise(mmap.MADV_DONTFORK)

    def read(self) -> tuple[int, dict[str, Any]]:
        """Return the number of the new process (0 for none) and the helper's report; free the memory."""
        number, data = self.number.value, self._memory[_NUMBER_BYTES:].rstrip(b"\0")
        del self.number
        self._memory.close()
        try:
            return number, json.loads(data) if data else {}
        except ValueError:
            return number, {}  # it was killed while it wrote


def give(note: Note) -> bool:
    """Clone this process into the joined pid namespace. Return True in the helper, False in the clone."""
    note.keep_from_children()
    try:
        return bool(syscalls.clone_sibling(note.number))
    except OSError as error:
        hint = "; the container's seccomp profile must allow clone" if error.errno == errno.EPERM else ""
        raise process.ProcessFailed(
            f"cannot create a process inside: {os.strerror(error.errno or 0)}{hint}", 126
        ) from None


def lead_session(*, has_terminal: bool) -> None:
    """Begin a session in the new process, which gets its terminal that way."""
    try:
        os.setsid()
        if has_terminal:
            console.take_control()
    except OSError as error:
        # Without a terminal the helper's own session, which nobody is left in, does as well.
        if has_terminal:
            raise process.ProcessFailed(f"cannot acquire the terminal: {error.strerror}", 126) from None
