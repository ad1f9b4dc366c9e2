"""A socket between us and the engine, on which a test can make the engine slow, or let it go away."""

from __future__ import annotations

import pathlib
import re
import socket
import threading
import time
from types import TracebackType


class Proxy:
    """Forwards a Unix socket. ``delay_s`` is added to every piece that the engine sends.

    ``ends_at``: when a request that matches comes, the engine is gone in the way of a restart: every connection is
    closed, and nobody listens any more. ``gone`` is set then.
    """

    def __init__(
        self, directory: pathlib.Path, upstream: str, *, delay_s: float = 0, ends_at: str = ""
    ) -> None:
        self.url = f"unix://{directory}/proxy.sock"
        self.gone = threading.Event()
        self._upstream, self._delay_s = upstream.removeprefix("unix://"), delay_s
        self._ends_at = re.compile(ends_at.encode()) if ends_at else None
        self._path = directory / "proxy.sock"
        self._open: list[socket.socket] = []
        self.asked = b""
        self._pumps: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        for pump in self._pumps:
            pump.join(5)
        for one in self._open:
            one.close()

    def end(self) -> None:
        """Go away as an engine does that is stopped."""
        self._path.unlink(missing_ok=True)
        self._listener.close()
        self.gone.set()
        for one in self._open:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed already

    def _accept(self) -> None:
        while not self.gone.is_set():
            try:
                ours, _ = self._listener.accept()
                theirs = socket.socket(socket.AF_UNIX)
                self._open += [ours, theirs]
                theirs.connect(self._upstream)
            except OSError:
                return
            for source, target, is_request in ((ours, theirs, True), (theirs, ours, False)):
                pump = threading.Thread(target=self._pump, args=(source, target, is_request), daemon=True)
                self._pumps.append(pump)
                pump.start()

    def _pump(self, source: socket.socket, target: socket.socket, is_request: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                if is_request:
                    self.asked += data
                if is_request and self._ends_at and self._ends_at.search(data):
                    self.end()
                    return
                if not is_request and self._delay_s:
                    time.sleep(self._delay_s)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one side hung up
