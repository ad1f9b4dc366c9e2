"""``version --check``: what the package index says, in every form of output."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from composer import __version__
from tests.unit.cli.console import Console

LATER = "Version 999.1 is available: pipx upgrade composer-stack, or pip install -U composer-stack\n"


def answer(monkeypatch: pytest.MonkeyPatch, found: Any) -> None:
    """Let the index answer, or fail."""

    def urlopen(_: urllib.request.Request, timeout: float) -> io.BytesIO:
        if isinstance(found, Exception):
            raise found
        return io.BytesIO(json.dumps(found).encode())

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        (["0.0.1", "999.1", "999.2rc1"], LATER),
        ([__version__], "This is the newest version.\n"),
        (["0.0.1"], "This is the newest version.\n"),
    ],
)
def test_what_is_newer_is_said(
    console: Console, monkeypatch: pytest.MonkeyPatch, versions: list[str], said: str
) -> None:
    answer(monkeypatch, {"versions": versions})
    assert console("version", "--check").out == f"Composer version v{__version__}\n{said}"


@pytest.mark.parametrize(
    ("options", "out"),
    [
        (("--short",), f"{__version__}\n"),
        (("--format", "json"), f'{{"version": "v{__version__}"}}\n'),
        (("--format", "{{.Version}}"), f"{__version__}\n"),
    ],
)
def test_output_for_programs_stays_what_it_is(
    console: Console, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], out: str
) -> None:
    answer(monkeypatch, {"versions": ["999.1"]})
    result = console("version", "--check", *options)
    assert (result.out, result.err) == (out, LATER)


def test_before_the_first_release(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, urllib.error.HTTPError("https://index", 404, "Not Found", None, None))  # type: ignore[arg-type]
    assert "No version was released yet.\n" in console("version", "--check").out


@pytest.mark.parametrize("found", [OSError("no route"), [], {"versions": 1}, {}])
def test_an_index_that_cannot_be_read_is_an_error(
    console: Console, monkeypatch: pytest.MonkeyPatch, found: Any
) -> None:
    answer(monkeypatch, found)
    result = console("version", "--check")
    assert result.code == 1
    assert "cannot ask https://pypi.org/simple/composer-stack/ for the newest version" in result.err
    assert "hint: check the network" in result.err
