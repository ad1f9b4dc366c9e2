"""Output on its way to syslog and the journal: what is sent, in which form, and from where after a failure."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import re
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from composer.runtime.base.loop import Loop
from composer.runtime.objects import log_options
from composer.runtime.streams.forwarding import Forwarder

_OWN = {"id": "ab" * 32, "name": "shop-web-1"}


def _wanted(driver: str, **options: str) -> dict[str, Any]:
    config: dict[str, Any] = {"composer": dict(_OWN)}
    log_options.apply(
        config, {"driver": driver, "options": {k.replace("_", "-"): v for k, v in options.items()}}
    )
    log_options.finish(config["composer"], image="nginx:1", image_id="sha256:" + "cd" * 32)
    found: dict[str, Any] = config["composer"]["forward"]
    return found


class Receiver:
    """A Unix datagram socket, and a container's directory whose log goes there."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.path = directory / "receiver"
        self.bundle = directory / "bundle"
        (self.bundle / "logs").mkdir(parents=True)
        self.loop = Loop(_raise)
        self.forwarders: list[Forwarder] = []
        for stream in ("stdout", "stderr", "index"):
            (self.bundle / "logs" / stream).touch()
        self.open()

    def open(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(self.path))

    def shut(self) -> None:
        self.socket.close()
        self.path.unlink()

    def write(self, text: str, stream: str = "stdout") -> None:
        with open(self.bundle / "logs" / stream, "a") as file:
            file.write(text)

    def forwarder(self, wanted: dict[str, Any] | None = None, **options: str) -> Forwarder:
        made = Forwarder(self.loop, str(self.bundle), wanted or self.wanted("syslog", **options))
        self.forwarders.append(made)
        return made

    def wanted(self, driver: str, **options: str) -> dict[str, Any]:
        if driver == "syslog":
            options["syslog_address"] = f"unixgram://{self.path}"
        return {**_wanted(driver, **options), "address": f"unixgram://{self.path}"}

    def received(self, count: int = 1) -> list[str]:
        return [one.decode() for one in self.raw(count)]

    def raw(self, count: int = 1) -> list[bytes]:
        """Return what has come, ``count`` messages or more: on a busy machine a turn may end before it has sent one."""
        found: list[bytes] = []

        def read() -> None:
            while True:
                try:
                    found.append(self.socket.recv(1 << 16))
                except BlockingIOError:
                    break
            self.loop.stop() if len(found) >= count else self.loop.after(0.001, read)

        self.loop.after(0, read)
        self.loop.run()
        return found


def _raise(error: BaseException) -> None:
    raise error


@pytest.fixture
def receiver(tmp_path: pathlib.Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    yield made
    for forwarder in made.forwarders:
        forwarder.close()
    made.socket.close()
    made.loop.close()


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ({}, r"<30>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d abababababab\[\d+\]: hello\n"),
        ({"tag": "{{.Name}}/{{.ImageName}}"}, r"<30>.* shop-web-1/nginx:1\[\d+\]: hello\n"),
        ({"syslog_facility": "local3"}, r"<158>.*: hello\n"),
        ({"syslog_format": "rfc3164"}, r"<30>\w+ [ \d]\d [\d:]{8} \S+ abababababab\[\d+\]: hello\n"),
        (
            {"syslog_format": "rfc5424micro"},
            r"<30>1 \d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}[+-]\d\d:\d\d \S+ (\S+) \d+ \1 - hello\n",
        ),
    ],
)
def test_a_line_has_the_form_that_was_asked_for(
    receiver: Receiver, options: dict[str, str], pattern: str
) -> None:
    receiver.write("hello\n")
    receiver.forwarder(**options).look()  # type: ignore[arg-type]
    (message,) = receiver.received()
    assert re.fullmatch(pattern, message), message


def test_errors_have_another_severity_and_lines_wait_for_their_end(receiver: Receiver) -> None:
    forwarder = receiver.forwarder()
    receiver.write("half")
    receiver.write("bad\n", "stderr")
    forwarder.look()
    assert [one.partition(">")[0] for one in receiver.received()] == ["<27"]
    receiver.write(" and half\nrest")
    forwarder.look()
    assert [one.partition(": ")[2] for one in receiver.received()] == ["half and half\n"]
    forwarder.look(last=True)
    assert [one.partition(": ")[2] for one in receiver.received()] == ["rest\n"]


def test_what_a_receiver_that_is_away_missed_is_sent_when_it_is_back(receiver: Receiver) -> None:
    forwarder = receiver.forwarder()
    receiver.write("one\n")
    forwarder.look()
    assert len(receiver.received()) == 1
    receiver.shut()
    receiver.write("two\nthree\n")
    forwarder.look()
    forwarder.close()
    receiver.open()
    receiver.forwarder().look()  # another supervisor, from what is on the disk
    assert [one.partition(": ")[2] for one in receiver.received(2)] == ["two\n", "three\n"]


def test_a_long_line_goes_in_pieces(receiver: Receiver) -> None:
    receiver.write("x" * 40_000 + "\n")
    receiver.forwarder().look()
    pieces = [one.partition(": ")[2].rstrip("\n") for one in receiver.received(3)]
    assert [len(piece) for piece in pieces] == [16384, 16384, 40_000 - 2 * 16384]


def test_the_journal_gets_fields(receiver: Receiver) -> None:
    receiver.write("hello\n\n")
    receiver.forwarder(receiver.wanted("journald", tag="{{.Name}}")).look()
    (entry,) = receiver.raw()
    fields = dict(line.split("=", 1) for line in entry.decode().splitlines())
    assert fields["MESSAGE"] == "hello"
    assert fields["PRIORITY"] == "6"
    assert fields["CONTAINER_NAME"] == "shop-web-1"
    assert fields["CONTAINER_TAG"] == fields["SYSLOG_IDENTIFIER"] == "shop-web-1"
    assert fields["CONTAINER_ID_FULL"] == "ab" * 32


def test_a_field_with_a_newline_goes_with_its_length(receiver: Receiver) -> None:
    wanted = receiver.wanted("journald")
    wanted["fields"] = {"NOTE": "a\nb"}
    receiver.write("x\n")
    receiver.forwarder(wanted).look()
    assert receiver.raw()[0].startswith(b"NOTE\n" + struct.pack("<Q", 3) + b"a\nb\n")


def test_a_stream_takes_messages_one_after_the_other(receiver: Receiver) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    receiver.write("".join(f"line {n}\n" for n in range(100)))
    wanted = _wanted("syslog", syslog_address=f"tcp://localhost:{port}")
    assert wanted["address"] == f"tcp://127.0.0.1:{port}"
    forwarder = receiver.forwarder(wanted)
    server.settimeout(0.5)
    for _ in range(120):  # a connection that a busy machine did not make in time is tried again
        forwarder.look()
        with contextlib.suppress(TimeoutError):
            connection, _ = server.accept()
            break
    else:
        pytest.fail("no connection was made")
    connection.setblocking(False)
    data = b""

    def read() -> None:
        nonlocal data
        with contextlib.suppress(BlockingIOError):  # a connection that was still being made is tried again
            data += connection.recv(1 << 16)
        receiver.loop.stop() if data.count(b"\n") >= 100 else receiver.loop.after(0.01, read)

    receiver.loop.after(0, read)
    receiver.loop.run()
    forwarder.close()
    assert [line.partition(": ")[2] for line in data.decode().splitlines()] == [
        f"line {n}" for n in range(100)
    ]
    connection.close()
    server.close()


def test_a_receiver_that_is_slower_gets_all_as_fast_as_it_takes_it(receiver: Receiver) -> None:
    """A Unix socket has room for a handful of datagrams; whoever waits a second for each would never be done."""
    receiver.write("".join(f"line {n}\n" for n in range(500)))
    receiver.forwarder().look()
    found = receiver.received(500)
    assert [one.partition(": ")[2] for one in found] == [f"line {n}\n" for n in range(500)]


def test_a_long_backlog_lets_others_have_their_turn(receiver: Receiver) -> None:
    target = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    target.bind(("127.0.0.1", 0))
    receiver.write("x" * 60 + "\n", "stderr")
    receiver.write(("x" * 60 + "\n") * 100_000)
    forwarder = receiver.forwarder(
        _wanted("syslog", syslog_address=f"udp://127.0.0.1:{target.getsockname()[1]}")
    )
    left: list[int] = []

    def turn() -> None:
        left.append(100_000 * 61 - forwarder._sent[0])
        receiver.loop.after(0.01, turn) if left[-1] == left[0] else receiver.loop.stop()

    turn()
    forwarder.look()
    receiver.loop.run()
    assert left[0] > left[-1] > 0, "others had their turn when nothing was left to send"
    target.close()


def test_a_full_disk_is_no_reason_to_stop(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    receiver.write("hello\n")
    receiver.forwarder().look()
    assert len(receiver.received()) == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"syslog_address": "http://x"}, "invalid syslog-address"),
        ({"syslog_facility": "nobody"}, "syslog-facility 'nobody'"),
        ({"syslog_format": "xml"}, "syslog-format 'xml'"),
        ({"tag": "{{.Nothing}}"}, "unknown field 'Nothing'"),
    ],
)
def test_what_means_nothing_is_refused(options: dict[str, str], reason: str) -> None:
    wanted: Callable[[], dict[str, Any]] = lambda: _wanted("syslog", **options)  # noqa: E731
    with pytest.raises(ValueError, match=re.escape(reason)):
        wanted()
