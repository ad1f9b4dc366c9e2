"""What the engine says, and what we make of it: one line, the right kind, and a remedy."""

from __future__ import annotations

import json

import pytest

from composer import errors
from composer.backends.docker import failures

SENTENCES = [
    (
        500,
        "driver failed programming external connectivity on endpoint x (ab): "
        "Bind for 127.0.0.1:8080 failed: port is already allocated",
        errors.Conflict,
        "port 8080 is already in use",
    ),
    (
        500,
        "failed to set up container networking: driver failed programming external connectivity on endpoint x (ab): "
        "failed to bind host port for 0.0.0.0:80:172.17.0.2:80/tcp: address already in use",
        errors.Conflict,
        "a port is already in use",
    ),
    (
        500,
        "write /var/lib/x: no space left on device",
        errors.BackendError,
        "no space left on the Docker host",
    ),
    (404, "No such image: nginx:latest", errors.NotFound, "no such image: nginx:latest"),
    (
        409,
        'Conflict. The container name "/web" is already in use by container "0123456789abcdef". You have to remove',
        errors.Conflict,
        'container name "web" is already in use by container 0123456789ab',
    ),
    (
        400,
        "client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade",
        errors.Unavailable,
        "the engine requires API 1.44 or newer",
    ),
    (
        500,
        "all predefined address pools have been fully subnetted",
        errors.Conflict,
        "no available address pool",
    ),
    (
        403,
        "error while removing network: network x has active endpoints",
        errors.Conflict,
        "active endpoints",
    ),
    (
        400,
        "failed to create task for container: failed to create shim task: "
        "OCI runtime create failed: runc create failed: "
        "unable to start container process: error during container init: "
        'exec: "/nowhere": stat /nowhere: no such file or directory',
        errors.StartFailed,
        "command not found in the image: /nowhere",
    ),
    (
        400,
        'OCI runtime create failed: unable to start container process: exec: "/etc": is a directory',
        errors.StartFailed,
        "cannot be executed",
    ),
    (
        500,
        'exec: "docker-init": executable file not found in $PATH',
        errors.StartFailed,
        "docker-init, required by 'init: true', not found",
    ),
    (400, "OCI runtime create failed: something else", errors.StartFailed, "something else"),
    (404, "pull access denied for x, repository does not exist", errors.PullFailed, "pull access denied"),
    (503, "This node is not a swarm manager.", errors.Unavailable, "this node is not a swarm manager"),
    (418, "Something Quite New.", errors.BackendError, "something Quite New"),
]


@pytest.mark.parametrize(("status", "sentence", "kind", "words"), SENTENCES)
def test_a_refusal_becomes_one_of_our_errors(
    status: int, sentence: str, kind: type[errors.BackendError], words: str
) -> None:
    found = failures.refused(status, json.dumps({"message": sentence}).encode())
    assert type(found) is kind
    assert words in str(found)
    assert "\n" not in str(found)
    assert not str(found).endswith(".")
    assert str(found)[0].islower()


@pytest.mark.parametrize(("index", "code"), [(8, 127), (9, 126), (10, 125), (11, 125)])
def test_a_start_that_fails_has_dockers_exit_code(index: int, code: int) -> None:
    found = failures.said(SENTENCES[index][1])
    assert isinstance(found, errors.StartFailed)
    assert found.exit_code == code


def test_what_is_no_json_is_taken_as_it_is() -> None:
    assert str(failures.refused(502, b"<html>Bad\nGateway</html>")) == "<html>Bad Gateway</html>"
    assert str(failures.refused(500, b"")) == "the engine returned status 500 without a message"
