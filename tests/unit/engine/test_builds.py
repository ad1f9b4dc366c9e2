"""When images are built, in which order, and with what."""

from __future__ import annotations

from composer.engine.operations.images import BuildImage
from composer.engine.operations.registry import subject_of
from composer.engine.options import Options
from composer.engine.planning.images import plan_build, plan_push
from composer.engine.planning.refreshing import plan_refresh
from composer.errors import BuildFailed, PullFailed
from tests.unit.engine.stage import Stage

TEXT = """
services:
  app: {build: {context: ., additional_contexts: {base: "service:base"}}, image: registry/app}
  base: {build: {context: ./base, args: {A: "1"}, secrets: [key]}}
  plain: {image: nginx}
  fresh: {build: ., pull_policy: build}
secrets: {key: {environment: KEY}}
"""


def test_a_base_is_built_before_what_is_built_upon_it(stage: Stage) -> None:
    plan = plan_build(stage.project(TEXT, KEY="hidden"))
    assert str(plan).splitlines() == [
        "#1 build image app-base: build",
        "#2 build image registry/app: build (after #1)",
        "#3 build image app-fresh: build",
    ]


def test_a_build_is_told_everything(stage: Stage) -> None:
    project = stage.project(TEXT, KEY="hidden")
    plan = plan_build(project, no_cache=True, pull=True, wanted={"args": {"B": "2"}})
    base, app, _ = (step.operation.spec for step in plan.steps if isinstance(step.operation, BuildImage))
    assert base.attributes["args"] == {"A": "1", "B": "2"}
    assert (base.no_cache, base.pull) == (True, True)
    assert [(file.target, file.content) for file in base.secrets] == [("key", b"hidden")]
    assert "secrets" not in base.attributes
    assert base.labels["com.docker.compose.service"] == "base"
    assert app.attributes["additional_contexts"] == {"base": "docker-image://app-base"}
    assert "hidden" not in str(plan)


def test_what_is_built_anew_before_the_plan(stage: Stage) -> None:
    project = stage.project(TEXT, KEY="hidden")

    def refresh(build: bool | None) -> list[str]:
        plan = plan_refresh(project, lambda reference: None, None, build=build)
        return [subject_of(step.operation) for step in plan.steps]

    assert refresh(None) == ["app-fresh"]
    assert refresh(True) == ["registry/app", "app-base", "app-fresh"]
    assert refresh(False) == []


def test_only_what_has_a_name_of_its_own_is_pushed(stage: Stage) -> None:
    assert str(plan_push(stage.project(TEXT, KEY="x"))) == "#1 push image registry/app: push"


def test_a_pull_that_fails_is_made_good_by_a_build(stage: Stage) -> None:
    text = "services: {web: {build: ., image: named}}"
    stage.backend.fail("pull_image", "named", PullFailed("no registry"))
    stage.up(text)
    assert [name for method, name in stage.backend.calls if method == "build_image"] == ["named"]
    (web,) = stage.backend.observe("app").containers
    found = stage.backend.find_image("named")
    assert found is not None
    assert web.labels["com.docker.compose.image"] == found.id


def test_an_image_that_could_be_pulled_is_not_built(stage: Stage) -> None:
    stage.up("services: {web: {build: ., image: named}}")
    assert "build_image" not in [method for method, _ in stage.backend.calls]


def test_a_build_that_fails_starts_nothing(stage: Stage) -> None:
    stage.backend.fail("build_image", "app-web", BuildFailed("a step failed"))
    try:
        stage.up("services: {web: {build: .}}")
    except Exception as error:
        assert "a step failed" in str(error)
    else:
        raise AssertionError("it did not fail")
    assert stage.backend.observe("app").containers == ()


def test_up_with_build_builds_what_is_there_already(stage: Stage) -> None:
    text = "services: {web: {build: .}}"
    stage.up(text)
    stage.up(text, Options(build=True))
    assert [name for method, name in stage.backend.calls if method == "build_image"] == ["app-web", "app-web"]
