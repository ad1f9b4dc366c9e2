"""Who is in another container's namespaces, or has its volumes, is made anew and started again with it."""

from __future__ import annotations

import pytest

from composer.engine import actions, labels
from composer.engine.observed import ContainerState, ObservedContainer
from composer.engine.options import Options
from composer.engine.plan import Plan
from composer.engine.planning.lifecycle import plan_restart, plan_start
from composer.errors import ProjectError
from tests.unit.engine.stage import Stage

ATTRIBUTES = ("network_mode", "pid", "ipc", "volumes_from")
NAMESPACES = ATTRIBUTES[:3]


def sharing(attribute: str, *, depends: bool = False) -> str:
    value = "[mother]" if attribute == "volumes_from" else "'service:mother'"
    needs = ", depends_on: {mother: {condition: service_started}}" if depends else ""
    mode = ", ipc: shareable" if attribute == "ipc" else ""
    return f"services: {{mother: {{image: i{mode}}}, app: {{image: i, {attribute}: {value}{needs}}}}}"


def container(stage: Stage, service: str) -> ObservedContainer:
    found = stage.backend.observe("app").containers
    return next(c for c in found if labels.service_of(c) == service)


def texts(plan: Plan) -> list[str]:
    return [str(step) for step in plan.steps]


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_what_was_replaced_alone_takes_who_shares_along_at_the_next_up(stage: Stage, attribute: str) -> None:
    text = sharing(attribute)
    stage.up(text)
    stage.up(text, Options(services=("mother",), recreate="force"))
    before = container(stage, "app").id
    plan = stage.up(text)
    assert "it shares namespaces or volumes with a container of 'mother' that was recreated" in str(plan)
    assert container(stage, "app").id != before
    assert not stage.up(text).steps, "and that once"


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_what_was_removed_alone_takes_who_shares_along(stage: Stage, attribute: str) -> None:
    text = sharing(attribute)
    stage.up(text)
    stage.backend.stop_container(container(stage, "mother").id)
    stage.backend.remove_container(container(stage, "mother").id)
    before = container(stage, "app").id
    stage.up(text)
    assert container(stage, "app").id != before
    assert not stage.up(text).steps


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_without_its_owner_it_cannot_be_made(stage: Stage, attribute: str) -> None:
    options = Options(services=("app",), dependencies=False)
    with pytest.raises(ProjectError, match=r"cannot share .* with service mother: container missing"):
        stage.up(sharing(attribute), options)
    assert not stage.backend.observe("app").containers
    stage.up(sharing(attribute), Options(services=("mother",)))
    stage.up(sharing(attribute), options)
    assert container(stage, "app").state is ContainerState.RUNNING


@pytest.mark.parametrize("attribute", NAMESPACES)
def test_who_shares_with_what_is_started_is_started_after_it(stage: Stage, attribute: str) -> None:
    text = sharing(attribute)
    stage.up(text)
    stage.backend.stop_container(container(stage, "mother").id)
    plan = stage.up(text)
    assert texts(plan) == [
        "#1 stop container app-app-1: it shares namespaces or volumes with service 'mother', which is started",
        "#2 start container app-mother-1: it exited with code 143",
        "#3 start container app-app-1: stopped: it shares namespaces or volumes with service 'mother', "
        "which is started (after #1, #2)",
    ]
    assert not stage.up(text).steps


def test_volumes_of_another_stay_when_it_is_started(stage: Stage) -> None:
    stage.up(sharing("volumes_from"))
    stage.backend.stop_container(container(stage, "mother").id)
    assert len(stage.up(sharing("volumes_from")).steps) == 1


@pytest.mark.parametrize("depends", [False, True], ids=["implied", "written"])
@pytest.mark.parametrize("attribute", NAMESPACES)
def test_a_restart_takes_who_shares_along(stage: Stage, attribute: str, depends: bool) -> None:
    stage.up(sharing(attribute, depends=depends))
    plan = plan_restart(stage.backend.observe("app"), ("mother",), None)
    assert [text.partition(":")[0].partition(" (")[0] for text in texts(plan)] == [
        "#1 stop container app-app-1",
        "#2 stop container app-mother-1",
        "#3 start container app-mother-1",
        "#4 start container app-app-1",
    ]


@pytest.mark.parametrize("attribute", NAMESPACES)
def test_a_start_takes_who_shares_along(stage: Stage, attribute: str) -> None:
    stage.up(sharing(attribute, depends=True))
    actions.stop(stage.engine, stage.project(sharing(attribute)).name, ("mother",), None)
    plan = plan_start(stage.backend.observe("app"), ("mother",))
    assert [text.partition(":")[0].partition(" (")[0] for text in texts(plan)] == [
        "#1 stop container app-app-1",
        "#2 start container app-mother-1",
        "#3 start container app-app-1",
    ]


def test_the_network_tells_who_shares_where_another_tool_made_it(stage: Stage) -> None:
    stage.up(sharing("network_mode", depends=True))
    observed = stage.backend.observe("app")
    mother = container(stage, "mother")
    foreign = [
        c._replace(
            labels={k: v for k, v in c.labels.items() if k != labels.FIELDS},
            network_of=mother.id if c.id != mother.id else "",
        )
        for c in observed.containers
    ]
    plan = plan_restart(observed._replace(containers=tuple(foreign)), ("mother",), None)
    assert "start container app-app-1" in str(plan)


CHAIN = """
services:
  z: {image: TAG}
  b: {image: i, depends_on: {z: {condition: service_started, restart: true}}}
  c: {image: i, network_mode: 'service:b'}
  d: {image: i, pid: 'service:c'}
"""


def started(plan: Plan) -> list[str]:
    return [text.split()[3].removesuffix(":") for text in texts(plan) if text.split()[1] == "start"]


def test_who_shares_with_who_is_stopped_for_another_is_started_after_it(stage: Stage) -> None:
    stage.up(CHAIN.replace("TAG", "one"))
    plan = stage.up(CHAIN.replace("TAG", "two"))
    assert started(plan) == ["app-z-1", "app-b-1", "app-c-1", "app-d-1"]
    assert not stage.up(CHAIN.replace("TAG", "two")).steps


def test_a_chain_is_followed_by_restart_and_by_start(stage: Stage) -> None:
    stage.up(CHAIN.replace("TAG", "one"))
    everyone = ["app-z-1", "app-b-1", "app-c-1", "app-d-1"]
    assert started(plan_restart(stage.backend.observe("app"), ("z",), None)) == everyone
    assert started(plan_restart(stage.backend.observe("app"), ("b",), None)) == everyone[1:]
    stage.backend.stop_container(container(stage, "b").id)
    assert started(plan_start(stage.backend.observe("app"), ("b",))) == everyone[1:]
    plan = stage.up(CHAIN.replace("TAG", "one"))
    assert started(plan) == everyone[1:]


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_owner_that_is_scaled_to_nothing_is_refused_at_once(stage: Stage, attribute: str) -> None:
    stage.up(sharing(attribute))
    none = sharing(attribute).replace("mother: {image: i", "mother: {scale: 0, image: i")
    with pytest.raises(ProjectError, match="with service mother: container missing"):
        stage.up(none)
    assert container(stage, "mother").state is ContainerState.RUNNING


def test_one_in_between_that_does_not_run_ends_the_chain(stage: Stage) -> None:
    stage.up(CHAIN.replace("TAG", "one"))
    for service in ("b", "c"):
        stage.backend.stop_container(container(stage, service).id)
    assert started(plan_start(stage.backend.observe("app"), ("b",))) == ["app-b-1"]


def test_another_replica_of_the_owner_takes_nobody_along(stage: Stage) -> None:
    text = "services: {mother: {image: i, scale: 2}, app: {image: i, network_mode: 'service:mother'}}"
    stage.up(text)
    (second,) = [c for c in stage.backend.observe("app").containers if c.name == "app-mother-2"]
    stage.backend.stop_container(second.id)
    assert started(plan_start(stage.backend.observe("app"), ("mother",))) == ["app-mother-2"]
    assert started(stage.up(text)) == ["app-mother-2"]


def test_an_owner_that_is_done_takes_nobody_along(stage: Stage) -> None:
    text = """
        services:
          job: {image: i, x-composer: {rerun: on-change}}
          app: {image: i, network_mode: 'service:job'}
        """
    stage.up(text)
    stage.backend.end("app-job-1", 0)
    assert not stage.up(text).steps
