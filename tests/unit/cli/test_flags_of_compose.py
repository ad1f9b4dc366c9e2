"""The commands and options of docker compose 5.5 are all here, under the same names and with the same defaults.

The list beside this file is from its source: a command, below it its options, with their letter, kind of value and
default. `tests.integration.docker.test_flags` asks the docker compose of this machine.
"""

from __future__ import annotations

import pytest

from tests.unit.cli import compose_table

THEIRS = compose_table.listed()
OURS = compose_table.commands()


def test_the_list_is_whole() -> None:
    assert sum(map(len, THEIRS.values())) == 229


@pytest.mark.parametrize("path", THEIRS)
def test_a_command_of_theirs_is_here(path: str) -> None:
    assert (path in OURS) is not compose_table.is_missing(path)
    if path in OURS:
        different = {flag.name: compose_table.complaints(path, OURS[path], flag) for flag in THEIRS[path]}
        assert {name: what for name, what in different.items() if what} == {}


def test_no_reason_is_left_of_what_is_the_same_by_now() -> None:
    assert not OURS.keys() & compose_table.MISSING.keys()
    for name in compose_table.DEFAULTS:
        path, _, flag = name.rpartition(" ")
        assert flag in compose_table.options(OURS[path]), name
