"""The process's output as commands see it: what fails is said in one line, and progress never decides what is done.

`Output` is for what a command was asked for: a full disk is an `OutputFailed`, a reader that went away stays a
BrokenPipeError. `Progress` is for what is told meanwhile: where it cannot be written, nobody hears of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.errors import OutputFailed

if TYPE_CHECKING:
    from typing import TextIO


class Output:
    """A text stream whose failures are errors of ours. ``name`` is what it is called in them."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name = stream, name
        self.is_abandoned = False
        """Set once the reader is not waited for: buffered output is then not flushed either."""

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            raise self._failure(error) from None

    def flush(self) -> None:
        if self.is_abandoned:
            return
        try:
            self._stream.flush()
        except OSError as error:
            raise self._failure(error) from None

    def abandon(self) -> None:
        """Do not flush at the end: a thread may be in a write that waits for the reader."""
        self.is_abandoned = True

    def _failure(self, error: OSError) -> Exception:
        if isinstance(error, BrokenPipeError):
            return error
        return OutputFailed(f"cannot write to {self._name}: {(error.strerror or str(error)).lower()}")

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._stream, name)
        return _Bytes(self, found) if name == "buffer" else found


class _Bytes:
    """The bytes beneath an `Output`."""

    def __init__(self, output: Output, stream: Any) -> None:
        self._output, self._stream = output, stream

    def write(self, data: bytes) -> int:
        try:
            written: int = self._stream.write(data)
        except OSError as error:
            raise self._output._failure(error) from None
        return written

    def flush(self) -> None:
        if self._output.is_abandoned:
            return
        try:
            self._stream.flush()
        except OSError as error:
            raise self._output._failure(error) from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Progress:
    """A text stream whose failures are passed over: what it says is not what the command is for."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, OutputFailed):
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, OutputFailed):
            return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
