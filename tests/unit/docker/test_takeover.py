"""Connections that become streams: no byte is lost, each direction ends by itself, the descriptor tells the truth."""

from __future__ import annotations

import gc
import pathlib
import select
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO

import pytest

from composer.backends.docker.backend import DockerBackend
from composer.backends.docker.endpoint import Endpoint
from composer.engine.backend import Session
from composer.engine.wanted import ExecSpec
from composer.errors import Conflict
from tests.unit.docker.engine import Asked, Converse, Engine, Reply, answer, frame, upgrade

Start = Callable[..., Engine]
Open = Callable[..., Session]


def replies(early: bytes = b"") -> Reply:
    def reply(asked: Asked) -> bytes:
        if asked.target.endswith("/start"):
            return upgrade(early)
        if asked.method == "GET":
            return answer(value={"Running": False, "ExitCode": 3})
        return answer(201, {"Id": "made"})

    return reply


def echo(connection: socket.socket, file: BinaryIO) -> None:
    """Say back what came, once it has ended, and a word behind it."""
    connection.sendall(frame(b"ready\n"))
    text = file.read()
    connection.sendall(frame(text) + frame(b"the end\n", 2))


@pytest.fixture
def certificates(tmp_path: pathlib.Path) -> pathlib.Path:
    directory = tmp_path / "certs"
    directory.mkdir()
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem"
    )
    subprocess.run(
        command.split(),
        cwd=directory,
        capture_output=True,
        check=True,
    )
    (directory / "ca.pem").write_bytes((directory / "cert.pem").read_bytes())
    return directory


SSH = """\
#!{python}
import os, socket, sys, threading
with open({log!r}, "a") as log:
    print(*sys.argv[1:], file=log)
engine = socket.socket(socket.AF_UNIX)
engine.connect({path!r})
def up():
    while data := os.read(0, 65536):
        engine.sendall(data)
    engine.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := engine.recv(65536):
    os.write(1, data)
"""


@pytest.fixture(params=["unix", "tls", "ssh"])
def opened(
    request: pytest.FixtureRequest, engine: Start, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Open:
    """Return what opens an exec, over each way on which an engine can be reached."""

    def start(converse: Converse, early: bytes = b"", *, tty: bool = False) -> Session:
        if request.param == "tls":
            directory = request.getfixturevalue("certificates")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
            context.load_verify_locations(directory / "ca.pem")
            context.verify_mode = ssl.CERT_REQUIRED
            client = engine(replies(early), converse=converse, tls=(context, directory)).client()
        elif request.param == "ssh":
            found = engine(replies(early), converse=converse)
            program, log = tmp_path / "ssh", tmp_path / "ssh.log"
            program.write_text(
                SSH.format(python=sys.executable, path=found.url.partition("://")[2], log=str(log))
            )
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
            client = found.client_at(Endpoint("ssh://me@there:2222"))
        else:
            client = engine(replies(early), converse=converse).client()
        one = DockerBackend(client, {"HOME": "/nowhere"})
        request.addfinalizer(one.close)
        session = one.exec("abc", ExecSpec(command=("cat",), interactive=True, tty=tty))
        request.addfinalizer(session.close)
        return session

    return start


def everything(session: Session) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    while (piece := session.read()) is not None:
        found[piece[0]] = found.get(piece[0], b"") + piece[1]
    return found


def test_input_ends_while_output_goes_on(opened: Open) -> None:
    session = opened(echo)
    gc.collect()  # nothing of the answer that brought the connection is needed any more
    assert session.read() == ("stdout", b"ready\n")
    session.write(b"some words")
    session.close_stdin()
    assert everything(session) == {"stdout": b"some words", "stderr": b"the end\n"}
    assert session.wait() == 3


def test_what_comes_with_the_headers_is_not_lost(opened: Open) -> None:
    session = opened(echo, frame(b"early\n") + frame(b"half")[:6])
    assert session.read() == ("stdout", b"early\n")


def test_the_descriptor_tells_of_early_output(opened: Open) -> None:
    """Whoever waits on it would wait for ever for what had come already."""
    silent = threading.Event()
    session = opened(lambda connection, file: silent.wait(30), frame(b"early\n"))
    try:
        assert select.select([session.fileno()], [], [], 20)[0]
        assert session.read() == ("stdout", b"early\n")
        assert not select.select([session.fileno()], [], [], 0.1)[0]
    finally:
        silent.set()


def test_output_that_nobody_reads_yet_is_kept(opened: Open) -> None:
    """Several times what is kept in between: the engine waits, and all of it arrives in order."""
    block = bytes(range(256)) * 256

    def speak(connection: socket.socket, file: BinaryIO) -> None:
        for _ in range(64):
            connection.sendall(frame(block))
        file.read()  # as an engine does: a connection closed with input unread is reset, and output on its way is lost

    session = opened(speak)
    session.close_stdin()
    assert everything(session) == {"stdout": block * 64}


def test_much_input_and_output_at_once(opened: Open) -> None:
    text = bytes(range(256)) * 4096

    def mirror(connection: socket.socket, file: BinaryIO) -> None:
        while piece := file.read1(1 << 16):  # type: ignore[attr-defined]
            connection.sendall(frame(piece))

    session = opened(mirror)
    sender = threading.Thread(target=lambda: (session.write(text), session.close_stdin()))
    sender.start()
    assert everything(session) == {"stdout": text}
    sender.join()


def test_a_terminals_bytes_are_as_they_are(opened: Open) -> None:
    def speak(connection: socket.socket, file: BinaryIO) -> None:
        connection.sendall(b"$ ")
        assert file.read(1) == b"\x04"  # its end of file is a key, and no end of the connection
        connection.sendall(b"exit\r\n")

    session = opened(speak, tty=True)
    assert session.read() == ("stdout", b"$ ")
    session.close_stdin()
    assert everything(session) == {"stdout": b"exit\r\n"}


def test_closing_from_another_thread_ends_a_read(opened: Open) -> None:
    silent = threading.Event()
    session = opened(lambda connection, file: silent.wait(30))
    try:
        threading.Timer(0.2, lambda: session.signal(15)).start()  # how a command without a terminal is let go
        assert session.read() is None
    finally:
        silent.set()


@pytest.mark.parametrize("opened", ["ssh"], indirect=True)
def test_ssh_is_the_command_of_docker(opened: Open, tmp_path: pathlib.Path) -> None:
    opened(echo)
    calls = set((tmp_path / "ssh.log").read_text().splitlines())
    assert calls == {"-o ConnectTimeout=10 -p 2222 -- me@there docker system dial-stdio"}


def test_an_upgrade_that_is_refused(engine: Start) -> None:
    def reply(asked: Asked) -> bytes:
        if asked.target.endswith("/start"):
            return answer(409, {"message": "Container abc is paused, unpause the container before exec"})
        return answer(201, {"Id": "made"})

    one = DockerBackend(engine(reply).client(), {"HOME": "/nowhere"})
    with pytest.raises(Conflict, match="unpause the container"):
        one.exec("abc", ExecSpec(command=("true",)))
    one.close()


def test_a_verified_connection_checks_whose_it_is(engine: Start, certificates: pathlib.Path) -> None:
    from composer.backends.docker.sdk import Sdk
    from composer.errors import Unavailable

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    found = engine(lambda asked: answer(204), tls=(context, certificates))
    client = found.client()
    client.endpoint = client.endpoint._replace(url=found.url.replace("localhost", "127.0.0.1"))
    sdk = Sdk(client)
    with pytest.raises(Unavailable, match="TLS connection to the Docker Engine") as caught, sdk.call() as api:
        api.start("abc")
    assert str(certificates) in str(caught.value.hint)
    sdk.close()
    client.endpoint = client.endpoint._replace(verify=False)  # SkipTLSVerify of a context
    with sdk.call() as api:
        api.start("abc")
    sdk.close()
