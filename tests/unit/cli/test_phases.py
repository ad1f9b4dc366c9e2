"""The lines of plain and JSON progress: Docker Compose's phases, whatever the steps of the plan are."""

from __future__ import annotations

import io
import json

from composer.cli.display.json import JsonDisplay
from composer.cli.display.plain import PlainDisplay
from composer.engine.observed import Advance
from composer.engine.operations.row import Resource
from composer.engine.progress import DONE, FAILED, SKIPPED, WORKING, Progress

WEB = Resource("container", "app-web-1")


def _plain(*events: Progress) -> list[str]:
    stream = io.StringIO()
    display = PlainDisplay(stream)
    for event in events:
        display.progress(event)
    return stream.getvalue().splitlines()


def _steps(*texts: str) -> list[Progress]:
    """Return what the engine says of a container: the last is done, and more follows all others."""
    return [Progress(WORKING, WEB, text) for text in texts[:-1]] + [Progress(DONE, WEB, texts[-1])]


def test_a_recreation_is_two_lines_whatever_its_steps() -> None:
    steps = ("recreate", "recreated") * 3 + ("starting", "started", "recreate", "recreated")
    assert _plain(*_steps(*steps)) == [
        f" Container app-web-1 {phase} " for phase in ("Recreate", "Recreated", "Starting", "Started")
    ]


def test_a_recreation_without_a_start_ends_too() -> None:
    lines = _plain(*_steps("recreate", "recreated", "recreate", "recreated"))
    assert lines == [" Container app-web-1 Recreate ", " Container app-web-1 Recreated "]


def test_another_recreation_later_is_told_again() -> None:
    one = _steps("recreate", "recreated", "starting", "started")
    lines = _plain(*one, *_steps("stopping", "stopped"), *one)
    assert [line.split()[2] for line in lines] == [
        *("Recreate", "Recreated", "Starting", "Started"),
        *("Stopping", "Stopped"),
        *("Recreate", "Recreated", "Starting", "Started"),
    ]


def test_what_failed_is_told_once_at_the_end_and_a_dependency_at_once() -> None:
    """A container's own failure is the error of the command; that of a dependency says who could not go on."""
    failed = Progress(FAILED, WEB, "error", "no room")
    assert _plain(Progress(WORKING, WEB, "starting"), failed) == [" Container app-web-1 Starting "]
    assert _plain(Progress(WORKING, WEB, "waiting"), failed)[1:] == [" Container app-web-1 Error no room"]
    assert _plain(Progress(SKIPPED, WEB, "skipped", "because of app-db-1")) == []


def test_json_says_done_of_each_phase_that_is_reached() -> None:
    stream = io.StringIO()
    display = JsonDisplay(stream)
    for event in _steps("recreate", "recreated", "recreate", "recreated", "starting", "started"):
        display.progress(event)
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["text"], line["status"]) for line in found] == [
        ("Recreate", "Working"),
        ("Recreated", "Done"),
        ("Starting", "Working"),
        ("Started", "Done"),
    ]
    assert {line["id"] for line in found} == {"Container app-web-1"}


def test_a_builders_output_is_shown_whole_where_nothing_moves() -> None:
    """On standard output, as Docker Compose does; other displays show the steps."""
    image = Resource("image", "app")
    lines = ("#1 [internal] load build definition", "#2 [1/2] FROM debian", "#2 DONE 0.1s")
    events = [
        Progress(
            WORKING,
            image,
            "building",
            advance=Advance("[1/2] FROM debian" if "FROM" in line else "", line=line),
        )
        for line in lines
    ]
    stream, output, documents = io.StringIO(), io.StringIO(), io.StringIO()
    plain, objects = PlainDisplay(stream, output), JsonDisplay(documents)
    for event in events:
        plain.progress(event)
        objects.progress(event)
    assert output.getvalue().splitlines() == list(lines)
    assert stream.getvalue() == " Image app Building \n"
    assert [json.loads(line)["details"] for line in documents.getvalue().splitlines()] == [
        "[1/2] FROM debian"
    ]
