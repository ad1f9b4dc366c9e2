"""Times, filters, detach keys, frames and Go's modes."""

from __future__ import annotations

import stat

import pytest

from composer.api import times
from composer.api.containers.conversation import Detaching, frame, keys_of
from composer.api.containers.copying import go_mode
from composer.api.containers.lines import command_line
from composer.api.filters import Filters
from composer.api.http.problems import Problem


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("", None),
        ("0", None),
        ("1700000000", 1_700_000_000 * 10**9),
        ("1700000000.5", 1_700_000_000 * 10**9 + 5 * 10**8),
        ("1700000000.000000001", 1_700_000_000 * 10**9 + 1),
        ("2023-11-14T22:13:20Z", 1_700_000_000 * 10**9),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000 * 10**9),
        ("2023-11-14T22:13:20.25Z", 1_700_000_000 * 10**9 + 25 * 10**7),
    ],
)
def test_times_are_read(text: str, time_ns: int | None) -> None:
    assert times.read(text, "since") == time_ns


@pytest.mark.parametrize("text", ["x", "2023-13-14T00:00:00Z", "-5", "1 day"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Problem):
        times.read(text, "since")


def test_times_are_written_as_go_does() -> None:
    assert times.written(0) == "0001-01-01T00:00:00Z"
    assert times.written(1_700_000_000 * 10**9) == "2023-11-14T22:13:20Z"
    assert times.written(1_700_000_000 * 10**9 + 1_000) == "2023-11-14T22:13:20.000001Z"
    assert times.written_whole(1_700_000_000 * 10**9) == "2023-11-14T22:13:20.000000000Z"


def test_labels_have_all_to_fit() -> None:
    filters = Filters({"label": ("a", "b=1"), "label!": ("c",)})
    assert filters.fits_labels({"a": "x", "b": "1"})
    assert not filters.fits_labels({"a": "x", "b": "2"})
    assert not filters.fits_labels({"a": "x", "b": "1", "c": ""})


def test_a_flag_is_one_thing() -> None:
    assert Filters({"dangling": ("1",)}).flag("dangling") is True
    assert Filters({"dangling": ("false",)}).flag("dangling") is False
    assert Filters({}).flag("dangling") is None
    for bad in (("perhaps",), ("true", "false")):
        with pytest.raises(Problem):
            Filters({"dangling": bad}).flag("dangling")


def test_names_are_expressions_or_parts() -> None:
    assert Filters({"name": ("^/web$",)}).fits_name("name", ["/web"])
    assert not Filters({"name": ("^/web$",)}).fits_name("name", ["/web2"])
    assert Filters({"name": ("w(",)}).fits_name("name", ["aw(b"])  # no expression


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-@,ctrl-_", b"\0\x1f"),
        ("ctrl-[,x", b"\x1bx"),
    ],
)
def test_detach_keys(text: str, keys: bytes) -> None:
    assert keys_of(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-pq", "abc", "ctrl-p,", "ctrl-1"])
def test_bad_detach_keys_are_refused(text: str) -> None:
    with pytest.raises(Problem):
        keys_of(text)


def test_keys_that_come_in_pieces_detach() -> None:
    detaching = Detaching(b"\x10\x11")
    assert detaching.take(b"ab\x10") == (b"ab", False)
    assert detaching.take(b"c") == (b"\x10c", False)
    assert detaching.take(b"\x10") == (b"", False)
    assert detaching.take(b"\x11d") == (b"", True)


def test_a_frame_has_its_stream_and_length() -> None:
    assert frame("stderr", b"abc") == b"\x02\0\0\0\0\0\0\x03abc"


def test_modes_are_gos() -> None:
    assert go_mode(stat.S_IFREG | 0o644) == 0o644
    assert go_mode(stat.S_IFDIR | 0o1777) == (1 << 31) | (1 << 20) | 0o777
    assert go_mode(stat.S_IFLNK | 0o777) == (1 << 27) | 0o777
    assert go_mode(stat.S_IFREG | 0o4755) == (1 << 23) | 0o755


def test_commands_are_shown_as_docker_does() -> None:
    assert command_line(["sh", "-c", "echo hi"]) == "sh -c 'echo hi'"
    assert command_line(["two words", "a$b"]) == "two words a$b"
    assert command_line([]) == ""
