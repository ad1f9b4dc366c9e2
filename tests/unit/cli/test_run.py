"""``run``, ``attach``, ``pause``: what they make of their options."""

from __future__ import annotations

import pytest

from composer.backends.memory import Behaviour
from composer.cli.keys import Watch, parse_keys
from tests.unit.cli.console import Console, states

PROJECT = """
    services:
      db: {image: db, healthcheck: {test: [CMD, a]}}
      web:
        image: app
        command: [serve]
        restart: always
        ports: ["80:80"]
        environment: {A: "1", B: "2"}
        volumes: [data:/data]
        depends_on: {db: {condition: service_healthy}}
    volumes: {data: {}}
"""


@pytest.fixture
def ready(console: Console) -> Console:
    console.write(PROJECT)
    console.backend.behave("web", Behaviour(exits=(3,), output=("hello",)))
    console.backend.behave("db", Behaviour())
    return console


def oneoff(console: Console) -> tuple[object, ...]:
    [found] = [c for c in console.backend.by_id.values() if "-run-" in c.seen.name]
    return found.spec, found.seen


def test_run_starts_what_it_needs_and_passes_code_and_output_on(ready: Console) -> None:
    result = ready("run", "web", "migrate", "--all")
    assert (result.code, result.out) == (3, "hello\n")
    spec, seen = oneoff(ready)
    assert spec.attributes["command"] == ["migrate", "--all"]  # type: ignore[attr-defined]
    assert "restart" not in spec.attributes and "ports" not in spec.attributes  # type: ignore[attr-defined]
    assert spec.endpoints[0].aliases == (spec.name,)  # type: ignore[attr-defined]
    assert seen.labels["com.docker.compose.oneoff"] == "True"  # type: ignore[attr-defined]
    assert states(ready)["app-db-1"] == "running"
    assert "app-web-1" not in states(ready)


def test_run_with_everything(ready: Console) -> None:
    ready(
        *("run", "--rm", "-e", "B=3", "-e", "C=4", "-u", "nobody", "-w", "/tmp", "--entrypoint", "sh -c"),
        *("-p", "8080:80", "-v", "/etc:/host:ro", "-l", "a=b", "--cap-add", "NET_ADMIN", "--use-aliases"),
        *("--name", "mine", "--no-deps", "web", "echo"),
    )
    assert states(ready) == {}
    assert ("create_container", "mine") in ready.backend.calls
    assert ("remove_container", "mine") in ready.backend.calls
    ready("run", "-d", "-e", "B=3", "--service-ports", "--name", "kept", "--no-deps", "web")
    found = next(c for c in ready.backend.by_id.values() if c.seen.name == "kept").spec
    assert found.attributes["environment"] == {"A": "1", "B": "3"}
    assert found.attributes["ports"][0]["target"] == 80
    assert found.attributes["tty"] is False


def test_run_says_what_is_wrong(ready: Console) -> None:
    assert "no such service: wbe" in ready("run", "wbe").err
    assert "--publish" in ready("run", "-p", "x:y", "web").err


def test_run_makes_the_volumes_that_it_names(ready: Console) -> None:
    ready.write(
        PROJECT.replace("volumes: {data: {}}", "volumes: {data: {}, other: {name: shared}, mine: {}}")
    )
    ready("run", "-v", "shared:/x", "-v", "other:/y", "-v", "mine:/z", "-v", "loose:/w", "web")
    spec, _ = oneoff(ready)
    sources = {mount.target: mount.source for mount in spec.mounts}  # type: ignore[attr-defined]
    assert sources == {"/data": "app_data", "/x": "shared", "/y": "shared", "/z": "app_mine", "/w": "loose"}
    made = {volume.name: volume.labels for volume in ready.backend.volumes()}
    assert made["app_mine"]["com.docker.compose.volume"] == "mine"
    assert made["shared"]["com.docker.compose.project"] == "app"
    assert made["loose"] == {}


def test_a_container_of_run_is_listed_with_all_and_meant_where_there_is_no_other(ready: Console) -> None:
    ready.backend.behave("web", Behaviour())
    ready("run", "-d", "--name", "job", "-P", "web")
    assert (ready("ps", "-q", "web").out, ready("ps", "--services").out) == ("", "db\n")
    assert "job" in ready("ps", "-a").out
    assert ready("exec", "-T", "web", "true").code == 0
    assert ready("port", "web", "80").out == "0.0.0.0:80\n"
    assert 'service "web" is not running container #1' in ready("port", "--index", "1", "web", "80").err
    ready("kill", "web")
    assert 'service "web" is not running' in ready("exec", "-T", "web", "true").err


def test_what_is_paused_is_said_to_be(ready: Console) -> None:
    ready("up", "-d", "db")
    ready("pause")
    done = ready("exec", "-T", "db", "true")
    assert "container 'app-db-1' is paused\n  hint: resume it with composer unpause db" in done.err
    assert "Killed" in ready("kill", "db").err
    assert states(ready) == {"app-db-1": "exited"}


def test_a_detached_run_removes_itself_when_it_has_ended(ready: Console) -> None:
    assert ready("run", "-d", "--rm", "web").code == 0  # it ends at once
    assert states(ready) == {"app-db-1": "running"}


def test_a_run_that_is_over_is_an_orphan_of_nobody_else(ready: Console) -> None:
    ready("run", "web")
    assert "Found orphan containers (app-web-run-" in ready("up", "-d", "db").err
    ready("down")
    assert states(ready) == {}


def test_pause_and_unpause(ready: Console) -> None:
    ready("up", "-d", "db")
    assert ready("pause", "db").err == " Container app-db-1 Paused \n"
    assert states(ready) == {"app-db-1": "paused"}
    assert ready("pause").err == "error: container app-db-1 is already paused\n"
    ready("unpause")
    assert states(ready) == {"app-db-1": "running"}


def test_attach_needs_something_that_runs(ready: Console) -> None:
    ready("create", "db")
    assert 'service "db" is not running' in ready("attach", "db").err


def test_detach_keys() -> None:
    assert parse_keys("ctrl-p,ctrl-q") == b"\x10\x11"
    assert parse_keys("a,ctrl-[") == b"a\x1b"
    assert parse_keys("") == b""
    watch = Watch(b"\x10\x11")
    assert watch.feed(b"ls\x10") == (b"ls", False)
    assert watch.feed(b"x") == (b"\x10x", False)
    assert watch.feed(b"\x10\x10\x11rest") == (b"\x10", True)


@pytest.mark.parametrize("volume", ["./x:/proc", "vol:/", "/x:/proc/self/mem", "/proc:/proc/sys", "d:/d"])
def test_a_mount_that_no_container_can_have_makes_nothing(console: Console, volume: str) -> None:
    console.write("services: {a: {image: 'i:1'}}\n")
    done = console("run", "-v", volume, "a", "true")
    assert done.code != 0 and "cannot mount at" in done.err
    assert console.backend.observe("app").containers == ()
    assert not (console.directory / "x").exists()
