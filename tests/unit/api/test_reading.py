"""JSON of clients: what Go takes is taken, what it does not is refused, and nothing ends the server."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from composer.api.http import reading
from composer.api.http.call import Query
from composer.api.http.problems import Problem
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
