"""Being attached: nothing is left of an attachment that ends, fails, or is not read."""

from __future__ import annotations

import json
import os
import pathlib
import threading
import time
from collections.abc import Callable

import pytest

from composer.errors import Conflict, NotFound
from composer.runtime.base import syscalls, wire
from composer.runtime.objects.attaching import AttachSession
from composer.runtime.objects.client import Abandoned
from composer.runtime.objects.session import ProgramInput
from composer.runtime.streams.log import Log


@pytest.fixture
def bundle(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "state.json").write_text(json.dumps({"status": "running", "pid": 1}))
    return tmp_path


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def await_same(count: Callable[[], int], wanted: int) -> None:
    until = time.monotonic() + 5
    while count() != wanted and time.monotonic() < until:
        time.sleep(0.01)
    assert count() == wanted


def wait(until: int) -> int | None:
    """Wait for a container that goes on, as the supervisor would be asked."""
    assert wire.await_readable((until,), 20) == [until]
    raise Abandoned


def test_nothing_stays_when_the_client_goes_and_the_container_runs(bundle: pathlib.Path) -> None:
    before, threads = descriptors(), threading.active_count()
    for _ in range(3):
        reader, writer = os.pipe()
        os.close(reader)

        def begin(writer: int = writer) -> tuple[int, bool]:
            return writer, False

        session = AttachSession(str(bundle), begin=begin, wait=wait, kill=lambda _: None)
        session.close()
    await_same(descriptors, before)
    await_same(threading.active_count, threads)


def test_nothing_stays_of_one_that_could_not_begin(bundle: pathlib.Path) -> None:
    def begin() -> tuple[int, bool]:
        raise Conflict("it is not running")

    before = descriptors()
    for _ in range(3):
        with pytest.raises(Conflict):
            AttachSession(str(bundle), begin=begin, wait=wait, kill=lambda _: None)
    assert descriptors() == before


def test_nothing_stays_where_the_container_goes_meanwhile(
    bundle: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> int:
        raise FileNotFoundError

    monkeypatch.setattr(syscalls, "inotify_add_watch", gone)
    before = descriptors()
    with pytest.raises(NotFound):
        AttachSession(str(bundle), begin=lambda: (-1, False), wait=wait, kill=lambda _: None)
    assert descriptors() == before


def test_a_slow_reader_does_not_have_the_output_kept(bundle: pathlib.Path) -> None:
    session = AttachSession(str(bundle), begin=lambda: (-1, False), wait=wait, kill=lambda _: None)
    log = Log(str(bundle))
    for _ in range(200):
        log.append(0, b"x" * 50_000)
    time.sleep(0.3)
    held = sum(len(data) for _, data in session._chunks)
    assert 0 < held < 1 << 20
    read = 0
    while read < 200 * 50_000:
        piece = session.read()
        assert piece is not None
        read += len(piece[1])
    session.close()
    log.close()


def test_more_than_a_thousand_descriptors_are_no_problem(bundle: pathlib.Path) -> None:
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    try:
        session = AttachSession(str(bundle), begin=lambda: (-1, False), wait=wait, kill=lambda _: None)
        log = Log(str(bundle))
        log.append(1, b"hello\n")
        assert session.read() == ("stderr", b"hello\n")
        session.close()
        log.close()
    finally:
        wire.close_all(opened)


def test_an_input_is_closed_under_a_thread_that_writes() -> None:
    reader, writer = os.pipe()
    entry = ProgramInput(writer)
    thread = threading.Thread(target=entry.write, args=(b"x" * (1 << 20),))
    thread.start()
    time.sleep(0.1)
    assert thread.is_alive()  # nobody reads
    entry.close()
    taken = os.open("/dev/null", os.O_RDONLY)
    assert taken == writer  # the number is somebody else's now
    thread.join(5)
    assert not thread.is_alive()
    entry.close()
    entry.write(b"x")
    os.fstat(taken)
    os.close(taken)
    os.close(reader)
