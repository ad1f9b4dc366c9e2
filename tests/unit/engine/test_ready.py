"""``--wait`` on services without a health check: what fails at once, or while others are waited for, is not ready."""

from __future__ import annotations

import threading
import time

import pytest

from composer.backends.memory import Behaviour
from composer.engine.observed import ContainerState, Health
from composer.engine.options import Options
from composer.engine.running import wait
from composer.errors import Unhealthy
from tests.unit.engine.stage import Stage

ALONE = "services: {web: {image: web}}"
WAITING = Options(wait=True)


@pytest.fixture(autouse=True)
def _as_for_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "SETTLE_S", 0.5)


def end_soon(stage: Stage, after_s: float, name: str = "app-web-1", code: int = 1) -> None:
    def end() -> None:
        time.sleep(after_s)
        stage.backend.end(name, code)

    stage.when_running([name], lambda: threading.Thread(target=end).start())


def test_what_ends_at_once_is_not_ready(stage: Stage) -> None:
    stage.backend.behave("web", Behaviour(exits=(1,)))
    with pytest.raises(Unhealthy, match=r"^container app-web-1 exited \(1\)"):
        stage.up(ALONE, WAITING)


@pytest.mark.parametrize("after_s", [0.02, 0.3])
def test_what_ends_soon_after_is_not_ready(stage: Stage, after_s: float) -> None:
    end_soon(stage, after_s)
    with pytest.raises(Unhealthy, match=r"exited \(1\)"):
        stage.up(ALONE, WAITING)


def test_a_job_that_succeeds_is(stage: Stage) -> None:
    end_soon(stage, 0.1, code=0)
    stage.up(ALONE, WAITING)


def test_what_ends_while_another_becomes_healthy_is_not_ready(stage: Stage) -> None:
    text = "services: {web: {image: web}, slow: {image: slow, healthcheck: {test: [CMD, a]}}}"

    def later() -> None:
        time.sleep(1.0)  # web was ready by then
        stage.backend.end("app-web-1", 3)
        stage.backend.set_health("app-slow-1", Health.HEALTHY)

    stage.backend.behave("slow", Behaviour(health=()))
    stage.when_running(["app-web-1", "app-slow-1"], lambda: threading.Thread(target=later).start())
    with pytest.raises(Unhealthy, match=r"container app-web-1 exited \(3\)"):
        stage.up(text, WAITING)


def test_each_run_has_to_last_by_itself(stage: Stage) -> None:
    stage.backend.behave("web", Behaviour(exits=(1, 1, None)))
    began = time.monotonic()
    stage.up("services: {web: {image: web, restart: always}}", WAITING)
    assert time.monotonic() - began >= 0.5


def test_what_ends_meanwhile_is_put_back_before_the_old_ones_are_gone(stage: Stage) -> None:
    """The second look comes before the removal of what was replaced: there is something to go back to."""
    text = "services: {web: {image: TAG}, slow: {image: TAG, healthcheck: {test: [CMD, a]}}}"
    stage.backend.behave("slow", Behaviour(health=(Health.HEALTHY,)))
    stage.up(text.replace("TAG", "one"))
    before = {c.name: c.id for c in stage.backend.observe("app").containers}

    def later() -> None:
        time.sleep(1.0)
        stage.backend.end("app-web-1", 3)
        stage.backend.set_health("app-slow-1", Health.HEALTHY)

    stage.backend.behave("slow", Behaviour(health=()))

    def watch() -> None:
        with stage.backend.changed:
            stage.backend.changed.wait_for(
                lambda: (
                    all(
                        c.id != before[c.name]
                        for c in stage.backend.observe("app").containers
                        if c.name in before and c.state is ContainerState.RUNNING
                    )
                    and list(stage.states().values()).count("running") == 2
                ),
                60,
            )
        later()

    threading.Thread(target=watch, daemon=True).start()
    with pytest.raises(Unhealthy, match=r"container app-web-1 exited \(3\)"):
        stage.up(text.replace("TAG", "two"), WAITING._replace(on_failure="rollback"))
    after = {c.name: c.id for c in stage.backend.observe("app").containers}
    assert after == before
    assert set(stage.states().values()) == {"running"}
