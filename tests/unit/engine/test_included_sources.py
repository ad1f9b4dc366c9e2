"""Secrets of an included project that are variables have the value that the include gives them."""

from __future__ import annotations

import pytest

from composer.engine.resolving.resolve import file_source
from tests.unit.engine.stage import Stage

OUTER = """
include: [{path: sub/compose.yaml, env_file: sub/its.env}]
services: {top: {image: i, secrets: [outer]}}
secrets: {outer: {environment: VALUE}}
"""
INNER = """
services: {inner: {image: i, secrets: [inner]}}
secrets: {inner: {environment: VALUE}}
"""


@pytest.mark.parametrize(
    ("shell", "inner", "outer"),
    [({}, b"of the include", None), ({"VALUE": "shell"}, b"shell", b"shell")],
    ids=["from its file", "from the shell"],
)
def test_each_has_the_value_of_where_it_is_written(
    stage: Stage, shell: dict[str, str], inner: bytes, outer: bytes | None
) -> None:
    (stage.directory / "sub").mkdir()
    stage.write("sub/compose.yaml", INNER)
    stage.write("sub/its.env", "VALUE=of the include\n")
    project = stage.project(OUTER, profiles=(), **shell)
    entry = project.tree["secrets"]["inner"]
    assert entry["environment"] == "VALUE", "that is what is shown"
    assert file_source(project, "secret", "inner", entry, ()) == (None, inner)
    if outer is not None:
        assert file_source(project, "secret", "outer", project.tree["secrets"]["outer"], ()) == (None, outer)
