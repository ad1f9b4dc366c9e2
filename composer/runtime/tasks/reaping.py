"""How processes ended: from the kernel, or from the keeper, which reaps while no supervisor is there."""

from __future__ import annotations

import json
import os

from composer.runtime.base import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Reaper:
    """``exits`` is the file of the keeper's, ``boot`` the boot that its numbers must be of."""

    def __init__(self, exits: str, boot: str) -> None:
        self._path, self._boot = exits, boot
        self._exits: dict[int, int] = {}

    def reap(self, pid: int, pidfd: int, *, wait: bool = False) -> int | None:
        """Return a wait status, from whoever knows it; None when it is not known (yet)."""
        try:
            found = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | (0 if wait else os.WNOHANG))
            if found is None:
                return None
            exited = found.si_code == os.CLD_EXITED
            return found.si_status << 8 if exited else found.si_status & 0x7F
        except ChildProcessError:
            pass  # a child of a supervisor before this one: the keeper or pid 1 reaps it
        if pid in self._exits:
            return self._exits[pid]
        try:
            return syscalls.pidfd_exit_status(pidfd)
        except OSError:
            return None

    def seen(self, pid: int) -> int | None:
        """Return the wait status that the keeper has seen of a process, None where it has not."""
        return self._exits.get(pid)

    def read(self) -> None:
        """Read what the keeper reaped before this supervisor was there."""
        try:
            with open(self._path, "rb") as file:
                for line in file:
                    self._read_exit(line)
        except FileNotFoundError:
            return

    def _read_exit(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            if record["boot_id"] == self._boot:  # the same number means another process after a reboot
                self._exits[int(record["pid"])] = int(record["status"])
        except (ValueError, KeyError, TypeError):
            pass  # torn by a full disk: the keeper knows it, if it lives

    def saw_exit(self, message: Mapping[str, Any]) -> None:
        """Take in what the keeper reaped."""
        self._exits[int(message["reaped"])] = int(message["status"])
