"""``alpha generate``: a compose file from running containers, which is then used, on both backends."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.stack import Stack

PROJECT = """
name: NAME
services:
  web:
    image: IMAGE
    command: [sh, -c, 'echo "$$MONEY"; sleep 600']
    environment: {A: "1", MONEY: "5$$ and 'more'"}
    labels: {mine: "yes"}
    ports: ["127.0.0.1::80"]
    volumes: [data:/d, ./src:/src:ro]
    networks: {one: {aliases: [www]}}
    healthcheck: {test: [CMD, "true"], interval: 5s, retries: 2, start_period: 3s}
    restart: always
    working_dir: /d
    stop_signal: SIGKILL
  job: {image: IMAGE, command: [sleep, "600"], scale: 2, stop_signal: SIGKILL, tty: true}
volumes: {data: }
networks: {one: }
"""


def test_a_generated_file_is_used_in_place_of_the_old_one(empty: Stack) -> None:
    stack = empty
    stack.write(PROJECT)
    (stack.directory / "src").mkdir()
    stack.run("up", "-d")
    names = [f"{stack.name}-{one}" for one in ("web-1", "job-1", "job-2")]
    made = stack.run("alpha", "generate", "--name", f"{stack.name}new", "--project-dir", ".", *names)
    assert made.stderr == "generate command is EXPERIMENTAL\n"
    (stack.directory / "new.yaml").write_text(made.stdout)
    canonical = json.loads(stack.run("-f", "new.yaml", "config", "--format", "json").stdout)
    web, job = canonical["services"]["web"], canonical["services"]["job"]
    before = json.loads(stack.run("config", "--format", "json").stdout)["services"]["web"]
    for same in ("image", "environment", "labels", "restart", "working_dir"):
        assert web[same] == before[same], same
    assert web["command"] == before["command"]
    assert _health(web) == _health(before)
    assert web["networks"] == {f"{stack.name}_one": {"aliases": ["www"]}}
    assert (job["scale"], job["tty"]) == (2, True)
    assert canonical["volumes"][f"{stack.name}_data"] == {"name": f"{stack.name}_data", "external": True}
    assert [(one["type"], one["target"]) for one in web["volumes"]] == [("volume", "/d"), ("bind", "/src")]
    assert web["volumes"][1]["source"] == str(stack.directory / "src")

    stack.run("exec", "-T", "web", "sh", "-c", "echo kept > /d/file")
    as_json = stack.run("alpha", "generate", "--format", "json", names[1]).stdout
    assert json.loads(as_json)["services"]["job"]["command"] == ["sleep", "600"]
    stack.run("rm", "-fs")
    stack.run("-f", "new.yaml", "up", "-d")
    try:
        new = ("-f", "new.yaml", "exec", "-T", "web", "cat", "file")
        assert stack.run(*new).stdout == "kept\n"
        logs = stack.run("-f", "new.yaml", "logs", "--no-log-prefix", "web").stdout
        assert logs == "5$ and 'more'\n"
    finally:
        stack.run("-f", "new.yaml", "down", "-t", "0")


def _health(service: dict[str, Any]) -> dict[str, Any]:
    check: dict[str, Any] = service["healthcheck"]
    return {key: check[key] for key in ("test", "interval", "retries", "start_period")}


def test_what_is_not_there_is_named(empty: Stack) -> None:
    empty.write(PROJECT)
    refused = empty.run("alpha", "generate", "nothing", "more", code=1)
    assert "no container(s) found with the following name(s): nothing, more" in refused.stderr
    assert "at least one container must be specified" in empty.run("alpha", "generate", code=1).stderr
