"""Many failures at once, as people read them."""

from __future__ import annotations

import io

import click

from composer.cli.context import Context
from composer.cli.report import report
from composer.engine.operations.row import Resource
from composer.engine.progress import FAILED, Progress
from composer.errors import (
    BackendError,
    ConfigError,
    Conflict,
    DockerfileInvalid,
    Fault,
    Mark,
    OperationFailed,
    ProjectInvalid,
    PullFailed,
    Unavailable,
)


def written(error: Exception, **settings: str) -> str:
    stderr = io.StringIO()
    context = Context({}, stdin=io.StringIO(), stdout=io.StringIO(), stderr=stderr, working_dir="/")
    context.settings = context.settings._replace(**settings)  # type: ignore[arg-type]
    assert report(error, context) == 1
    return stderr.getvalue()


def shown(*errors: Exception) -> list[str]:
    stderr = io.StringIO()
    context = Context({}, stdin=io.StringIO(), stdout=io.StringIO(), stderr=stderr, working_dir="/")
    assert report(ExceptionGroup("up", errors), context) == 1
    return [line for line in stderr.getvalue().splitlines() if line.startswith("error: ")]


def test_an_engine_that_is_gone_is_said_once() -> None:
    gone = [OperationFailed(f"start container {name}", Unavailable("no engine answers")) for name in "abc"]
    assert shown(*gone) == ["error: no engine answers"]


def test_what_else_failed_is_kept() -> None:
    gone = [OperationFailed(f"start container {name}", Unavailable("no engine answers")) for name in "ab"]
    other: BackendError = Conflict("port 80 is in use")
    assert shown(gone[0], OperationFailed("start container c", other), gone[1]) == [
        "error: no engine answers",
        "error: start container c: port 80 is in use",
    ]


def test_images_that_could_not_be_pulled_are_one_error_with_what_was_not_shown_yet() -> None:
    stderr = io.StringIO()
    context = Context({}, stdin=io.StringIO(), stdout=io.StringIO(), stderr=stderr, working_dir="/")
    pulls = [PullFailed(f"cannot pull '{name}': no route") for name in "ab"]
    shown = Progress(FAILED, Resource("image", "a"), "error", str(pulls[0]))
    context.display().progress(shown)
    assert report(ExceptionGroup("up", [*pulls, Conflict("port 80 is in use")]), context) == 1
    assert stderr.getvalue().splitlines() == [
        " Image a Error cannot pull 'a': no route",
        "error: port 80 is in use",
        "error: 2 images could not be pulled",
        "  cannot pull 'b': no route",
        "2 errors",
    ]


def test_one_keeps_the_operation() -> None:
    assert shown(OperationFailed("start container a", Unavailable("no engine answers"))) == [
        "error: start container a: no engine answers"
    ]


def invalid(*messages: str) -> ProjectInvalid:
    return ProjectInvalid(
        tuple(ConfigError(text, at=Mark("compose.yaml", line)) for line, text in enumerate(messages, 1))
    )


def test_an_error_of_a_compose_file_looks_like_any_other() -> None:
    assert written(invalid("no image")) == "error: compose.yaml:1:0: no image\n"
    assert written(Conflict("port 80 is in use")) == "error: port 80 is in use\n"
    for error in (invalid("no image"), Conflict("port 80 is in use"), click.UsageError("no such option: -x")):
        assert written(error, ansi="always").startswith("\x1b[31merror:\x1b[0m ")


def test_several_errors_are_counted() -> None:
    text = written(invalid("no image", "unknown attribute"))
    assert text == "error: compose.yaml:1:0: no image\nerror: compose.yaml:2:0: unknown attribute\n2 errors\n"
    assert written(ExceptionGroup("up", [Conflict("a"), Conflict("b")])).endswith("2 errors\n")
    assert "errors" not in written(invalid("no image"))


def test_each_fault_of_a_dockerfile_is_an_error_with_its_line() -> None:
    first = Fault(
        Mark("Dockerfile", 2, 1), "unknown instruction", "did you mean 'RUN'?", "    2 | RUM x\n      | ^"
    )
    second = Fault(Mark("Dockerfile", 3, 5), "unknown flag")
    assert written(DockerfileInvalid((first, second))).splitlines() == [
        "error: Dockerfile:2:1: unknown instruction",
        "      2 | RUM x",
        "        | ^",
        "  hint: did you mean 'RUN'?",
        "error: Dockerfile:3:5: unknown flag",
        "2 errors",
    ]
    failed = written(OperationFailed("build image web", DockerfileInvalid((first,))))
    assert failed.startswith("error: build image web: Dockerfile:2:1: unknown instruction\n")
    assert failed.endswith("hint: did you mean 'RUN'?\n")
