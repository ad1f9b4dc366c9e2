"""``composer system dial-stdio``: a server's socket on standard input and output; one is started if there is none."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
import time

from composer.errors import Unavailable
from composer.session import own_modules

_CHUNK_BYTES = 1 << 16
_START_S = 10.0
_IDLE_S = 60


def dial(path: str) -> None:
    """Move bytes both ways until both sides have ended. Raises Unavailable where no server can be started."""
    with _connect(path) as connection:
        writer = threading.Thread(target=_send_input, args=(connection,), daemon=True)
        writer.start()
        while data := connection.recv(_CHUNK_BYTES):
            _write_all(sys.stdout.fileno(), data)


def _connect(path: str) -> socket.socket:
    connection = _try_connect(path)
    if connection is not None:
        return connection
    _start(path)
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        connection = _try_connect(path)
        if connection is not None:
            return connection
        # the socket appears by rename: there is no descriptor to wait for
        select.select([], [], [], 0.02)
    raise Unavailable(
        f"no server answers at {path}", hint="start one with composer serve, and read what it says"
    )


def _try_connect(path: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise Unavailable(f"cannot connect to {path}: {(error.strerror or str(error)).lower()}") from error
    return connection


def _start(path: str) -> None:
    """Start a server that ends by itself when nobody has been connected for a minute."""
    subprocess.Popen(
        own_modules.command("composer", "serve", "--socket", path, "--idle-exit", str(_IDLE_S)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _send_input(connection: socket.socket) -> None:
    try:
        while data := os.read(sys.stdin.fileno(), _CHUNK_BYTES):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the server has closed the connection


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
