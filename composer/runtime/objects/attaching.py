"""Being attached to a running container: its output as it comes, byte for byte, and its input and window.

Output is read from the log's files, behind the index that says what has come: no byte can be missed or come twice,
whatever happens to the supervisor meanwhile. Input goes straight into the container's pipe or terminal.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING

from composer import errors
from composer.runtime.base import records, status, wire
from composer.runtime.objects.client import Abandoned
from composer.runtime.objects.session import ProgramInput
from composer.runtime.streams import generations, seeking, watching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from composer.runtime.objects.client import Client

_AHEAD_BYTES = 1 << 18
"""So much is read before somebody takes it: a slow reader must not have us keep a fast program's output."""
_PIECE_BYTES = 64
"""What a piece costs beside its data; so there are fewer pieces than the pipe has room for bytes."""
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
        wait: Callable[[int], int | None],
        kill: Callable[[str], None],
    ) -> None:
        self._directory = directory
        # Not makedirs: of a container that removed itself meanwhile it would make half of one again.
        try:
            try:
                os.mkdir(f"{directory}/logs", 0o700)
            except FileExistsError:
                pass  # it ran before
            generations.begin(f"{directory}/logs")
        except FileNotFoundError:
            raise errors.NotFound("the container was removed") from None
        self._wait, self._kill = wait, kill
        self._chunks: deque[tuple[str, bytes]] = deque()
        self._ahead_bytes = 0
        self._room = threading.Condition()
        self._input, self.tty = ProgramInput(), False
        self._is_closed = False
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC)
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._cursor = generations.Cursor(f"{directory}/logs")
        self._watch: watching.Watch | None = None
        self._thread = threading.Thread(target=self._pump, name="attach", daemon=True)
        # a descriptor of its own: it may be asking for a supervisor yet when all others are closed
        ended = os.dup(self._wake)
        watch = threading.Thread(target=self._keep_watched, args=(ended,), name="watch", daemon=True)
        try:
            self._watch_files()
            lent, self.tty = begin()
            self._input = ProgramInput(lent)
            self._thread.start()
            watch.start()
        except BaseException as error:
            self._give_up(ended)
            if isinstance(error, FileNotFoundError):
                raise errors.NotFound("the container was removed") from None
            if isinstance(error, RuntimeError):
                raise errors.Unavailable("there is no memory for another attachment") from error
            raise

    def _watch_files(self) -> None:
        self._watch = watching.watch()
        for path in (self._directory, f"{self._directory}/logs"):
            self._watch.add(path, _WATCHED)
        self._pass_over()
        # One that removes itself goes in the moment in which it ends, with its last lines.
        self._cursor.hold()

    def _give_up(self, ended: int) -> None:
        """Close what there is of one that did not come to be."""
        if self._thread.ident is None:
            os.close(self._writer)
            self._close_descriptors()
        else:
            self.close()
        os.close(ended)

    def _pass_over(self) -> None:
        """Go to the end of the log: what was said before is not for us."""
        while True:
            with seeking.Seeker(f"{self._directory}/logs") as seeker:
                place = seeker.end()
            if place is None or self._cursor.seek(place.number, place.position, place.ends):
                return

    def _keep_watched(self, ended: int) -> None:
        """Wait for the end at the supervisor, so that there is one: who asks brings it back when all were killed."""
        try:
            while self._is_active() and not self._is_closed:
                self._wait(ended)
        except (errors.ComposerError, Abandoned):
            return  # whoever waits for the exit code hears of it, or nobody is attached any more
        finally:
            os.close(ended)

    def fileno(self) -> int:
        return self._reader

    def read(self) -> tuple[str, bytes] | None:
        if not os.read(self._reader, 1):
            return None
        with self._room:
            found = self._chunks.popleft()
            self._ahead_bytes -= _PIECE_BYTES + len(found[1])
            self._room.notify()
        return found

    def _put(self, stream: str, data: bytes) -> bool:
        """Hand on a piece once there is room for it; return whether somebody is there yet."""
        with self._room:
            self._room.wait_for(lambda: self._is_closed or self._ahead_bytes < _AHEAD_BYTES)
            if self._is_closed:
                return False
            self._chunks.append((stream, data))
            self._ahead_bytes += _PIECE_BYTES + len(data)
        os.write(self._writer, b".")
        return True

    def _pump(self) -> None:
        """Move what comes to whoever reads; a byte in the pipe stands for each piece, its end for the end."""
        try:
            assert self._watch is not None
            while True:
                is_over = not self._is_active()
                for chunk in self._cursor.chunks():
                    if not self._put(generations.STREAMS[chunk.stream], chunk.data):
                        return
                if is_over or self._wake in wire.await_readable((self._watch.fd, self._wake)):
                    return
                self._watch.drain()
        except (FileNotFoundError, BrokenPipeError):
            return  # it was removed, or nobody reads any more
        finally:
            os.close(self._writer)

    def _is_active(self) -> bool:
        current = records.state(self._directory) or {}
        return current.get("status") in status.ACTIVE

    def write(self, data: bytes) -> None:
        self._input.write(data)

    def close_stdin(self) -> None:
        if self.tty:
            self.write(b"\x04")
        else:
            self._input.close()

    def resize(self, rows: int, columns: int) -> None:
        if self.tty:
            self._input.resize(rows, columns)

    def signal(self, number: int) -> None:
        self._kill(str(number))

    def wait(self) -> int:
        """Return the exit code; output that nobody has read is dropped."""
        code = self._wait(-1)
        if code is None:
            raise errors.Unavailable("the container exited, but its exit code is unknown")
        return code

    def close(self) -> None:
        with self._room:
            self._is_closed = True
            self._room.notify()
        os.write(self._waker, b".")
        self._thread.join(2)
        self._close_descriptors()

    def _close_descriptors(self) -> None:
        self._cursor.close()
        if self._watch is not None:
            self._watch.close()
        for fd in (self._reader, self._wake, self._waker):
            if fd >= 0:
                os.close(fd)
        self._input.close()


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
