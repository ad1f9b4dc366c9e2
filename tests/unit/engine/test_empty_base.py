"""A service that extends an empty one of another file is what it says itself, as with Docker Compose."""

from __future__ import annotations

import pytest

from composer.errors import ProjectInvalid
from tests.unit.engine.stage import Stage

TEXT = "services: {a: {extends: {file: other.yaml, service: base}, image: i, user: me}}"


def test_there_is_nothing_to_extend(stage: Stage) -> None:
    stage.write("other.yaml", "services:\n  base:\n  bass: {image: other}\n")
    tree = stage.project(TEXT).tree["services"]["a"]
    assert (tree["image"], tree["user"]) == ("i", "me")
    assert tree["extends"] == {"file": str(stage.directory / "other.yaml"), "service": "base"}
    stage.up(TEXT)
    assert not stage.up(TEXT).steps


def test_one_that_is_not_there_is_refused(stage: Stage) -> None:
    stage.write("other.yaml", "services:\n  bass: {image: other}\n")
    with pytest.raises(ProjectInvalid, match=r"service 'base' not found in other\.yaml"):
        stage.project(TEXT)
