"""The checks of Dockerfiles, beside those of ``docker buildx build --check``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from composer.errors import DockerfileInvalid
from composer.registry.platforms import Platform
from composer.runtime.build.dockerfile.checks import check
from composer.runtime.build.dockerfile.reading import parse
from composer.runtime.build.dockerfile.rules import Finding

pytestmark = [pytest.mark.docker, pytest.mark.beside, pytest.mark.timeout(120)]

CASES = Path(__file__).parents[2] / "data" / "dockerfiles" / "checks"
AMD64 = Platform("linux", "amd64")
IGNORED = ".dockerignore"


def theirs(file: Path, directory: Path) -> list[tuple[str, str, list[int]]]:
    """Return the rules, details and lines that Docker reports."""
    for path in (file, file.with_name(file.name + IGNORED)):
        if path.exists():
            shutil.copy(path, directory)
    command = [
        "docker",
        "buildx",
        "build",
        "--platform=linux/amd64",
        "--call=check,format=json",
        "--progress=quiet",
    ]
    result = subprocess.run(
        [*command, "-f", str(directory / file.name), str(directory)],
        env={**os.environ, "DOCKER_HOST": os.environ["COMPOSER_TEST_DOCKER"]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "{" in result.stdout, result.stderr
    document: dict[str, Any] = json.loads(result.stdout[result.stdout.index("{") :])
    if "message" in document.get("error", {}):
        assert document["error"]["message"].startswith("lint violation"), document["error"]
    return sorted(
        (each["ruleName"], each["detail"], _lines(each["location"]["ranges"]))
        for each in document.get("warnings") or ()
    )


def _lines(ranges: list[dict[str, dict[str, int]]]) -> list[int]:
    return [min(each["start"]["line"] for each in ranges), max(each["end"]["line"] for each in ranges)]


def ours(file: Path) -> list[Finding]:
    ignored = file.with_name(file.name + IGNORED)
    excluded = ignored.read_text().split() if ignored.exists() else None

    def is_ignored(path: str) -> bool:
        return any(path == name or path.startswith(f"{name}/") for name in excluded or ())

    return check(
        parse(file.read_bytes(), str(file)),
        build_args={},
        target_platform=AMD64,
        build_platform=AMD64,
        is_ignored=None if excluded is None else is_ignored,
    )


@pytest.mark.parametrize("file", sorted(CASES.glob("*.Dockerfile")), ids=lambda file: file.stem)
def test_the_same_findings(file: Path, tmp_path: Path) -> None:
    expected = theirs(file, tmp_path)
    try:
        found = ours(file)
    except DockerfileInvalid as error:
        pytest.fail(f"{error}\n" + "\n".join(error.__notes__))
    assert sorted((each.rule, each.detail, [each.at.line, each.at.last_line]) for each in found) == expected
