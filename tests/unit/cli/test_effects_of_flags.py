"""What options of docker compose do that no other test looks at: each is given, and its effect is seen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from composer.backends.memory import Behaviour
from composer.engine.observed import ContainerState, Health
from tests.unit.cli.console import Console, states

PROJECT = """
    services:
      db: {image: base, build: ./db, volumes: [/anonymous]}
      web: {image: front, build: ./web, depends_on: [db]}
    models: {llm: {model: ai/small}}
"""


@pytest.fixture
def app(console: Console) -> Console:
    console.write(PROJECT)
    return console


@pytest.fixture
def running(app: Console) -> Console:
    assert app("up", "-d").code == 0
    app.backend.calls.clear()
    return app


def called(console: Console, method: str) -> list[str]:
    return sorted(name for called, name in console.backend.calls if called == method)


def ids(console: Console) -> dict[str, str]:
    return {c.name: c.id for c in console.backend.observe("app").containers}


@pytest.mark.parametrize(
    ("verb", "method"), [("build --with-dependencies", "build_image"), ("push --include-deps", "push_image")]
)
def test_images_of_dependencies_are_included_where_asked(running: Console, verb: str, method: str) -> None:
    name, option = verb.split()
    assert running(name, "web").code == 0
    assert called(running, method) == ["front"]
    running.backend.calls.clear()
    assert running(name, option, "web").code == 0
    assert called(running, method) == ["base", "front"]


def test_pull_include_deps(console: Console) -> None:
    console.write("services: {db: {image: base}, web: {image: front, depends_on: [db]}}")
    console("pull", "web")
    assert called(console, "pull_image") == ["front"]
    console("pull", "--include-deps", "web")
    assert called(console, "pull_image") == ["base", "front", "front"]


def test_build_print_builds_nothing(app: Console) -> None:
    printed = json.loads(app("build", "--print").out)
    assert sorted(printed["target"]) == ["db", "web"]
    assert called(app, "build_image") == []


def test_config_models(app: Console) -> None:
    app.write(PROJECT.replace("depends_on", "models: [llm], depends_on"))
    assert app("config", "--models").out == "ai/small\n"


@pytest.mark.parametrize("verb", ["up", "create"])
def test_recreating_and_not(running: Console, verb: str) -> None:
    before = ids(running)
    running.write(PROJECT.replace("/anonymous]", "/anonymous], labels: {new: yes}"))
    words = ["up", "-d"] if verb == "up" else ["create"]
    running(*words, "--no-recreate")
    assert ids(running) == before
    running(*words, "--no-recreate", "--scale", "db=2", "db")
    assert sorted(ids(running)) == ["app-db-1", "app-db-2", "app-web-1"]
    running(*words, "--scale", "db=2")
    after = ids(running)
    assert after["app-db-1"] != before["app-db-1"]
    assert after["app-web-1"] == before["app-web-1"]


def test_dependencies_are_recreated_where_asked(running: Console) -> None:
    before = ids(running)
    running("up", "-d", "--force-recreate", "web")
    forced = ids(running)
    assert forced["app-db-1"] == before["app-db-1"]
    assert forced["app-web-1"] != before["app-web-1"]
    running("up", "-d", "--always-recreate-deps", "web")
    after = ids(running)
    assert after["app-db-1"] != before["app-db-1"]
    assert after["app-web-1"] == forced["app-web-1"], "it was not asked to be recreated"


def test_what_is_only_created_is_not_waited_for(app: Console) -> None:
    assert app("up", "--no-start", "--wait").code == 0
    assert set(states(app).values()) == {"created"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("--attach=db", "--attach-dependencies"),
        ("--force-recreate", "--no-recreate"),
        ("--always-recreate-deps", "--no-recreate"),
        ("--build", "--no-build"),
    ],
)
def test_contradictions_are_refused(app: Console, one: str, other: str) -> None:
    refused = app("up", one, other)
    message = f"error: {one.partition('=')[0]} and {other} are incompatible"
    assert (refused.code, refused.err.splitlines()[0]) == (1, message)
    assert states(app) == {}


def test_create_removes_orphans(running: Console) -> None:
    running.write("services: {db: {image: base, build: ./db, volumes: [/anonymous]}}")
    running("create")
    assert "app-web-1" in ids(running)
    running("create", "--remove-orphans")
    assert "app-web-1" not in ids(running)


@pytest.mark.parametrize("words", [("up", "-d"), ("create",)], ids=["up", "create"])
def test_building_and_not(running: Console, words: tuple[str, ...]) -> None:
    running(*words)
    assert called(running, "build_image") == []
    running(*words, "--build")
    assert called(running, "build_image") == ["base", "front"]
    running("down", "--rmi", "all")
    running.backend.calls.clear()
    refused = running(*words, "--no-build")
    assert called(running, "build_image") == []
    assert refused.code == 0 or "build" in refused.err


@pytest.mark.parametrize("words", [("up", "-d"), ("create",), ("run", "-d")], ids=" ".join)
def test_pull_says_when_an_image_is_pulled(console: Console, words: tuple[str, ...]) -> None:
    console.write("services: {web: {image: front}}")
    console.backend.add_image("front")
    counts = []
    for policy in ("missing", "always", "never"):
        console.backend.calls.clear()
        assert console(*words, "--pull", policy, "web").code == 0
        counts.append(len(called(console, "pull_image")))
    assert counts == [0, 1, 0]


def test_run_quiet_pull(console: Console) -> None:
    console.write("services: {web: {image: front}}")
    shown, quiet = (
        console("--progress", "json", "run", "-d", "--pull", "always", *words, "web").err
        for words in ((), ("--quiet-pull",))
    )
    assert "1/1 layers" in shown
    assert "1/1 layers" not in quiet


def oneoff(console: Console) -> dict[str, Any]:
    [found] = [c for c in console.backend.by_id.values() if "-run-" in c.seen.name]
    return dict(found.spec.attributes)


def test_run_takes_variables_of_a_file_and_drops_capabilities(app: Console) -> None:
    app.write("A=of file\nB=of file\n", "more.env")
    words = ("--env-from-file", "more.env", "-e", "B=given", "--cap-drop", "CHOWN", "--cap-drop", "KILL")
    assert app("run", "-d", "--no-deps", *words, "web").code == 0
    attributes = oneoff(app)
    assert attributes["environment"] == {"A": "of file", "B": "given"}
    assert attributes["cap_drop"] == ["CHOWN", "KILL"]


def test_index_chooses_the_container(running: Console) -> None:
    running("up", "-d", "--scale", "web=2")
    for number in (1, 2):
        running.backend.write(f"app-web-{number}", f"from {number}")
    assert running("logs", "--no-log-prefix", "--index", "2", "web").out == "from 2\n"
    running.backend.calls.clear()
    assert running("commit", "--index", "2", "web", "mine").code == 0
    assert called(running, "commit_container") == ["app-web-2"]
    assert running("export", "--index", "3", "-o", "x.tar", "web").code == 1
    attached = running("attach", "--index", "3", "web")
    assert (attached.code, 'service "web" is not running container #3' in attached.err) == (1, True)


def test_detach_keys_are_checked(running: Console) -> None:
    refused = running("attach", "--detach-keys", "ctrl-nosuch", "web")
    assert refused.code == 1
    assert "ctrl-nosuch" in refused.err


def test_start_waits_no_longer_than_it_is_told(console: Console) -> None:
    console.write("services: {db: {image: base, healthcheck: {test: [CMD, a]}}}")
    console.backend.behave("db", Behaviour(health=(Health.STARTING,)))
    console("create")
    late = console("start", "--wait", "--wait-timeout", "1")
    assert late.code == 1
    assert "application not healthy after 1s" in late.err
    assert states(console)["app-db-1"] == ContainerState.RUNNING.value


def test_up_prints_times(console: Console) -> None:
    console.write("services: {web: {image: front}}")
    console.backend.behave("web", Behaviour(exits=(0,), output=("hello",)))
    (line,) = (
        line for line in console("up", "--timestamps", "--no-color").out.splitlines() if "hello" in line
    )
    prefix, _, text = line.partition("| ")
    assert prefix.strip() == "web-1"
    assert text[:2] == "20" and text.endswith("hello") and "T" in text.split()[0]


def test_stats_are_cut_unless_asked(running: Console) -> None:
    whole = ids(running)["app-web-1"]
    show = ("stats", "--no-stream", "--format", "{{.ID}}", "web")
    assert running(*show).out.strip() == whole[:12]
    assert running(*show, "--no-trunc").out.strip() == whole
