"""``composer graph`` and ``up --timeline``."""

from __future__ import annotations

import json

from console import STACK, Console

from composer.backends.memory import Behaviour

PROJECT = """
    services:
      web:
        image: i
        depends_on:
          api: {condition: service_healthy, restart: true}
          cache: {required: false, condition: service_started}
      api:
        image: i
        healthcheck: {test: [CMD, a]}
        depends_on:
          migrate: {condition: service_completed_successfully}
          db: {condition: service_healthy}
      migrate: {image: i, depends_on: {db: {condition: service_healthy}}}
      cache: {image: i}
      db: {image: i, healthcheck: {test: [CMD, a]}, scale: 2}
"""


def test_the_text_has_conditions_and_states(console: Console) -> None:
    console.write(PROJECT)
    console.backend.behave("migrate", Behaviour(exits=(0,)))
    assert console("graph").out == (
        "web  not created\n"
        "├─ api [healthy, restarts with it]  not created\n"
        "│  ├─ db [healthy]  not created\n"
        "│  └─ migrate [completed]  not created\n"
        "│     └─ db [healthy]  not created\n"
        "└─ cache [optional]  not created\n"
    )
    console("up", "-d")
    out = console("graph").out
    assert "api [healthy, restarts with it]  running (healthy)" in out
    assert "migrate [completed]  exited (0)" in out
    assert "db [healthy]  2 × running (healthy)" in out
    path = out.splitlines()[-1]
    assert path.startswith("critical path of the last start: db → migrate (+")
    assert [word for word in path.split() if word in ("db", "migrate", "api", "web", "cache")] == [
        "db",
        "migrate",
        "api",
        "web",
    ]


def test_mermaid_and_dot(console: Console) -> None:
    console.write(PROJECT)
    console.backend.behave("migrate", Behaviour(exits=(0,)))
    console("up", "-d")
    mermaid = console("graph", "--format", "mermaid").out
    assert mermaid.startswith("flowchart LR\n")
    assert '    s2 ==>|"healthy"| s3\n' in mermaid, "the critical path is thick"
    assert '    s1 -.->|"optional"| s4\n' in mermaid
    dot = console("graph", "--format", "dot").out
    assert '"migrate" -> "api" [label="completed", penwidth=3];' in dot
    assert '"cache" -> "web" [label="optional", style=dashed];' in dot
    assert dot.endswith("}\n")


def test_a_cycle_is_an_error_with_its_place(console: Console) -> None:
    console.write("services: {a: {image: i, depends_on: [b]}, b: {image: i, depends_on: [a]}}")
    result = console("graph", "--no-live")
    assert result.code == 1
    assert result.err.startswith("compose.yaml:1:39: services wait for each other in a circle: a → b → a\n")


def test_the_timeline_has_every_phase_in_order(console: Console) -> None:
    console.write(STACK)
    console("up", "-d", "--timeline", "times.json")
    found = json.loads((console.directory / "times.json").read_text())
    assert (found["version"], found["project"]) == (1, "app")
    phases = {r["name"]: [p["phase"] for p in r["phases"]] for r in found["resources"]}
    assert phases["app-db-1"] == ["creating", "created", "starting", "started", "waiting", "healthy"]
    assert phases["app-web-1"] == ["creating", "created", "starting", "started"]
    times = [p["at_s"] for r in found["resources"] for p in r["phases"]]
    assert all(0 <= at <= found["total_s"] for at in times)
    db = {p["phase"]: p["at_s"] for r in found["resources"] if r["name"] == "app-db-1" for p in r["phases"]}
    web = {p["phase"]: p["at_s"] for r in found["resources"] if r["name"] == "app-web-1" for p in r["phases"]}
    assert db["healthy"] <= web["started"]
