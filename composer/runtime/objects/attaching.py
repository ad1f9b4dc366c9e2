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
from composer.runtime.base import records, status, syscalls
from composer.runtime.container import console
from composer.runtime.objects.session import write_all
from composer.runtime.streams import generations, seeking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from composer.runtime.objects.client import Client

_WATCHED = 0x00000002 | 0x00000100 | 0x00000080 | 0x00000400  # modify, create, moved to, removed itself


class AttachSession:
    """One attachment.

    ``begin`` runs once it watches, and is where the container is started. It returns what writes to the container (-1
    for nothing), and whether that is a terminal.
    """

    def __init__(
        self,
        directory: str,
        *,
        begin: Callable[[], tuple[int, bool]],
        wait: Callable[[], int | None],
        kill: Callable[[str], None],
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
        self._cursor = generations.Cursor(f"{directory}/logs")
        self._inotify = syscalls.inotify_init()
        for path in (directory, f"{directory}/logs"):
            syscalls.inotify_add_watch(self._inotify, path, _WATCHED)
        self._pass_over()
        self._thread = threading.Thread(target=self._pump, name="attach", daemon=True)
        self._is_closed = False
        try:
            self._input, self.tty = begin()
        except BaseException:
            self._close_descriptors()
            raise
        self._thread.start()
        threading.Thread(target=self._keep_watched, name="watch", daemon=True).start()

    def _pass_over(self) -> None:
        """Go to the end of the log: what was said before is not for us."""
        while True:
            with seeking.Seeker(f"{self._directory}/logs") as seeker:
                place = seeker.end()
            if place is None or self._cursor.seek(place.number, place.position, place.ends):
                return

    def _keep_watched(self) -> None:
        """Wait for the end at the supervisor, so that there is one: who asks brings it back when all were killed."""
        try:
            while self._is_active() and not self._is_closed:
                self._wait()
        except errors.ComposerError:
            return  # whoever waits for the exit code hears of it

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
                for chunk in self._cursor.chunks():
                    self._chunks.append((generations.STREAMS[chunk.stream], chunk.data))
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
            raise errors.Unavailable("the container exited, but its exit code is unknown")
        return code

    def close(self) -> None:
        self._is_closed = True
        os.write(self._waker, b".")
        self._thread.join(2)
        self._close_descriptors()

    def _close_descriptors(self) -> None:
        for fd in (self._reader, self._wake, self._waker, self._inotify, self._input):
            if fd >= 0:
                os.close(fd)
        self._input = -1


def lend_input(client: Client, id: str, **more: Any) -> tuple[int, bool]:
    """Ask the supervisor for what writes to a container; return it, and whether it is a terminal."""
    answer, descriptors = client.ask_for({"op": "attach", "id": id, **more})
    return _taken(answer, descriptors)


def start_with_input(client: Client, request: Mapping[str, Any]) -> tuple[int, bool]:
    """Start a container and return what writes to it. By one request: it may have ended when another one comes."""
    answer, descriptors = client.ask_for({**request, "attach": True})
    if (
        "lent" not in answer
    ):  # a supervisor that an earlier version started: it has to let go of the input by this
        return lend_input(client, request["id"], once=True)
    return _taken(answer, descriptors)


def _taken(answer: Mapping[str, Any], descriptors: list[int]) -> tuple[int, bool]:
    return (descriptors[0] if descriptors else -1), bool(answer.get("tty"))
