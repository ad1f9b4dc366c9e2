"""What the fast verbs import on Docker Engine: neither the SDK nor an HTTP library."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.unit.docker.engine import Asked, Engine, answer

ROOT = pathlib.Path(__file__).parents[3]
PROGRAM = """
import json, os, sys
from composer.cli.main import run
code = run(sys.argv[1:], dict(os.environ))
print("=====" + json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""
HEAVY = {
    "docker",
    "requests",
    "urllib3",
    "http",
    "ssl",
    "email",
    "pydantic",
    "networkx",
    "jsonschema",
    "asyncio",
}


def reply(asked: Asked) -> bytes:
    if "/volumes" in asked.target:
        return answer(value={"Volumes": []})
    return answer(value=[])


@pytest.mark.parametrize("verb", [("ps",), ("ls",), ("down",), ("logs",)])
def test_fast_verbs_import_nothing_heavy(
    engine: Callable[..., Engine], tmp_path: pathlib.Path, verb: tuple[str, ...]
) -> None:
    (tmp_path / "compose.yaml").write_text("name: app\nservices: {web: {image: nginx}}\n")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "COMPOSER_ROOT": str(tmp_path / "state"),
        "DOCKER_HOST": engine(reply).url,
    }
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, "--backend", "docker", *verb],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = json.loads(result.stdout.rpartition("=====")[2])
    assert found["code"] == 0, result.stderr
    assert not {name.partition(".")[0] for name in found["modules"]} & HEAVY
    assert "composer.backends.docker.client" in found["modules"]
