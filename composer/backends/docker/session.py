"""A command inside a container with its input and output here, over the connection that the engine hands over.

Without a terminal the output comes in frames of eight bytes of header and their content (Engine API, "Attach to a
container": stream format), with one as it is. Reads take no more from the socket than they return, so the
descriptor tells truly whether a read would block.
"""

from __future__ import annotations

import json
import signal as signals
import socket
import threading
from typing import TYPE_CHECKING, Any

from composer.backends.docker.http import Broken
from composer.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from composer.backends.docker.client import Client
    from composer.engine.wanted import ExecSpec

_CHUNK_BYTES = 1 << 16
_KEYS = {"SIGINT": b"\x03", "SIGQUIT": b"\x1c"}


class ExecSession:
    """One exec, running."""

    def __init__(self, client: Client, container_id: str, spec: ExecSpec) -> None:
        self._client, self.tty = client, spec.tty
        self._container_id = container_id
        self._id = str(client.post(f"/containers/{container_id}/exec", body=_creation(spec))["Id"])
        self._socket: socket.socket | None = None
        self._left = 0
        self._stream = "stdout"
        start = {"Detach": spec.detach, "Tty": spec.tty}
        if spec.detach:
            client.post(f"/exec/{self._id}/start", body=start)
        else:
            self._socket = _plain(client.upgrade(f"/exec/{self._id}/start", start))
            if not spec.interactive:
                self.close_stdin()

    def fileno(self) -> int:
        return self._socket.fileno() if self._socket is not None else -1

    def read(self) -> tuple[str, bytes] | None:
        if self._socket is None:
            return None
        if self.tty:
            data = self._receive(_CHUNK_BYTES)
            return ("stdout", data) if data else None
        while not self._left:
            header = self._receive_all(8)
            if len(header) < 8:
                return None
            self._stream = "stderr" if header[0] == 2 else "stdout"
            self._left = int.from_bytes(header[4:], "big")
        data = self._receive(min(self._left, _CHUNK_BYTES))
        self._left -= len(data)
        return (self._stream, data) if data else None

    def _receive(self, count: int) -> bytes:
        assert self._socket is not None
        try:
            return self._socket.recv(count)
        except ConnectionResetError:
            return b""  # the engine went: what the command came to is asked in wait

    def _receive_all(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (more := self._receive(count - len(data))):
            data += more
        return data

    def write(self, data: bytes) -> None:
        if self._socket is not None:
            try:
                self._socket.sendall(data)
            except ConnectionResetError as error:
                raise BrokenPipeError(*error.args) from None  # it has ended: it reads no more

    def close_stdin(self) -> None:
        if self._socket is None:
            return
        if self.tty:
            self.write(b"\x04")  # the end of file of a terminal
            return
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the command has ended already

    def resize(self, rows: int, columns: int) -> None:
        if self.tty:
            self._client.post(f"/exec/{self._id}/resize", {"h": rows, "w": columns})

    def signal(self, number: int) -> None:
        """Pass a signal on as far as the engine lets us: it has keys for a terminal, and nothing else for an exec.

        The end of its input is what a command without a terminal can be told.
        """
        name = signals.Signals(number).name
        if self.tty and name in _KEYS:
            self.write(_KEYS[name])
        else:
            self.close_stdin()
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RD)

    def wait(self) -> int:
        """Return the exit code; output that nobody has read is dropped."""
        while self.read() is not None:
            pass
        found = self._inspect()
        if found["Running"]:
            self._await_end()
            found = self._inspect()
        if found.get("ExitCode") is None:
            raise Unavailable("the command ended without an exit code that the engine knows")
        return int(found["ExitCode"])

    def _inspect(self) -> dict[str, Any]:
        found: dict[str, Any] = self._client.get(f"/exec/{self._id}/json")
        return found

    def _await_end(self) -> None:
        """Its output has ended and it has not: the event of its end tells, also when it has come already."""
        filters = {"container": [self._container_id], "event": ["exec_die", "die"]}
        events = self._client.open("GET", "/events", {"filters": filters})
        try:
            if not self._inspect()["Running"]:
                return
            for line in events.lines():
                event = json.loads(line)
                if event["Action"] == "die" or event["Actor"]["Attributes"].get("execID") == self._id:
                    return
        except Broken:
            return  # the inspection that follows says what is wrong
        finally:
            events.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class AttachSession(ExecSession):
    """A container's own command. With ``start`` it is started when we listen, so that no output is missed."""

    def __init__(self, client: Client, container_id: str, *, stdin: bool, start: bool) -> None:
        self._client, self._container_id = client, container_id
        found = client.get(f"/containers/{container_id}/json")
        if not start and not found["State"]["Running"]:
            # the engine would let us wait for a start
            raise Conflict(f"container '{found['Name'].lstrip('/')}' is not running")
        self.tty = bool(found["Config"]["Tty"])
        self._left, self._stream = 0, "stdout"
        self._socket: socket.socket | None = None
        streams = {"stream": True, "stdin": stdin, "stdout": True, "stderr": True}
        self._socket = _plain(client.upgrade(f"/containers/{container_id}/attach", {}, streams))
        if start:
            try:
                client.post(f"/containers/{container_id}/start")
            except BaseException:
                self.close()
                raise

    def resize(self, rows: int, columns: int) -> None:
        if self.tty:
            self._client.post(f"/containers/{self._container_id}/resize", {"h": rows, "w": columns})

    def signal(self, number: int) -> None:
        self._client.post(f"/containers/{self._container_id}/kill", {"signal": str(number)})

    def wait(self) -> int:
        """Return the exit code of the container."""
        answer = self._client.call("POST", f"/containers/{self._container_id}/wait", timeout_s=None)
        return int(answer["StatusCode"])


def _creation(spec: ExecSpec) -> dict[str, Any]:
    return {
        "Cmd": list(spec.command),
        "Env": list(spec.environment),
        "User": spec.user or "",
        "WorkingDir": spec.working_dir or "",
        "Tty": spec.tty,
        "Privileged": spec.privileged,
        "AttachStdin": spec.interactive and not spec.detach,
        "AttachStdout": not spec.detach,
        "AttachStderr": not spec.detach,
    }


def _plain(found: socket.socket) -> socket.socket:
    """Return a socket whose descriptor tells the truth: TLS holds decrypted bytes back, so it is relayed."""
    if not hasattr(found, "unwrap"):
        return found
    ours, theirs = socket.socketpair()
    for source, target in ((found, theirs), (theirs, found)):
        threading.Thread(target=_relay, args=(source, target), name="tls relay", daemon=True).start()
    return ours


def _relay(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(_CHUNK_BYTES):
            target.sendall(data)
    except OSError:
        pass  # one side has gone: the other is told below
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # it has gone too
