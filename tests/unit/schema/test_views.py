"""Whatever a project loads to has a typed view: values that Go's zero left out of the tree are no errors there."""

from __future__ import annotations

from pathlib import Path

import pytest
from project import write

from composer.errors import ProjectInvalid
from composer.schema.load import LoadOptions, load


def test_a_port_zero_has_a_view(tmp_path: Path) -> None:
    write(tmp_path, {"compose.yaml": "services: {a: {image: i, ports: [{target: 0}]}}\n"})
    project = load(LoadOptions(working_dir=str(tmp_path)))
    assert "target" not in project.tree["services"]["a"]["ports"][0], "as docker compose prints it"
    assert project.services["a"].ports[0].target == 0


@pytest.mark.parametrize("value", ["", "[1]"])
def test_an_ulimit_that_the_schema_does_not_look_at_is_an_error(tmp_path: Path, value: str) -> None:
    write(tmp_path, {"compose.yaml": f"services: {{a: {{image: i, ulimits: {{NOT_LOWER: {value}}}}}}}\n"})
    with pytest.raises(ProjectInvalid, match=r"compose.yaml:1:.*'NOT_LOWER': it must be a whole number"):
        load(LoadOptions(working_dir=str(tmp_path)))
