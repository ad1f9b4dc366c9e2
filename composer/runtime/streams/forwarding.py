"""A container's output on its way to syslog or the journal, line by line, from the log that is on the disk.

Where it has got to is written beside the log, so whoever comes next goes on from there: a line may be sent twice after
a kill, and none is skipped. A receiver that is not there is tried again; the log and the container do not wait for it.
Formats: RFC 3164, RFC 5424, and the native protocol of systemd-journald (https://systemd.io/JOURNAL_NATIVE_PROTOCOL).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time

from composer.runtime.base.loop import WRITE
from composer.runtime.streams import generations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from composer.runtime.base.loop import Loop, Timer

_POSITIONS = struct.Struct("<QQ")
_PIECE_BYTES = 1 << 16
_LONGEST_LINE = 16 << 10  # Docker's: a longer line is sent in pieces
_RETRY_S = 1.0
_TURN_S = 0.02  # all containers of a project share one loop: a long backlog goes in turns
_LAST_TURN_S = 0.5
_SEVERITY = (6, 3)  # informational for stdout, error for stderr
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


class Forwarder:
    """Sends what a log has. ``wanted``: driver, address, facility, format, tag and, for the journal, fields."""

    def __init__(self, loop: Loop, bundle: str, wanted: Mapping[str, Any]) -> None:
        self._loop, self._wanted = loop, wanted
        self._directory = f"{bundle}/logs"
        self._timer: Timer | None = None
        self._socket: socket.socket | None = None
        self._waiting = b""
        self._deadline_s = 0.0
        self._sent = list(self._read_positions())

    def look(self, *, last: bool = False) -> None:
        """Send what has come. With ``last`` also a line that has no end yet: there will be no more of it."""
        self._deadline_s = time.monotonic() + (_LAST_TURN_S if last else _TURN_S)
        pause_s = 0.0
        try:
            self._send_waiting()
            done = [self._send_stream(stream, last=last) for stream in range(len(generations.STREAMS))]
            is_done = all(done)
        except BlockingIOError:
            is_done, pause_s = False, _RETRY_S  # it is busy, or the connection is still being made
        except OSError:
            self._close_socket()
            is_done, pause_s = False, _RETRY_S
        try:
            self._write_positions()
        except OSError:
            is_done, pause_s = (
                False,
                _RETRY_S,
            )  # the disk is full: after a kill now, lines would be sent twice
        if not (is_done or last):
            self._again(pause_s)

    def close(self) -> None:
        """Stop; what could not be sent is sent at the next start."""
        if self._timer is not None:
            self._timer.cancel()
        self._close_socket()

    # -------------------------------------------------------------- reading

    def _send_stream(self, stream: int, *, last: bool) -> bool:
        """Send what there is of a stream; False when there is more than this turn's time was enough for."""
        while True:
            # What was dropped before it could be sent is skipped.
            self._sent[stream], piece = generations.read_at(
                self._directory, stream, self._sent[stream], _PIECE_BYTES
            )
            if not piece:
                return True
            used = 0
            while used < len(piece):
                if time.monotonic() > self._deadline_s:
                    return False
                end = piece.find(b"\n", used, used + _LONGEST_LINE)
                whole = end + 1 if end >= 0 else used + _LONGEST_LINE
                if end < 0 and whole > len(piece):
                    break
                self._send_line(stream, piece[used:whole])
                self._sent[stream] += whole - used
                used = whole
            if used == 0:
                if not last:
                    return True
                self._send_line(stream, piece)
                self._sent[stream] += len(piece)

    def _read_positions(self) -> tuple[int, int]:
        try:
            with open(f"{self._directory}/sent", "rb") as file:
                stdout, stderr = _POSITIONS.unpack(file.read(_POSITIONS.size))
        except (FileNotFoundError, struct.error):
            return (0, 0)
        return (stdout, stderr)

    def _write_positions(self) -> None:
        fd = os.open(f"{self._directory}/sent", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(fd, _POSITIONS.pack(*self._sent), 0)
        finally:
            os.close(fd)

    # -------------------------------------------------------------- sending

    def _send_line(self, stream: int, line: bytes) -> None:
        """Send one line; when that fails it has not been sent at all."""
        text = line.rstrip(b"\r\n")
        is_journal = self._wanted["driver"] == "journald"
        if is_journal and not text:
            return
        self._send_waiting()
        now_s = time.time()
        make = _journal_entry if is_journal else _syslog_message
        message = make(self._wanted, stream, text, now_s)
        self._waiting = message[self._send(message) :]

    def _send_waiting(self) -> None:
        """Send the rest of what a stream has taken the beginning of."""
        while self._waiting:
            self._waiting = self._waiting[self._send(self._waiting) :]

    def _send(self, data: bytes) -> int:
        if self._socket is None:
            self._socket = _connect(self._wanted)
        taken = self._socket.send(data, socket.MSG_NOSIGNAL)
        return len(data) if self._socket.type == socket.SOCK_DGRAM else taken

    def _again(self, pause_s: float) -> None:
        """Look again after a while, and sooner where a receiver that is busy takes more before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.after(pause_s, self.look)
        if pause_s and self._socket is not None:
            self._loop.watch(self._socket.fileno(), lambda _: self._on_writable(), WRITE)

    def _on_writable(self) -> None:
        if self._socket is not None:
            self._loop.forget(self._socket.fileno())
        self.look()

    def _close_socket(self) -> None:
        if self._socket is not None:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None
        self._waiting = b""  # another connection must not begin in the middle of a message


def _connect(wanted: Mapping[str, Any]) -> socket.socket:
    """Return a socket to the receiver, which never blocks. A connection that is being made is waited for later."""
    kind, _, place = str(wanted["address"]).partition("://")
    if kind in ("unix", "unixgram"):
        try:
            return _open(socket.AF_UNIX, socket.SOCK_DGRAM, place)
        except OSError as error:
            if error.errno != errno.EPROTOTYPE or kind == "unixgram":
                raise
            return _open(socket.AF_UNIX, socket.SOCK_STREAM, place)
    host, _, port = place.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    address = (host.strip("[]"), int(port))
    return _open(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM, address)


def _open(family: int, kind: int, address: Any) -> socket.socket:
    opened = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        number = opened.connect_ex(address)
        if number and number != errno.EINPROGRESS:
            raise OSError(number, os.strerror(number))
    except BaseException:
        opened.close()
        raise
    return opened


# ------------------------------------------------------------------ formats


def _syslog_message(wanted: Mapping[str, Any], stream: int, text: bytes, now_s: float) -> bytes:
    priority = int(wanted["facility"]) * 8 + _SEVERITY[stream]
    tag, pid, host = wanted["tag"], os.getpid(), os.uname().nodename
    moment = time.localtime(now_s)
    if str(wanted["format"]).startswith("rfc5424"):
        digits = f".{int(now_s % 1 * 1_000_000):06}" if wanted["format"] == "rfc5424micro" else ""
        zone = time.strftime("%z", moment)
        stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}{digits}{zone[:3]}:{zone[3:]}"
        head = f"<{priority}>1 {stamp} {host} {tag} {pid} {tag} - "
    else:
        stamp = f"{_MONTHS[moment.tm_mon - 1]} {moment.tm_mday:>2} {time.strftime('%H:%M:%S', moment)}"
        between = f"{host} " if wanted["format"] == "rfc3164" else ""
        head = f"<{priority}>{stamp} {between}{tag}[{pid}]: "
    return head.encode() + text + b"\n"


def _journal_entry(wanted: Mapping[str, Any], stream: int, text: bytes, now_s: float) -> bytes:
    fields = {**wanted["fields"], "PRIORITY": str(_SEVERITY[stream]), "SYSLOG_IDENTIFIER": wanted["tag"]}
    fields["SYSLOG_TIMESTAMP"] = str(int(now_s))
    entry = b"".join(_field(name, str(value).encode()) for name, value in fields.items())
    return entry + _field("MESSAGE", text)


def _field(name: str, value: bytes) -> bytes:
    """A value with a newline goes with its length."""
    if b"\n" not in value:
        return name.encode() + b"=" + value + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
