"""``prune`` asks and says what is gone; ``system df`` adds up as Docker does."""

from __future__ import annotations

import json

import pytest

from composer.cli.commands.system import summary
from composer.engine.inspected import CacheUse, ContainerUse, DiskUse, ImageUse, VolumeUse
from composer.engine.observed import ContainerState, ObservedContainer
from composer.engine.wanted import LabelFilter
from tests.unit.cli.console import Console


@pytest.fixture
def left(console: Console) -> Console:
    """A project whose containers are gone, and whose network and volume are not."""
    console.write("services: {web: {image: nginx, volumes: ['data:/data', /anonymous]}}\nvolumes: {data: }")
    console("up", "-d")
    console("rm", "-fs")
    return console


def test_networks(left: Console) -> None:
    assert left("network", "prune").code == 1, "nobody can answer"
    asked = left("network", "prune", stdin="n\n", terminal=True)
    assert (asked.code, asked.out) == (0, "")
    assert "WARNING! This will remove all custom networks" in asked.err
    assert left("network", "prune", "-f", "--filter", "label=none").out == ""
    assert left("network", "prune", stdin="y\n", terminal=True).out == "Deleted Networks:\napp_default\n\n"
    assert left("network", "prune", "-f").out == ""


def test_volumes(left: Console) -> None:
    (bare,) = [v.name for v in left.backend.volumes() if v.name != "app_data"]
    assert left("volume", "prune", "-f").out == f"Deleted Volumes:\n{bare}\n\nTotal reclaimed space: 0B\n"
    assert left("volume", "prune", "-f").out == "Total reclaimed space: 0B\n"
    assert "all local volumes" in left("volume", "prune", "-a", stdin="n\n", terminal=True).err
    label = "label=com.docker.compose.volume=data"
    assert "app_data" in left("volume", "prune", "-af", "--filter", label).out


@pytest.mark.parametrize("kind", ["network", "volume", "image"])
def test_a_dry_run_removes_nothing(left: Console, kind: str) -> None:
    name = {"network": "app_default", "volume": "app_data", "image": "nginx"}[kind]
    before = len(left.backend.networks()), len(left.backend.volumes()), len(left.backend.images())
    asked = left("--dry-run", kind, "rm", name)
    assert (asked.code, asked.out) == (0, f"remove {kind} {name}\n")
    refused = left("--dry-run", kind, "prune", "-f")
    assert (refused.code, refused.out) == (1, "") and "--dry-run is not supported by" in refused.err
    assert (len(left.backend.networks()), len(left.backend.volumes()), len(left.backend.images())) == before


@pytest.mark.parametrize("text", ["label", "label=", "until=5m", "x=y"])
def test_filters_that_are_none(left: Console, text: str) -> None:
    assert "must be label=KEY" in left("network", "prune", "-f", "--filter", text).err


def test_a_filter_matches() -> None:
    labels = {"a": "1"}
    assert LabelFilter("a").matches(labels) and LabelFilter("a", "1").matches(labels)
    assert not LabelFilter("a", "2").matches(labels) and not LabelFilter("b").matches(labels)
    assert LabelFilter("b", excludes=True).matches(labels)
    assert not LabelFilter("a", "1", excludes=True).matches(labels)


def _container(state: ContainerState, size: int) -> ContainerUse:
    return ContainerUse(ObservedContainer("c" * 64, "c", {}, state), size, 0)


def test_the_summary_is_dockers() -> None:
    found = DiskUse(
        images=(ImageUse("i", ("a:1",), "", 100, 60, 1), ImageUse("j", (), "", 80, 60, 0)),
        containers=(_container(ContainerState.RUNNING, 30), _container(ContainerState.EXITED, 10)),
        volumes=(VolumeUse("v", 5, 1), VolumeUse("w", 15, 0), VolumeUse("x", None, 0)),
        cache=(CacheUse("b", "regular", 9, 0, 0, 1, in_use=False, shared=False),),
        layers_bytes=120,
    )
    rows = [tuple(row.values()) for row in summary(found)]
    assert rows == [
        ("Images", "2", "1", "120B", "80B (66%)"),
        ("Containers", "2", "1", "40B", "10B (25%)"),
        ("Local Volumes", "3", "1", "20B", "15B (75%)"),
        ("Build Cache", "1", "0", "9B", "9B"),
    ]


def test_it_is_shown(left: Console) -> None:
    left("up", "-d")
    assert left("system", "df").out.splitlines()[0].split() == [
        "TYPE",
        "TOTAL",
        "ACTIVE",
        "SIZE",
        "RECLAIMABLE",
    ]
    line = left("system", "df", "--format", "json").out.splitlines()[1]
    assert json.loads(line)["Type"] == "Containers"
    verbose = left("system", "df", "-v").out
    assert "Containers space usage:" in verbose and "app-web-1" in verbose and "app_data" in verbose
    assert left("system", "df", "-v", "--format", "json").code == 1
