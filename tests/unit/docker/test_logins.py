"""Logins on their way to an engine, and what is said when there is none: the same as on the built-in runtime."""

from __future__ import annotations

import base64
import json
import pathlib
from collections.abc import Callable

import pytest

from composer.backends.docker.backend import DockerBackend
from composer.errors import ImageError
from composer.registry import credentials
from tests.unit.docker.engine import Asked, Engine, Reply, answer
from tests.unit.docker.test_sdk import chunked

Start = Callable[..., Engine]

ACTIONS: dict[str, Callable[[DockerBackend], object]] = {
    "pull": lambda one: one.pull_image("h.test/x:1"),
    "push": lambda one: one.push_image("h.test/x:1"),
    "resolve": lambda one: one.resolve_image("h.test/x:1"),
}
UNAUTHORIZED = "unauthorized: authentication required"


def refusing(words: str) -> Reply:
    def reply(asked: Asked) -> bytes:
        if "/distribution/" in asked.target:
            return answer(500, {"message": words})
        return chunked(json.dumps({"error": words}).encode() + b"\n")

    return reply


def configured(directory: pathlib.Path, **config: object) -> dict[str, str]:
    (directory / "config.json").write_text(json.dumps(config))
    return {"DOCKER_CONFIG": str(directory), "PATH": "/usr/bin:/bin"}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("words", [UNAUTHORIZED, "no basic auth credentials"])
def test_a_helper_that_is_not_there_is_the_remedy_of_a_refusal(
    engine: Start, tmp_path: pathlib.Path, action: str, words: str
) -> None:
    environment = configured(tmp_path, credsStore="gone")
    one = DockerBackend(engine(refusing(words)).client(), environment)
    with pytest.raises(ImageError, match=words) as failure:
        ACTIONS[action](one)
    one.close()
    docker = json.loads((tmp_path / "config.json").read_text())
    wanted = credentials.find(docker, environment, "h.test").complaint
    assert failure.value.hint == wanted == "credential helper 'docker-credential-gone' not found in PATH"


@pytest.mark.parametrize("action", ["pull", "push"])
def test_it_is_no_trouble_where_no_login_is_wanted(
    engine: Start, tmp_path: pathlib.Path, action: str
) -> None:
    environment = configured(tmp_path, credsStore="gone")
    # what a pull looks at afterwards, which is not looked at here
    one = DockerBackend(engine(lambda asked: chunked(b"{}\n")).client(), environment)
    try:
        ACTIONS[action](one)
    except (ImageError, KeyError) as error:
        assert "credential" not in str(error)
    one.close()


@pytest.mark.parametrize("action", ACTIONS)
def test_a_disk_that_is_full_is_not_blamed_on_it(engine: Start, tmp_path: pathlib.Path, action: str) -> None:
    one = DockerBackend(
        engine(refusing("write /x: no space left on device")).client(),
        configured(tmp_path, credsStore="gone"),
    )
    with pytest.raises(ImageError) as failure:
        ACTIONS[action](one)
    one.close()
    assert "free up disk space" in str(failure.value.hint)


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_no_reference_does_not_reach_the_engine(
    engine: Start, tmp_path: pathlib.Path, action: str
) -> None:
    found = engine(refusing(UNAUTHORIZED))
    one = DockerBackend(found.client(), configured(tmp_path))
    calls: dict[str, Callable[[str], object]] = {
        "pull": one.pull_image, "push": one.push_image, "resolve": one.resolve_image
    }  # fmt: skip
    with pytest.raises(ImageError, match="invalid reference format 'Bad Name'"):
        calls[action]("Bad Name")
    one.close()
    assert not [asked for asked in found.asked if "Bad" in asked.target]


@pytest.mark.parametrize(
    ("host", "server"), [("h.test", "h.test"), ("docker.io", "https://index.docker.io/v1/")]
)
def test_an_identity_token_goes_over(engine: Start, tmp_path: pathlib.Path, host: str, server: str) -> None:
    headers: list[str] = []
    found = engine(lambda asked: chunked(b"{}\n"))
    found.headers_seen = headers
    one = DockerBackend(found.client(), configured(tmp_path, auths={server: {"identitytoken": "t"}}))
    one.push_image(f"{host}/me/x:1")
    one.close()
    (login,) = (
        json.loads(base64.urlsafe_b64decode(line.partition(":")[2].strip()))
        for line in headers
        if line.lower().startswith("x-registry-auth:")
    )
    assert login == {"serveraddress": server, "identitytoken": "t"}
