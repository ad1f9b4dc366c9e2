"""Where Docker Compose is known to be weak (found by reading its code and its issues), one test for each spot.

What is about output has its test beside the command: logs merged by time and stamped by who wrote them
(tests/unit/cli/test_commands.py), a dry run that is dry (tests/unit/cli/test_plan.py).
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from composer.backends.memory import Behaviour
from composer.engine.observed import Health, Probe
from composer.engine.operations.containers import StartContainer, StopContainer
from composer.engine.options import Options
from composer.engine.wanted import ExecSpec
from composer.errors import ComposerError, StartFailed
from tests.unit.engine.stage import Stage

ORPHANS = Options(remove_orphans=True)


def test_a_network_that_changed_keeps_aliases_and_addresses(stage: Stage) -> None:
    text = """
        services:
          web: {{image: i, networks: {{front: {{aliases: [www], ipv4_address: 10.1.0.9}}}}}}
        networks: {{front: {{internal: {}, ipam: {{config: [{{subnet: 10.1.0.0/24}}]}}}}}}
    """
    stage.up(text.format("false"))
    before = stage.backend.container("app-web-1")
    stage.up(text.format("true"))
    after = stage.backend.container("app-web-1")
    assert after.id == before.id
    assert after.endpoints[0].network_id != before.endpoints[0].network_id
    assert (after.endpoints[0].aliases, after.endpoints[0].ipv4) == (("app-web-1", "web", "www"), "10.1.0.9")


@pytest.mark.parametrize(
    "change",
    [
        "services: {web: {image: other, pre_stop: [{command: [bye]}]}}",
        "services: {web: {image: i, scale: 0, pre_stop: [{command: [bye]}]}}",
        "services: {db: {image: i}}",
        "services: {web: {image: i, pre_stop: [{command: [bye]}]}}\nnetworks: {default: {internal: true}}",
    ],
    ids=["recreated", "scaled down", "orphan", "network changed"],
)
def test_pre_stop_runs_on_every_path(stage: Stage, change: str) -> None:
    said = []

    def run(spec: ExecSpec) -> tuple[int, bytes]:
        said.append(tuple(spec.command))
        return 0, b""

    stage.backend.behave("web", Behaviour(exec=run))
    stage.up("services: {web: {image: i, pre_stop: [{command: [bye]}]}}")
    stage.up(change, ORPHANS)
    assert said == [("bye",)]


def test_starts_are_parallel(stage: Stage) -> None:
    together = threading.Barrier(4, timeout=5)
    start = stage.backend.start_container

    def meet(id: str) -> None:
        together.wait()  # breaks, and fails the start, unless all four are in here at once
        start(id)

    stage.backend.start_container = meet  # type: ignore[method-assign]
    stage.up("services: {a: {image: i}, b: {image: i}, c: {image: i}, d: {image: i}}")
    assert set(stage.states().values()) == {"running"}


def test_health_is_waited_for_by_events_not_by_asking(stage: Stage) -> None:
    stage.backend.behave("db", Behaviour(health=()))
    looks = []
    container = stage.backend.container

    def count(id: str) -> object:
        looks.append(id)
        return container(id)

    stage.backend.container = count  # type: ignore[assignment,method-assign]

    def probe() -> None:
        time.sleep(0.3)  # somebody who asks again and again would have
        stage.backend.set_health("app-db-1", Health.HEALTHY)

    stage.when_running(["app-db-1"], probe)
    stage.up(
        "services: {db: {image: i, healthcheck: {test: [CMD, a]}}, "
        "web: {image: i, depends_on: {db: {condition: service_healthy}}}}"
    )
    assert len(looks) <= 4, "a look per event of the container, and none for the time that passes"


def test_the_old_container_is_there_until_the_new_one_has_started(stage: Stage) -> None:
    stage.up("services: {web: {image: i}}")
    old = stage.backend.container("app-web-1").id
    stage.backend.behave("web", Behaviour(start_error=StartFailed("no such file", exit_code=127)))
    with pytest.raises(ComposerError):
        stage.up("services: {web: {image: broken}}")
    assert old in stage.backend.by_id


def test_a_failure_does_not_keep_others_from_starting_and_all_are_told(stage: Stage) -> None:
    for name in ("a", "b"):
        stage.backend.behave(name, Behaviour(start_error=StartFailed(f"{name} is broken", exit_code=1)))
    with pytest.raises(ExceptionGroup) as caught:
        stage.up("services: {a: {image: i}, b: {image: i}, c: {image: i}, d: {image: i, depends_on: [a]}}")
    assert sorted(str(error) for error in caught.value.exceptions) == [
        "start container app-a-1: a is broken",
        "start container app-b-1: b is broken",
    ]
    assert stage.states()["app-c-1"] == "running"
    assert stage.recorder.of("app-d-1")[-1] == "skipped"


def test_every_replica_counts(stage: Stage) -> None:
    text = (
        "services: {db: {image: i, scale: 2, healthcheck: {test: [CMD, a]}}, "
        "web: {image: i, depends_on: {db: {condition: service_healthy}}}}"
    )
    stage.backend.behave("db", Behaviour(health=()))
    stage.backend.behave("web", Behaviour())

    def probe() -> None:
        stage.backend.set_health("app-db-1", Health.HEALTHY)
        stage.backend.set_health("app-db-2", Health.UNHEALTHY)

    stage.when_running(["app-db-1", "app-db-2"], probe)
    with pytest.raises(ComposerError, match="container app-db-2 is unhealthy"):
        stage.up(text)
    assert stage.states()["app-web-1"] == "created"


def test_every_replica_of_a_job_is_waited_for(stage: Stage) -> None:
    stage.backend.behave("job", Behaviour(exits=(None,)))

    def work() -> None:
        stage.backend.end("app-job-1", 0)
        assert stage.states().get("app-web-1") != "running"  # it may not be created yet
        stage.backend.end("app-job-2", 0)

    stage.when_running(["app-job-1", "app-job-2"], work)
    stage.up(
        "services: {job: {image: i, scale: 2}, "
        "web: {image: i, depends_on: {job: {condition: service_completed_successfully}}}}"
    )
    assert stage.states()["app-web-1"] == "running"


def test_health_from_before_the_last_start_does_not_count(stage: Stage) -> None:
    text = (
        "services: {db: {image: i, healthcheck: {test: [CMD, a]}}, "
        "web: {image: i, depends_on: {db: {condition: service_healthy}}}}"
    )
    stage.up(text)
    stage.backend.stop_container("app-db-1")
    stage.backend.stop_container("app-web-1")
    stage.backend.behave("db", Behaviour(health=()))
    start = stage.backend.start_container

    def stale(id: str) -> None:
        start(id)
        found = stage.backend.by_id[id]
        if found.seen.name == "app-db-1":
            # what an engine shows just after the start: the state of before
            before_ns = found.seen.started_ns - 1
            found.probes[:] = [Probe(before_ns, before_ns, 1, "")]
            found.seen = found.seen._replace(health=Health.UNHEALTHY)
            threading.Timer(0.2, lambda: stage.backend.set_health("app-db-1", Health.HEALTHY)).start()

    stage.backend.start_container = stale  # type: ignore[method-assign]
    stage.up(text)
    assert stage.states() == {"app-db-1": "running", "app-web-1": "running"}


def test_contents_count(stage: Stage) -> None:
    text = "services: {web: {image: i, configs: [conf]}}\nconfigs: {conf: {file: ./conf}}"
    stage.write("conf", "one")
    stage.up(text)
    stage.write("conf", "two")
    assert "the content of config conf changed" in str(stage.plan(text))


def test_what_shares_a_namespace_is_replaced_with_its_owner(stage: Stage) -> None:
    text = "services: {{vpn: {{image: {}}}, app: {{image: i, network_mode: 'service:vpn'}}}}"
    stage.up(text.format("one"))
    plan = str(stage.plan(text.format("two")))
    assert "it shares namespaces or volumes with service 'vpn', which is recreated" in plan


def test_orphaned_networks_go_and_orphaned_volumes_are_named(stage: Stage) -> None:
    stage.up(
        "services: {web: {image: i, networks: [a, b], volumes: ['data:/d']}}\n"
        "networks: {a: {}, b: {}}\nvolumes: {data: {}}"
    )
    plan = stage.up("services: {web: {image: i, networks: [a]}}\nnetworks: {a: {}}", ORPHANS)
    assert [n.name for n in stage.backend.observe("app").networks] == ["app_a"]
    assert any(
        "volume 'app_data' is no longer defined in the compose file" in warning for warning in plan.warnings
    )
    assert stage.backend.find_volume("app_data")


def test_the_hash_on_the_label_is_the_one_that_config_prints(stage: Stage, tmp_path: Path) -> None:
    from composer.engine import labels
    from composer.engine.resolving.hashing import service_hash

    stage.write("vars.env", "A=1\nB=two\n")
    text = "services: {web: {image: i, env_file: vars.env}}"
    stage.up(text)
    label = stage.backend.container("app-web-1").labels[labels.CONFIG_HASH]
    assert service_hash(stage.project(text).tree["services"]["web"]) == label


@pytest.mark.parametrize("on_failure", ["keep", "rollback"])
@pytest.mark.parametrize(
    ("port", "waits"),
    [
        ("9090:80", True),
        ("9089-9090:80", True),
        ("127.0.0.1:9090:81", True),
        ("9091:80", False),
        ("9090:80/udp", False),
    ],
)
def test_a_service_that_got_another_name_has_its_port_back(
    stage: Stage, port: str, waits: bool, on_failure: str
) -> None:
    """Its container under the old name has the port until it is stopped, however busy the machine is."""
    stage.up('services: {before: {image: i, ports: ["9090:80"]}, other: {image: i}}')
    text = f'services: {{after: {{image: i, ports: ["{port}"]}}}}'
    steps = list(stage.plan(text, ORPHANS._replace(on_failure=on_failure)).steps)
    (stop,) = [s.id for s in steps if isinstance(s.operation, StopContainer) and "before" in str(s.operation)]
    (start,) = [s for s in steps if isinstance(s.operation, StartContainer)]
    assert (stop in start.needs) is waits
    (other,) = [s.id for s in steps if isinstance(s.operation, StopContainer) and "other" in str(s.operation)]
    assert other not in start.needs
