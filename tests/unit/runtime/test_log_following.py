"""Logs that are followed up to a moment that is years ahead."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator

import pytest

from composer.runtime.base.state import Paths
from composer.runtime.objects.log_reader import Logs
from composer.runtime.streams import watching


@pytest.fixture
def watch() -> Iterator[watching.Watch]:
    made = watching.watch()
    yield made
    made.close()


def _until(paths: Paths, until_ns: int) -> Logs:
    return Logs(paths, [], follow=True, since_ns=0, until_ns=until_ns, tail=None)


def test_an_end_that_is_years_ahead_is_waited_for(tmp_path: pathlib.Path, watch: watching.Watch) -> None:
    logs = _until(Paths(str(tmp_path), str(tmp_path)), time.time_ns() + 10 * 365 * 86_400 * 10**9)
    logs.close()  # wakes who waits
    assert logs._await(watch)


def test_the_longest_wait_is_not_the_end(
    tmp_path: pathlib.Path, watch: watching.Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("composer.runtime.base.wire.LONGEST_MS", 1)
    paths = Paths(str(tmp_path), str(tmp_path))
    assert _until(paths, time.time_ns() + 10**12)._await(watch)
    assert not _until(paths, time.time_ns() - 1)._await(watch)
