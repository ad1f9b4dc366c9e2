"""``composer graph`` and ``up --timeline``."""

from __future__ import annotations

import json
import sys

import pytest

from composer.backends.memory import Behaviour
from composer.cli.pictures import Live, critical_path
from composer.cli.timeline import Timeline
from composer.graph import Graph
from tests.unit.cli.console import STACK, Console

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
    assert console("graph", "--services", "--unreduced").out == (
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


WHOLE = """
    services:
      web:
        image: web
        depends_on: {api: {condition: service_healthy}, db: {condition: service_healthy}}
        volumes: [data:/d]
        configs: [conf]
      api:
        build: {context: ., secrets: [token]}
        healthcheck: {test: [CMD, a]}
        depends_on: {db: {condition: service_healthy}}
        networks: [back]
      db: {image: db, healthcheck: {test: [CMD, a]}, volumes: [data:/d], secrets: [pw], networks: [back]}
    networks: {back: {}}
    volumes: {data: {}}
    configs: {conf: {content: x}}
    secrets: {pw: {environment: HOME}, token: {environment: HOME}}
"""


def test_the_whole_graph_has_all_six_kinds(console: Console) -> None:
    console.write(WHOLE)
    assert console("graph", "--no-live").out == (
        "web\n"
        "├─ api [healthy]\n"
        "│  ├─ db [healthy]\n"
        "│  │  ├─ network:back\n"
        "│  │  ├─ volume:data\n"
        "│  │  ├─ secret:pw\n"
        "│  │  └─ image:db\n"
        "│  ├─ network:back\n"
        "│  ├─ secret:token\n"
        "│  └─ image:app-api\n"
        "├─ network:default\n"
        "├─ volume:data\n"
        "├─ config:conf\n"
        "└─ image:web\n"
    )
    assert "├─ db [healthy]\n" in console("graph", "--no-live", "--unreduced").out.split("web\n", 1)[1]


def ids(console: Console, *arguments: str) -> set[str]:
    return {node["id"] for node in json.loads(console("graph", "--format", "json", *arguments).out)["nodes"]}


def test_a_chain_may_be_longer_than_calls_can_be_nested(console: Console) -> None:
    count = sys.getrecursionlimit() + 200
    services = [f"s{n}: {{image: i, depends_on: [s{n - 1}]}}" for n in range(1, count)]
    console.write("services:\n  s0: {image: i}\n  " + "\n  ".join(services))
    lines = console("graph", "--no-live", "--services").out.splitlines()
    assert (len(lines), lines[0], lines[-1].strip()) == (count, f"s{count - 1}", "└─ s0")
    assert console("graph", "--no-live", "--critical-path").out.count("→") == count - 1
    assert ids(console, "--needed-by", f"s{count - 2}") == {f"service:s{count - 2}", f"service:s{count - 1}"}


def test_questions_are_answered(console: Console) -> None:
    console.write(WHOLE)
    assert ids(console, "--needs", "api") == {
        "service:api",
        "service:db",
        *("network:back", "secret:token", "secret:pw", "image:app-api", "volume:data", "image:db"),
    }
    assert ids(console, "--needed-by", "secret:pw") == {
        "secret:pw",
        "service:db",
        "service:api",
        "service:web",
    }
    assert ids(console, "--needed-by", "conf", "--services") == {"config:conf", "service:web"}
    assert (
        console("graph", "--no-live", "--needed-by", "db").out
        == "db\n└─ api [healthy]\n   └─ web [healthy]\n"
    )
    assert console("graph", "--no-live", "--critical-path").out.startswith(
        "db → api → web  (no service has started"
    )


def test_a_name_that_is_not_there_or_that_many_have(console: Console) -> None:
    console.write(
        "services: {web: {image: i, volumes: [data:/d], networks: [data]}}\nvolumes: {data: }\nnetworks: {data: }"
    )
    result = console("graph", "--no-live", "--needed-by", "data")
    assert (result.code, "use network:data or volume:data" in result.err) == (1, True), result.err
    assert "did you mean 'web'?" in console("graph", "--needs", "wep").err
    assert (
        "--needs, --needed-by and --critical-path are incompatible"
        in console("graph", "--needs", "web", "--critical-path").err
    )


def test_json_has_nodes_edges_and_the_path(console: Console) -> None:
    console.write(PROJECT)
    console.backend.behave("migrate", Behaviour(exits=(0,)))
    console("up", "-d")
    found = json.loads(console("graph", "--format", "json", "--services").out)
    assert {"id": "service:cache", "kind": "service", "name": "cache", "state": "running"} in found["nodes"]
    edges = {(edge["needed"], edge["by"]): edge for edge in found["edges"]}
    assert edges["service:api", "service:web"] == {
        "needed": "service:api",
        "by": "service:web",
        "condition": "service_healthy",
        "required": True,
        "restart": True,
        "implicit": False,
    }
    assert ("service:db", "service:api") not in edges, "it follows from db → migrate → api"
    whole = json.loads(console("graph", "--format", "json", "--unreduced").out)
    assert ("service:db", "service:api") in {(edge["needed"], edge["by"]) for edge in whole["edges"]}
    assert [hop["service"] for hop in found["critical_path"]] == ["db", "migrate", "api", "web"]
    assert all(hop["seconds"] >= 0 for hop in found["critical_path"])
    assert ids(console, "--critical-path") == {f"service:{hop['service']}" for hop in found["critical_path"]}


def lived(started_s: float, completed_s: float = 0) -> Live:
    return Live("", int((1000 + started_s) * 1e9), int((1000 + completed_s) * 1e9) if completed_s else 0)


def test_the_critical_path_is_the_longest_chain_of_waits() -> None:
    def wait(condition: str) -> dict[str, object]:
        return {"condition": f"service_{condition}", "required": True}

    graph = Graph(
        {
            "services": {
                "web": {"depends_on": {"db": wait("healthy"), "job": wait("completed_successfully")}},
                "db": {},
                "job": {"depends_on": {"late": wait("started")}},
                "late": {},
                "after": {"depends_on": {"web": wait("started")}},
            }
        }
    )

    def path(**lives: Live) -> list[str]:
        return [hop.service for hop in critical_path(graph, lives)]

    found = {"db": lived(0), "late": lived(0.5), "job": lived(0.6, 4), "web": lived(4.1), "after": lived(4.2)}
    assert path(**found) == ["late", "job", "web", "after"], (
        "the job ended just before, db was started long before"
    )
    found |= {"job": lived(0.6, 1)}
    assert path(**found) == ["db", "web", "after"], "the job had ended long before: only db's health is left"
    # what was started again since was not waited for
    found["job"] = lived(20, 29)
    assert path(**found) == ["late", "job"]
    assert critical_path(graph, found)[1].seconds == pytest.approx(19.5)


def test_a_timeline_knows_when_something_was_healthy(console: Console) -> None:
    console.write("""
        services:
          web:
            image: i
            depends_on: {db: {condition: service_healthy}, job: {condition: service_completed_successfully}}
          db: {image: i, container_name: store, healthcheck: {test: [CMD, a]}}
          job: {image: i}
    """)

    def write(**times: dict[str, float]) -> None:
        resources = [
            {
                "kind": "container",
                "name": name,
                "phases": [{"phase": p, "at_s": at} for p, at in phases.items()],
            }
            for name, phases in times.items()
        ]
        found = {"version": 1, "project": "app", "began": 1.5, "total_s": 9.0, "resources": resources}
        (console.directory / "t.json").write_text(json.dumps(found))

    def path() -> str:
        return console("graph", "--timeline", "t.json", "--critical-path").out

    web, job = {"starting": 5.0, "started": 5.1}, {"starting": 0.1, "completed": 4.0}
    write(**{"app-web-1": web, "app-job-1": job, "store": {"starting": 0.1, "healthy": 4.9}})
    assert path() == "db → web (+4.90 s)\n"
    write(**{"app-web-1": web, "app-job-1": job, "store": {"starting": 0.1, "healthy": 3.9}})
    assert path() == "job → web (+4.90 s)\n"
    assert "db [healthy]  healthy" in console("graph", "--timeline", "t.json").out


def test_the_timeline_of_an_up_is_read_again(console: Console) -> None:
    console.write(PROJECT)
    console.backend.behave("migrate", Behaviour(exits=(0,)))
    console("up", "-d", "--timeline", "t.json")
    console("down")
    found = json.loads(console("graph", "--timeline", "t.json", "--format", "json", "--services").out)
    assert [hop["service"] for hop in found["critical_path"]] == ["db", "migrate", "api", "web"]
    assert {node["name"]: node["state"] for node in found["nodes"]} == {
        "api": "healthy",
        "cache": "started",
        "db": "healthy",
        "migrate": "exited",
        "web": "started",
    }


def test_the_phases_of_the_command_are_the_last_line(console: Console) -> None:
    console.write("services: {a: {image: i}}")
    found = {
        "version": 1,
        "project": "app",
        "began": 1,
        "total_s": 0.75,
        "command": [{"phase": "loading", "at_s": 0.25}, {"phase": "observing", "at_s": 0.5}],
        "resources": [],
    }
    (console.directory / "t.json").write_text(json.dumps(found))
    lines = console("graph", "--timeline", "t.json").out.splitlines()
    assert lines[-2:] == ["", "phases of the command: loading 250 ms, observing 250 ms"]
    del found["command"]  # of an earlier version
    (console.directory / "t.json").write_text(json.dumps(found))
    assert "phases" not in console("graph", "--timeline", "t.json").out


def test_a_command_has_the_phases_before_its_first_import() -> None:
    now = iter((10.0, 10.5, 11.0, 11.5, 12.0))
    timeline = Timeline("t.json", (9.0, 0.25), clock=lambda: next(now))
    timeline.enter("opening")
    timeline.enter("opening")
    found = timeline.document("app")
    assert [(one["phase"], one["at_s"]) for one in found["command"]] == [
        ("interpreter", 0.0),
        ("imports", 0.25),
        ("loading", 1.75),
        ("opening", 2.25),
    ]
    assert found["total_s"] == 3.25


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "'t.json' is not a composer timeline file: line 1, column 2"),
        ("{}", "'t.json' is not a composer timeline file: version: required, but missing"),
        (
            '{"version": 1, "project": "other", "began": 1, "total_s": 2, "resources": []}',
            "belongs to project 'other', not to 'app'",
        ),
        (
            '{"version": 1, "project": "a", "began": 1, "total_s": 2, "resources": [{"kind": "c", "name": 5}]}',
            "resources[0].name: must be a valid string, not 5",
        ),
        ("[" * 100_000, "'t.json' is not a composer timeline file"),
    ],
)
def test_what_is_no_timeline_names_the_place(console: Console, text: str, words: str) -> None:
    console.write(PROJECT)
    (console.directory / "t.json").write_text(text)
    result = console("graph", "--timeline", "t.json")
    assert (result.code, words in result.err) == (1, True), result.err
    assert "cannot read the timeline 'none.json'" in console("graph", "--timeline", "none.json").err


def test_all_cycles_are_listed(console: Console) -> None:
    console.write("""
        services:
          a: {image: i, depends_on: [b]}
          b: {image: i, depends_on: [a, c]}
          c: {image: i, depends_on: [b]}
          d: {image: i, links: [e], networks: [nope]}
          e: {image: i, depends_on: [d]}
    """)
    result = console("graph", "--no-live")
    assert result.code == 1
    circles = [
        line.rpartition(": ")[2] for line in result.err.splitlines() if "dependency cycle detected" in line
    ]
    assert circles == ["a → b → a", "b → c → b", "d → e → d"]
    assert "refers to undefined network 'nope'" in result.err, "the other errors are not lost"
    assert "dependency cycle detected" in console("config").err


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
    assert result.err.startswith("error: compose.yaml:1:39: dependency cycle detected: a → b → a\n")


def test_the_timeline_has_every_phase_in_order(console: Console) -> None:
    console.write(STACK)
    console("up", "-d", "--timeline", "times.json")
    found = json.loads((console.directory / "times.json").read_text())
    assert (found["version"], found["project"]) == (1, "app")
    phases = {r["name"]: [p["phase"] for p in r["phases"]] for r in found["resources"]}
    assert phases["app-db-1"] == ["creating", "created", "starting", "started", "waiting", "healthy"]
    assert phases["app-web-1"] == ["creating", "created", "starting", "started"]
    assert [p["phase"] for p in found["command"]] == [
        *("loading", "opening", "observing", "planning", "executing", "starting")
    ]
    times = [p["at_s"] for r in found["resources"] for p in r["phases"]]
    assert all(0 <= at <= found["total_s"] for at in times)
    db = {p["phase"]: p["at_s"] for r in found["resources"] if r["name"] == "app-db-1" for p in r["phases"]}
    web = {p["phase"]: p["at_s"] for r in found["resources"] if r["name"] == "app-web-1" for p in r["phases"]}
    assert db["healthy"] <= web["started"]
