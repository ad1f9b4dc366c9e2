"""``up`` in the foreground: whose output is shown, and what ends it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from composer.backends.memory import Behaviour
from tests.unit.cli.console import STACK, Console, states


def test_up_attached_ends_with_its_containers(console: Console) -> None:
    console.write(STACK)
    console.backend.behave("db", Behaviour(output=("ready",)))
    console.backend.behave("web", Behaviour(output=("hello",)))

    def work() -> None:
        with console.backend.changed:
            console.backend.changed.wait_for(lambda: states(console).get("app-web-1") == "running", 5)
        console.backend.end("app-web-1", 3)
        console.backend.end("app-db-1", 0)

    worker = threading.Thread(target=work)
    worker.start()
    result = console("up")
    worker.join()
    assert result.code == 0
    assert sorted(line for line in result.out.splitlines() if "|" in line) == [
        "db-1   | ready",
        "web-1  | hello",
    ]
    assert {line for line in result.out.splitlines() if "exited" in line} == {
        "web-1 exited with code 3",
        "db-1 exited with code 0",
    }


@pytest.mark.parametrize(
    ("options", "ends", "code"),
    [
        (("--abort-on-container-exit",), ("web", 7), 7),
        (("--abort-on-container-exit",), ("db", 0), 0),
        (("--abort-on-container-failure",), ("web", 2), 2),
        (("--exit-code-from", "web"), ("web", 9), 9),
        (("--exit-code-from", "web", "--abort-on-container-exit"), ("db", 1), 143),
        (("--exit-code-from", "web"), ("db", 0), 143),
    ],
)
def test_one_end_ends_everything(
    console: Console, options: tuple[str, ...], ends: tuple[str, int], code: int
) -> None:
    console.write(STACK)

    def work() -> None:
        with console.backend.changed:
            console.backend.changed.wait_for(lambda: states(console).get("app-web-1") == "running", 5)
        console.backend.end(f"app-{ends[0]}-1", ends[1])

    worker = threading.Thread(target=work)
    worker.start()
    result = console("up", *options)
    worker.join()
    assert result.code == code
    assert set(states(console).values()) == {"exited"}


def test_a_failure_of_no_interest_does_not_end_everything(console: Console) -> None:
    console.write(STACK)

    def work() -> None:
        with console.backend.changed:
            console.backend.changed.wait_for(lambda: states(console).get("app-web-1") == "running", 5)
        console.backend.end("app-db-1", 0)
        assert states(console)["app-web-1"] == "running"
        console.backend.end("app-web-1", 5)

    worker = threading.Thread(target=work)
    worker.start()
    assert console("up", "--abort-on-container-failure").code == 5
    worker.join()


def attached(console: Console, *arguments: str, ends: tuple[tuple[str, int], ...]) -> str:
    """Run an attached ``up`` whose containers end like this, once all of them run; return its standard output."""

    def work() -> None:
        wanted = {f"app-{name}-1" for name, _ in ends}
        with console.backend.changed:
            console.backend.changed.wait_for(
                lambda: all(states(console).get(name) == "running" for name in wanted), 5
            )
        for name, code in ends:
            console.backend.write(f"app-{name}-1", f"last words of {name}")
            console.backend.end(f"app-{name}-1", code)

    worker = threading.Thread(target=work)
    worker.start()
    result = console("up", *arguments)
    worker.join()
    assert result.code == 0
    return result.out


BOTH = (("web", 1), ("db", 0))


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ((), {"db", "web"}),
        (("--no-attach", "db"), {"web"}),
        (("--attach", "db"), {"db"}),
        (("web",), {"web"}),
        (("--attach-dependencies", "web"), {"db", "web"}),
    ],
)
def test_whose_output_is_shown(console: Console, arguments: tuple[str, ...], shown: set[str]) -> None:
    console.write(STACK)
    out = attached(console, *arguments, ends=BOTH)
    assert {line.rpartition(" ")[2] for line in out.splitlines() if "last words" in line} == shown


def test_attach_false_is_honoured(console: Console) -> None:
    console.write(STACK.replace("image: nginx", "image: nginx\n        attach: false"))
    assert "last words of web" not in attached(console, ends=BOTH)


def test_what_runs_already_is_followed_from_now_on(stack: Console) -> None:
    stack.backend.write("app-web-1", "from before")
    followed = threading.Semaphore(0)
    original = stack.backend.logs

    def logs(ids: Sequence[str], **options: Any) -> Any:
        stream = original(ids, **options)
        followed.release()
        return stream

    stack.backend.logs = logs  # type: ignore[method-assign]

    def work() -> None:
        for _ in BOTH:
            assert followed.acquire(timeout=5)
        for name, code in BOTH:
            stack.backend.write(f"app-{name}-1", f"last words of {name}")
            stack.backend.end(f"app-{name}-1", code)

    worker = threading.Thread(target=work)
    worker.start()
    out = stack("up", "--no-log-prefix").out
    worker.join()
    assert "from before" not in out
    assert "last words of web\n" in out


def test_a_restart_is_told(console: Console) -> None:
    console.write("services: {web: {image: nginx, restart: on-failure}}")
    console.backend.behave("web", Behaviour(exits=(3, None), output=("hello",)))
    out = attached(console, ends=(("web", 0),))
    assert out.count("hello") == 2
    assert "web-1 exited with code 0" in out.splitlines()


PROJECT = """
    services:
      db: {image: db}
      quick: {image: quick, depends_on: [db]}
      slow: {image: slow}
"""


@pytest.mark.parametrize(
    ("arguments", "ends", "code", "running"),
    [
        (("quick",), ("quick",), 0, {"db"}),
        (("quick", "slow"), ("quick", "slow"), 0, {"db"}),
        (("--attach-dependencies", "quick"), ("quick",), 0, {"db"}),
        (("--attach", "quick"), ("quick",), 0, {"db", "slow"}),
        (("--no-attach", "db"), ("quick", "slow"), 0, {"db"}),
        (("--no-attach", "db", "--no-attach", "slow"), ("quick",), 0, {"db", "slow"}),
        ((), ("quick", "slow", "db"), 0, set()),
        (("--abort-on-container-exit", "quick"), ("quick",), 4, {"db"}),
        (("--exit-code-from", "quick", "quick"), ("quick",), 4, {"db"}),
        (("--abort-on-container-exit", "--attach", "slow"), ("quick", "slow"), 5, set()),
        (("--abort-on-container-failure", "--no-attach", "quick"), ("quick", "slow"), 5, set()),
    ],
)
def test_whose_end_is_waited_for_and_what_it_ends(
    console: Console, arguments: tuple[str, ...], ends: tuple[str, ...], code: int, running: set[str]
) -> None:
    """What Docker Compose 2.40 does, found by trying it: `up` is over with the services that were named."""
    console.write(PROJECT)
    codes = {"quick": 4, "slow": 5, "db": 0}
    wanted = {"db", *ends, *running}

    def work() -> None:
        with console.backend.changed:
            console.backend.changed.wait_for(
                lambda: all(states(console).get(f"app-{name}-1") == "running" for name in wanted), 30
            )
        for name in ends:
            console.backend.end(f"app-{name}-1", codes[name])

    worker = threading.Thread(target=work)
    worker.start()
    result = console("up", *arguments)
    worker.join()
    assert result.code == code
    assert {name[4:-2] for name, state in states(console).items() if state == "running"} == running


RETURNING = """
    services:
      db: {image: d, restart: always, healthcheck: {test: [CMD, a]}}
      web: {image: w, depends_on: {db: {condition: service_started, restart: true}}}
      careful: {image: c, depends_on: {db: {condition: service_healthy, restart: true}}}
      other: {image: o, depends_on: [db]}
"""


def test_services_restart_with_what_crashed_and_came_back(console: Console) -> None:
    """The memory backend is an engine that does not do that by itself, as Docker Engine is not."""
    console.write(RETURNING)
    backend = console.backend
    ids = {name: f"app-{name}-1" for name in ("db", "web", "careful", "other")}

    def starts() -> dict[str, int]:
        return {name: backend.calls.count(("start_container", of)) for name, of in ids.items()}

    def work() -> None:
        with backend.changed:
            backend.changed.wait_for(
                lambda: len(states(console)) == 4 and set(states(console).values()) == {"running"}, 5
            )
        backend.end("app-db-1", 3)
        with backend.changed:
            assert backend.changed.wait_for(lambda: starts()["web"] == starts()["careful"] == 2, 5), starts()
        for name in ("web", "careful", "other"):
            backend.end(ids[name], 0)
        console("stop")

    worker = threading.Thread(target=work)
    worker.start()
    result = console("up")
    worker.join()
    assert result.code == 0
    assert starts() | {"db": 1} == {"db": 1, "web": 2, "careful": 2, "other": 1}
