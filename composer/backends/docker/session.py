"""A command inside a container with its input and output here, over the connection that the engine hands over.

The SDK asks for that connection; what is read from it is read here, for the SDK's own reader knows neither a terminal's
keys nor the end of an input, and hands over no descriptor to wait on.

Without a terminal the output comes in frames of eight bytes of header and their content (Engine API, "Attach to a
container": stream format), with one as it is. Reads take no more from the socket than they return, so the
descriptor tells truly whether a read would block.
"""

from __future__ import annotations

import json
import signal as signals
import socket
from typing import TYPE_CHECKING, Any

from composer.backends.docker.http import Broken
from composer.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from composer.backends.docker.client import Client
    from composer.backends.docker.sdk import Sdk
    from composer.engine.wanted import ExecSpec

_CHUNK_BYTES = 1 << 16
_KEYS = {"SIGINT": b"\x03", "SIGQUIT": b"\x1c"}


class ExecSession:
    """One exec, running."""

    def __init__(self, sdk: Sdk, client: Client, container_id: str, spec: ExecSpec) -> None:
        self._sdk, self._client, self._container_id, self.tty = sdk, client, container_id, spec.tty
        self._socket: socket.socket | None = None
        self._left, self._stream = 0, "stdout"
        with sdk.call() as api:
            from composer.backends.docker.takeover import taken_over

            self._id = str(api.exec_create(container_id, **_creation(spec))["Id"])
            if spec.detach:
                api.exec_start(self._id, detach=True, tty=spec.tty)
                return
            self._socket = taken_over(api.exec_start(self._id, tty=spec.tty, socket=True))
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
            with self._sdk.call() as api:
                api.exec_resize(self._id, rows, columns)

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
            raise Unavailable("the command exited, but the engine returned no exit code")
        return int(found["ExitCode"])

    def _inspect(self) -> dict[str, Any]:
        found: dict[str, Any] = self._client.get(f"/exec/{self._id}/json")
        return found

    def _await_end(self) -> None:
        """Its output has ended and it has not: the event of its end tells, also when it has come already."""
        filters = {"container": [self._container_id], "event": ["exec_die", "die"]}
        events = self._client.open("/events", {"filters": filters})
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

    def __init__(self, sdk: Sdk, client: Client, container_id: str, *, stdin: bool, start: bool) -> None:
        self._sdk, self._client, self._container_id = sdk, client, container_id
        found = client.get(f"/containers/{container_id}/json")
        if not start and not found["State"]["Running"]:
            # the engine would let us wait for a start
            raise Conflict(f"container '{found['Name'].lstrip('/')}' is not running")
        self.tty = bool(found["Config"]["Tty"])
        self._left, self._stream = 0, "stdout"
        self._socket: socket.socket | None = None
        streams = {"stream": 1, "stdin": int(stdin), "stdout": 1, "stderr": 1}
        with sdk.call() as api:
            from composer.backends.docker.takeover import taken_over

            self._socket = taken_over(api.attach_socket(container_id, streams))
            if start:
                try:
                    api.start(container_id)
                except BaseException:
                    self.close()
                    raise

    def resize(self, rows: int, columns: int) -> None:
        if self.tty:
            with self._sdk.call() as api:
                api.resize(self._container_id, rows, columns)

    def signal(self, number: int) -> None:
        with self._sdk.call() as api:
            api.kill(self._container_id, number)

    def wait(self) -> int:
        """Return the exit code of the container."""
        with self._sdk.call(patient=True) as api:
            return int(api.wait(self._container_id)["StatusCode"])


def _creation(spec: ExecSpec) -> dict[str, Any]:
    """Return the arguments of the SDK's exec_create."""
    return {
        "cmd": list(spec.command),
        "environment": list(spec.environment),
        "user": spec.user or "",
        "workdir": spec.working_dir or None,
        "tty": spec.tty,
        "privileged": spec.privileged,
        "stdin": spec.interactive and not spec.detach,
        "stdout": not spec.detach,
        "stderr": not spec.detach,
    }
