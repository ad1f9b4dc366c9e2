"""Names that the server gives: one that another client takes in the same moment is exchanged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from composer import errors
from composer.api.containers.creating import create_as
from composer.api.world import World
from composer.runtime.base.state import Paths
from composer.runtime.objects import specs


class Containers:
    """Refuses the first names."""

    def __init__(self, refusals: int, reason: str) -> None:
        self.refusals, self.reason = refusals, reason
        self.names: list[str] = []

    def create(self, spec: specs.Container) -> str:
        self.names.append(spec.name)
        if len(self.names) <= self.refusals:
            raise errors.Conflict(f"name '{spec.name}' is {self.reason}")
        return "id"


def world(containers: Containers, tmp_path: Any) -> World:
    engine = SimpleNamespace(containers=containers)
    return cast("World", SimpleNamespace(engine=engine, paths=Paths(str(tmp_path), str(tmp_path))))


@pytest.fixture
def spec() -> specs.Container:
    return specs.Container(**{**dict.fromkeys(specs.Container._fields), "name": "first"})  # type: ignore[arg-type]


def test_a_name_of_ours_is_exchanged(spec: specs.Container, tmp_path: Any) -> None:
    containers = Containers(3, "already in use by container 'x'")
    assert create_as(world(containers, tmp_path), spec, is_named=False) == "id"
    assert len(containers.names) == 4 and containers.names[0] == "first"
    assert all("_" in name for name in containers.names[1:])


@pytest.mark.parametrize(
    ("is_named", "reason"), [(True, "already in use by container 'x'"), (False, "something else")]
)
def test_a_name_of_theirs_and_other_conflicts_stay(
    spec: specs.Container, tmp_path: Any, is_named: bool, reason: str
) -> None:
    containers = Containers(1, reason)
    with pytest.raises(errors.Conflict):
        create_as(world(containers, tmp_path), spec, is_named=is_named)
    assert containers.names == ["first"]
