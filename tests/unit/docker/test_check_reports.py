"""Reports of ``buildx --call=check``, also those of other versions."""

from __future__ import annotations

import json

import pytest

from composer.backends.docker.building import checks

REPORT = {
    "sources": [{"filename": "Dockerfile"}],
    "warnings": [
        {"ruleName": "R", "detail": "d", "location": {"ranges": [{"start": {"line": 3}}], "sourceIndex": 0}},
        {"ruleName": "S", "detail": "e"},
    ],
    "buildError": {"message": "no such stage", "location": {"ranges": [{"start": {"line": 7}}]}},
}


def test_findings_and_the_error_have_their_place() -> None:
    assert checks.read(json.dumps(REPORT)) == (
        ["Dockerfile:3: R: d", "S: e"],
        "Dockerfile:7: no such stage",
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"warnings": [1]}',
        '{"warnings": 1}',
        '{"sources": [{}], "warnings": [{"location": {"ranges": [{}]}}]}',
        '{"sources": {"0": 1}, "warnings": [{"location": {"ranges": [{"start": {"line": 1}}]}}]}',
        '{"buildError": "x"}',
    ],
)
def test_what_is_no_report_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        checks.read(text)
