"""Which images are pulled: every pull_policy, with and without ``--pull`` and ``--policy``."""

from __future__ import annotations

import pathlib

import pytest

from composer.engine.observed import ObservedImage
from composer.engine.operations.images import PullImage
from composer.engine.planning.images import plan_pull
from composer.engine.planning.refreshing import plan_refresh, window_ns
from composer.schema.load import LoadOptions, load
from composer.schema.model import Project

HOUR_NS = 3_600_000_000_000
NOW_NS = 1_000 * HOUR_NS


def project(directory: pathlib.Path, text: str) -> Project:
    (directory / "compose.yaml").write_text(f"name: app\nservices: {text}\n")
    return load(LoadOptions(working_dir=str(directory), environment={}))


def found(age_hours: int | None):
    if age_hours is None:
        return lambda reference: None
    return lambda reference: ObservedImage("sha256:1", tagged_ns=NOW_NS - age_hours * HOUR_NS)


@pytest.mark.parametrize(
    ("policy", "age_hours", "override", "wanted"),
    [
        ("always", 1, None, True),
        ("always", None, None, True),
        ("always", 1, "never", False),
        ("missing", 1, None, False),
        ("missing", 1, "always", True),
        ("if_not_present", 1, None, False),
        ("never", 1, None, False),
        ("build", 1, None, False),
        ("refresh", 9999, None, False),  # Docker Compose 2.40 knows no time for it, and takes it for missing
        ("daily", 23, None, False),
        ("daily", 25, None, True),
        ("daily", 25, "missing", False),
        ("weekly", 7 * 24 - 1, None, False),
        ("weekly", 7 * 24 + 1, None, True),
        ("every_12h", 11, None, False),
        ("every_12h", 13, None, True),
        ("every_1d12h", 35, None, False),
        ("every_1d12h", 37, None, True),
        ("daily", None, None, False),  # what is not here is pulled by the plan itself
    ],
)
def test_up_asks_again(
    tmp_path: pathlib.Path, policy: str, age_hours: int | None, override: str | None, wanted: bool
) -> None:
    made = project(tmp_path, f"{{a: {{image: 'one:1', pull_policy: {policy}}}}}")
    plan = plan_refresh(made, found(age_hours), override, NOW_NS)
    assert bool(plan.steps) is wanted


def test_an_image_whose_window_has_passed_will_do_when_the_registry_is_away(tmp_path: pathlib.Path) -> None:
    made = project(
        tmp_path, "{a: {image: 'one:1', pull_policy: daily}, b: {image: 'two:1', pull_policy: always}}"
    )
    plan = plan_refresh(made, found(48), None, NOW_NS)
    assert [step.operation for step in plan.steps] == [
        PullImage("one:1", "pull policy: daily", optional=True),
        PullImage("two:1", "pull policy: always", optional=False),
    ]


@pytest.mark.parametrize(
    ("image", "policy", "given", "is_here", "wanted"),
    [
        ("one:1", None, None, True, True),
        ("one:1", "missing", None, True, False),
        ("one:1", "missing", None, False, True),
        ("one", "missing", None, True, True),
        ("one:latest", "if_not_present", None, True, True),
        ("host:5000/one", "missing", None, True, True),
        ("host:5000/one:1", "missing", None, True, False),
        ("one:1", "missing", "always", True, True),
        ("one:1", "always", "missing", True, False),
        ("one:1", "never", None, False, False),
        ("one:1", "never", "missing", False, True),
        ("one:1", "build", None, False, False),
        ("one:1", "daily", None, True, True),
    ],
)
def test_pull(
    tmp_path: pathlib.Path, image: str, policy: str | None, given: str | None, is_here: bool, wanted: bool
) -> None:
    text = f", pull_policy: {policy}" if policy else ""
    made = project(tmp_path, f"{{a: {{image: '{image}'{text}}}}}")
    plan = plan_pull(made, found(1 if is_here else None), policy=given)
    assert bool(plan.steps) is wanted


def test_windows() -> None:
    assert window_ns("daily") == 24 * HOUR_NS
    assert window_ns("every_90m") == 90 * 60 * 1_000_000_000
    assert window_ns("always") is None
