"""The plans that need labels only."""

from __future__ import annotations

import pytest

from composer.engine import labels
from composer.engine.observed import ContainerState, Observed, ObservedContainer
from composer.engine.planning import lifecycle
from composer.engine.planning.lifecycle import Fleet, Teardown
from composer.engine.wanted import NetworkSpec
from composer.errors import ConfigError, UnknownService
from tests.unit.engine.stage import Stage

CHAIN = """
    services:
      db: {image: db, healthcheck: {test: [CMD, x]}}
      web: {image: web, scale: 2, depends_on: {db: {condition: service_healthy, restart: true}}}
      front: {image: web, depends_on: [web]}
"""


def observed(stage: Stage) -> Observed:
    return stage.backend.observe("app")


def test_stop_goes_from_the_outside_in(stage: Stage) -> None:
    stage.up(CHAIN)
    assert str(lifecycle.plan_stop(observed(stage), (), 3)) == (
        "#1 stop container app-front-1: stop\n"
        "#2 stop container app-web-1: stop (after #1?)\n"
        "#3 stop container app-web-2: stop (after #1?)\n"
        "#4 stop container app-db-1: stop (after #2?, #3?)"
    )
    assert str(lifecycle.plan_stop(observed(stage), ("web",), None)).count("\n") == 1


def test_start_waits_as_depends_on_says(stage: Stage) -> None:
    stage.up(CHAIN)
    for name in stage.names():
        stage.backend.stop_container(name)
    assert str(lifecycle.plan_start(observed(stage), ())) == (
        "#1 start container app-db-1: it is exited\n"
        "#2 wait for service db: service_healthy: needed by web (after #1)\n"
        "#3 start container app-web-1: it is exited (after #2)\n"
        "#4 start container app-web-2: it is exited (after #2)\n"
        "#5 start container app-front-1: it is exited (after #3, #4)"
    )


def test_restart_takes_along_who_asked_for_it(stage: Stage) -> None:
    stage.up(CHAIN)
    plan = str(lifecycle.plan_restart(observed(stage), ("db",), None))
    assert plan.splitlines()[:3] == [
        "#1 stop container app-web-1: restart",
        "#2 stop container app-web-2: restart",
        "#3 stop container app-db-1: restart (after #1?, #2?)",
    ]
    assert "front" not in plan
    alone = str(lifecycle.plan_restart(observed(stage), ("db",), None, dependents=False))
    assert alone == "#1 stop container app-db-1: restart\n#2 start container app-db-1: restart (after #1)"


def test_down_with_images_and_volumes(stage: Stage) -> None:
    stage.backend.add_image("app-built")
    stage.up("""
        services:
          built: {build: ., volumes: [data:/data]}
          web: {image: nginx}
        volumes: {data: {}}
    """)
    local = str(lifecycle.plan_down("app", observed(stage), Teardown(volumes=True, images="local")))
    assert "remove image app-built" in local
    assert "remove image nginx" not in local
    assert "remove volume app_data" in local
    everything = str(lifecycle.plan_down("app", observed(stage), Teardown(images="all")))
    assert "remove image nginx" in everything
    assert "remove volume" not in everything


def test_down_of_some_services_leaves_networks_and_volumes(stage: Stage) -> None:
    stage.up(CHAIN)
    plan = str(lifecycle.plan_down("app", observed(stage), Teardown(services=("front",), volumes=True)))
    assert plan == ("#1 stop container app-front-1: down\n#2 remove container app-front-1: down (after #1)")


def test_down_removes_oneoffs_and_what_failed_does_not_stop_the_rest(stage: Stage) -> None:
    stage.up("services: {web: {image: i}}")
    template = stage.backend.by_id[stage.backend.container("app-web-1").id].spec
    oneoff = template._replace(name="app-web-run-1", labels={**template.labels, labels.ONEOFF: "True"})
    stage.backend.create_container(oneoff)
    assert "app-web-run-1" not in str(lifecycle.plan_stop(observed(stage), (), None))
    plan = lifecycle.plan_down("app", observed(stage), Teardown())
    assert "remove container app-web-run-1" in str(plan)
    assert all(not step.needs for step in plan.steps if "network" in str(step))


def test_kill_and_rm(stage: Stage) -> None:
    stage.up(CHAIN)
    stage.backend.stop_container("app-web-1")
    assert len(lifecycle.plan_kill(observed(stage), (), "SIGKILL").steps) == 3
    assert str(lifecycle.plan_remove(observed(stage), (), stop=False, volumes=True)) == (
        "#1 remove container app-web-1: rm"
    )
    assert len(lifecycle.plan_remove(observed(stage), ("web",), stop=True, volumes=False).steps) == 3


def test_there_must_be_something_to_start(stage: Stage) -> None:
    with pytest.raises(UnknownService) as caught:
        lifecycle.plan_start(observed(stage), ())
    assert str(caught.value) == "no container to start"


def test_an_unknown_service_is_named_with_what_there_is(stage: Stage) -> None:
    stage.up(CHAIN)
    with pytest.raises(UnknownService) as caught:
        lifecycle.plan_stop(observed(stage), ("wbe",), None)
    assert (str(caught.value), caught.value.hint) == ("no such service: wbe", "did you mean 'web'?")


def test_labels_that_go_round_are_cut_somewhere() -> None:
    def container(service: str, needs: str) -> ObservedContainer:
        found = {
            labels.SERVICE: service,
            labels.DEPENDS_ON: f"{needs}:service_started:false",
            labels.PROJECT: "app",
        }
        return ObservedContainer(f"id-{service}", f"app-{service}-1", found, ContainerState.RUNNING)

    fleet = Fleet(
        Observed((container("a", "b"), container("b", "c"), container("c", "a"), container("d", "d")))
    )
    assert sorted(fleet.order()) == ["a", "b", "c", "d"]
    assert (
        len(
            lifecycle.plan_down("app", Observed((container("a", "b"), container("b", "a"))), Teardown()).steps
        )
        == 4
    )


def test_a_network_of_somebody_else_is_used_with_a_warning(stage: Stage) -> None:
    stage.backend.create_network(NetworkSpec("app_default", {}, {}))
    plan = stage.up("services: {web: {image: i}}")
    assert "create network" not in str(plan)
    assert plan.warnings == (
        "network 'app_default' already exists but was not created by composer; using it as is "
        "(set 'external: true' to use an existing network)",
    )


def test_a_network_of_another_project_is_named_as_such(stage: Stage) -> None:
    stage.backend.create_network(NetworkSpec("shared", {labels.PROJECT: "other"}, {}))
    text = "services: {web: {image: i, networks: [n]}}\nnetworks: {n: {name: shared}}"
    assert "was created for project 'other'" in stage.plan(text).warnings[0]
    assert stage.plan(text.replace("name: shared", "name: shared, external: true")).warnings == ()
    with pytest.raises(ConfigError, match="network gone declared as external, but could not be found"):
        stage.plan(text.replace("name: shared", "name: gone, external: true"))


def test_what_an_interrupted_up_left_is_cleared_away(stage: Stage) -> None:
    before = "services: {web: {image: i}}"
    now = "services: {web: {image: i, user: root}}"
    stage.up(before)
    old = stage.backend.container("app-web-1")
    plan = stage.plan(now)
    create = plan.steps[0].operation
    stage.backend.create_container(create.spec)  # type: ignore[arg-type, union-attr]
    again = str(stage.plan(now)).splitlines()
    assert again[0] == f"#1 remove container {old.id[:12]}_app-web-1: left over from an interrupted up"
    assert again[1].startswith(f"#2 create container {old.id[:12]}_app-web-1") and again[1].endswith(
        "(after #1)"
    )
    stage.backend.remove_container(old.id, force=True)
    assert str(stage.plan(now)) == (
        f"#1 rename container {old.id[:12]}_app-web-1 to app-web-1: left over from an interrupted up\n"
        "#2 start container app-web-1: it is created (after #1)"
    )
    stage.up(now)
    assert stage.names() == ["app-web-1"]
