"""``composer login`` and ``logout``: what a registry is asked, and what config.json holds afterwards."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import stat
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from composer.registry import credentials
from tests.registries import PASSWORD, USER, Proxy, registry, status
from tests.unit.cli.console import Console
from tests.uploads import Memory


@pytest.fixture
def console(tmp_path: pathlib.Path) -> Console:
    made = Console(tmp_path)
    made.backends.clear()  # a login asks no backend
    made.environment["PATH"] = f"{tmp_path}/bin:{os.environ['PATH']}"
    return made


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Memory() as memory, Proxy(memory.host) as made:
        made.login = "basic"
        yield made


def path_of(console: Console) -> pathlib.Path:
    return pathlib.Path(console.environment["HOME"]) / ".docker/config.json"


def config(console: Console) -> dict[str, Any]:
    found = json.loads(path_of(console).read_text())
    assert isinstance(found, dict)
    return found


def write_config(console: Console, **values: object) -> None:
    path_of(console).parent.mkdir(exist_ok=True)
    path_of(console).write_text(json.dumps(values))


def auth(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def helper(console: Console, script: str) -> pathlib.Path:
    """Install docker-credential-mine, which keeps what it gets beside itself."""
    directory = pathlib.Path(console.environment["HOME"]) / "bin"
    directory.mkdir(exist_ok=True)
    path = directory / "docker-credential-mine"
    path.write_text(f"#!/bin/sh\ncd '{directory}'\n{script}\n")
    path.chmod(0o755)
    return directory


def test_a_login_is_checked_and_kept(console: Console, proxy: Proxy) -> None:
    result = console("login", "-u", "me", "--password-stdin", proxy.host, stdin="secret\n")
    assert (result.code, result.out) == (0, "Login Succeeded\n")
    assert f"stored unencrypted in '{path_of(console)}'" in result.err
    assert config(console) == {"auths": {proxy.host: {"auth": auth("me", "secret")}}}
    assert stat.S_IMODE(path_of(console).stat().st_mode) == 0o600
    assert stat.S_IMODE(path_of(console).parent.stat().st_mode) == 0o700
    found = credentials.find(config(console), console.environment, proxy.host)
    assert (found.username, found.password) == ("me", "secret")


def test_docker_registry_agrees(console: Console, tmp_path: pathlib.Path) -> None:
    with registry(tmp_path, password=True) as host:
        assert console("login", "-u", USER, "-p", "wrong", host).code == 1
        assert not path_of(console).exists()
        result = console("login", "-u", USER, "-p", PASSWORD, host)
        assert result.code == 0 and "--password via the CLI is insecure" in result.err
        again = console("login", host)
        assert again.code == 0
        assert f"existing credentials... [Username: {USER}]" in again.err


@pytest.mark.parametrize("login", ["basic", "bearer"])
def test_wrong_credentials_are_not_kept(console: Console, proxy: Proxy, login: str) -> None:
    proxy.login = login
    write_config(console, auths={"other.example": {"auth": auth("a", "b")}})
    before = path_of(console).read_bytes()
    result = console("login", "-u", "me", "--password-stdin", proxy.host, stdin="wrong")
    assert result.code == 1
    assert f"cannot log in to {proxy.host}: incorrect username or password" in result.err
    assert path_of(console).read_bytes() == before


def test_a_token_server_is_asked_for_an_identity(console: Console, proxy: Proxy) -> None:
    proxy.login = "bearer"
    result = console("login", "-u", "me", "--password-stdin", proxy.host, stdin="secret")
    assert result.code == 0
    (asked,) = [asked.path for asked in proxy.asked if asked.path.startswith("/token")]
    assert "account=me" in asked and "offline_token=true" in asked and "scope" not in asked
    assert config(console)["auths"][proxy.host] == {"auth": auth("me", "secret")}


def test_an_identity_token_takes_the_place_of_the_password(console: Console, proxy: Proxy) -> None:
    proxy.login = "bearer"
    proxy.tokens.add("good")
    body = json.dumps({"token": "good", "refresh_token": "identity"}).encode()
    proxy.on(r"^GET /token", lambda handler: handler.answer(200, body))
    assert console("login", "-u", "me", "--password-stdin", proxy.host, stdin="secret").code == 0
    entry = config(console)["auths"][proxy.host]
    assert entry == {"auth": auth("me", ""), "identitytoken": "identity"}
    again = console("login", proxy.host)
    assert again.code == 0 and proxy.count("^POST /token") == 1


def test_what_else_is_in_the_file_stays(console: Console, proxy: Proxy) -> None:
    write_config(
        console,
        HttpHeaders={"X-A": "1"},
        auths={f"http://{proxy.host}/v1/": {"auth": "old"}, "other.example": {"auth": "kept", "x": 1}},
        currentContext="there",
        strange=[1, {"ä": None}],
    )
    assert console("login", "-u", "me", "--password-stdin", proxy.host, stdin="secret").code == 0
    found = config(console)
    assert list(found) == ["HttpHeaders", "auths", "currentContext", "strange"]
    assert found["strange"] == [1, {"ä": None}]
    assert found["auths"] == {
        "other.example": {"auth": "kept", "x": 1},
        proxy.host: {"auth": auth("me", "secret")},
    }
    assert console("logout", f"https://{proxy.host}/").out == f"Removing login credentials for {proxy.host}\n"
    assert config(console)["auths"] == {"other.example": {"auth": "kept", "x": 1}}
    assert config(console)["currentContext"] == "there"


def test_a_link_to_the_file_stays_one(console: Console, proxy: Proxy, tmp_path: pathlib.Path) -> None:
    real = tmp_path / "dotfiles.json"
    real.write_text("{}")
    path_of(console).parent.mkdir()
    path_of(console).symlink_to(real)
    assert console("login", "-u", "me", "--password-stdin", proxy.host, stdin="secret").code == 0
    assert path_of(console).is_symlink() and proxy.host in real.read_text()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert sorted(path.name for path in path_of(console).parent.iterdir()) == ["config.json"]


def test_a_helper_keeps_the_secret(console: Console, proxy: Proxy) -> None:
    directory = helper(console, "case $1 in store) cat >stored;; erase) cat >erased;; get) cat stored;; esac")
    write_config(console, credsStore="mine", auths={proxy.host: {"auth": auth("me", "old")}})
    result = console("login", "-u", "me", "--password-stdin", proxy.host, stdin="secret")
    assert result.code == 0 and "unencrypted" not in result.err
    assert json.loads((directory / "stored").read_text()) == {
        "ServerURL": proxy.host,
        "Username": "me",
        "Secret": "secret",
    }
    assert config(console) == {"credsStore": "mine", "auths": {proxy.host: {}}}
    assert console("login", proxy.host).code == 0, "by what the helper has"
    assert console("logout", proxy.host).code == 0
    assert (directory / "erased").read_text() == proxy.host
    assert config(console)["auths"] == {}


@pytest.mark.parametrize(
    ("script", "said"), [("echo 'locked'; exit 1", "failed: locked"), ("", "")], ids=["fails", "works"]
)
def test_a_helper_of_one_registry(console: Console, proxy: Proxy, script: str, said: str) -> None:
    helper(console, script)
    write_config(console, credHelpers={proxy.host: "mine"})
    before = config(console)
    result = console("login", "-u", "me", "--password-stdin", proxy.host, stdin="secret")
    assert (result.code == 1) == bool(said)
    if said:
        assert said in result.err and config(console) == before
        gone = console("logout", proxy.host)
        assert gone.code == 0 and "could not erase credentials" in gone.err
    else:
        assert config(console)["auths"] == {proxy.host: {}}


def test_a_helper_that_is_missing(console: Console, proxy: Proxy) -> None:
    write_config(console, credsStore="nowhere")
    result = console("login", "-u", "me", "--password-stdin", proxy.host, stdin="secret")
    assert result.code == 1 and "'docker-credential-nowhere' not found in PATH" in result.err


def test_many_logins_at_once_are_all_kept(console: Console, proxy: Proxy) -> None:
    names = [f"localhost:{1000 + n}" for n in range(8)]

    def keep(name: str) -> None:
        from composer.registry import logins

        logins.keep(console.environment, name, credentials.Credentials(name, "x"))

    threads = [threading.Thread(target=keep, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(config(console)["auths"]) == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot read"),
        ("[]", "must be a JSON object"),
        ('{"auths": 1}', "cannot read"),
    ],
)
def test_a_damaged_file_is_not_replaced(console: Console, proxy: Proxy, text: str, said: str) -> None:
    path_of(console).parent.mkdir()
    path_of(console).write_text(text)
    result = console("login", "-u", "me", "--password-stdin", proxy.host, stdin="secret")
    if text == '{"auths": []}':
        assert result.code == 0, (
            "Go writes an empty map in no other way than null, and tools have written lists"
        )
        return
    assert result.code == 1 and said in result.err
    assert path_of(console).read_text() == text


def test_a_directory_that_cannot_be_written(console: Console, proxy: Proxy, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    result = console(
        "login",
        "-u",
        "me",
        "--password-stdin",
        proxy.host,
        stdin="secret",
        DOCKER_CONFIG=f"{tmp_path}/file/x",
    )
    assert result.code == 1
    assert f"cannot read '{tmp_path}/file/x/config.json': not a directory" in result.err


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (("-u", "me", "host.example"), "", "non TTY device"),
        (("host.example",), "", "non TTY device"),
        (("--password-stdin", "host.example"), "x", "needs --username"),
        (("-u", "me", "-p", "x", "--password-stdin", "host.example"), "x", "mutually exclusive"),
        (("-u", "me", "--password-stdin", "host.example"), "", "password is empty"),
        (("-u", "me", "-p", "x", "not a host"), "", "invalid registry 'not a host'"),
        (("-u", "me", "-p", "x", "../etc"), "", "invalid registry"),
        (("-u", "a:b", "-p", "x", "host.example"), "", "invalid username 'a:b'"),
    ],
)
def test_what_is_refused_before_anybody_is_asked(
    console: Console, arguments: tuple[str, ...], stdin: str, said: str
) -> None:
    result = console("login", *arguments, stdin=stdin)
    assert result.code != 0 and said in result.err
    assert not path_of(console).exists()


def test_a_terminal_is_asked(console: Console, proxy: Proxy) -> None:
    result = console("login", proxy.host, stdin="me\nsecret\n", terminal=True)
    assert result.code == 0 and "Username: " in result.err and "Password: " in result.err
    assert config(console)["auths"][proxy.host] == {"auth": auth("me", "secret")}


@pytest.mark.parametrize(
    ("code", "said"), [(404, "check that it is a registry"), (418, "status 418"), (403, "status 403")]
)
def test_what_is_no_registry(console: Console, proxy: Proxy, code: int, said: str) -> None:
    proxy.on("^GET /v2/", status(code), 0)
    result = console("login", "-u", "me", "--password-stdin", proxy.host, stdin="secret")
    assert result.code == 1 and said in result.err and not path_of(console).exists()


def test_credentials_do_not_leave_in_the_clear(console: Console, proxy: Proxy) -> None:
    proxy.login = "bearer"
    proxy.realm = "http://token.example/"
    result = console("login", "-u", "me", "--password-stdin", proxy.host, stdin="secret")
    assert result.code == 1 and "without encryption" in result.err


def test_the_hub_has_its_own_name(console: Console) -> None:
    write_config(console, auths={"https://index.docker.io/v1/": {"auth": "x"}, "docker.example": {}})
    out = console("logout").out
    assert out == "Removing login credentials for https://index.docker.io/v1/\n"
    assert config(console)["auths"] == {"docker.example": {}}


def test_a_dry_run_writes_nothing(console: Console, proxy: Proxy) -> None:
    assert (
        console("--dry-run", "login", "-u", "me", "-p", "secret", proxy.host).out
        == f"log in to {proxy.host}\n"
    )
    assert console("--dry-run", "logout", proxy.host).out == f"log out from {proxy.host}\n"
    assert not path_of(console).exists() and not proxy.asked
