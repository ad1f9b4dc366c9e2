"""Who shares with a service, or links to it, means its first container, whatever number that has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.engine.stage import Stage

TEXT = """
services:
  base: {{image: one, ipc: shareable, scale: {scale}}}
  user: {{image: one, {attribute}}}
"""


@pytest.mark.parametrize(
    "attribute",
    ["network_mode: 'service:base'", "pid: 'service:base'", "ipc: 'service:base'", "volumes_from: [base]"],
)
def test_the_first_container_that_stays_is_meant(tmp_path: Path, attribute: str) -> None:
    stage = Stage(tmp_path)
    stage.up(TEXT.format(scale=3, attribute="command: x"))
    for name in ("app-base-1", "app-user-1"):
        stage.backend.remove_container(stage.backend.container(name).id, force=True)
    now = TEXT.format(scale=1, attribute=attribute)
    stage.up(now)
    assert stage.names() == ["app-base-2", "app-user-1"]
    assert [str(step) for step in stage.plan(now).steps] == []
    spec = stage.backend.by_id[stage.backend.container("app-user-1").id].spec
    shared = [spec.network_mode, spec.attributes.get("pid"), spec.attributes.get("ipc")]
    assert "container:app-base-2" in shared or spec.attributes["volumes_from"] == ["app-base-2"]


def test_a_service_that_this_up_leaves_alone_counts_too(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.up(TEXT.format(scale=2, attribute="command: x"))
    stage.backend.remove_container(stage.backend.container("app-base-1").id, force=True)
    from composer.engine.options import Options

    now = TEXT.format(scale=2, attribute="network_mode: 'service:base'")
    stage.up(now, Options(services=("user",), dependencies=False))
    spec = stage.backend.by_id[stage.backend.container("app-user-1").id].spec
    assert spec.network_mode == "container:app-base-2"
