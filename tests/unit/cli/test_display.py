"""What progress looks like: on a terminal, in a small one, and in a file."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.cli.display.plain import PlainDisplay
from composer.cli.display.tty import TtyDisplay
from composer.engine.operations.row import Resource
from composer.engine.progress import DONE, FAILED, SKIPPED, WORKING, Progress

WEB = Resource("container", "app-web-1")
DB = Resource("container", "app-db-1")
NET = Resource("network", "app_default")


class Screen:
    """Just enough of a terminal: cursor up, carriage return, erase line and below, and scrolling."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.lines: list[str] = [""]
        self.row = 0

    def feed(self, text: str) -> None:
        for part in re.findall(r"\x1b\[\d*[AJKm]|\x1b\[[\d;]*m|\n|\r|[^\x1b\n\r]+", text):
            if part == "\n":
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append("")
            elif part.endswith("A") and part.startswith("\x1b"):
                visible_top = max(0, len(self.lines) - self.rows)
                self.row = max(visible_top, self.row - int(part[2:-1] or 1))
            elif part == "\x1b[J":
                del self.lines[self.row + 1 :]
                self.lines[self.row] = ""
            elif part == "\r" or part.startswith("\x1b"):
                continue
            else:
                assert len(part) < self.columns, "a line would wrap"
                self.lines[self.row] = part

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines).rstrip()


class Harness:
    def __init__(self, columns: int = 60, rows: int = 24, *, color: bool = False) -> None:
        self.stream = io.StringIO()
        self.now = 0.0
        self.screen = Screen(columns, rows)
        self.display = TtyDisplay(
            self.stream, color=color, title="up", clock=lambda: self.now, size=lambda: (columns, rows)
        )
        # drawn by hand: the test says when
        self.display._tick = lambda: None  # type: ignore[method-assign]

    def draw(self) -> str:
        with self.display._lock:
            self.display._draw()
        return self.flush()

    def flush(self) -> str:
        self.screen.feed(self.stream.getvalue())
        self.stream.seek(0)
        self.stream.truncate()
        return self.screen.text()


def test_lines_keep_their_places_and_show_the_time() -> None:
    harness = Harness()
    harness.display.begin([NET, DB, WEB])
    harness.display.progress(Progress(WORKING, WEB, "creating"))
    harness.now = 1.5
    harness.display.progress(Progress(WORKING, NET, "creating"))
    assert harness.draw() == (
        "[+] up 0/3\n"
        " ⠿ Network app_default  Creating                       0.0s\n"
        " ⠿ Container app-web-1  Creating                       1.5s"
    )
    harness.display.progress(Progress(DONE, NET, "created"))
    harness.display.progress(Progress(FAILED, WEB, "failed", "no room\nat all"))
    harness.display.progress(Progress(SKIPPED, DB, "skipped", "because of app-web-1"))
    harness.now = 9
    assert harness.draw() == (
        "[+] up 3/3\n"
        " ✔ Network app_default  Created                        0.0s\n"
        " – Container app-db-1   Skipped because of app-web-1   0.0s\n"
        " ✘ Container app-web-1  Failed no room                 1.5s"
    )


def test_settling_leaves_every_line_once_and_appends_after_that() -> None:
    harness = Harness()
    harness.display.progress(Progress(DONE, NET, "created"))
    harness.draw()
    harness.display.settle()
    harness.display.settle()
    harness.display.progress(Progress(DONE, WEB, "started"))
    harness.display.progress(Progress(DONE, WEB, "started"))
    text = harness.flush()
    assert text.count("app_default") == 1
    assert text.count("app-web-1") == 1
    assert "[+]" not in text


def test_a_stop_long_after_the_start_has_a_time_of_its_own() -> None:
    harness = Harness()
    harness.display.progress(Progress(DONE, WEB, "started"))
    harness.display.settle()
    harness.now += 3600
    harness.display.progress(Progress(WORKING, WEB, "stopping"))
    harness.now += 0.5
    harness.display.progress(Progress(DONE, WEB, "stopped"))
    assert harness.flush().splitlines()[-1].endswith(" 0.5s")


def test_a_warning_stays_above() -> None:
    harness = Harness()
    harness.display.progress(Progress(WORKING, NET, "creating"))
    harness.draw()
    harness.display.warn("mind the gap")
    lines = harness.flush().splitlines()
    assert lines[0] == "warning: mind the gap"
    assert lines[1] == "[+] up 0/1"


def test_a_small_window_shows_what_matters() -> None:
    harness = Harness(columns=50, rows=5)
    resources = [Resource("container", f"app-s{n}-1") for n in range(9)]
    harness.display.begin(resources)
    for n, resource in enumerate(resources):
        status = FAILED if n == 0 else WORKING if n == 5 else DONE
        harness.display.progress(Progress(status, resource, "starting"))
    text = harness.draw()
    assert len(text.splitlines()) == 4
    assert "app-s0-1" in text
    assert "app-s5-1" in text
    harness.draw()
    assert len(harness.flush().splitlines()) == 4
    harness.display.settle()
    assert len(harness.flush().splitlines()) == 9


@given(
    columns=st.integers(10, 120),
    rows=st.integers(3, 30),
    names=st.lists(st.text("abcdef", min_size=1, max_size=60), min_size=1, max_size=40, unique=True),
    detail=st.text(max_size=80).filter(lambda text: text.isprintable()),
)
def test_no_line_ever_wraps_and_no_drawing_outgrows_the_window(
    columns: int, rows: int, names: list[str], detail: str
) -> None:
    harness = Harness(columns, rows)
    for name in names:
        harness.display.progress(Progress(WORKING, Resource("container", name), "starting", detail))
        assert len(harness.draw().splitlines()) <= rows - 1


def test_plain_lines_repeat_nothing() -> None:
    stream = io.StringIO()
    display = PlainDisplay(stream)
    for text in ("pulling", "pulling", "pulled"):
        display.progress(Progress(WORKING, NET, text))
    display.progress(Progress(FAILED, Resource("image", "nginx"), "error", "no room"))
    assert stream.getvalue() == (
        " Network app_default Pulling \n Network app_default Pulled \n Image nginx Error no room\n"
    )


@pytest.mark.parametrize("color", [True, False])
def test_colours_only_where_wanted(color: bool) -> None:
    harness = Harness(color=color)
    harness.display.progress(Progress(DONE, NET, "created"))
    with harness.display._lock:
        harness.display._draw()
    assert ("\x1b[32m" in harness.stream.getvalue()) is color


def test_the_ticker_stops_at_once() -> None:
    display = TtyDisplay(io.StringIO(), title="up")
    display.progress(Progress(WORKING, NET, "creating"))
    display.close()
    assert display._ticker is not None
    assert not display._ticker.is_alive()


def test_a_narrow_window_cuts_names_before_states() -> None:
    harness = Harness(columns=40, color=False)
    long = Resource("container", "a-project-with-a-long-name-service-12")
    harness.display.progress(Progress(DONE, long, "recreated"))
    harness.display.progress(Progress(WORKING, WEB, "starting"))
    harness.display.settle()
    first, second = harness.stream.getvalue().splitlines()[-2:]
    assert "-12  Recreated" in first and "…" in first
    assert "Starting" in second
    assert all(len(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line)) < 40 for line in (first, second))


def test_a_low_window_shows_what_has_changed_last() -> None:
    harness = Harness(rows=5)
    containers = [Resource("container", f"app-web-{number}") for number in range(8)]
    harness.display.begin(containers)
    for one in containers:
        harness.display.progress(Progress(WORKING, one, "creating"))
    for one in (containers[1], containers[4], containers[0]):
        harness.display.progress(Progress(WORKING, one, "starting"))
    shown = [line.split()[2] for line in harness.draw().splitlines() if "Container" in line]
    assert shown == ["app-web-0", "app-web-1", "app-web-4"], "in their places"
