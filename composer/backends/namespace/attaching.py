"""Being attached to a running container: its output as it comes, byte for byte, and its input and window.

Output is read from the log's files, behind the index that says what has come: no byte can be missed or come twice,
whatever happens to the supervisor meanwhile. Input goes straight into the container's pipe or terminal.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from typing import TYPE_CHECKING

from composer import errors
from composer.backends.namespace.client import checked
from composer.backends.namespace.runtime import console, logs, records, status, syscalls, wire
from composer.backends.namespace.session import write_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.backends.namespace.client import Client

_WATCHED = 0x00000002 | 0x00000100 | 0x00000080 | 0x00000400  # modify, create, moved to, removed itself


class AttachSession:
    """One attachment. ``begin`` runs once it watches, and is where the container is started."""

    def __init__(
        self,
        directory: str,
        *,
        stdin: bool,
        begin: Callable[[], None],
        lend: Callable[[], tuple[int, bool]],
        wait: Callable[[], int | None],
        kill: Callable[[str], None],
        from_start: bool,
    ) -> None:
        self._directory = directory
        # Not makedirs: of a container that removed itself meanwhile it would make half of one again.
        try:
            os.mkdir(f"{directory}/logs", 0o700)
        except FileExistsError:
            pass  # it ran before
        except FileNotFoundError:
            raise errors.NotFound("the container was removed") from None
        self._wait, self._kill = wait, kill
        self._chunks: deque[tuple[str, bytes]] = deque()
        self._input, self.tty = -1, False
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC)
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._position, self._ends = 0, [0, 0]
        self._inotify = syscalls.inotify_init()
        for path in (directory, f"{directory}/logs"):
            syscalls.inotify_add_watch(self._inotify, path, _WATCHED)
        if not from_start or os.path.exists(f"{directory}/logs/index"):
            for _ in self._fresh():
                pass  # what was said before is not for us
        self._thread = threading.Thread(target=self._pump, name="attach", daemon=True)
        try:
            begin()
            if stdin:
                self._input, self.tty = lend()
        except BaseException:
            self._close_descriptors()
            raise
        self._thread.start()

    def fileno(self) -> int:
        return self._reader

    def read(self) -> tuple[str, bytes] | None:
        if not os.read(self._reader, 1):
            return None
        return self._chunks.popleft()

    def _pump(self) -> None:
        """Move what comes to whoever reads; a byte in the pipe stands for each piece, its end for the end."""
        try:
            while True:
                is_over = not self._is_active()
                for chunk in self._fresh():
                    self._chunks.append(chunk)
                    os.write(self._writer, b".")
                if is_over:
                    return
                ready, _, _ = select.select([self._inotify, self._wake], [], [])
                if self._wake in ready:
                    return
                os.read(self._inotify, 1 << 16)
        except (FileNotFoundError, BrokenPipeError):
            return  # it was removed, or nobody reads any more
        finally:
            os.close(self._writer)

    def _is_active(self) -> bool:
        current = records.state(self._directory) or {}
        return current.get("status") in status.ACTIVE

    def _fresh(self) -> list[tuple[str, bytes]]:
        """Return what has come since the last call."""
        directory = f"{self._directory}/logs"
        self._position = max(self._position, logs.read_starts(directory)[2])
        try:
            with open(f"{directory}/index", "rb") as index:
                data = os.pread(index.fileno(), 1 << 20, self._position)
        except FileNotFoundError:
            return []
        whole = len(data) - len(data) % logs.RECORD.size
        self._position += whole
        found = []
        for _, stream, end in logs.RECORD.iter_unpack(data[:whole]):
            # What a limit drops from the front of a log reads as zeros, and its records as nothing.
            start = max(self._ends[stream], logs.read_starts(directory)[stream])
            if end <= start:
                continue
            with open(f"{directory}/{logs.STREAMS[stream]}", "rb") as file:
                chunk = os.pread(file.fileno(), end - start, start)
            dropped = max(0, logs.read_starts(directory)[stream] - start)
            found.append((logs.STREAMS[stream], chunk[dropped:]))
            self._ends[stream] = end
        return found

    def write(self, data: bytes) -> None:
        if self._input >= 0:
            write_all(self._input, data)

    def close_stdin(self) -> None:
        if self._input >= 0 and self.tty:
            self.write(b"\x04")
        elif self._input >= 0:
            os.close(self._input)
            self._input = -1

    def resize(self, rows: int, columns: int) -> None:
        if self.tty and self._input >= 0:
            console.set_size(self._input, rows, columns)

    def signal(self, number: int) -> None:
        self._kill(str(number))

    def wait(self) -> int:
        """Return the exit code; output that nobody has read is dropped."""
        code = self._wait()
        if code is None:
            raise errors.Unavailable("the container ended with an exit code that nobody could see")
        return code

    def close(self) -> None:
        os.write(self._waker, b".")
        self._thread.join(2)
        self._close_descriptors()

    def _close_descriptors(self) -> None:
        for fd in (self._reader, self._wake, self._waker, self._inotify, self._input):
            if fd >= 0:
                os.close(fd)
        self._input = -1


def lend_input(client: Client, id: str, *, once: bool) -> tuple[int, bool]:
    """Ask the supervisor for what writes to a container; return it, and whether it is a terminal."""
    connection = client.take()
    wire.send(connection, {"op": "attach", "id": id, "once": once})
    answer, descriptors = wire.receive(connection)
    if answer is None:
        raise errors.Unavailable("the supervisor went away while it was asked for a container's input")
    client.give_back(connection)
    checked(answer)
    return (descriptors[0] if descriptors else -1), bool(answer.get("tty"))
