"""Data that would be lost from sight: a plan says it, `up` asks, and nothing is done without an answer."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from composer.engine import labels
from tests.unit.cli.console import Console, states

STACK = "services: {db: {image: db, volumes: ['data:/data']}}\nvolumes: {data: {}}\n"
RENAMED = STACK.replace("{data: {}}", "{data: {name: elsewhere}}")
OTHER_KEY = STACK.replace("data:/", "store:/").replace("{data: {}}", "{store: {}}")
LOSS = "will be created empty; the data is in volume 'app_data', which is no longer used"
OTHER_NAME = (
    "volume 'other_data' will be created empty; the data is in volume 'app_data', "
    "which belongs to project 'app' in this directory"
)
FORMER_NAME = (
    "will be created empty; the data is in volume 'app_data', which is no longer used "
    "(created by project 'app' in this directory)"
)


@pytest.fixture
def used(console: Console) -> Console:
    """A console whose stack has a volume."""
    console.write(STACK)
    assert console("up", "-d").code == 0
    return console


def volumes(console: Console) -> list[str]:
    return sorted(volume.name for volume in console.backend.volumes())


def strip(console: Console) -> None:
    """Take away what only this version writes, as if another tool had made the volumes."""
    for volume in console.backend.volumes():
        assert labels.DIRECTORY in volume.labels
        kept = {key: value for key, value in volume.labels.items() if key != labels.DIRECTORY}
        console.backend._volumes[volume.name] = volume._replace(labels=kept)


@pytest.mark.parametrize(("text", "name"), [(RENAMED, "elsewhere"), (OTHER_KEY, "app_store")])
def test_a_renamed_volume(used: Console, text: str, name: str) -> None:
    used.write(text)
    planned = used("plan")
    assert f"+ volume {name}" in planned.out
    assert LOSS in planned.out
    assert f"warning: volume '{name}' {LOSS}" in planned.err
    before = used.backend.observe("app")
    for verb in (("up", "-d"), ("up",), ("create",), ("scale", "db=2"), ("run", "db", "true")):
        result = used(*verb)
        assert result.code == 1, verb
        assert f"error: nothing was changed: volume '{name}' {LOSS}\n" in result.err
        assert "composer up --yes" in result.err
    assert used.backend.observe("app") == before
    assert used("up", "-d", "--yes").code == 0
    assert volumes(used) == sorted(["app_data", name])
    result = used("up", "-d")
    assert (result.code, "starts empty" in result.err) == (0, False), "it is there now"


def test_run_makes_no_such_volume_ahead_of_the_plan(used: Console) -> None:
    used.write(RENAMED)
    assert used("run", "--rm", "-v", "data:/other", "db", "true").code == 1
    assert volumes(used) == ["app_data"]


def test_it_is_asked_on_a_terminal(used: Console) -> None:
    used.write(RENAMED)
    result = used("up", "-d", terminal=True, stdin="n\n")
    assert (result.code, volumes(used)) == (1, ["app_data"])
    assert f"volume 'elsewhere' {LOSS}: continue? [y/N]" in result.err
    assert used("up", "-d", terminal=True, stdin="y\n").code == 0
    assert volumes(used) == ["app_data", "elsewhere"]


def test_a_dry_run_asks_nobody(used: Console) -> None:
    used.write(RENAMED)
    for result in (used("up", "--dry-run"), used("--dry-run", "up", terminal=True)):
        assert (result.code, LOSS in result.out) == (0, True)


def test_it_is_seen_after_down_too(used: Console) -> None:
    used("down")
    used.write(RENAMED)
    assert used("up", "-d").code == 1


def test_another_key_that_has_the_name_keeps_it_in_sight(used: Console) -> None:
    used.write(
        "services: {db: {image: db, volumes: ['data:/data', 'old:/old']}}\n"
        "volumes: {data: {name: elsewhere}, old: {name: app_data}}\n"
    )
    assert used("up", "-d").code == 0


def test_external_names_what_is_meant(used: Console) -> None:
    used.write(STACK.replace("{data: {}}", "{data: {external: true, name: app_data}}"))
    assert used("up", "-d").code == 0


def renamed_in_file(console: Console) -> None:
    console.write(f"name: other\n{STACK}")


def renamed_by_directory(console: Console) -> None:
    """Its name is the directory's, and the same directory is reached by another one."""
    link = console.directory.parent / "other"
    link.symlink_to("app")
    console.directory = link
    console.write(f"name: other\n{STACK}")


@pytest.mark.parametrize("rename", [renamed_in_file, renamed_by_directory])
@pytest.mark.parametrize("by", ["this version", "another tool"])
def test_another_project_name_in_the_same_directory(
    used: Console, rename: Callable[[Console], None], by: str
) -> None:
    if by == "another tool":
        strip(used)
    rename(used)
    result = used("up", "-d")
    assert result.code == 1
    assert OTHER_NAME in result.err
    assert "-p app" in result.err
    assert volumes(used) == ["app_data"]
    assert used("up", "-d", "-y").code == 0
    assert volumes(used) == ["app_data", "other_data"]
    assert used("up", "-d").code == 0


def test_it_is_found_after_down_too(used: Console) -> None:
    assert used("down").code == 0
    renamed_in_file(used)
    assert FORMER_NAME in used("up", "-d").err
    assert FORMER_NAME in used("plan").out


@pytest.mark.parametrize("environment", [{}, {"COMPOSE_PROJECT_NAME": "other"}])
def test_two_names_that_were_given_are_two_stacks(used: Console, environment: dict[str, str]) -> None:
    options = () if environment else ("-p", "other")
    assert used(*options, "up", "-d", **environment).code == 0  # type: ignore[arg-type]
    assert volumes(used) == ["app_data", "other_data"]


def test_nor_does_a_given_name_stand_in_the_way_of_the_directory_s(console: Console) -> None:
    console.write(STACK)
    assert console("-p", "other", "up", "-d").code == 0
    assert console("up", "-d").code == 0
    assert console("-p", "other", "down").code == 0
    console("down", "-v")
    assert console("up", "-d").code == 0


def test_a_project_of_another_directory_is_not_ours(used: Console) -> None:
    used.directory = used.directory.parent / "second"
    used.directory.mkdir()
    used.write(f"name: other\n{STACK}")
    assert used("up", "-d").code == 0


def test_another_driver(used: Console) -> None:
    """What is there stays in use; to lose it is asked for on a terminal, and said."""
    used.write(STACK.replace("{data: {}}", "{data: {driver: other}}"))
    result = used("up", "-d")
    assert result.code == 0
    assert (
        "doesn't match the configuration in the compose file, its driver local → other; using it as is"
        in result.err
    )
    assert "Recreate (data will be lost)?" in used("up", "-d", terminal=True, stdin="n\n").err
    assert [volume.driver for volume in used.backend.volumes()] == ["local"]
    planned = used("plan", "--yes").out
    assert "its driver local → other: its data will be lost" in planned


@pytest.mark.parametrize("rename", [lambda console: console.write(RENAMED), renamed_in_file])
def test_saved_plans(used: Console, rename: Callable[[Console], None]) -> None:
    rename(used)
    assert used("plan", "--out", "plan.json").code == 0
    document = json.loads((used.directory / "plan.json").read_text())
    assert any("will be created empty" in operation["cause"] for operation in document["operations"])
    assert any("will be created empty" in warning for warning in document["warnings"])
    result = used("apply", "plan.json")
    assert result.code == 1
    assert "nothing was changed: volume" in result.err
    assert volumes(used) == ["app_data"]
    assert used("apply", "plan.json", terminal=True, stdin="n\n").code == 1
    assert used("apply", "--yes", "plan.json").code == 0
    assert len(volumes(used)) == 2


def test_a_plan_that_was_made_with_yes_has_the_answer(used: Console) -> None:
    used.write(RENAMED)
    assert used("plan", "--yes", "--out", "plan.json").code == 0
    assert used("apply", "plan.json").code == 0
    assert volumes(used) == ["app_data", "elsewhere"]
    assert set(states(used).values()) == {"running"}


def test_down_keeps_the_data_that_went_out_of_sight(used: Console) -> None:
    """`down -v` removes what the file declares, as Docker Compose does. By the name alone it removes all."""
    used.write(RENAMED)
    assert used("up", "-d", "--yes").code == 0
    assert "app_data" not in used("plan", "--destroy", "-v").out
    result = used("down", "-v")
    assert result.code == 0
    assert (
        "kept volumes that the compose file does not define: app_data (remove them with composer volume rm"
        in result.err
    )
    assert volumes(used) == ["app_data"]
    assert used("up", "-d", "--yes").code == 0
    used.write("services: {db: {image: db, nonsense: 1}}\n", "broken.yaml")
    result = used("-p", "app", "-f", "broken.yaml", "down", "-v")
    assert result.err.count("only the project name 'app' is used") == 1
    assert volumes(used) == []


def test_a_saved_plan_keeps_it_too(used: Console) -> None:
    used.write(RENAMED)
    assert used("up", "-d", "--yes").code == 0
    assert used("plan", "--destroy", "-v", "--out", "plan.json").code == 0
    assert used("apply", "plan.json").code == 0
    assert volumes(used) == ["app_data"]
