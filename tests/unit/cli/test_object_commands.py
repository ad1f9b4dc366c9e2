"""``composer image pull|inspect``, ``network`` and ``volume inspect``: objects on their own, without a project."""

from __future__ import annotations

import json

from tests.unit.cli.console import Console


def test_images_are_pulled_and_inspected(console: Console) -> None:
    console("image", "pull", "-q", "one:1", "two:1", "one:1")
    assert sorted(console.backend.calls) == [("pull_image", "one:1"), ("pull_image", "two:1")]
    (shown,) = json.loads(console("image", "inspect", "one:1").out)
    assert shown["RepoTags"] == ["one:1"]
    result = console("image", "inspect", "three")
    assert (result.code, "no such image: three" in result.err) == (1, True)


def test_networks_are_listed_inspected_and_removed(console: Console) -> None:
    console.write("services: {web: {image: nginx, volumes: ['data:/data']}}\nvolumes: {data: }")
    console("up", "-d")
    assert "app_default" in console("network", "ls").out
    assert json.loads(console("network", "ls", "--format", "json").out)["Project"] == "app"
    (shown,) = json.loads(console("network", "inspect", "app_default").out)
    assert (shown["Name"], shown["Driver"]) == ("app_default", "bridge")
    (volume,) = json.loads(console("volume", "inspect", "app_data").out)
    assert volume["Labels"]["com.docker.compose.volume"] == "data"
    assert console("volume", "inspect", "none").code == 1
    assert console("network", "rm", "none").code == 1
    assert console("network", "rm", "-f", "none").code == 0
    console("down")
    assert console("network", "ls", "-q").out == ""
