"""Sessions: connections by which a client lends a build its files, logins, secrets and SSH agents.

A client opens one beside the connection on which it asks for the build, which names it; either may come first.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING

from composer.api.buildkit import grpc, messages
from composer.api.buildkit.http2 import Connection, Reset
from composer.errors import BuildFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.api.http.call import Call

_PATIENCE_S = 20.0
_PIECE_BYTES = 1 << 15
_FILES, _SEND = "/moby.filesync.v1.FileSync/DiffCopy", "/moby.filesync.v1.FileSend/DiffCopy"
_AUTH = "/moby.filesync.v1.Auth/Credentials"
_SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
_CHECK_AGENT, _AGENT = "/moby.sshforward.v1.SSH/CheckAgent", "/moby.sshforward.v1.SSH/ForwardAgent"
UPLOADS = "buildkit-session"
"""The host of URLs that stand for what a client sends by its session."""
_UPLOAD = "/moby.upload.v1.Upload/Pull"


class Session:
    """What one client lends."""

    def __init__(self, connection: Connection, shared_key: str) -> None:
        """``shared_key`` is the same whenever the same client builds the same directory; it may be empty."""
        self._connection, self.shared_key = connection, shared_key

    def open_files(self, metadata: Mapping[str, list[str]]) -> grpc.Call:
        """Return a call by which files come. Raises Reset."""
        return grpc.Call(self._connection, _FILES, messages.PACKET, messages.PACKET, metadata)

    def open_export(self, metadata: Mapping[str, list[str]], *, is_tree: bool) -> grpc.Call:
        """Return a call by which an output goes. Raises Reset."""
        kind = messages.PACKET if is_tree else messages.BYTES
        return grpc.Call(self._connection, _SEND, kind, kind, metadata)

    def login(self, host: str) -> dict[str, str]:
        """Return the client's login at a registry, as Docker's configuration has it; empty where it has none."""
        try:
            found = grpc.ask(self._connection, _AUTH, messages.HOST, messages.LOGIN, {"Host": host})
        except grpc.Failed:
            return {}
        if not found["Secret"]:
            return {}
        if not found["Username"]:
            return {"identitytoken": found["Secret"]}
        return {"username": found["Username"], "password": found["Secret"]}

    def secret(self, id: str) -> bytes | None:
        """Return a secret; None where the client has none of this name. Raises BuildFailed."""
        try:
            found = grpc.ask(self._connection, _SECRET, messages.SECRET_QUERY, messages.SECRET, {"ID": id})
        except grpc.Failed as error:
            if error.code in (grpc.NOT_FOUND, grpc.UNIMPLEMENTED):
                return None
            raise BuildFailed(f"cannot get the secret '{id}' from the client: {error.message}") from None
        return bytes(found["data"])

    def upload(self, path: str) -> Iterator[bytes]:
        """Yield what a client sends by a path of its own: a context from its standard input."""
        metadata = {"urlpath": [path], "urlhost": [UPLOADS]}
        with grpc.Call(self._connection, _UPLOAD, messages.BYTES, messages.BYTES, metadata) as call:
            call.end()
            while (found := call.receive()) is not None:
                yield found["data"]

    # -------------------------------------------------------------- agents

    @contextlib.contextmanager
    def agent(self, id: str, path: str) -> Iterator[bool]:
        """Listen at a socket, and lead who connects to an SSH agent of the client; yield whether it has that one."""
        try:
            grpc.ask(self._connection, _CHECK_AGENT, messages.AGENT_QUERY, messages.EMPTY, {"ID": id})
        except grpc.Failed:
            yield False
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind(path)
            os.chmod(path, 0o600)
            listening.listen()
            thread = threading.Thread(target=self._lead, args=(listening, id), name="agent", daemon=True)
            thread.start()
            try:
                yield True
            finally:
                with contextlib.suppress(OSError):
                    listening.shutdown(socket.SHUT_RDWR)
                thread.join()

    def _lead(self, listening: socket.socket, id: str) -> None:
        threads: list[threading.Thread] = []
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                break  # the build has ended
            thread = threading.Thread(target=self._forward, args=(connection, id), name="agent", daemon=True)
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()

    def _forward(self, connection: socket.socket, id: str) -> None:
        metadata = {"buildkit.ssh.id": [id]}
        with (
            connection,
            contextlib.suppress(OSError, Reset, grpc.Failed),
            grpc.Call(self._connection, _AGENT, messages.BYTES, messages.BYTES, metadata) as call,
        ):

            def answer() -> None:
                with contextlib.suppress(OSError, Reset, grpc.Failed):
                    while (found := call.receive()) is not None:
                        connection.sendall(found["data"])
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

            thread = threading.Thread(target=answer, name="agent", daemon=True)
            thread.start()
            try:
                while data := connection.recv(_PIECE_BYTES):
                    call.send({"data": data})
                call.end()
            finally:
                thread.join()


class Sessions:
    """The sessions that are open, by their ids. Safe for threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._found: dict[str, Session] = {}

    def serve(self, call: Call) -> None:
        """Take a connection over, and keep it as a session until the client ends it."""
        id = call.headers.get("x-docker-expose-session-uuid", "")
        wire = call.take_over("application/vnd.docker.raw-stream")
        connection = Connection(wire, call.rest())
        session = Session(connection, call.headers.get("x-docker-expose-session-sharedkey", ""))
        with self._changed:
            self._found[id] = session
            self._changed.notify_all()
        try:
            connection.run()
        finally:
            with self._changed:
                if self._found.get(id) is session:
                    del self._found[id]

    def get(self, id: str) -> Session:
        """Return a session, which may be about to come. Raises Failed."""
        with self._changed:
            if not self._changed.wait_for(lambda: id in self._found, _PATIENCE_S):
                raise grpc.Failed(grpc.NOT_FOUND, f"no active session for {id}: context deadline exceeded")
            return self._found[id]
