"""A container's first process, as the supervisor has it: its number, a descriptor of it, and its cgroup."""

from __future__ import annotations

import errno
import os
import signal

from composer.runtime.base import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.runtime.container.cgroups import Cgroup
    from composer.runtime.tasks.services import Services


class FirstProcess:
    """``pid`` is 0 and ``pidfd`` -1 while there is none. The keeper has the descriptor too."""

    def __init__(self, services: Services, id: str, cgroup: Cgroup) -> None:
        self._services, self._key = services, f"{id}/pidfd"
        self.cgroup = cgroup
        self.pid, self.pidfd = 0, -1

    def is_there(self) -> bool:
        return self.pidfd >= 0

    def take(self, pid: int, pidfd: int) -> None:
        """Be this process from now on."""
        self.adopt(pid, pidfd)
        self.hold()

    def adopt(self, pid: int, pidfd: int) -> None:
        """Be a process that a supervisor before this one started; the keeper has its descriptor, if there is one."""
        self.pid, self.pidfd = pid, pidfd

    def hold(self) -> None:
        """Let the keeper have the descriptor too."""
        self._services.keeper.hold({self._key: self.pidfd}, self.pid)

    def open(self) -> bool:
        """Open the descriptor of an adopted process if it is not open. Return False if that has just ended."""
        if self.pidfd < 0:
            try:
                self.take(self.pid, os.pidfd_open(self.pid))
            except ProcessLookupError:
                return False
        return True

    def watch(self, on_exit: Callable[[], None]) -> None:
        self._services.loop.watch(self.pidfd, lambda _: on_exit())

    def forget(self) -> None:
        """Stop watching."""
        if self.pidfd >= 0:
            self._services.loop.forget(self.pidfd)

    def signal(self, number: int) -> None:
        if self.pidfd >= 0:
            try:
                syscalls.pidfd_send_signal(self.pidfd, number)
            except OSError as error:
                if error.errno != errno.ESRCH:
                    raise

    def end(self) -> None:
        """Kill it while it is being started."""
        # By both ways: it may not have joined its cgroup yet, and in there it may have children.
        self.signal(signal.SIGKILL)
        self.cgroup.kill()

    def reap(self, *, wait: bool = False) -> int | None:
        """Return its wait status; None when nobody knows it (yet)."""
        return self._services.reaper.reap(self.pid, self.pidfd, wait=wait)

    def discard(self) -> None:
        """Reap it and let go of it."""
        if self.pidfd >= 0:
            self.forget()
            self.reap(wait=True)
            self._services.keeper.drop(self._key)
            os.close(self.pidfd)
            self.pidfd, self.pid = -1, 0

    def succeed(self, pid: int) -> None:
        """Let another process take the place of this one, which has ended; 0 where there is none.

        Raises OSError where that cannot be had in hand: it is ended then, for nobody else would.
        """
        self.forget()
        os.close(self.pidfd)
        self.pid, self.pidfd = 0, -1
        self._services.keeper.drop(self._key)
        if not pid:
            return
        # It is ours, and not reaped: the number is nobody else's.
        try:
            self.adopt(pid, os.pidfd_open(pid))
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        self.hold()
