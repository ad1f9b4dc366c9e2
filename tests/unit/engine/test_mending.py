"""Networks that somebody took a part of: the plan says what, and carrying it out puts it back once."""

from __future__ import annotations

from tests.unit.engine.stage import Stage

TEXT = """
services:
  web: {image: i, networks: [front]}
  other: {image: i, network_mode: none}
networks:
  front: {}
"""


def test_a_network_that_lacks_something_is_mended_under_its_containers(stage: Stage) -> None:
    stage.up(TEXT)
    name = "app_front"
    stage.backend.damage_network(name, "its bridge is missing", "the route to 10.0.0.0/8 is missing")
    plan = stage.plan(TEXT)
    assert str(plan).splitlines() == [
        "#1 mend network app_front: its bridge is missing; the route to 10.0.0.0/8 is missing"
    ]
    stage.up(TEXT)
    assert len(stage.plan(TEXT).steps) == 0


def test_a_container_that_is_to_start_waits_for_the_network_to_be_mended(stage: Stage) -> None:
    stage.up(TEXT)
    stage.backend.damage_network("app_front", "its bridge is missing")
    lines = str(stage.plan(TEXT.replace("image: i, networks", "image: j, networks"))).splitlines()
    mend = next(line.split()[0] for line in lines if "mend network" in line)
    start = next(line for line in lines if "start container app-web-1" in line)
    create = next(line for line in lines if "create container" in line)
    assert mend in create.partition("->")[0] or mend in start.partition("->")[0]
