"""Flags and verbs that people know from docker compose, beside those that have a test file of their own."""

from __future__ import annotations

import json

from composer.engine.observed import ObservedImage
from composer.engine.wanted import BuildSpec
from tests.unit.cli.console import Console, states

PROJECT = """
    services:
      web: {image: nginx, volumes: ["data:/data", "/anonymous"]}
      job: {build: ., volumes: ["more:/more"]}
    volumes: {data: {labels: {kind: test}}, more: {}, spare: {}}
    networks: {lonely: {}}
"""


def test_volumes_lists_those_of_the_project_or_of_a_service(console: Console) -> None:
    console.write(PROJECT)
    console("up", "-d")
    assert console("volumes").out.splitlines() == [
        "DRIVER    VOLUME NAME",
        "local     app_data",
        "local     app_more",
    ]
    assert console("volumes", "-q", "web").out == "app_data\n"
    (row,) = (json.loads(line) for line in console("volumes", "--format", "json", "web").out.splitlines())
    assert (row["Name"], row["Scope"], row["Links"]) == ("app_data", "local", "N/A")
    assert "kind=test" in row["Labels"]
    assert console("volumes", "--format", '{{.Name}}: {{.Label "kind"}}', "web").out == "app_data: test\n"
    assert console("volumes", "nosuch").code == 1


def test_all_resources_are_made_when_they_are_asked_for(console: Console) -> None:
    console.write(PROJECT)
    console("--all-resources", "up", "-d")
    assert "app_spare" in console("volumes", "-q").out
    assert "app_lonely" in console("network", "ls").out
    assert "lonely" in console("--all-resources", "config").out
    assert "lonely" not in console("config").out


def test_compatibility_names_things_with_underscores(console: Console) -> None:
    console.write(PROJECT)
    console("--compatibility", "up", "-d")
    assert states(console) == {"app_web_1": "running", "app_job_1": "running"}
    assert console.backend.container("app_job_1").image == "app_job"
    assert " Container app_web_1 Running \n" in console("up", "-d", "web", COMPOSE_COMPATIBILITY="true").err
    console("--compatibility", "run", "--no-deps", "-d", "web")
    assert any(name.startswith("app_web_run_") for name in states(console))


def test_kill_leaves_services_of_other_files_alone(console: Console) -> None:
    console.write(PROJECT)
    console("up", "-d")
    console.write("services: {web: {image: nginx}}", "other.yaml")
    console("-f", "other.yaml", "up", "-d")
    console("-f", "other.yaml", "kill")
    assert states(console)["app-job-1"] == "running"
    console("-f", "other.yaml", "kill", "--remove-orphans")
    assert set(states(console).values()) == {"exited"}


def test_what_the_command_line_asks_of_a_build(console: Console) -> None:
    console.write("services: {job: {build: {context: ., args: {A: '1'}, ssh: [default]}}}")
    flags = (
        "--ssh",
        "key=/k",
        "--provenance",
        "mode=max",
        "--sbom",
        "true",
        "--build-arg",
        "B=2",
        "-m",
        "1g",
    )
    built: list[BuildSpec] = []
    build = console.backend.build_image

    def keep(spec: BuildSpec, *, progress: object = None) -> ObservedImage:
        built.append(spec)
        return build(spec)

    console.backend.build_image = keep  # type: ignore[method-assign]
    result = console("build", *flags)
    assert result.code == 0
    assert "--memory has no effect" in result.err
    (spec,) = built
    assert spec.attributes["args"] == {"A": "1", "B": "2"}
    assert list(spec.attributes["ssh"])[-1] == "key=/k"
    assert (spec.attributes["provenance"], spec.attributes["sbom"]) == ("mode=max", "true")


def test_down_removes_images_of_services_that_have_no_container_any_more(console: Console) -> None:
    console.write("services: {web: {image: nginx}, job: {build: .}, other: {build: ., image: mine}}")
    for given, expected in (("local", {"app-job"}), ("all", {"app-job", "mine", "nginx"})):
        console("up", "-d")
        console("down")
        planned = console("plan", "--destroy", "--rmi", given).out
        assert {line.split()[2] for line in planned.splitlines() if line.startswith("- image")} == {
            f"{name}:latest" for name in expected
        }
        assert console("down", "--rmi", given).code == 0
        gone = {name for name in ("app-job", "mine", "nginx") if not console.backend.find_image(name)}
        assert gone == expected
    assert "No resource found to remove" in console("down", "--rmi", "all").err


def test_a_plan_that_removes_an_image_without_a_container_is_applied(console: Console) -> None:
    console.write("services: {job: {build: .}}")
    console("up", "-d")
    console("down")
    console("plan", "--destroy", "--rmi", "local", "--out", "plan.json")
    assert console("apply", "plan.json").code == 0
    assert console.backend.find_image("app-job") is None
