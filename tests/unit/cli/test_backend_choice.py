"""Which backend a command talks to."""

from __future__ import annotations

from pathlib import Path

from composer.engine.wanted import VolumeSpec
from tests.unit.cli.console import Console, Lasting


def test_a_project_stays_on_the_backend_that_has_it(console: Console) -> None:
    other = Lasting()
    other.name = "docker"
    console.backends["docker"] = other
    console.write("services: {web: {image: nginx}}")
    console("--backend", "docker", "up", "-d")
    assert [c.name for c in other.observe("app").containers] == ["app-web-1"]
    assert "app-web-1" in console("ps").out
    refused = console("--backend", "namespace", "up", "-d")
    assert refused.code == 1
    assert refused.err.startswith("error: project 'app' exists on the docker backend, not on namespace\n")
    assert console.backend.observe("app").containers == ()
    console("down")
    assert other.observe("app").containers == ()


def test_of_two_that_have_a_project_the_one_counts_where_it_runs(console: Console) -> None:
    """As after a migration: the old volumes and containers are there for as long as nobody removes them."""
    first, second = console.backend, Lasting()
    second.name = "docker"
    console.write("services: {web: {image: nginx}}")
    console("create")
    console.backends = {"docker": second}
    console("up", "-d")
    console.backends = {"namespace": first, "docker": second}
    assert "Up" in console("ps").out, "what runs before what is only there"
    first.create_volume(VolumeSpec("app_data", {"com.docker.compose.project": "app"}, {}))
    console.backends = {"namespace": first}
    console("down")
    console.backends = {"namespace": first, "docker": second}
    console("--backend", "docker", "stop")
    assert "Exited" in console("ps", "-a").out, "containers before volumes"


def test_the_backend_can_be_configured(console: Console, tmp_path: Path) -> None:
    other = Lasting()
    console.backends["docker"] = other
    console.write("services: {web: {image: nginx}}")
    console("up", "-d", COMPOSER_BACKEND="docker")
    assert len(other.observe("app").containers) == 1
    console("down", COMPOSER_BACKEND="docker")
    (tmp_path / ".config/composer").mkdir(parents=True)
    (tmp_path / ".config/composer/config.toml").write_text('backend = "docker"\n')
    console("up", "-d")
    assert len(other.observe("app").containers) == 1
    assert "unknown backend 'podman'" in console("ps", COMPOSER_BACKEND="podman").err


def test_without_any_backend_there_is_one_clear_line(console: Console) -> None:
    console.backends.clear()
    console.write("services: {web: {image: nginx}}")
    result = console("up", "-d")
    assert result.code == 1
    assert result.err.startswith("error: no usable backend on this machine: namespace: ")
