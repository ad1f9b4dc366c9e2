"""Services that a program provides: when it runs, with what, what dependents get, and what remains of it."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest

from composer.engine.wanted import ContainerSpec
from tests.unit.cli.console import Console, states

PROJECT = """
    services:
      web:
        image: web
        environment: {KEY: mine, OWN: "1"}
        depends_on: [db]
      db:
        provider: {type: cloud, options: {size: 256}}
        depends_on: [base]
      base: {image: base}
      other: {image: other}
"""
STOPS = '{"description": "d", "up": {"parameters": [{"name": "size"}]}, "stop": {}}'


class Cloud:
    """A provider that writes down how it was called, and says what a test wants."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.says(up=[])

    def says(
        self,
        up: list[tuple[str, str]],
        down: list[tuple[str, str]] | None = None,
        code: int = 0,
        metadata: str = "",
    ) -> None:
        for name, found in (("up", up), ("down", down or []), ("stop", [])):
            lines = [json.dumps({"type": kind, "message": text}) + "\n" for kind, text in found]
            (self.directory / name).write_text("".join(lines))
        (self.directory / "metadata").write_text(metadata)
        program = self.directory / "cloud"
        program.write_text(
            dedent(f"""\
                #!/bin/sh
                case "$*" in
                *metadata) test -s {self.directory}/metadata && cat {self.directory}/metadata; exit;;
                esac
                echo "$* [$FROM_FILE]" >> {self.directory}/calls
                echo "the end of its log" >&2
                for command in up down stop; do
                    case "$*" in *" $command "*) cat {self.directory}/$command;; esac
                done
                exit {code}
                """)
        )
        program.chmod(0o755)

    def calls(self) -> list[str]:
        path = self.directory / "calls"
        found = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.removeprefix("compose --project-name=app ") for line in found]


@pytest.fixture
def cloud(console: Console, tmp_path: Path) -> Cloud:
    directory = tmp_path / "cloud"
    directory.mkdir()
    console.environment["PATH"] = f"{directory}:/usr/bin:/bin"
    console.write(PROJECT)
    return Cloud(directory)


def spec(console: Console, name: str) -> ContainerSpec:
    return console.backend.by_id[console.backend.container(name).id].spec


def environment(console: Console, name: str) -> dict[str, str]:
    return dict(spec(console, name).attributes.get("environment") or {})


def test_dependents_get_what_the_provider_says(console: Console, cloud: Cloud) -> None:
    cloud.says(up=[("info", "pulling 25%"), ("debug", "x"), ("setenv", "URL=a"), ("rawsetenv", "KEY=b")])
    up = console("up", "-d", FROM_FILE="7")
    assert up.code == 0
    lines = up.err.splitlines()
    begun = lines.index(" db Creating ")
    assert lines.index(" Container app-base-1 Started ") < begun
    assert lines[begun : begun + 3] == [" db Creating ", " db pulling 25% ", " db Created "]
    assert lines.index(" Container app-web-1 Creating ") > begun
    assert 'provider "db" overrides environment variable "KEY" in service "web"' in up.err
    assert cloud.calls() == ["up --size=256 db [7]"]
    assert environment(console, "app-web-1") == {"KEY": "b", "OWN": "1", "DB_URL": "a"}
    assert "DB_URL" not in environment(console, "app-other-1")
    assert sorted(states(console)) == ["app-base-1", "app-other-1", "app-web-1"]
    label = spec(console, "app-web-1").labels["com.docker.compose.depends_on"]
    assert label == "db:service_started:false"


def test_what_it_says_anew_replaces_the_dependents_alone(console: Console, cloud: Cloud) -> None:
    cloud.says(up=[("setenv", "URL=a")])
    console("up", "-d")
    assert console("plan", "--detailed-exitcode").code == 0
    again = console("up", "-d")
    assert "Recreate" not in again.err
    assert len(cloud.calls()) == 2  # a provider is asked each time
    cloud.says(up=[("setenv", "URL=b")])
    changed = console("up", "-d")
    assert " Container app-web-1 Recreated " in changed.err
    assert "app-base-1 Recreate" not in changed.err
    assert environment(console, "app-web-1")["DB_URL"] == "b"
    # a plan that only looks asks nobody
    cloud.calls()
    console.write(PROJECT.replace("256", "512"))
    plan = console("plan")
    assert "+ service db" in plan.out
    assert "options of its provider changed" in plan.out
    assert "app-web-1" not in plan.out
    assert console("up", "--dry-run").code == 0
    assert cloud.calls() == []


def test_it_ends_between_what_needs_it_and_what_it_needs(console: Console, cloud: Cloud) -> None:
    cloud.says(up=[], down=[("info", "going")], metadata=STOPS)
    console("up", "-d")
    cloud.calls()
    stop = console("stop").err.splitlines()
    order = [stop.index(f" {what} ") for what in ("Container app-web-1 Stopped", "db Stopping", "db Stopped")]
    assert [*order, stop.index(" Container app-base-1 Stopping ")] == sorted(
        [*order, stop.index(" Container app-base-1 Stopping ")]
    )
    assert cloud.calls() == ["stop db []"]
    destroy = console("plan", "--destroy").out
    assert "- service db" in destroy
    assert cloud.calls() == []
    (console.directory / "compose.yaml").unlink()
    down = console("-p", "app", "down").err.splitlines()
    assert down.index(" Container app-web-1 Removed ") < down.index(" db Removing ")
    assert down.index(" db going ") < down.index(" db Removed ")
    assert down.index(" db Removed ") < down.index(" Container app-base-1 Removing ")
    assert cloud.calls() == ["down db []"]
    assert console("-p", "app", "down").code == 0
    assert cloud.calls() == []


def test_who_cannot_stop_is_left_alone(console: Console, cloud: Cloud) -> None:
    console("up", "-d")
    cloud.calls()
    assert " db " not in console("stop").err
    assert cloud.calls() == []
    assert console("down", "web").code == 0
    assert cloud.calls() == []
    assert console("down", "db").code == 0
    assert cloud.calls() == ["down --size=256 db []"]
    assert sorted(states(console)) == ["app-base-1", "app-other-1"]


def test_what_another_command_made_is_found_by_its_dependents(console: Console, cloud: Cloud) -> None:
    console("up", "-d")
    cloud.calls()
    (Path(console.environment["COMPOSER_ROOT"]) / "providers/app.json").unlink()
    console("down")
    assert cloud.calls() == ["down --size=256 db []"]


def test_a_destroying_plan_is_carried_out_as_it_was_saved(console: Console, cloud: Cloud) -> None:
    console("up", "-d")
    console("plan", "--destroy", "--out", "saved.json")
    cloud.calls()
    assert console("apply", "saved.json").code == 0
    assert cloud.calls() == ["down --size=256 db []"]
    assert states(console) == {}


@pytest.mark.parametrize(
    ("up", "code", "said"),
    [
        ([("error", "no credit left")], 0, "error: no credit left"),
        ([], 3, "error: failed to create service provider: exit status 3"),
        ([("status", "x")], 0, "error: invalid response from plugin: status"),
    ],
)
def test_a_failing_provider_stops_what_depends_on_it(
    console: Console, cloud: Cloud, up: list[tuple[str, str]], code: int, said: str
) -> None:
    cloud.says(up, code=code)
    result = console("up", "-d")
    assert result.code == 1
    assert said in result.err
    assert ("the end of its log" in result.err) is bool(code)
    assert sorted(states(console)) == ["app-base-1"]
    assert "the last up did not finish it" in console("plan").out
    cloud.calls()
    cloud.says([])
    assert console("down").code == 0  # what it made before it failed is asked back
    assert cloud.calls() == ["down --size=256 db []"]
    assert not record(console).exists()


def record(console: Console) -> Path:
    return Path(console.environment["COMPOSER_ROOT"]) / "providers/app.json"


def test_a_killed_up_has_noted_whom_down_asks(console: Console, cloud: Cloud) -> None:
    copy = cloud.directory / "as-it-was"
    program = (cloud.directory / "cloud").read_text()
    (cloud.directory / "cloud").write_text(f"#!/bin/sh\ncp {record(console)} {copy}\n{program}")
    assert console("up", "-d", "db").code == 0
    assert console("down").code == 0
    assert not record(console).exists()
    cloud.calls()
    copy.rename(record(console))  # the state in which a kill during the provider leaves it
    assert console("--project-name", "app", "-f", "none.yaml", "down").code == 0
    assert cloud.calls() == ["down --size=256 db []"]


def test_a_provider_that_is_not_installed(console: Console, cloud: Cloud) -> None:
    (cloud.directory / "cloud").unlink()
    result = console("up", "-d", "db")
    assert not record(console).exists()
    assert 'exec: "cloud": executable file not found in $PATH' in result.err
    assert "install the provider" in result.err
    console.write("services: {db: {provider: {type: compose}}}")
    assert "'compose' is not a valid provider type" in console("up", "-d").err


def test_a_plugin_of_the_docker_command_comes_first(console: Console, cloud: Cloud, tmp_path: Path) -> None:
    plugins = tmp_path / ".docker/cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-cloud").write_text(f"#!/bin/sh\necho plugin $* >> {cloud.directory}/calls\n")
    (plugins / "docker-cloud").chmod(0o755)
    console("up", "-d", "db")
    assert cloud.calls() == ["plugin compose metadata", "plugin compose --project-name=app up --size=256 db"]


def test_several_at_once_and_in_turns(console: Console, cloud: Cloud) -> None:
    console.write("""
        services:
          a: {provider: {type: cloud}}
          b: {provider: {type: cloud}}
          c: {provider: {type: cloud}, depends_on: [a, b]}
          web: {image: w, depends_on: {c: {condition: service_healthy}}}
    """)
    assert console("up", "-d").code == 0
    calls = cloud.calls()
    assert (sorted(calls[:2]), calls[2:]) == (["up a []", "up b []"], ["up c []"])
    console("down")
    assert cloud.calls()[0] == "down c []"


def test_without_its_dependencies_a_service_keeps_what_it_got(console: Console, cloud: Cloud) -> None:
    cloud.says(up=[("setenv", "URL=a")])
    console("up", "-d")
    cloud.calls()
    assert "Recreate" not in console("up", "-d", "--no-deps", "web").err
    assert cloud.calls() == []
    assert environment(console, "app-web-1")["DB_URL"] == "a"


def test_what_is_known_of_it_is_for_its_owner(console: Console, cloud: Cloud) -> None:
    cloud.says(up=[("rawsetenv", "PASSWORD=x")])
    console("up", "-d")
    path = record(console)
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is damaged"),
        ("[]", "it is damaged"),
        ('{"version": 1}', "it is damaged"),
        ('{"version": 1, "services": {"db": {}}, "models": {}}', "it is damaged"),
        ('{"version": 2, "services": {}}', "it has version 2, and this composer reads version 1"),
    ],
)
def test_a_damaged_record_is_kept(console: Console, cloud: Cloud, text: str, reason: str) -> None:
    console("up", "-d")
    record(console).write_text(text)
    for command in ("plan",), ("up", "-d"), ("down",):
        failed = console(*command)
        assert failed.code == 1, command
        assert f"cannot read what providers made, '{record(console)}': {reason}" in failed.err
        assert "move this file away" in failed.err
    assert record(console).read_text() == text
    record(console).unlink()
    cloud.calls()
    assert console("up", "-d").code == 0
    assert cloud.calls() == ["up --size=256 db []"]
