"""JSON of clients: what Go takes is taken, what it does not is refused, and nothing ends the server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from composer.api.containers import listing, logging
from composer.api.filters import Filters
from composer.api.http import reading
from composer.api.http.call import Call, Query
from composer.api.http.problems import Problem
from composer.api.images import building
from composer.api.models import containers, execs
from composer.api.models.base import read


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"a":"\\ud800"}', {"a": "\ufffd"}),
        (b'{"a":["\\uDfff",{"\\ud800x":1}]}', {"a": ["\ufffd", {"\ufffdx": 1}]}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}),
        (b'{"a":"\xff\xfe"}', {"a": "\ufffd\ufffd"}),
        (b'{"a":"\xed\xa0\x80"}', {"a": "\ufffd\ufffd\ufffd"}),
        (b"\xef\xbb\xbf{}", {}),
        (b'{"a":1,"a":2}', {"a": 2}),
    ],
)
def test_no_half_characters_come_in(data: bytes, found: Any) -> None:
    assert reading.document(data) == found


@pytest.mark.parametrize(
    "text", ["9223372036854775808", "-9223372036854775809", "9" * 5000, "1_000", "٣", "1e3", "0x1"]
)
def test_a_number_is_one_of_64_bits(text: str) -> None:
    with pytest.raises(Problem) as caught:
        Query(f"limit={text}").number("limit")
    assert caught.value.status == 400


@pytest.mark.parametrize("text", ["9" * 5000, "65536", "-1", "+1", "٣", "", " 1", "1_0"])
def test_digits_are_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid syntax|out of range"):
        reading.digits(text, reading.MOST_PORT)
    assert reading.digits("0080", reading.MOST_PORT) == 80


def test_numbers_of_queries_are_refused_by_their_names() -> None:
    listed = Filters({"publish": ("9" * 5000,)}), Filters({"expose": ("1-" + "9" * 5000,)})
    refused: list[tuple[str, Callable[[], object]]] = [
        ("invalid tail '999", lambda: logging._tail("9" * 5000)),
        ("invalid filter 'publish': '999", lambda: listing._check(listed[0])),
        ("invalid filter 'expose': '1-999", lambda: listing._check(listed[1])),
        ("invalid filter 'exited=999", lambda: listing._check(Filters({"exited": ("9" * 5000,)}))),
        (
            "keep-storage is in bytes",
            lambda: building._size(_asking("keep-storage", "9" * 5000), "keep-storage"),
        ),
    ]
    for words, ask in refused:
        with pytest.raises(Problem, match=words) as caught:
            ask()
        assert caught.value.status == 400 and len(caught.value.message) < 200
    assert [logging._tail(text) for text in ("all", "-1", "٣", "5")] == [None, None, None, 5]


def _asking(name: str, value: str) -> Call:
    return cast("Call", SimpleNamespace(query=Query(f"{name}={value}")))


def test_numbers_in_range() -> None:
    assert Query("limit=-9223372036854775808").number("limit") == reading.LEAST
    assert Query("limit=+7").number("limit") == 7 and Query("").number("limit") is None


@pytest.mark.parametrize("value", [1 << 63, -(1 << 63) - 1, 10**400])
def test_a_number_of_a_body_that_no_engine_has_is_refused(value: int) -> None:
    for model, document in (
        (containers.Create, {"StopTimeout": value}),
        (containers.Create, {"HostConfig": {"Memory": value}}),
        (containers.Create, {"HostConfig": {"Ulimits": [{"Name": "nofile", "Hard": value}]}}),
        (execs.Start, {"ConsoleSize": [1, value]}),
    ):
        with pytest.raises(Problem, match="out of range") as caught:
            read(model, document)
        assert caught.value.status == 400


def test_deep_json_does_not_end_a_thread_of_the_servers_size() -> None:
    """In a process of its own: where a stack is too small, Python is killed."""
    program = """
import json, threading
from composer.api import serving
from composer.api.http import reading
threading.stack_size(serving._STACK_BYTES)
def read():
    for text in ('[' * 100_000, '{"a":' * 100_000, '[' * 9000 + ']' * 9000, '[' * 400 + '"\\\\ud800"' + ']' * 400):
        try:
            json.dumps(reading.document(text))
        except (ValueError, RecursionError):
            print("refused")
thread = threading.Thread(target=read)
thread.start()
thread.join()
print("alive")
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert found.returncode == 0 and found.stdout.split()[-1] == "alive", found
    assert found.stdout.split().count("refused") >= 2
