"""What holds for every project: plans settle, respect dependencies, survive interruption, and never vary."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from composer.backends.memory import Behaviour
from composer.engine import actions
from composer.engine.operations.containers import (
    CreateContainer,
    RemoveContainer,
    RenameContainer,
    StartContainer,
)
from composer.engine.operations.waiting import WaitService
from composer.engine.options import Options
from composer.engine.plan import Plan
from composer.engine.running.execute import execute
from composer.errors import ComposerError
from tests.unit.engine.stage import Stage
from tests.unit.engine.test_rollback import Fault, picture, refuse

CHECK = {"test": ["CMD", "check"]}
quick = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def service(draw: st.DrawFn, earlier: list[str], jobs: set[str]) -> dict[str, Any]:
    tree: dict[str, Any] = {"image": draw(st.sampled_from(["one", "two"])), "healthcheck": CHECK}
    if draw(st.booleans()):
        tree["environment"] = {"VALUE": draw(st.sampled_from(["a", "b"]))}
    if draw(st.booleans()):
        tree["scale"] = draw(st.integers(0, 3))
    wanted = draw(st.sets(st.sampled_from(earlier))) if earlier else set()
    if wanted:
        tree["depends_on"] = {}
        for name in sorted(wanted):
            condition = (
                "service_completed_successfully"
                if name in jobs
                else draw(st.sampled_from(["service_started", "service_healthy"]))
            )
            tree["depends_on"][name] = {
                "condition": condition,
                "restart": draw(st.booleans()),
                "required": draw(st.booleans()),
            }
    if draw(st.booleans()):
        tree["networks"] = sorted(draw(st.sets(st.sampled_from(["front", "back"]), min_size=1)))
    elif earlier and draw(st.booleans()) and not jobs.intersection(earlier):  # type: ignore[arg-type]
        tree["network_mode"] = f"service:{draw(st.sampled_from(earlier))}"
    volumes = draw(st.sets(st.sampled_from(["data:/data", "/anonymous"])))
    if volumes:
        tree["volumes"] = sorted(volumes)
    return tree


@st.composite
def project(draw: st.DrawFn) -> str:
    names = ["a", "b", "c", "job"][: draw(st.integers(1, 4))]
    services: dict[str, Any] = {}
    for name in sorted(names, reverse=True):
        services[name] = draw(service(sorted(services), {"job"}))
        if name == "job":
            services[name].pop("healthcheck")
    for tree in services.values():
        shared = tree.get("network_mode", "").removeprefix("service:")
        if shared:
            services[shared]["scale"] = 1  # somebody has to be there to share with
    return json.dumps(
        {
            "services": services,
            "networks": {"front": {"internal": draw(st.booleans())}, "back": {}},
            "volumes": {"data": {}},
        }
    )


def stage_in(directory: Path) -> Stage:
    made = Stage(directory)
    made.backend.behave("job", Behaviour(exits=(0,)))
    return made


@quick
@given(before=project(), now=project())
def test_after_a_plan_there_is_nothing_to_do(tmp_path: Path, before: str, now: str) -> None:
    stage = stage_in(tmp_path)
    stage.up(before)
    stage.up(now, Options(remove_orphans=True))
    assert without_job(stage.plan(now)) == []


def without_job(plan: Plan) -> list[str]:
    """Return the steps that change something, but for starts of a job: what ended is started by every ``up``."""
    return [
        str(step)
        for step in plan.steps
        if not isinstance(step.operation, WaitService)
        and not (isinstance(step.operation, StartContainer) and step.operation.container.service == "job")
    ]


@quick
@given(before=project(), now=project(), cut=st.floats(0, 1))
def test_an_interrupted_plan_is_finished_by_the_next(
    tmp_path: Path, before: str, now: str, cut: float
) -> None:
    stage = stage_in(tmp_path)
    stage.up(before)
    plan = stage.plan(now, Options(remove_orphans=True))
    prefix = Plan(plan.steps[: round(cut * len(plan.steps))])
    execute(prefix, stage.backend, stage.recorder, project="app").check()
    stage.up(now, Options(remove_orphans=True))
    assert without_job(stage.plan(now)) == []
    assert not [name for name in stage.names() if "_" in name.removeprefix("app_")], "a temporary name stayed"


@quick
@given(before=project(), now=project(), place=st.floats(0, 1))
def test_a_failure_anywhere_is_rolled_back(tmp_path: Path, before: str, now: str, place: float) -> None:
    options = Options(remove_orphans=True, on_failure="rollback")
    stage = stage_in(tmp_path)
    stage.up(before)
    counted = Fault(stage_of(tmp_path, before), 0, lambda name: None)
    counted.stage.up(now, options)
    fault = Fault(stage, 1 + round(place * counted.count), refuse)
    had = picture(stage)
    try:
        stage.up(now, options)
    except (ComposerError, ExceptionGroup):
        if not fault.hit.startswith("remove"):
            has = picture(stage)
            assert without_runs(has) == without_runs(had)
    fault.disarm()
    stage.up(now, options)
    assert without_job(stage.plan(now)) == []


def stage_of(directory: Path, before: str) -> Stage:
    made = stage_in(directory)
    made.up(before)
    return made


def without_runs(seen: dict[str, Any]) -> dict[str, Any]:
    """A picture without the states of jobs, which may have run once more, and volumes, which stay if written to."""
    containers = {
        id: (name, *rest) if not name.startswith("app-job") else name
        for id, (name, *rest) in seen["containers"].items()
    }
    return {"containers": containers, "networks": seen["networks"]}


@quick
@given(before=project(), now=project())
def test_no_step_comes_before_what_it_depends_on(tmp_path: Path, before: str, now: str) -> None:
    stage = stage_in(tmp_path)
    stage.up(before)
    plan = stage.plan(now)
    ids = [step.id for step in plan.steps]
    assert ids == list(range(1, len(ids) + 1))
    behind: dict[int, set[int]] = {}
    for step in plan.steps:
        assert all(other < step.id for other in (*step.needs, *step.after))
        behind[step.id] = set(step.needs) | {o for need in step.needs for o in behind[need]}
    check_order(plan, behind)


def check_order(plan: Plan, behind: dict[int, set[int]]) -> None:
    """Within one container: created, renamed, started, the old one removed, in that order and no other."""
    stages = (CreateContainer, RenameContainer, StartContainer, RemoveContainer)
    by_name: dict[str, list[tuple[int, int]]] = {}
    for step in plan.steps:
        if isinstance(step.operation, stages):
            rank = stages.index(type(step.operation))
            by_name.setdefault(step.operation.container.name, []).append((rank, step.id))
    for steps in by_name.values():
        ordered = [id for _, id in sorted(steps)]
        if len({rank for rank, _ in steps}) > 2:  # a replacement that goes through all of them
            assert all(first in behind[second] for first, second in pairwise(ordered))


@quick
@given(text=project())
def test_down_after_up_leaves_nothing(tmp_path: Path, text: str) -> None:
    from composer.engine.planning.lifecycle import Teardown

    stage = stage_in(tmp_path)
    stage.up(text)
    actions.down(stage.engine, "app", Teardown(volumes=True))
    assert actions.is_empty(stage.backend.observe("app"))
    assert not stage.backend.volumes()


PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.unit.engine.stage import Stage
from composer.engine.options import Options
stage = Stage(Path(sys.argv[2]))
before, now = Path(sys.argv[3]).read_text().split("=====")
stage.up(before)
print(stage.plan(now, Options(remove_orphans=True, wait=True)))
"""


def test_the_text_does_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    services = {
        f"s{n}": {
            "image": f"i{n % 3}",
            "networks": [f"n{n % 2}", f"n{n % 5}"] if n % 2 != n % 5 else [f"n{n % 2}"],
            "volumes": [f"v{n % 4}:/v"],
            "environment": {"A": str(n), "B": "b"},
            **({"depends_on": [f"s{n - 1}", f"s{n // 2}"]} if n > 2 else {}),
        }
        for n in range(12)
    }
    rest = {"networks": {f"n{n}": {} for n in range(5)}, "volumes": {f"v{n}": {} for n in range(4)}}  # type: ignore[var-annotated]
    first = {name: tree for name, tree in services.items() if name != "s11"}
    before = json.dumps({"services": first, **rest})
    for tree in services.values():
        tree["environment"] = {"B": "c", "D": "d", "C": "c"}
    case = tmp_path / "case"
    case.write_text(f"{before}====={json.dumps({'services': services, **rest})}")
    texts = set()
    for seed in ("0", "1", "4711"):
        directory = tmp_path / seed
        directory.mkdir()
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(Path(__file__).parent), str(directory), str(case)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[3])},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        texts.add(result.stdout.replace(str(directory), ""))
    assert len(texts) == 1
    assert len(texts.pop().splitlines()) > 20
