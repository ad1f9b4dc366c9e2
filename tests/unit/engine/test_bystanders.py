"""Who is in a network that is replaced gets it back and runs again, also where the command is about others."""

from __future__ import annotations

import pytest

from composer.engine.options import Options
from tests.unit.engine.stage import Stage

BEFORE = """
services:
  a: {image: i, networks: [n]}
  b: {image: i, networks: {n: {aliases: [other]}, m: {}}}
  c: {image: i, networks: [m]}
networks: {n: {}, m: {}}
"""
ONE = BEFORE.replace("{n: {}, m: {}}", "{n: {internal: true}, m: {}}")
BOTH = BEFORE.replace("{n: {}, m: {}}", "{n: {internal: true}, m: {internal: true}}")


@pytest.mark.parametrize("after", [ONE, BOTH], ids=["one network", "both"])
def test_they_run_again_with_their_names(stage: Stage, after: str) -> None:
    stage.up(BEFORE)
    stage.up(after, Options(services=("a",)))
    assert set(stage.states().values()) == {"running"}
    (b,) = [c for c in stage.backend.observe("app").containers if c.name == "app-b-1"]
    (endpoint,) = [e for e in b.endpoints if e.network == "app_n"]
    assert set(endpoint.aliases) >= {"app-b-1", "b", "other"}
    stage.up(after)
    assert not stage.up(after).steps


def test_what_did_not_run_is_not_started(stage: Stage) -> None:
    stage.up(BEFORE)
    stage.backend.stop_container("app-b-1")
    stage.up(ONE, Options(services=("a",)))
    assert stage.states() == {"app-a-1": "running", "app-b-1": "exited", "app-c-1": "running"}
    (b,) = [c for c in stage.backend.observe("app").containers if c.name == "app-b-1"]
    assert {e.network for e in b.endpoints} == {"app_n", "app_m"}
