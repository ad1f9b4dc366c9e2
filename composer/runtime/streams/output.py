"""Moving a running container's output into its log, from its FIFOs or from its terminal."""

from __future__ import annotations

import os

from composer.runtime.base import files
from composer.runtime.streams import forwarding, generations, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from composer.runtime.base.loop import Loop
    from composer.runtime.streams.holding import Holder

_FULL_DISK_PAUSE_S = 1.0
_READ_BYTES = 1 << 16


class Output:
    """What one container writes. ``console`` is the master of its terminal, -1 when it has none.

    ``forwarder`` sends what is in the log elsewhere, where that was asked for.
    """

    __slots__ = (
        "_bundle",
        "_holder",
        "_id",
        "_log",
        "_loop",
        "_stopped",
        "_unwritten",
        "console",
        "forwarder",
    )

    def __init__(self, loop: Loop, holder: Holder, id: str, bundle: str) -> None:
        self._loop, self._holder, self._id, self._bundle = loop, holder, id, bundle
        self._log: log.Log | None = None
        self._stopped = True
        self._unwritten = b""
        self.console = -1
        self.forwarder: forwarding.Forwarder | None = None

    # -------------------------------------------------------------- the log

    def open_log(self, limits: Mapping[str, Any] | None) -> None:
        """Open the log and its FIFOs. The keeper holds these too: what is in a FIFO that nobody has open is gone."""
        if self._log is None:
            self._log = log.Log(self._bundle, limits)
            fds = zip(generations.STREAMS, self._log.readers(), strict=True)
            self._holder.hold({f"{self._id}/{stream}": fd for stream, fd in fds})

    def drain(self) -> None:
        """Move what is left in the FIFOs."""
        if self._log is not None:
            self._log.drain()

    def close_log(self, safely: Callable[..., None]) -> None:
        """Close the log and remove its FIFOs; what goes wrong is told by ``safely``."""
        if self._log is not None:
            self._log.close()
            self._log = None
        for stream in generations.STREAMS:
            self._holder.drop(f"{self._id}/{stream}")
            safely(files.remove_file, log.fifo_path(self._bundle, stream))

    # -------------------------------------------------------------- moving

    def adopt(self, master: int) -> None:
        """Take over the terminal that an earlier supervisor had; -1 for none."""
        self.console = master

    def take_console(self, master: int) -> None:
        self.console = master
        os.set_blocking(master, False)
        self._holder.hold({f"{self._id}/console": master})

    def lend_console(self) -> int:
        """Return a duplicate of the terminal's master."""
        return os.dup(self.console)

    def watch(self, forward: Mapping[str, Any] | None) -> None:
        """Move output as it comes. A terminal's cannot be spliced: it passes through here."""
        self._stopped = False
        if forward and self.forwarder is None:
            self.forwarder = forwarding.Forwarder(self._loop, self._bundle, forward)
            self.forwarder.look()  # what an earlier run, or a supervisor before this one, left unsent
        if self.console >= 0:
            self._watch_console()
            return
        for stream in range(len(generations.STREAMS)):
            self._watch_stream(stream)

    def _watch_stream(self, stream: int) -> None:
        if self._log is not None and not self._stopped:
            self._loop.watch(self._log.readers()[stream], lambda _: self._pump(stream))

    def _pump(self, stream: int) -> None:
        if self._log is not None and not self._log.pump_if_room(stream):
            # The program waits, as it would on a full disk of its own, and goes on when there is room.
            self._loop.forget(self._log.readers()[stream])
            self._loop.after(_FULL_DISK_PAUSE_S, lambda: self._watch_stream(stream))
        if self.forwarder is not None:
            self.forwarder.look()

    def _on_console(self) -> None:
        self._read_console()
        if self._unwritten:
            # As above: the program waits when the terminal has all that it takes.
            self._loop.forget(self.console)
            self._loop.after(_FULL_DISK_PAUSE_S, self._watch_console)

    def _watch_console(self) -> None:
        if self.console >= 0 and not self._stopped:
            self._loop.watch(self.console, lambda _: self._on_console())

    def _read_console(self) -> bool:
        """Move what the terminal shows; False when nothing came, or there is no room for it."""
        if self._unwritten and self._log is not None:
            self._unwritten = self._unwritten[self._log.append(0, self._unwritten) :]
            if self._unwritten:
                return False
        try:
            data = os.read(self.console, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # EIO: nobody has the terminal open any more
        if data and self._log is not None:
            self._unwritten = data[self._log.append(0, data) :]
            if self.forwarder is not None:
                self.forwarder.look()
        elif not data:
            self._loop.forget(self.console)
        return bool(data)

    def stop(self) -> None:
        """Stop watching; what a terminal still shows is read first."""
        self._stopped = True
        if self.console >= 0:
            while self._read_console():
                pass
            self._loop.forget(self.console)
            os.close(self.console)
            self.console = -1
            self._holder.drop(f"{self._id}/console")
        if self._log is not None:
            for fd in self._log.readers():
                self._loop.forget(fd)
        if self.forwarder is not None:
            self.forwarder.look(last=True)
            self.forwarder.close()
            self.forwarder = None
