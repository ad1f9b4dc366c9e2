"""Who we are to registries, by Docker's config.json and helpers that answer as they are told."""

from __future__ import annotations

import base64
import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from composer import userconfig
from composer.errors import ProjectError
from composer.registry import credentials
from composer.registry.credentials import Credentials

HUB = "https://index.docker.io/v1/"
ME = base64.b64encode(b"me:se:cret").decode()

Helper = Callable[..., dict[str, str]]


@pytest.fixture
def helper(tmp_path: pathlib.Path) -> Helper:
    """Make helpers by name, of a shell script for ``get SERVER`` and ``list``; return the environment for them."""

    def make(**scripts: str) -> dict[str, str]:
        for name, script in scripts.items():
            program = tmp_path / f"docker-credential-{name}"
            program.write_text(f'#!/bin/sh\n[ "$1" = get ] && read -r server\n{script}\n')
            program.chmod(0o755)
        return {"PATH": f"{tmp_path}:/usr/bin:/bin"}

    return make


KNOWS = """case "$1 $server" in
list*) echo '{"a.test": "ann", "https://index.docker.io/v1/": "hub"}' ;;
"get a.test") echo '{"Username": "ann", "Secret": "of a"}' ;;
"get https://index.docker.io/v1/") echo '{"Username": "<token>", "Secret": "of the hub"}' ;;
*) echo "credentials not found in native keychain"; exit 1 ;;
esac"""


@pytest.mark.parametrize(
    ("auths", "host", "found"),
    [
        ({"a.test": {"auth": ME}}, "a.test", Credentials("me", "se:cret")),
        ({"https://a.test/v1/": {"auth": ME}}, "a.test", Credentials("me", "se:cret")),
        ({"http://a.test": {"username": "u", "password": "p"}}, "a.test", Credentials("u", "p")),
        ({HUB: {"auth": ME}}, "docker.io", Credentials("me", "se:cret")),
        ({"a.test": {"identitytoken": "t"}}, "a.test", Credentials(identity_token="t")),
        ({"a.test:5000": {"auth": ME}}, "a.test", Credentials()),
        ({"a.test": "nonsense"}, "a.test", Credentials()),
        ("nonsense", "a.test", Credentials()),
    ],
)
def test_a_login_of_the_file(auths: Any, host: str, found: Credentials) -> None:
    assert credentials.find({"auths": auths}, {}, host) == found


def test_a_damaged_entry_says_so() -> None:
    found = credentials.find({"auths": {"a.test": {"auth": "!"}}}, {}, "a.test")
    assert not found and found.complaint == "the entry of 'a.test' in docker's config.json is damaged"


def test_a_helper_comes_before_the_file_and_that_of_a_server_before_the_other(helper: Helper) -> None:
    environment = helper(all=KNOWS, one='echo \'{"Username": "one", "Secret": "s"}\'')
    docker = {"credsStore": "all", "credHelpers": {"b.test": "one"}, "auths": {"c.test": {"auth": ME}}}
    names = {
        host: credentials.find(docker, environment, host)
        for host in ("a.test", "b.test", "c.test", "docker.io")
    }
    assert names == {
        "a.test": Credentials("ann", "of a"),
        "b.test": Credentials("one", "s"),
        "c.test": Credentials("me", "se:cret"),
        "docker.io": Credentials(identity_token="of the hub"),
    }


def test_all_credentials_there_are(helper: Helper) -> None:
    environment = helper(all=KNOWS, one='echo \'{"Username": "one", "Secret": "s"}\'')
    docker = {
        "credsStore": "all",
        "credHelpers": {"b.test": "one", "a.test": "one"},
        "auths": {"c.test": {"auth": ME}, "a.test": {"auth": ME}, "empty.test": {}},
    }
    assert credentials.every(docker, environment) == (
        {
            "a.test": Credentials("one", "s"),
            "b.test": Credentials("one", "s"),
            "c.test": Credentials("me", "se:cret"),
            HUB: Credentials(identity_token="of the hub"),
        },
        "",
    )


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        (None, "credential helper 'docker-credential-bad' not found in PATH"),
        ("echo locked >&2; exit 1", "the credential helper 'docker-credential-bad' failed: locked"),
        ("exit 3", "the credential helper 'docker-credential-bad' failed: 3"),
        ("echo nonsense", "the credential helper 'docker-credential-bad' returned invalid output "),
        ("echo '[1, 2]'", "the credential helper 'docker-credential-bad' returned invalid output "
                            "(expected JSON with Username and Secret)"),
    ],
)  # fmt: skip
def test_a_helper_that_fails_is_named_and_the_file_counts(
    helper: Helper, script: str | None, complaint: str
) -> None:
    environment = helper(**({} if script is None else {"bad": script}))
    docker: dict[str, Any] = {"credsStore": "bad", "auths": {"c.test": {"auth": ME}}}
    found = credentials.find(docker, environment, "c.test")
    assert found.username == "me" and found.complaint.startswith(complaint)
    everything, said = credentials.every({**docker, "credHelpers": {"c.test": "bad"}}, environment)
    assert everything["c.test"].username == "me" and "docker-credential-bad" in said


def test_what_is_wrong_is_seen_without_asking(helper: Helper) -> None:
    environment = helper(good="exit 9")
    docker = {"credsStore": "gone", "credHelpers": {"a": "good", "b": "../evil", "c": "gone"}}
    assert credentials.troubles(docker, environment) == [
        "invalid credential helper name '../evil'",
        "credential helper 'docker-credential-gone' not found in PATH",
    ]
    assert credentials.troubles({}, environment) == []


def test_what_docker_is_told() -> None:
    assert Credentials("me", "s").document("h") == {"serveraddress": "h", "username": "me", "password": "s"}
    assert Credentials("", "", "t").document("h") == {"serveraddress": "h", "identitytoken": "t"}
    assert Credentials(complaint="x").document("h") == {}
    assert "secret" not in repr(Credentials("me", "secret", "secret"))


@pytest.mark.parametrize("text", ["{", "\xff", "[" * 100_000])
def test_a_file_that_is_no_json_is_named(tmp_path: pathlib.Path, text: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ProjectError, match=r"cannot read '.*/config\.json'"):
        userconfig.read_docker({"DOCKER_CONFIG": str(tmp_path)})


def test_where_the_file_is(tmp_path: pathlib.Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text('{"a": 1}')
    assert userconfig.read_docker({"HOME": str(tmp_path)}) == {"a": 1}
    assert userconfig.read_docker({"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}) == {}
    (tmp_path / "config.json").write_text("[]")
    assert userconfig.read_docker({"DOCKER_CONFIG": str(tmp_path)}) == {}


def test_logins_of_the_variable_come_first(helper: Helper) -> None:
    variable = json.dumps({"auths": {"a.test": {"auth": ME}}})
    environment = {**helper(knows=KNOWS), "HOME": "/nowhere", "DOCKER_AUTH_CONFIG": variable}
    docker = {**userconfig.read_docker(environment), "credsStore": "knows"}
    assert credentials.find(docker, environment, "a.test") == Credentials("me", "se:cret")
    assert credentials.find(docker, environment, "docker.io") == Credentials(identity_token="of the hub")
    assert credentials.every(docker, environment)[0]["a.test"] == Credentials("me", "se:cret")


@pytest.mark.parametrize("text", ["nonsense", "[]", "{}", '{"auths": 1}', '{"auths": {"a": 1}}'])
def test_a_variable_that_has_no_logins_is_refused(text: str) -> None:
    with pytest.raises(ProjectError, match="DOCKER_AUTH_CONFIG"):
        userconfig.read_docker({"HOME": "/nowhere", "DOCKER_AUTH_CONFIG": text})
