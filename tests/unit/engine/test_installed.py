"""The docker compose that is installed is found where docker finds it, and asked once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from composer import userconfig
from composer.engine.resolving.installed import compose_version


class Machine:
    """A home with a configuration of docker, and a command path."""

    def __init__(self, directory: Path) -> None:
        self.asked = directory / "asked"
        self.config, self.path = directory / "config", directory / "bin"
        self.environment = {
            "DOCKER_CONFIG": str(self.config),
            "COMPOSER_ROOT": str(directory / "state"),
            "PATH": f"{self.path}:/usr/bin:/bin",
        }

    def install(self, directory: Path, answer: str) -> Path:
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / "docker-compose"
        file.write_text(f"#!/bin/sh\necho \"$@\" >>{self.asked}\ncat <<'END'\n{answer}\nEND\n")
        file.chmod(0o755)
        return file

    def version(self) -> str:
        return compose_version(self.environment)

    def times_asked(self) -> int:
        lines = self.asked.read_text().splitlines() if self.asked.exists() else []
        assert set(lines) <= {"docker-cli-plugin-metadata"}
        return len(lines)


def says(version: str) -> str:
    return json.dumps({"SchemaVersion": "0.1.0", "Vendor": "V", "Version": version})


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(userconfig, "_PLUGINS", (str(tmp_path / "system"),))
    return Machine(tmp_path)


def test_where_there_is_none(machine: Machine) -> None:
    assert machine.version() == ""


def test_it_is_asked_once_for_each_file(machine: Machine) -> None:
    file = machine.install(machine.config / "cli-plugins", says("v5.5.0"))
    assert [machine.version(), machine.version()] == ["v5.5.0", "v5.5.0"]
    assert machine.times_asked() == 1
    machine.install(machine.config / "cli-plugins", says("v5.6.0"))
    os.utime(file, ns=(1, 1))
    assert [machine.version(), machine.version()] == ["v5.6.0", "v5.6.0"]
    assert machine.times_asked() == 2


def test_docker_finds_the_users_before_that_of_the_system(machine: Machine, tmp_path: Path) -> None:
    machine.install(machine.path, says("1"))
    assert machine.version() == "1"
    machine.install(tmp_path / "system", says("2"))
    assert machine.version() == "2"
    machine.install(machine.config / "cli-plugins", says("3"))
    assert machine.version() == "3"
    machine.install(tmp_path / "more", says("4"))
    (machine.config / "config.json").write_text(json.dumps({"cliPluginsExtraDirs": [str(tmp_path / "more")]}))
    assert machine.version() == "4"


@pytest.mark.parametrize("answer", ["docker-compose version 1.29.2", "", "[]", '{"Version": '])
def test_what_answers_something_else_has_no_version(machine: Machine, answer: str) -> None:
    machine.install(machine.path, answer)
    assert machine.version() == ""


def test_what_was_kept_may_be_damaged_and_need_not_be_kept(machine: Machine, tmp_path: Path) -> None:
    machine.install(machine.path, says("v5.5.0"))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "docker-compose.json").write_text("[")
    assert machine.version() == "v5.5.0"
    machine.environment["COMPOSER_ROOT"] = "/proc/nowhere"
    assert machine.version() == "v5.5.0"
    assert machine.times_asked() == 2


def test_a_configuration_that_is_no_json_is_passed_over(machine: Machine) -> None:
    machine.install(machine.config / "cli-plugins", says("v5.5.0"))
    (machine.config / "config.json").write_text("{")
    assert machine.version() == "v5.5.0"
