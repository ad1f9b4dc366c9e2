"""RUN --mount=type=ssh: the user's SSH agent, or one with the given keys, as a socket that a container can have.

The socket is ours, with the owner and mode that the mount says; what goes through it is passed on to the agent.
Keys stay with their agent: the command can use them and cannot read them.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import stat
import subprocess
import tempfile
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from composer.errors import BuildFailed

_PIECE_BYTES = 1 << 16
_AGENT_S = 10.0


@contextlib.contextmanager
def serving(
    source: str, *, uid: int, gid: int, mode: int, failed: Callable[[str], BuildFailed]
) -> Iterator[str]:
    """Yield the path of a socket that leads to an agent. ``source`` is an agent's socket, or a file with a key.

    ``failed`` makes an error of a reason.
    """
    with contextlib.ExitStack() as held:
        # not in the state directory: its path may be longer than a socket's name can be
        directory = held.enter_context(tempfile.TemporaryDirectory(prefix="composer-ssh-"))
        try:
            kind = stat.S_IFMT(os.stat(source).st_mode)
        except OSError as error:
            raise failed(
                f"cannot use '{source}' for SSH: {(error.strerror or str(error)).lower()}"
            ) from error
        if kind not in (stat.S_IFSOCK, stat.S_IFREG):
            raise failed(f"cannot use '{source}' for SSH: it is neither a socket nor a file with a key")
        agent = (
            source if kind == stat.S_IFSOCK else held.enter_context(_agent_with(source, directory, failed))
        )
        path = f"{directory}/agent"
        relay = _Relay(path, agent)
        held.callback(relay.close)
        os.chmod(directory, 0o711)
        os.chmod(path, mode)
        os.chown(path, uid, gid)
        yield path


@contextlib.contextmanager
def _agent_with(key: str, directory: str, failed: Callable[[str], BuildFailed]) -> Iterator[str]:
    """Run an agent that has one key, until the end of the block."""
    path = f"{directory}/own"
    environment = {"PATH": os.defpath, "SSH_AUTH_SOCK": path, "SSH_ASKPASS_REQUIRE": "never"}
    try:
        agent = subprocess.Popen(
            ["ssh-agent", "-D", "-a", path],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        raise failed("SSH keys need the ssh-agent program (package openssh-client)") from error
    try:
        assert agent.stdout is not None
        agent.stdout.readline()  # it says where it listens once it does
        try:
            added = subprocess.run(
                ["ssh-add", "-q", key],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_AGENT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise failed(f"cannot use the key '{key}' for SSH: ssh-add did not end") from None
        if added.returncode:
            said = added.stderr.strip().splitlines()
            raise failed(f"cannot use the key '{key}' for SSH: {said[-1] if said else 'ssh-add failed'}")
        yield path
    finally:
        agent.terminate()
        agent.wait()
        if agent.stdout is not None:
            agent.stdout.close()


class _Relay:
    """Passes on what comes to a socket, each connection in a thread."""

    def __init__(self, path: str, agent: str) -> None:
        self._agent = agent
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(path)
        self._server.listen(16)
        threading.Thread(target=self._accept, name="ssh", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._server.accept()
            except OSError:
                return  # closed: the command has ended
            threading.Thread(target=self._serve, args=(peer,), name="ssh", daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            try:
                agent.connect(self._agent)
                _pump(peer, agent)
            except OSError:
                return  # one of the two is gone: the other sees the end

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Pass on both ways until one side ends."""
    with selectors.DefaultSelector() as ready:
        ready.register(one, selectors.EVENT_READ, other)
        ready.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in ready.select():
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(_PIECE_BYTES)
                if not data:
                    return
                key.data.sendall(data)
