"""``composer lint``: its output and its exit codes."""

from __future__ import annotations

import json

from tests.unit.cli.console import Console


def test_a_clean_project_says_nothing(console: Console) -> None:
    console.write("services: {web: {image: 'nginx:1.27'}}")
    result = console("lint", "--strict")
    assert (result.code, result.out) == (0, "")


def test_advice_fails_only_when_strict(console: Console) -> None:
    console.write("services: {web: {image: nginx}}")
    result = console("lint")
    assert result.code == 0
    assert result.out == (
        "compose.yaml:1:25: advice[unpinned-image]: image 'nginx' of service 'web' is not pinned to a version\n"
        "  hint: specify a version (image:1.2) or a digest (image@sha256:…)\n"
        "errors: 0, warnings: 0, advice: 1\n"
    )
    assert console("lint", "--strict").code == 2


def test_an_error_fails_and_shows_its_line(console: Console) -> None:
    console.write("services: {web: {image: nginx, tty: []}}")
    result = console("lint", "--strict")
    assert result.code == 1
    assert "compose.yaml:1:37: error[schema]:" in result.out and "\n    1 | services:" in result.out
    assert result.out.endswith("errors: 1, warnings: 0, advice: 0 (advice needs a project without errors)\n")


def test_json(console: Console) -> None:
    console.write("services: {web: {image: nginx}}")
    result = console("lint", "--format", "json")
    assert json.loads(result.out) == {
        "complete": True,
        "errors": 0,
        "warnings": 0,
        "advice": 1,
        "findings": [
            {
                "rule": "unpinned-image",
                "severity": "advice",
                "message": "image 'nginx' of service 'web' is not pinned to a version",
                "file": "compose.yaml",
                "line": 1,
                "column": 25,
                "hint": "specify a version (image:1.2) or a digest (image@sha256:…)",
            }
        ],
    }


def test_no_project_is_an_error(console: Console) -> None:
    assert console("lint").code == 1
