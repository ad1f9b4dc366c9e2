"""What all tests share: which tests this machine can run, and that none that must run is skipped."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

_MISSING = {
    "root": lambda: None if os.geteuid() == 0 and shutil.which("nft") else "needs root and nftables",
    "oracle": lambda: (
        None if shutil.which("docker") and _has_compose() else "needs docker compose as the oracle"
    ),
    "docker": lambda: (
        None if os.environ.get("COMPOSER_TEST_DOCKER") else "needs a Docker Engine at COMPOSER_TEST_DOCKER"
    ),
}


def _has_compose() -> bool:
    import subprocess

    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot run here; fail instead where COMPOSER_TESTS_MUST_RUN names the marker."""
    must_run = set(filter(None, os.environ.get("COMPOSER_TESTS_MUST_RUN", "").split(",")))
    reasons: dict[str, str | None] = {}
    for item in items:
        for marker, check in _MISSING.items():
            if item.get_closest_marker(marker) is None:
                continue
            if marker not in reasons:
                reasons[marker] = check()
            if reasons[marker] is not None:
                if marker in must_run:
                    raise pytest.UsageError(
                        f"tests marked '{marker}' must run, but this machine {reasons[marker]}"
                    )
                item.add_marker(pytest.mark.skip(reason=str(reasons[marker])))
