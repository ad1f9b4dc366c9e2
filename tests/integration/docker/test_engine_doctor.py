"""``composer doctor`` beside a real engine: what it says of it is what the engine says."""

from __future__ import annotations

import json

import pytest

from tests.integration.docker.conftest import Stack

pytestmark = pytest.mark.docker


def findings(stack: Stack, **environment: str) -> dict[str, list[dict[str, str]]]:
    result = stack.ours("doctor", "--json", **environment)  # type: ignore[arg-type]
    found: dict[str, list[dict[str, str]]] = {}
    for one in json.loads(result.stdout)["backends"]["docker"]["findings"]:
        found.setdefault(one["subject"], []).append(one)
    return found


def test_it_names_engine_and_version(stack: Stack) -> None:
    found = findings(stack)
    assert found["engine"][0]["text"].endswith("from DOCKER_HOST")
    version = stack.engine("version", "--format", "{{.Server.Version}}").strip()
    assert f"Engine {version}, API" in found["version"][0]["text"]
    assert "GB free at" in found["disk"][0]["text"]


def test_a_network_that_nobody_uses_is_named(stack: Stack) -> None:
    label = f"com.docker.compose.project={stack.name}"
    stack.engine("network", "create", "--label", label, f"{stack.name}_left")
    try:
        (one,) = findings(stack)["leftovers"]
    finally:
        stack.engine("network", "rm", f"{stack.name}_left")
    assert one["level"] == "note"
    assert f"{stack.name}_left" in one["text"]


def test_a_credential_helper_that_is_not_there(stack: Stack) -> None:
    (stack.directory / "config.json").write_text('{"credsStore": "nowhere"}')
    (one,) = findings(stack, DOCKER_CONFIG=str(stack.directory))["credentials"]
    assert one["level"] == "warning"
    assert "credential helper 'docker-credential-nowhere' not found in PATH" in one["text"]
