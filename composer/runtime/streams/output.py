"""Moving a running container's output into its log, from its FIFOs or from its terminal."""

from __future__ import annotations

import os

from composer.runtime.streams import forwarding, generations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from composer.runtime.supervision.task import Task

_FULL_DISK_PAUSE_S = 1.0
_READ_BYTES = 1 << 16


class Output:
    """What one container writes. ``console`` is the master of its terminal, -1 when it has none.

    ``forwarder`` sends what is in the log elsewhere, where that was asked for.
    """

    __slots__ = ("_stopped", "_task", "_unwritten", "console", "forwarder")

    def __init__(self, task: Task) -> None:
        self._task = task
        self._stopped = True
        self._unwritten = b""
        self.console = -1
        self.forwarder: forwarding.Forwarder | None = None

    def take_console(self, master: int) -> None:
        self.console = master
        os.set_blocking(master, False)
        self._task.supervisor.keeper.hold({f"{self._task.id}/console": master})

    def watch(self) -> None:
        """Move output as it comes. A terminal's cannot be spliced: it passes through here."""
        self._stopped = False
        wanted = self._task.own.get("forward")
        if wanted and self.forwarder is None:
            self.forwarder = forwarding.Forwarder(self._task.supervisor.loop, self._task.bundle, wanted)
            self.forwarder.look()  # what an earlier run, or a supervisor before this one, left unsent
        if self.console >= 0:
            self._watch_console()
            return
        for stream in range(len(generations.STREAMS)):
            self._watch_stream(stream)

    def _watch_stream(self, stream: int) -> None:
        log = self._task.log
        if log is not None and not self._stopped:
            self._task.supervisor.loop.watch(log.readers()[stream], lambda _: self._pump(stream))

    def _pump(self, stream: int) -> None:
        log, loop = self._task.log, self._task.supervisor.loop
        if log is not None and not log.pump_if_room(stream):
            # The program waits, as it would on a full disk of its own, and goes on when there is room.
            loop.forget(log.readers()[stream])
            loop.after(_FULL_DISK_PAUSE_S, lambda: self._watch_stream(stream))
        if self.forwarder is not None:
            self.forwarder.look()

    def _on_console(self) -> None:
        self._read_console()
        if self._unwritten:
            # As above: the program waits when the terminal has all that it takes.
            self._task.supervisor.loop.forget(self.console)
            self._task.supervisor.loop.after(_FULL_DISK_PAUSE_S, self._watch_console)

    def _watch_console(self) -> None:
        if self.console >= 0 and not self._stopped:
            self._task.supervisor.loop.watch(self.console, lambda _: self._on_console())

    def _read_console(self) -> bool:
        """Move what the terminal shows; False when nothing came, or there is no room for it."""
        log = self._task.log
        if self._unwritten and log is not None:
            self._unwritten = self._unwritten[log.append(0, self._unwritten) :]
            if self._unwritten:
                return False
        try:
            data = os.read(self.console, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # EIO: nobody has the terminal open any more
        if data and log is not None:
            self._unwritten = data[log.append(0, data) :]
            if self.forwarder is not None:
                self.forwarder.look()
        elif not data:
            self._task.supervisor.loop.forget(self.console)
        return bool(data)

    def stop(self) -> None:
        """Stop watching; what a terminal still shows is read first."""
        self._stopped = True
        loop = self._task.supervisor.loop
        if self.console >= 0:
            while self._read_console():
                pass
            loop.forget(self.console)
            os.close(self.console)
            self.console = -1
            self._task.supervisor.keeper.drop(f"{self._task.id}/console")
        if self._task.log is not None:
            for fd in self._task.log.readers():
                loop.forget(fd)
        if self.forwarder is not None:
            self.forwarder.look(last=True)
            self.forwarder.close()
            self.forwarder = None
