"""When images are built, in which order, and with what."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from composer.engine.operations.images import BuildImage
from composer.engine.operations.registry import subject_of
from composer.engine.options import Options
from composer.engine.plan import Plan
from composer.engine.planning.images import plan_build, plan_push
from composer.engine.planning.refreshing import plan_refresh
from composer.engine.resolving.bases import Bases
from composer.errors import BuildFailed, CycleError, PullFailed
from composer.schema.model import Project
from tests.unit.engine.stage import Stage

TEXT = """
services:
  app: {build: {context: ., additional_contexts: {base: "service:base"}}, image: registry/app}
  base: {build: {context: ./base, args: {A: "1"}, secrets: [key]}}
  plain: {image: nginx}
  fresh: {build: ., pull_policy: build}
secrets: {key: {environment: KEY}}
"""


def _builds(project: Project, **options: Any) -> Plan:
    return plan_build(project, Bases(project).of, **options)


def test_a_base_is_built_before_what_is_built_upon_it(stage: Stage) -> None:
    plan = _builds(stage.project(TEXT, KEY="hidden"))
    assert str(plan).splitlines() == [
        "#1 build image app-base: build",
        "#2 build image registry/app: build (after #1)",
        "#3 build image app-fresh: build",
    ]


def test_a_build_is_told_everything(stage: Stage) -> None:
    project = stage.project(TEXT, KEY="hidden")
    plan = _builds(project, no_cache=True, pull=True, wanted={"args": {"B": "2"}})
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
    assert refresh(True) == ["app-base", "registry/app", "app-fresh"]
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


CHAIN = """
services:
  alone: {build: {context: ., dockerfile_inline: "FROM debian"}}
  app:
    build:
      context: .
      args: {VERSION: "2"}
      dockerfile_inline: |
        ARG VERSION=1
        FROM --platform=linux/amd64 base:$${VERSION} AS stage
        COPY --from=tools \\
             /bin/tool /bin/tool
    depends_on: [user]
  base: {build: {context: ., dockerfile: base.Dockerfile}, image: "base:2"}
  tools: {build: {context: ., dockerfile_inline: "FROM scratch"}, image: tools}
  user: {image: "docker.io/library/tools:latest"}
"""


def test_a_dockerfile_that_starts_from_another_services_image_is_built_after_it(stage: Stage) -> None:
    stage.write("base.Dockerfile", "# FROM app-app\nFROM debian\n")
    assert str(_builds(stage.project(CHAIN))).splitlines() == [
        "#1 build image app-alone: build",
        "#2 build image base:2: build",
        "#3 build image tools: build",
        "#4 build image app-app: build (after #2, #3)",
    ]


def test_naming_a_service_builds_what_it_is_built_from(stage: Stage) -> None:
    stage.write("base.Dockerfile", "FROM debian\n")
    project = stage.project(CHAIN).select(["app"], dependencies=False)
    built = [subject_of(step.operation) for step in _builds(project).steps]
    assert built == ["base:2", "tools", "app-app"]


def test_up_builds_in_the_same_order_what_is_not_here_each_once(stage: Stage) -> None:
    stage.write("base.Dockerfile", "FROM debian\n")
    plan = stage.plan(CHAIN, Options(services=("app",)))
    assert [line for line in str(plan).splitlines() if " image " in line] == [
        "#2 pull image tools: image not found locally",
        "#3 build image tools: if the pull fails (after #2?)",
        "#4 pull image base:2: image not found locally",
        "#5 build image base:2: if the pull fails (after #4?)",
        "#6 build image app-app: image not found locally (after #3, #5)",
    ]
    assert "#7 create container app-user-1: does not exist (after #1, #3)" in str(plan)


def test_an_image_that_another_service_builds_is_built_although_that_is_not_chosen(stage: Stage) -> None:
    project = "services: {maker: {build: ., image: made}, user: {image: made}}"
    stage.write("Dockerfile", "FROM scratch\n")
    plan = stage.plan(project, Options(services=("user",)))
    assert "pull image made: image not found locally" in str(plan)
    assert "build image made: if the pull fails" in str(plan)


def test_images_built_from_each_other_are_left_to_the_builder(stage: Stage) -> None:
    project = stage.project(
        "services: {a: {build: {context: ., dockerfile_inline: FROM app-b}}, "
        "b: {build: {context: ., dockerfile_inline: FROM app-a}}}"
    )
    assert len(_builds(project).steps) == 2


def test_contexts_that_go_round_are_said_with_their_place(stage: Stage) -> None:
    contexts = "{build: {context: ., additional_contexts: {x: 'service:%s'}}}"
    project = stage.project(f"services: {{a: {contexts % 'b'}, b: {contexts % 'c'}, c: {contexts % 'a'}}}")
    with pytest.raises(CycleError, match="built from each other: a → b → c → a") as refused:
        _builds(project)
    assert refused.value.at is not None


@pytest.mark.parametrize("build", [None, True])
def test_a_missing_base_is_built_with_what_is_always_built(stage: Stage, build: bool | None) -> None:
    project = stage.project(
        "services: {app: {build: {context: ., dockerfile_inline: FROM app-base}, pull_policy: build}, "
        "base: {build: {context: ., dockerfile_inline: FROM scratch}}}"
    ).select(["app"])
    plan = plan_refresh(project, lambda reference: None, None, build=build)
    assert [subject_of(step.operation) for step in plan.steps] == ["app-base", "app-app"]


def test_a_dockerfile_that_is_not_there_is_the_builders_to_complain_about(stage: Stage) -> None:
    project = stage.project("services: {a: {build: ./nowhere}, b: {build: https://example.com/repo.git}}")
    assert [Bases(project).of(name) for name in "ab"] == [(), ()]


def _named(stage: Stage, dockerfile: str, **args: str) -> tuple[str, ...]:
    """Return what a service with this Dockerfile is built from, beside services base, tools and builder."""
    stage.write("Dockerfile", dockerfile)
    project = stage.project(
        f"services: {{app: {{build: {{context: ., args: {json.dumps(args)}}}}}, "
        "base: {build: ./b, image: base}, tools: {build: ./t, image: 'tools:2'}, "
        "builder: {build: ./c, image: builder}}"
    )
    return Bases(project).of("app")


@pytest.mark.parametrize(
    "text",
    [
        "ARG NAME=ba\nARG BASE=${NAME}se\nFROM ${BASE}\n",
        "ARG A=1 BASE=base\nFROM $BASE\n",
        "ARG BASE=base\nFROM scratch\nARG BASE\nFROM $BASE\n",
        "\ufeffFROM\tbase\n",
        "# escape=`\nFROM `\n base\n",
        "FROM scratch\nONBUILD COPY --from=base /a /b\n",
        "FROM scratch\nRUN --mount=type=bind,from=base,target=/x true\n",
    ],
)
def test_forms_in_which_a_dockerfile_names_its_base(stage: Stage, text: str) -> None:
    assert _named(stage, text) == ("base",)


def test_a_stage_is_no_image_and_an_argument_given_counts(stage: Stage) -> None:
    stage_text = "FROM scratch AS builder\nFROM scratch\nCOPY --from=builder /a /a\nRUN echo --from=base\n"
    assert _named(stage, stage_text) == ()
    assert _named(stage, "ARG V=1\nFROM tools:$V\n", V="2") == ("tools",)


@pytest.mark.parametrize(
    "text",
    [
        "RUN " + "--mount=" * 100_000,
        "FROM " + "${a-" * 60_000,
        "RUN a" + "\\\na" * 80_000,
        "FROM " + "a" * 900_000,
    ],
)
def test_a_hostile_dockerfile_is_read_at_once(stage: Stage, text: str) -> None:
    began_s = time.process_time()
    assert _named(stage, text) == ()
    assert time.process_time() - began_s < 10, "minutes, with a reader that goes back"


def test_a_long_chain_of_builds(stage: Stage) -> None:
    count = 1200
    services = ", ".join(
        f"s{n}: {{build: {{context: ., additional_contexts: {{b: 'service:s{n + 1}'}}}}}}"
        for n in range(count)
    )
    project = stage.project(f"services: {{{services}, s{count}: {{build: .}}}}").select(["s0"])
    steps = _builds(project).steps
    assert len(steps) == count + 1
    assert subject_of(steps[-1].operation) == "app-s0"


def test_what_is_pulled_needs_no_base(stage: Stage) -> None:
    """Neither with --no-build, nor when the pull brings the image."""
    text = (
        "services: {app: {image: 'app:1', build: {context: ., additional_contexts: {b: 'service:base'}}}, "
        "base: {build: ./b}}"
    )
    assert "base" not in str(stage.plan(text, Options(services=("app",), build=False)))
    assert "app-base" not in str(stage.plan(text, Options(services=("app",))))
    lines = [line for line in str(stage.plan(text)).splitlines() if " image " in line]
    assert lines[-1].endswith("build image app:1: if the pull fails (after #2?, #3?)")
