"""Our input and output connected to a command somewhere else: raw mode, window size, signals, exit code.

With a terminal on both sides every key goes through, Ctrl-C included; without one, signals are passed on. The
terminal is put back however it ends.
"""

from __future__ import annotations

import os
import selectors
import signal
import threading
from contextlib import contextmanager, nullcontext, suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING

from composer.cli.keys import Watch
from composer.errors import BackendError, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TextIO

    from composer.cli.context import Context
    from composer.cli.safe import Safe
    from composer.engine.backend import Session

_CHUNK_BYTES = 65536
# Windows has the first two of these, and neither SIGWINCH nor termios.
_FORWARDED = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)
_OUTPUTS = frozenset(("stdout", "stderr"))
_KEYS = ("SIGINT", "SIGQUIT")
"""Signals that keys send: in raw mode the keys themselves go through."""


def converse(
    session: Session,
    context: Context,
    *,
    tty: bool,
    interactive: bool,
    signals: bool = True,
    detach: bytes = b"",
    streams: frozenset[str] = _OUTPUTS,
    on_detach: Callable[[], None] = lambda: None,
) -> int:
    """Copy in both directions until the command has ended; return its exit code.

    ``signals``: pass ours on. ``detach``: the keys after which it is left running, and the code is 0; ``on_detach`` is
    called then. ``streams``: which output is shown.
    """
    stdin = _descriptor(context.stdin) if interactive else None
    with (
        _raw(stdin if tty else None),
        _window(session, context.stdout if tty else None),
        _signals(session, tty) if signals else nullcontext(),
    ):
        if not _copy(session, stdin, context, Watch(detach), streams):
            on_detach()
            return 0
        return session.wait()


def run_created(context: Context, id: str, given: dict[str, Any], *, tty: bool) -> int:
    """Start a container and stay with it to its end; return its exit code. With ``detach`` print its id and leave it.

    ``given``: ``detach``, ``interactive`` and ``remove`` of the command, and where it has them ``detach_keys``,
    ``signals`` and ``streams`` as `converse` takes them. With ``remove`` nothing of it stays, whatever ends it, but
    what was detached from by keys; one that is left running from the start removes itself.
    """
    backend = context.backend()
    if given["detach"]:
        try:
            backend.start_container(id)
        except BackendError:
            if given["remove"]:
                backend.remove_container(id, force=True, volumes=True)
            raise
        context.write(id)
        return 0
    left: list[bool] = []
    try:
        session = backend.attach(id, stdin=given["interactive"], start=True)
        try:
            return converse(
                session,
                context,
                tty=tty,
                interactive=given["interactive"],
                signals=given.get("signals", True),
                detach=given.get("detach_keys", b""),
                streams=given.get("streams", _OUTPUTS),
                on_detach=lambda: left.append(True),
            )
        finally:
            session.close()
    finally:
        if given["remove"] and not left:
            backend.remove_container(id, force=True, volumes=True)


def _descriptor(stream: TextIO | Safe) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None


def _copy(
    session: Session, stdin: int | None, context: Context, watch: Watch, streams: frozenset[str]
) -> bool:
    """Copy until all output has come; False when the keys to detach came first."""
    with selectors.DefaultSelector() as selector:
        selector.register(session.fileno(), selectors.EVENT_READ, "session")
        if stdin is None:
            session.close_stdin()
        elif not _register(selector, stdin):
            # a plain file is always ready, and epoll does not take it
            _send_file(session, stdin)
        while True:
            for key, _ in selector.select():
                if key.data == "session":
                    chunk = session.read()
                    if chunk is None:
                        return True
                    if chunk[0] in streams:
                        _write(context, *chunk)
                elif _send(session, selector, key.fd, watch):
                    return False


def _register(selector: selectors.BaseSelector, stdin: int) -> bool:
    try:
        selector.register(stdin, selectors.EVENT_READ, "stdin")
    except PermissionError:
        return False
    return True


def _send(session: Session, selector: selectors.BaseSelector, stdin: int, watch: Watch) -> bool:
    """Pass on what was typed; True when that was the sequence that detaches."""
    data = os.read(stdin, _CHUNK_BYTES)
    try:
        if data:
            passed, detached = watch.feed(data)
            session.write(passed)
            return detached
        session.close_stdin()
    except BrokenPipeError:
        pass  # the command reads no more: what we have for it is for nobody
    selector.unregister(stdin)
    return False


def _send_file(session: Session, stdin: int) -> None:
    try:
        while data := os.read(stdin, _CHUNK_BYTES):
            session.write(data)
        session.close_stdin()
    except BrokenPipeError:
        pass  # as above


def _write(context: Context, name: str, data: bytes) -> None:
    stream = context.errors if name == "stderr" else context.stdout
    buffer = getattr(stream.raw, "buffer", None)
    if buffer is None:
        stream.raw.write(data.decode(errors="surrogateescape"))
    else:
        stream.flush()
        buffer.write(data)
    stream.flush()


@contextmanager
def _raw(descriptor: int | None) -> Iterator[None]:
    if descriptor is None:
        yield
        return
    try:
        import termios
        import tty
    except ModuleNotFoundError:
        raise Unsupported(
            "tty", "terminals are not supported on this system", hint="use -T, or WSL on Windows"
        ) from None
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def _window(session: Session, stream: Safe | None) -> Iterator[None]:
    """Keep the size of the terminal there equal to the size of ours."""
    if stream is None:
        yield
        return

    def resize(number: int = 0, frame: object = None) -> None:
        columns, rows = os.get_terminal_size(stream.fileno())
        session.resize(rows, columns)

    resize()
    if not hasattr(signal, "SIGWINCH"):
        yield
        return
    before = signal.signal(signal.SIGWINCH, resize)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


@contextmanager
def _signals(session: Session, tty: bool) -> Iterator[None]:
    """Pass signals on to the command. In raw mode the keys do that; only a closed terminal still signals."""
    numbers = [number for number in _FORWARDED if not (tty and number.name in _KEYS)]
    # a handler may come in the middle of anything, also of itself: it puts the number down, and a thread passes it on
    came: SimpleQueue[int | None] = SimpleQueue()

    def note(number: int, frame: object) -> None:
        came.put(number)

    def pass_on() -> None:
        while (number := came.get()) is not None:
            with suppress(BackendError):  # the command has ended meanwhile
                session.signal(number)

    try:
        before = [signal.signal(number, note) for number in numbers]
    except ValueError:
        yield  # not the main thread: signals are somebody else's
        return
    threading.Thread(target=pass_on, name="signals", daemon=True).start()
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
        came.put(None)
