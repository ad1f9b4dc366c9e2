"""Services with AI models: what Docker's model runner is asked for, and what the services get."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.console import Console, states
from tests.unit.cli.test_providers import environment

PROJECT = """
    services:
      chat:
        image: chat
        models:
          llm:
          small-one: {endpoint_var: SMALL, model_var: SMALL_NAME}
      other: {image: other}
    models:
      llm: {model: ai/big, context_size: 4096, runtime_flags: [--no-prefill]}
      small-one: {model: ai/small}
      unused: {model: ai/unused}
"""


class Runner:
    """The plugin ``docker model``; it has the models of ``present``."""

    def __init__(self, home: Path) -> None:
        self._calls = home / "calls"
        self._plugin = home / ".docker/cli-plugins/docker-model"
        self._plugin.parent.mkdir(parents=True)
        self.install()

    def install(
        self, *, version: str = "v1.0.6", endpoint: str = "http://runner/v1/", fails: str = "none"
    ) -> None:
        self._plugin.write_text(
            f"""#!/bin/sh
            echo "$*" >> {self._calls}
            case "$1" in
            {fails}) echo "no space" >&2; exit 4;;
            ls) echo '[{{"tags": ["ai/small"]}}]';;
            status) echo '{{"endpoint": "{endpoint}"}}';;
            docker-cli-plugin-metadata) echo '{{"Version": "{version}"}}';;
            esac
            """
        )
        self._plugin.chmod(0o755)

    def remove(self) -> None:
        self._plugin.unlink()

    def calls(self) -> set[str]:
        found = set(self._calls.read_text().splitlines()) if self._calls.exists() else set()
        self._calls.unlink(missing_ok=True)
        return found - {"ls --json", "status --json", "docker-cli-plugin-metadata"}


@pytest.fixture
def runner(console: Console, tmp_path: Path) -> Runner:
    console.write(PROJECT)
    return Runner(tmp_path)


def test_models_are_pulled_and_configured_and_services_know_them(console: Console, runner: Runner) -> None:
    up = console("up", "-d")
    assert up.code == 0
    assert {" llm Pulling ", " llm Configuring ", " llm Configured ", " small-one Configured "} <= set(
        up.err.splitlines()
    )
    assert runner.calls() == {
        "pull ai/big",
        "configure --context-size=4096 ai/big -- --no-prefill",
        "configure ai/small",
    }
    assert environment(console, "app-chat-1") == {
        "LLM_MODEL": "ai/big",
        "LLM_URL": "http://runner/v1/",
        "SMALL_NAME": "ai/small",
        "SMALL": "http://runner/v1/",
    }
    assert environment(console, "app-other-1") == {}
    assert "nothing to do" in console("plan").out
    assert runner.calls() == set()
    assert "Recreate" not in console("up", "-d").err
    runner.install(endpoint="http://elsewhere/")
    assert " Container app-chat-1 Recreated " in console("up", "-d").err


def test_an_old_plugin_knows_no_flags(console: Console, runner: Runner) -> None:
    runner.install(version="v1.0.5")
    console("up", "-d")
    assert "configure --context-size=4096 ai/big" in runner.calls()


def test_a_plan_says_which_models_it_prepares(console: Console, runner: Runner) -> None:
    plan = console("plan").out
    assert "+ service llm" in plan
    assert "unused" not in plan
    assert runner.calls() == set()


@pytest.mark.parametrize("command", [("up", "-d"), ("plan",)])
def test_without_a_model_runner_it_is_refused(
    console: Console, runner: Runner, command: tuple[str, ...]
) -> None:
    runner.remove()
    result = console(*command)
    assert result.code == 1
    assert "'models' support requires Docker Model plugin" in result.err
    assert states(console) == {}
    assert console("up", "-d", "other").code == 0


def test_a_failing_runner_says_why(console: Console, runner: Runner) -> None:
    runner.install(fails="pull")
    result = console("up", "-d")
    assert result.code == 1
    assert "docker model pull ai/big failed: exit status 4" in result.err
    assert "> no space" in result.err
    runner.install(endpoint="")
    assert "does not say where models are served" in console("up", "-d").err
