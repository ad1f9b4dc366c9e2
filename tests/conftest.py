"""What all tests share: which tests this machine can run, and that none that must run is skipped.

``COMPOSER_TESTS_MUST_RUN`` names markers, separated by ``,``. Where it is set, a skipped test fails: unless the test
has a marker that is not among them, and that this machine has no means for. So does a module that skips itself.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator

import pytest
from hypothesis import settings

from tests import files_in_memory

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("patient", deadline=None)
settings.register_profile("brief", deadline=None, max_examples=20)
settings.load_profile(os.environ.get("COMPOSER_TESTS_PROFILE", "patient"))

ENGINE = "COMPOSER_TEST_DOCKER"
OLDEST_ORACLE = (2, 40)


def pytest_configure(config: pytest.Config) -> None:
    """Take the engine at DOCKER_HOST where none is named: composer's own tests run without that variable."""
    if (base := files_in_memory.base()) is not None:
        config.option.basetemp = base
    host = os.environ.pop("DOCKER_HOST", "")
    os.environ.setdefault(ENGINE, host)
    if not os.environ[ENGINE]:
        del os.environ[ENGINE]


def compose_version() -> tuple[int, ...]:
    """Return the version of docker compose, empty when there is none."""
    if not shutil.which("docker"):
        return ()
    command = ["docker", "compose", "version", "--short"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    numbers = re.match(r"v?(\d+)\.(\d+)\.(\d+)", done.stdout) if done.returncode == 0 else None
    return tuple(map(int, numbers.groups())) if numbers else ()


def pytest_sessionfinish() -> None:
    """Leave no image on the engine."""
    if "tests.integration.contract.conftest" in sys.modules:
        from tests.integration.contract import conftest

        conftest.remove_image()


def _root() -> str | None:
    return None if os.geteuid() == 0 and shutil.which("nft") else "needs root and nftables"


def _oracle() -> str | None:
    found = compose_version()
    return None if found >= OLDEST_ORACLE else f"needs docker compose 2.40 or later, not {found}"


def _docker() -> str | None:
    """Ask the engine, with the SDK: it may be behind a socket, TLS or ssh."""
    url = os.environ.get(ENGINE)
    if not url:
        return f"needs a Docker Engine at DOCKER_HOST or {ENGINE}"
    import docker

    try:
        client = docker.DockerClient(base_url=url, timeout=10)
        client.ping()
        client.close()
    except (docker.errors.DockerException, OSError) as error:
        return f"needs a Docker Engine: {url} does not answer: {error}"
    return None


_MISSING: dict[str, Callable[[], str | None]] = {"root": _root, "oracle": _oracle, "docker": _docker}
_reasons: dict[str, str | None] = {}
_HAS_FAILED = pytest.StashKey[bool]()


def missing(item: pytest.Item) -> dict[str, str]:
    """Return what this machine lacks for a test: the reason of each marker that it cannot serve."""
    found = {}
    for marker, check in _MISSING.items():
        if item.get_closest_marker(marker) is not None:
            if marker not in _reasons:
                _reasons[marker] = check()
            reason = _reasons[marker]
            if reason is not None:
                found[marker] = reason
    return found


def must_run() -> set[str]:
    """Return the markers of the tests that must run; empty where any test may be skipped."""
    return set(filter(None, os.environ.get("COMPOSER_TESTS_MUST_RUN", "").split(",")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot run here."""
    for item in items:
        for reason in missing(item).values():
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_HAS_FAILED] = True
    elif report.when == "teardown" and files_in_memory.base() is not None and _HAS_FAILED not in item.stash:
        directory = getattr(item, "funcargs", {}).get("tmp_path")
        if directory is not None:
            files_in_memory.remove(directory)
    if report.skipped and not hasattr(report, "wasxfail") and not missing(item).keys() - must_run():
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.outcome == "skipped":
        _fail(report)
    return report


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Make a failure of a skip where tests must run."""
    if must_run():
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} must run, but was skipped: {why}"
