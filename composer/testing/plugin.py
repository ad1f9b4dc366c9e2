"""The pytest plugin: a marker that names compose files, fixtures that are stacks of them.

@pytest.mark.compose("compose.yaml", services=["db"])
def test_it(stack):
    assert stack["db"].exec(["true"]).exit_code == 0
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from composer.stacks import surroundings
from composer.testing import keeping, report
from composer.testing.reaping import Reaper

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from composer.stacks.stack import Stack

_SCOPES = ("session", "module", "function")
_STATE = pytest.StashKey["_State"]()
_STARTED = pytest.StashKey[float]()


class _State:
    """What one run of pytest knows of its stacks."""

    def __init__(self, config: pytest.Config) -> None:
        worker = getattr(config, "workerinput", None)
        run = worker["testrunuid"] if worker else f"{os.getpid()}.{time.time_ns()}"
        shares = config.getoption("composer_xdist") == "shared" and worker is not None
        self.plans = keeping.Plans(
            run=run,
            worker=worker["workerid"] if worker else "",
            backend=config.getoption("composer_backend"),
            keep=config.getoption("composer_keep"),
            reuse=config.getoption("composer_reuse"),
            shared=_shared_directory(run) if shares else "",
        )
        self.reaper = Reaper(surroundings.environment())
        self.durations: dict[str, float] = {}
        self.kept: list[str] = []
        self.keepers: list[keeping.Keeper] = []
        self.report_directory: str | None = config.getoption("composer_report")
        self.failures: list[report.Failure] = []
        self.pictures: list[report.Picture] = []
        self.report_path = ""

    def keeper(self) -> Iterator[keeping.Keeper]:
        """Yield a keeper of stacks, and take its stacks down."""
        made = keeping.Keeper(self.plans, self.reaper, self.durations)
        if self.report_directory:
            made.pictures = self.pictures
        self.keepers.append(made)
        try:
            yield made
        finally:
            try:
                self.kept += made.close()
            finally:
                self.keepers.remove(made)


def _shared_directory(run: str) -> str:
    return os.path.join(surroundings.state_directory(), "leases", run)


# ------------------------------------------------------------------ options and configuration


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("composer", "stacks of Compose files")
    group.addoption(
        "--composer-backend",
        metavar="NAME",
        help="Run stacks on this backend: namespace (the built-in runtime) or docker.",
    )
    group.addoption(
        "--composer-keep",
        choices=(keeping.NEVER, keeping.FAILED, keeping.ALWAYS),
        default=keeping.NEVER,
        help="Leave stacks running at the end: never, after failed tests, or always (default: never).",
    )
    group.addoption(
        "--composer-reuse",
        action="store_true",
        help="Use a running stack if nothing of it would change, and leave it running for the next run.",
    )
    group.addoption(
        "--composer-xdist",
        choices=("worker", "shared"),
        default="worker",
        help="With xdist: one stack for each worker, or one that all workers share (default: worker).",
    )
    group.addoption(
        "--composer-as-pytest-docker",
        action="store_true",
        help="Provide the fixtures of pytest-docker (docker_services and its neighbours).",
    )
    group.addoption(
        "--composer-report",
        metavar="DIR",
        help="Write an HTML file with plans, the start in time, states and logs to DIR if a test fails.",
    )
    group.addoption(
        "--composer-durations", action="store_true", help="Print how long each stack took to become ready."
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "compose(*files, services=(), env={}, profiles=(), overrides={}, scope='session', ports='moved', build=None, "
        "timeout=None): run the test with a stack of these compose files, in the fixture `stack`.",
    )

    if config.getoption("composer_as_pytest_docker"):
        config.pluginmanager.import_plugin("composer.testing.docker_services")


def _state(config: pytest.Config) -> _State:
    if _STATE not in config.stash:
        config.stash[_STATE] = _State(config)
    return config.stash[_STATE]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _STATE not in session.config.stash:
        return
    state = session.config.stash[_STATE]
    if state.report_directory and state.failures:
        directory = os.path.join(session.config.invocation_params.dir, state.report_directory)
        state.report_path = report.write(directory, state.plans.worker, state.failures, state.pictures)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _STATE in config.stash:
        config.stash[_STATE].reaper.close()


# ------------------------------------------------------------------ fixtures


@pytest.fixture(scope="session")
def _composer_session(request: pytest.FixtureRequest) -> Iterator[keeping.Keeper]:
    yield from _state(request.config).keeper()


@pytest.fixture(scope="module")
def _composer_module(request: pytest.FixtureRequest) -> Iterator[keeping.Keeper]:
    yield from _state(request.config).keeper()


@pytest.fixture
def _composer_function(request: pytest.FixtureRequest) -> Iterator[keeping.Keeper]:
    yield from _state(request.config).keeper()


@pytest.fixture
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The stack that the test's marker ``compose`` asks for, up and ready. Faults of the test end with it."""
    marker = request.node.get_closest_marker("compose")
    given = dict(marker.kwargs) if marker is not None else {}
    scope = given.pop("scope", "session")
    if scope not in _SCOPES:
        raise pytest.UsageError(
            f"scope of the marker compose must be one of {', '.join(_SCOPES)}, not {scope!r}"
        )
    files = marker.args if marker is not None else ()
    keeper: keeping.Keeper = request.getfixturevalue(f"_composer_{scope}")
    found = keeper.get(_wish(request, files, given), scope)
    yield found
    found.heal()


@pytest.fixture
def compose(request: pytest.FixtureRequest, _composer_function: keeping.Keeper) -> Callable[..., Stack]:
    """A function that brings up a stack for this test: ``compose("compose.yaml", name="one")``, several if need be."""
    return _maker(request, _composer_function, "function")


@pytest.fixture(scope="module")
def compose_module(request: pytest.FixtureRequest, _composer_module: keeping.Keeper) -> Callable[..., Stack]:
    """The same for all tests of a module: what fixtures of this scope prepare."""
    return _maker(request, _composer_module, "module")


@pytest.fixture(scope="session")
def compose_session(
    request: pytest.FixtureRequest, _composer_session: keeping.Keeper
) -> Callable[..., Stack]:
    """The same for all tests; files are of pytest's root directory."""
    return _maker(request, _composer_session, "session")


def _maker(request: pytest.FixtureRequest, keeper: keeping.Keeper, scope: str) -> Callable[..., Stack]:
    def make(*files: str, name: str = "", **given: Any) -> Stack:
        return keeper.get(_wish(request, files, given), scope, name)

    return make


_KNOWN = ("services", "env", "profiles", "overrides", "ports", "build", "timeout")


def _wish(request: pytest.FixtureRequest, files: tuple[Any, ...], given: dict[str, Any]) -> keeping.Wish:
    unknown = [name for name in given if name not in _KNOWN]
    if unknown:
        raise pytest.UsageError(f"compose has no argument {unknown[0]!r}: use one of {', '.join(_KNOWN)}")
    moved = given.get("ports", keeping.MOVED)
    if moved not in (keeping.MOVED, keeping.DECLARED):
        raise pytest.UsageError(f"ports of compose must be 'moved' or 'declared', not {moved!r}")
    return keeping.Wish(
        files=_files(request, files),
        services=tuple(given.get("services", ())),
        profiles=tuple(given.get("profiles", ())),
        env=json.dumps(given.get("env") or {}, sort_keys=True),
        overrides=json.dumps(given.get("overrides") or {}, sort_keys=True),
        ports=moved,
        build=given.get("build"),
        timeout_s=given.get("timeout"),
    )


def _files(request: pytest.FixtureRequest, files: tuple[Any, ...]) -> tuple[str, ...]:
    """Return absolute paths: those of a test are looked for beside it, then in pytest's root directory.

    Without any the compose file is looked for beside the test and above.
    """
    root = str(request.config.rootpath)
    beside = root if request.scope == "session" else str(request.path.parent)
    if not files:
        return (_discovered(beside),)
    found = []
    for file in files:
        places = [os.path.normpath(os.path.join(place, os.fspath(file))) for place in (beside, root)]
        path = next((place for place in places if os.path.exists(place)), None)
        if path is None:
            raise pytest.UsageError(f"compose file {os.fspath(file)!r} is neither in {beside} nor in {root}")
        found.append(path)
    return tuple(found)


def _discovered(directory: str) -> str:
    from composer.schema.files import several_compose_files

    place = directory
    while True:
        names = several_compose_files(place)
        if names:
            return os.path.join(place, names[0])
        if os.path.dirname(place) == place:
            raise pytest.UsageError(
                f"no compose file in {directory} or above: name one in the marker compose"
            )
        place = os.path.dirname(place)


# ------------------------------------------------------------------ reports


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, None, None]:
    item.stash[_STARTED] = time.time()
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    outcome = yield
    found = outcome.get_result()
    if not found.failed or _STATE not in item.config.stash:
        return
    state = item.config.stash[_STATE]
    state.failures.append(report.Failure(item.nodeid, found.longreprtext))
    for keeper in state.keepers:
        keeper.has_failed = True
        for stack in keeper.stacks:
            text = _described(stack, item.stash.get(_STARTED, 0.0))
            found.sections.append((f"stack {stack.name}", text))
            item.user_properties.append((f"stack {stack.name}", text))


def _described(stack: Stack, since: float) -> str:
    """Return the states of a stack's containers, and what they have printed during this test."""
    from composer import errors

    try:
        states = [f"{one.name}: {_status(one)}" for one in stack.ps(all=True)]
        lines = [f"{line.service} | {line.text}" for line in stack.logs(since=since)]
    except (errors.ComposerError, OSError) as error:
        return f"cannot be looked at: {error}"
    return "\n".join([*states, "", *(lines or ["(nothing was printed during this test)"])])


def _status(container: Any) -> str:
    state = container.state.value
    if state == "exited":
        state += f" with code {'unknown' if container.exit_code is None else container.exit_code}"
    return state if container.health.value == "none" else f"{state} ({container.health.value})"


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if _STATE not in config.stash:
        return
    state = config.stash[_STATE]
    if config.getoption("composer_durations") and state.durations:
        terminalreporter.section("stacks")
        for name, took_s in sorted(state.durations.items(), key=lambda pair: -pair[1]):
            terminalreporter.line(f"{took_s:8.2f} s  {name}")
    if state.report_path:
        terminalreporter.line(f"report of stacks: {state.report_path}")
    for name in state.kept:
        terminalreporter.line(f"stack {name} is left running: take it down with composer -p {name} down -v")
