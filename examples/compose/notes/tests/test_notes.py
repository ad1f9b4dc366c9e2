"""Tests of the application, as clients see it: run ``pytest`` in the folder above.

All tests share one stack. Before each test its data are those of the snapshot "empty" again.
"""

from collections.abc import Callable
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

import composer


class Notes(NamedTuple):
    stack: composer.Stack
    url: str

    def add(self, text: str) -> int:
        with urlopen(self.url, text.encode(), timeout=10) as answer:
            return int(answer.status)

    def page(self) -> str:
        with urlopen(self.url, timeout=10) as answer:
            return str(answer.read().decode())


@pytest.fixture(scope="session")
def empty(compose_session: Callable[..., composer.Stack]) -> composer.Stack:
    stack = compose_session("compose.yaml")
    stack.snapshot("empty", replace=True)
    return stack


@pytest.fixture
def notes(empty: composer.Stack) -> Notes:
    empty.restore("empty")
    url = empty["proxy"].url("http", 80)
    empty["proxy"].wait_http(80)
    return Notes(empty, url)


def test_a_note_is_kept(notes: Notes) -> None:
    assert notes.add("buy milk") == 201
    assert "<li>buy milk</li>" in notes.page()


def test_the_notes_of_other_tests_are_not_there(notes: Notes) -> None:
    assert "<h1>0 notes</h1>" in notes.page()


def test_markup_is_text(notes: Notes) -> None:
    notes.add("<b>milk</b>")
    assert "<li>&lt;b&gt;milk&lt;/b&gt;</li>" in notes.page()


def test_notes_outlive_the_database(notes: Notes) -> None:
    notes.add("buy milk")
    notes.stack["db"].restart()
    notes.stack["db"].wait_healthy()
    assert "buy milk" in notes.page()


def test_without_the_cache_pages_fail_and_notes_are_kept(notes: Notes) -> None:
    with notes.stack["cache"].refuse(6379):
        with pytest.raises(HTTPError, match="502"):
            notes.page()
        assert notes.add("buy milk") == 201
    assert "buy milk" in notes.page()


def test_a_slow_database_is_waited_for(notes: Notes) -> None:
    with notes.stack["db"].delay(300):
        assert notes.add("buy milk") == 201
