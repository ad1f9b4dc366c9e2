"""Mistakes of services that a command is not about do not matter to those that it is about."""

from __future__ import annotations

import pytest

from tests.unit.cli.console import Console, states

MISTAKES = {
    "env file": ("env_file: nowhere.env", "cannot read env file 'nowhere.env'"),
    "name": ("container_name: taken", "container name \"taken\" is already in use by service 'db'"),
    "network": ("networks: [outer]", "network outer declared as external, but could not be found"),
}


def project(extra: str) -> str:
    return (
        "services:\n"
        "  db: {image: i, container_name: taken}\n"
        "  app: {image: i, depends_on: [db]}\n"
        f"  wrong: {{image: i, {extra}}}\n"
        "  needs: {image: i, depends_on: [wrong]}\n"
        "networks: {outer: {external: true}}\n"
    )


@pytest.mark.parametrize("kind", MISTAKES)
def test_they_are_of_no_concern(console: Console, kind: str) -> None:
    console.write(project(MISTAKES[kind][0]))
    for command in ("plan", "create", "up -d", "up -d --force-recreate"):
        result = console(*command.split(), "app")
        assert result.code == 0, result.err
    assert console("run", "-d", "app").code == 0
    assert states(console)["taken"] == "running"


@pytest.mark.parametrize("service", ["wrong", "needs", "app wrong", ""])
@pytest.mark.parametrize("kind", ["env file", "network"])
def test_who_has_them_or_needs_who_has_them_is_refused(console: Console, kind: str, service: str) -> None:
    console.write(project(MISTAKES[kind][0]))
    result = console("up", "-d", *service.split())
    assert result.code == 1
    assert MISTAKES[kind][1] in result.err
    assert not console.backend.calls


def test_a_name_is_taken_twice_only_by_those_that_are_to_run(console: Console) -> None:
    console.write(project(MISTAKES["name"][0]))
    assert console("up", "-d", "wrong").code == 0
    for services in ((), ("wrong", "db"), ("wrong", "app")):
        result = console("plan", *services)
        assert (result.code, MISTAKES["name"][1] in result.err) == (1, True)
    assert console("config", "-q").code == 1
