"""The socket at a path: left by a server that was killed, or another server's."""

from __future__ import annotations

import fcntl
import os
import pathlib
import socket

import pytest

from composer import errors
from composer.api.http import listening
from composer.cli.booting import serving


@pytest.fixture
def path(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "docker.sock")


def _connects(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError:
            return False
        return True


def test_what_killed_servers_have_left_is_replaced(path: str) -> None:
    for name in (path, f"{path}.1234"):
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(name)
    pathlib.Path(f"{path}.d").mkdir()
    made = listening.unix(path)
    assert _connects(path)
    assert sorted(os.listdir(os.path.dirname(path))) == ["docker.sock", "docker.sock.d"]
    listening.forget(path, made)
    assert os.listdir(os.path.dirname(path)) == ["docker.sock.d"]


def test_a_second_server_is_refused_and_takes_nothing(path: str) -> None:
    made = listening.unix(path)
    with pytest.raises(errors.ProjectError, match="another server listens there"):
        listening.unix(path)
    assert _connects(path)
    listening.forget(path, made)


def test_what_is_no_socket_is_not_replaced(path: str) -> None:
    pathlib.Path(path).write_text("mine")
    with pytest.raises(errors.ProjectError, match="is not a socket"):
        listening.unix(path)
    assert pathlib.Path(path).read_text() == "mine"


def test_the_file_of_the_next_server_stays(path: str) -> None:
    first = listening.unix(path)
    os.unlink(path)
    second = listening.unix(path)
    listening.forget(path, first)
    assert _connects(path)
    listening.forget(path, second)
    assert not os.path.exists(path)
    listening.forget(path, listening.unix(f"{path}2"))


def test_a_lock_that_somebody_holds_on_the_directory_stops_no_server(path: str) -> None:
    held = os.open(os.path.dirname(path), os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    made = listening.unix(path)
    assert _connects(path)
    os.close(held)
    listening.forget(path, made)


def _mode(directory: pathlib.Path) -> int:
    return directory.stat().st_mode & 0o777


def test_the_group_can_enter_composers_own_directory_and_no_other(tmp_path: pathlib.Path) -> None:
    for name in ("own", "of-others", "own-without-a-group"):
        (tmp_path / name).mkdir(0o700)
    for name, group in (
        ("own", os.getgid()),
        ("of-others", os.getgid()),
        ("own-without-a-group", None),
        ("made", os.getgid()),
        ("made-without-a-group", None),
    ):
        directory = str(tmp_path / name)
        own = directory if name.startswith("own") else ""
        listening.forget(f"{directory}/s", listening.unix(f"{directory}/s", group=group, own=own))
    assert {one.name: _mode(one) for one in tmp_path.iterdir()} == {
        "own": 0o710,
        "of-others": 0o700,
        "own-without-a-group": 0o700,
        "made": 0o710,
        "made-without-a-group": 0o700,
    }


def test_clients_look_at_roots_server_where_they_have_none(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = tmp_path / "root.sock"
    monkeypatch.setattr(serving, "socket_path_of_root", lambda: str(roots))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    user = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    own = tmp_path / "composer/docker.sock"
    assert serving.client_path(user) == str(own)
    roots.touch()
    assert serving.client_path(user) == str(roots)
    assert serving.client_path({**user, "COMPOSER_ROOT": "/r"}) == "/r/run/docker.sock"
    own.parent.mkdir()
    own.touch()
    assert serving.client_path(user) == str(own)


def test_units_let_the_group_enter() -> None:
    text = serving.units("/run/composer/docker.sock", "docker")
    assert "SocketGroup=docker\nExecStartPost=/bin/chgrp docker /run/composer\n" in text
    assert "ExecStartPost" not in serving.units("/run/composer/docker.sock", None)
    assert "ExecStartPost" not in serving.units("/run/other.sock", "docker")
