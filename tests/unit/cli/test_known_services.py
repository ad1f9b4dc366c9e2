"""What a service is asked that is not there, not created, not running: Docker Compose's answers, and our hints."""

from __future__ import annotations

import pytest

from composer.engine.observed import ContainerState
from tests.unit.cli.console import Console, states

CHAIN = """
    services:
      db: {image: i}
      app: {image: i, depends_on: [db]}
      other: {image: i}
      idle: {image: i, profiles: [never]}
"""
BY_NAME = (
    "stop",
    "start",
    "restart",
    "kill",
    "rm -f",
    "logs",
    "ps",
    "pause",
    "unpause",
    "up -d",
    "run",
    "pull",
    "create",
    "down",
    "plan",
    "plan --destroy",
    "build",
    "push",
    "config",
    "config --hash",
    "images",
    "volumes",
    "top",
    "wait",
    "stats --no-stream",
    "events --until 1s",
    "up --attach",
    "up --no-attach",
    "up --exit-code-from",
)
NEED_A_CONTAINER = ("exec {} true", "attach {}", "port {} 80", "export {}", "commit {}")
HARMLESS = (
    *("stop", "restart", "kill", "rm -f", "logs", "ps", "pause", "unpause", "images", "volumes"),
    *("down", "plan --destroy", "top", "stats --no-stream", "events --until 1s"),
)


@pytest.fixture
def chain(console: Console) -> Console:
    console.write(CHAIN)
    assert console("up", "-d").code == 0
    return console


@pytest.mark.parametrize("command", BY_NAME)
def test_a_service_that_nobody_knows(chain: Console, command: str) -> None:
    result = chain(*command.split(), "dbb")
    assert result.code == 1
    assert result.err.startswith("error: no such service: dbb\n"), result.err
    assert "hint: did you mean 'db'?" in result.err


@pytest.mark.parametrize("command", BY_NAME[:9])
def test_a_service_that_nobody_knows_without_a_file(chain: Console, command: str) -> None:
    (chain.directory / "compose.yaml").unlink()
    result = chain("-p", "app", *command.split(), "none")
    assert (result.code, result.err.splitlines()[0]) == (1, "error: no such service: none")


def test_a_service_that_nobody_knows_cannot_be_scaled(chain: Console) -> None:
    result = chain("scale", "dbb=2")
    assert result.err == "error: no such service: dbb\n  hint: did you mean 'db'?\n"


@pytest.mark.parametrize("command", HARMLESS)
def test_one_that_was_not_created_is_no_mistake(chain: Console, command: str) -> None:
    assert chain(*command.split(), "idle").code == 0
    assert set(states(chain).values()) == {"running"}


@pytest.mark.parametrize("command", NEED_A_CONTAINER)
def test_one_that_has_no_container(chain: Console, command: str) -> None:
    for service in ("idle", "none"):
        result = chain(*command.format(service).split())
        assert (result.code, result.err.splitlines()[0]) == (1, f'error: service "{service}" is not running')


@pytest.mark.parametrize("command", (*NEED_A_CONTAINER, "cp {}:/a b"))
def test_a_misspelt_name_where_a_container_is_needed(chain: Console, command: str) -> None:
    assert "  hint: did you mean 'db'?\n" in chain(*command.format("dbb").split()).err


def test_down_of_what_was_not_created(chain: Console) -> None:
    result = chain("down", "idle")
    assert (result.code, result.err) == (0, 'warning: No resource found to remove for project "app"\n')
    assert chain("down", "idle", "other").code == 0
    assert states(chain) == {"app-db-1": "running", "app-app-1": "running"}


def test_start_and_wait_need_containers(chain: Console) -> None:
    chain("rm", "-sf", "app")
    result = chain("start", "app", "db")
    assert result.code == 1
    assert result.err == (
        'error: service "app" has no container to start\n  hint: create it with composer up -d app\n'
    )
    result = chain("wait", "idle")
    assert (result.code, result.err.splitlines()[0]) == (1, 'error: no containers for project "app"')


def test_stats_of_services_of_which_one_was_not_created(chain: Console) -> None:
    result = chain("stats", "--no-stream", "db", "idle")
    assert result.code == 0
    assert "app-db-1" in result.out


def test_config_without_interpolation_shows_every_service(chain: Console) -> None:
    result = chain("config", "--no-interpolate", "db")
    assert (result.code, result.err) == (
        0,
        "warning: service filtering is not applied when --no-interpolate is set\n",
    )
    assert "other:" in result.out
    assert chain("config", "db").err == chain("config", "--no-interpolate").err == ""


def test_a_replica_that_is_not_there(chain: Console) -> None:
    result = chain("exec", "--index", "2", "app", "true")
    assert result.err.splitlines()[0] == 'error: service "app" is not running container #2'


def test_start_starts_what_a_service_depends_on(chain: Console) -> None:
    chain("stop")
    assert chain("start", "app").code == 0
    assert states(chain) == {"app-app-1": "running", "app-db-1": "running", "app-other-1": "exited"}


def test_start_waits_for_the_conditions_of_what_it_starts(console: Console) -> None:
    console.write(
        """
        services:
          db: {image: i, healthcheck: {test: [CMD, a]}}
          app: {image: i, depends_on: {db: {condition: service_healthy}}}
        """
    )
    assert console("up", "-d").code == 0
    console("stop")
    console.backend.calls.clear()
    assert console("start", "app").code == 0
    starts = [name for method, name in console.backend.calls if method == "start_container"]
    assert starts == ["app-db-1", "app-app-1"]


def test_stopping_and_starting_twice_is_fine(chain: Console) -> None:
    for command in ("stop", "stop", "start", "start"):
        assert chain(command).code == 0
    assert set(states(chain).values()) == {"running"}


def test_pause_leaves_alone_what_does_not_run_and_refuses_what_is_paused(chain: Console) -> None:
    chain("stop", "other")
    assert chain("pause", "other").code == 0
    assert chain("pause", "db").code == 0
    again = chain("pause", "db", "app")
    assert (again.code, again.err.splitlines()[-1]) == (1, "error: container app-db-1 is already paused")
    assert states(chain)["app-app-1"] == ContainerState.PAUSED.value, "the others are paused all the same"
    assert chain("unpause").code == 0
    refused = chain("unpause", "db")
    assert (refused.code, refused.err.splitlines()[-1]) == (1, "error: container app-db-1 is not paused")


def test_starting_what_no_profile_enables_is_nothing_to_do(console: Console) -> None:
    console.write("services: {web: {image: i}, tool: {image: i, profiles: [more]}}")
    console("up", "-d")
    assert console("start", "tool") == (0, "", "")
    console.backend.stop_container("app-web-1")
    assert console("start", "tool", "web").code == 0
    assert states(console)["app-web-1"] == "running"
    assert 'service "tool" has no container to start' in console("--profile", "more", "start", "tool").err
