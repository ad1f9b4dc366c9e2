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


def test_an_owner_that_has_no_effect_is_warned_of_with_its_place(stage: Stage) -> None:
    stage.write("s.txt", "x")
    text = """services:
  a:
    image: i
    secrets: [{source: s, uid: '1', mode: 0o400}, {source: v, uid: '1'}]
secrets: {s: {file: ./s.txt}, v: {environment: VALUE}}
"""
    assert stage.plan(text, VALUE="y").warnings == ()
    stage.backend.capabilities = frozenset()
    warned = stage.plan(text, VALUE="y").warnings
    assert [sentence.partition(": services")[2].partition(": ")[0] for sentence in warned] == [
        ".a.secrets[0].uid",
        ".a.secrets[0].mode",
    ]
    assert all(sentence.startswith("compose.yaml:4:") for sentence in warned)
