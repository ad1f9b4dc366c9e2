"""A start in progress: the conversation with a container's first process, until that executes the program.

What it says, and what it is told, is in the docstring of `container.container`.
"""

from __future__ import annotations

from composer.runtime.base import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any, Protocol

    from composer.runtime.base.loop import Loop
    from composer.runtime.container.birth import Note

    class Listener(Protocol):
        """Who goes on with the start, by what the first process says."""

        def on_ready(self) -> None: ...
        def on_executed(self) -> None: ...
        def on_failed(self, message: str, exit_code: int) -> None: ...
        def on_name_sockets(self, descriptors: list[int]) -> None: ...
        def on_console(self, master: int) -> None: ...


class Start:
    """``sync`` is our end of the conversation. ``warnings`` are of what the machine cannot do.

    ``note`` says who takes the first process's place, where its pid namespace is another's; None where nobody does,
    or has done so.
    """

    __slots__ = (
        "_is_told",
        "_listener",
        "_loop",
        "_on_error",
        "_ready",
        "_sync",
        "note",
        "preparer",
        "warnings",
    )

    def __init__(
        self,
        loop: Loop,
        listener: Listener,
        on_error: Callable[[BaseException], None],
        *,
        sync: socket.socket,
        note: Note | None,
        warnings: list[str],
        preparer: object | None,
    ) -> None:
        self._loop, self._sync = loop, sync
        self._listener, self._on_error = listener, on_error
        self.note, self.warnings = note, warnings
        self.preparer = preparer
        """Who prepared it and may take that back; None once somebody has asked for the start."""
        self._ready = False
        self._is_told = False
        """Whether the word to execute the program has been given."""

    def begin(self) -> None:
        """Listen. Nobody else that is born has the note."""
        if self.note is not None:
            self.note.keep_from_children()
        self._loop.watch(self._sync.fileno(), lambda _: self.hear())

    def tell(self, message: dict[str, Any]) -> None:
        try:
            wire.send(self._sync, message)
        except OSError:
            pass  # it died before; its report is waiting to be read

    def give_the_word(self) -> None:
        """Let it execute the program. Raises OSError where it has died."""
        self._is_told = True
        wire.send(self._sync, {"start": True})

    def hear(self) -> None:
        """Take the next message. What goes wrong with it ends the start: nobody would wait for it any more."""
        try:
            self._on_message(*wire.receive(self._sync))
        except Exception as error:
            self._on_error(error)
            self._listener.on_failed(f"{error}", 125)

    def _on_message(self, message: dict[str, Any] | None, descriptors: list[int]) -> None:
        if message is None:
            if self._is_told:
                self._listener.on_executed()
            else:
                self._listener.on_failed("the container exited while it was being set up", 125)
        elif "error" in message:
            self._listener.on_failed(message["error"], message["exit_code"])
        elif self._ready:
            wire.close_all(
                descriptors
            )  # nothing else is due: it may be the container's own process that speaks
        elif "sockets" in message:
            self._listener.on_name_sockets(descriptors)
        elif "console" in message:
            self._listener.on_console(descriptors[0])
        elif "ready" in message:
            self.warnings += message["warnings"]
            self._ready = True
            self._listener.on_ready()

    def last_words(self) -> dict[str, Any] | None:
        """Return what it said before it died, where that is an error and has come."""
        if not wire.is_readable(self._sync.fileno()):
            return None
        message, descriptors = wire.receive(self._sync)
        wire.close_all(descriptors)
        return message if message is not None and "error" in message else None

    def is_ready(self) -> bool:
        """Tell whether it waits for the word, and nobody has to take its place before."""
        return self._ready and self.note is None

    def take_note(self) -> Note | None:
        """Return the note, once."""
        note, self.note = self.note, None
        return note

    def was_asked_for(self) -> None:
        """Be the real start from now on."""
        self.preparer = None

    def close(self) -> None:
        self._loop.forget(self._sync.fileno())
        self._sync.close()
