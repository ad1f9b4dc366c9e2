"""Which engine is meant: the same as for Docker's own command."""

from __future__ import annotations

import json
import pathlib
from hashlib import sha256

import pytest

from composer.backends.docker.endpoint import DEFAULT, Endpoint, dial, find
from composer.errors import Unavailable


def context(directory: pathlib.Path, name: str, host: str, *, tls: bool = False) -> None:
    digest = sha256(name.encode()).hexdigest()
    meta = directory / "contexts/meta" / digest
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    if tls:
        (directory / "contexts/tls" / digest / "docker").mkdir(parents=True)


def test_nothing_said_is_the_default() -> None:
    assert find({"HOME": "/nowhere"}) == Endpoint(DEFAULT, None, False)


def test_docker_host_comes_before_any_context(tmp_path: pathlib.Path) -> None:
    context(tmp_path, "remote", "tcp://remote:2376")
    environment = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "remote", "DOCKER_HOST": "unix:///x"}
    assert find(environment).url == "unix:///x"
    del environment["DOCKER_HOST"]
    assert find(environment) == Endpoint("tcp://remote:2376", None, True, "remote")


def test_the_current_context_is_used(tmp_path: pathlib.Path) -> None:
    context(tmp_path, "desktop", "unix:///desktop.sock", tls=True)
    (tmp_path / "config.json").write_text('{"currentContext": "desktop"}')
    found = find({"DOCKER_CONFIG": str(tmp_path)})
    assert found.url == "unix:///desktop.sock"
    assert found.tls is not None
    assert found.tls.endswith("/docker")
    assert find({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "default"}).url == DEFAULT


def test_a_context_that_is_not_there_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(Unavailable, match="cannot read Docker context 'gone'"):
        find({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "gone"})


def test_a_broken_configuration_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(Unavailable, match=r"cannot read '.*config\.json'"):
        find({"DOCKER_CONFIG": str(tmp_path)})


def test_tls_is_asked_for_by_environment() -> None:
    found = find({"DOCKER_HOST": "tcp://h:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"})
    assert found == Endpoint("tcp://h:2376", "/certs", True)
    assert find({"DOCKER_HOST": "tcp://h:2375"}).tls is None


@pytest.mark.parametrize("url", ["nonsense", "fd://"])
def test_an_address_that_cannot_be_reached_from_here(url: str) -> None:
    with pytest.raises(Unavailable, match="cannot connect to a Docker Engine at") as caught:
        dial(Endpoint(url))
    assert "unix://" in str(caught.value.hint)


def test_certificates_that_are_not_there(tmp_path: pathlib.Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unavailable, match="TLS connection to the Docker Engine") as caught:
            dial(Endpoint(url, str(tmp_path)))
    assert str(tmp_path) in str(caught.value.hint)


@pytest.mark.parametrize(
    ("given", "address"),
    [("127.0.0.1:2375", ("127.0.0.1", 2375)), ("engine", ("engine", 2375)), ("[::1]:99", ("::1", 99))],
)
def test_an_address_without_a_scheme_is_one_of_tcp(given: str, address: tuple[str, int]) -> None:
    found = find({"DOCKER_HOST": given})
    assert (found.url, found.host_port) == (f"tcp://{given}", address)
