"""A conversation with a command elsewhere, through a real pseudo-terminal."""

from __future__ import annotations

import io
import os
import pty
import signal
import socket
import termios
import threading
import time
from collections.abc import Iterator
from typing import TextIO

import pytest

from composer.cli.context import Context
from composer.cli.terminal import converse


class Remote:
    """A command that echoes what it reads in capitals, and ends with 5 at the end of its input or at ``q``."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.sizes: list[tuple[int, int]] = []
        self.signals: list[int] = []
        self.thread = threading.Thread(target=self.echo)
        self.thread.start()

    def echo(self) -> None:
        while (data := self.theirs.recv(1000)) and data != b"q":
            self.theirs.sendall(data.upper())
        self.theirs.close()

    def fileno(self) -> int:
        return self.ours.fileno()

    def read(self) -> tuple[str, bytes] | None:
        data = self.ours.recv(1000)
        return ("stdout", data) if data else None

    def write(self, data: bytes) -> None:
        self.ours.sendall(data)

    def close_stdin(self) -> None:
        self.ours.shutdown(socket.SHUT_WR)

    def resize(self, rows: int, columns: int) -> None:
        self.sizes.append((rows, columns))

    def signal(self, number: int) -> None:
        self.signals.append(number)

    def wait(self) -> int:
        self.thread.join(5)
        return 5

    def close(self) -> None:
        self.ours.close()


@pytest.fixture
def remote() -> Iterator[Remote]:
    made = Remote()
    yield made
    made.close()
    made.thread.join(5)


def context(stdin: TextIO, stdout: TextIO) -> Context:
    return Context({}, stdin=stdin, stdout=stdout, stderr=io.StringIO(), working_dir="/")


def test_keys_go_through_raw_and_the_terminal_is_put_back(remote: Remote) -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (30, 90))
    before = termios.tcgetattr(slave)
    with os.fdopen(slave, "r+b", buffering=0) as raw, io.TextIOWrapper(raw, write_through=True) as terminal:
        os.write(master, b"")
        during: list[bool] = []

        def type_keys() -> None:
            while termios.tcgetattr(slave)[3] & termios.ICANON:
                pass  # raw mode is about to come
            during.append(True)
            os.write(master, b"a\x03")
            assert os.read(master, 2) == b"A\x03", "Ctrl-C is a key like any other"
            termios.tcsetwinsize(slave, (20, 80))
            os.kill(os.getpid(), signal.SIGWINCH)
            os.write(master, b"q")

        typist = threading.Thread(target=type_keys)
        typist.start()
        assert converse(remote, context(terminal, terminal), tty=True, interactive=True) == 5  # type: ignore[arg-type]
        typist.join(5)
        assert during == [True]
        assert remote.sizes[0] == (30, 90)
        assert remote.sizes[-1] == (20, 80)
        assert termios.tcgetattr(slave) == before
    os.close(master)


def test_a_pipe_is_read_to_its_end(remote: Remote) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"hello")
    os.close(writer)
    out = io.StringIO()
    with os.fdopen(reader) as stdin:
        assert converse(remote, context(stdin, out), tty=False, interactive=True) == 5  # type: ignore[arg-type]
    assert out.getvalue() == "HELLO"


def test_a_file_is_read_to_its_end(remote: Remote, tmp_path: object) -> None:
    path = f"{tmp_path}/input"
    with open(path, "w") as file:
        file.write("from a file")
    out = io.StringIO()
    with open(path) as stdin:
        assert converse(remote, context(stdin, out), tty=False, interactive=True) == 5  # type: ignore[arg-type]
    assert out.getvalue() == "FROM A FILE"


def test_without_input_the_command_sees_the_end_at_once(remote: Remote) -> None:
    out = io.StringIO()
    assert converse(remote, context(io.StringIO(), out), tty=False, interactive=True) == 5  # type: ignore[arg-type]


def test_signals_are_passed_on_without_a_terminal(remote: Remote) -> None:
    reader, writer = os.pipe()

    def terminate() -> None:
        while signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:  # it would end the tests
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        os.close(writer)

    sender = threading.Thread(target=terminate)
    sender.start()
    with os.fdopen(reader) as stdin:
        converse(remote, context(stdin, io.StringIO()), tty=False, interactive=True)  # type: ignore[arg-type]
    sender.join(5)
    assert remote.signals == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
