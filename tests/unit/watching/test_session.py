"""The loop of a watch on a backend in memory: what is done, in which order, and what is kept for later."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from composer.backends.memory import Behaviour
from composer.engine.options import Options
from composer.engine.wanted import ExecSpec
from composer.errors import BuildFailed, CopyFailed, Unavailable
from composer.watching.rules import read_rules
from composer.watching.session import Watcher, _Failed
from tests.unit.engine.stage import Stage

SYNC = "services: {web: {image: web, develop: {watch: [{path: src, action: sync, target: /app}]}}}"


class Host:
    """Who runs the watch: keeps what it says."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.news = threading.Condition()
        self.locked = 0
        self.may_lock = threading.Event()
        self.may_lock.set()

    def say(self, sentence: str) -> None:
        with self.news:
            self.lines.append(sentence)
            self.news.notify_all()

    def warn(self, sentence: str) -> None:
        self.say(f"warning: {sentence}")

    def report(self, error: BaseException) -> None:
        self.say(f"error: {error}")

    def output(self, container: str, stream: str, data: bytes) -> None:
        self.say(f"{stream}: {data.decode()}")

    def ended(self, error: BaseException) -> None:
        self.say(f"ended: {error}")

    @contextmanager
    def lock(self) -> Iterator[None]:
        self.may_lock.wait()
        self.locked += 1
        yield

    def until(self, condition: Callable[[], bool]) -> None:
        with self.news:
            assert self.news.wait_for(condition, 30), self.lines

    def said(self, text: str, times: int = 1) -> None:
        self.until(lambda: sum(text in line for line in self.lines) >= times)


@pytest.fixture
def host() -> Host:
    return Host()


Begin = Callable[[str], Watcher]


@pytest.fixture
def begin(stage: Stage, host: Host) -> Iterator[Begin]:
    begun: list[Watcher] = []

    def start(text: str) -> Watcher:
        (stage.directory / "src").mkdir(exist_ok=True)
        project = stage.project(text)
        stage.up(text)
        watched = read_rules(project, lambda build: ())
        watcher = Watcher(stage.engine, project, Options(), watched, host)
        begun.append(watcher)
        watcher.start()
        return watcher

    yield start
    stage.cancel.request()
    for watcher in begun:
        watcher.wait()
        watcher.close()


def inside(stage: Stage, name: str = "app-web-1") -> dict[str, bytes]:
    [container] = [one for one in stage.backend.by_id.values() if one.seen.name == name]
    return {path: data for path, (info, data) in container.files.items() if info.isreg()}


def arrives(stage: Stage, *paths: str) -> None:
    """Wait until the service has these files, and no others."""
    deadline_s = time.monotonic() + 30
    while set(inside(stage)) != set(paths):
        assert time.monotonic() < deadline_s, inside(stage)
        time.sleep(0.01)


def test_a_change_arrives(stage: Stage, host: Host, begin: Begin) -> None:
    begin(SYNC)
    assert host.lines == ["Watch enabled"]
    (stage.directory / "src/a").write_text("1")
    host.said('Syncing service "web" after 1 changes were detected')
    (stage.directory / "src/b").write_text("2")
    host.said('Syncing service "web" after 1 changes were detected', 2)
    arrives(stage, "/app/a", "/app/b")
    assert host.locked == 0


def test_what_failed_is_tried_with_the_next_change(stage: Stage, host: Host, begin: Begin) -> None:
    begin(SYNC)
    stage.backend.fail("write_path", "app-web-1", CopyFailed("cannot write 'a': no space left on device"))
    (stage.directory / "src/a").write_text("1")
    host.said(
        "warning: cannot sync 1 change to container 'app-web-1': cannot write 'a': no space left on device; "
        "this is tried again with the next change"
    )
    (stage.directory / "src/b").write_text("2")
    host.said("Syncing", 2)
    arrives(stage, "/app/a", "/app/b")


def test_a_failed_build_is_told_and_leaves_the_rest(stage: Stage, host: Host, begin: Begin) -> None:
    begin(
        "services: {web: {build: ., develop: {watch: [{path: src, action: rebuild},"
        " {path: src, action: sync, target: /app}]}}}"
    )
    before = stage.names()
    stage.backend.fail("build_image", "app-web", BuildFailed("no such instruction"))
    (stage.directory / "src/a").write_text("1")
    host.said('Rebuilding service(s) ["web"] after changes were detected...')
    host.said("Build failed. Error:")
    host.said("Syncing")
    assert stage.names() == before
    (stage.directory / "src/a").write_text("2")
    host.said('service(s) ["web"] successfully built')


def test_the_order_is_sync_restart_command(stage: Stage, host: Host, begin: Begin) -> None:
    done: list[str] = []

    def execute(spec: ExecSpec) -> tuple[int, bytes]:
        done.append(" ".join(spec.command))
        return 3, b"output"

    stage.backend.behave("web", Behaviour(exec=execute))
    begin(
        "services: {web: {image: web, develop: {watch: [{path: src, action: sync+exec, target: /app, exec: {command:"
        " [make, it]}}, {path: src, action: sync+restart, target: /other}]}}}"
    )
    (stage.directory / "src/a").write_text("1")
    host.said("warning: command 'make it' in container 'app-web-1' exited with code 3")
    assert [line.partition("(")[0] for line in host.lines[1:]] == [
        'Syncing service "web" after 2 changes were detected',
        "service",
        "stdout: output",
        "warning: command 'make it' in container 'app-web-1' exited with code 3",
    ]
    assert done == ["make it"]
    assert set(inside(stage)) == {"/app/a", "/other/a"}


def test_who_waits_for_the_lock_can_be_ended(stage: Stage, host: Host, begin: Begin) -> None:
    """Nothing is changed afterwards either."""
    watcher = begin("services: {web: {image: web, develop: {watch: [{path: src, action: restart}]}}}")
    host.may_lock.clear()
    (stage.directory / "src/a").write_text("1")
    with stage.backend.changed:
        calls = len(stage.backend.calls)
    watcher_idle = watcher._is_idle
    assert watcher_idle.wait(30)
    stage.cancel.request()
    watcher.close()
    host.may_lock.set()
    watcher._thread.join(30)
    assert not [call for call in stage.backend.calls[calls:] if call[0] == "stop_container"]
    assert watcher.failure is None


def test_a_path_that_is_not_there_yet_is_watched_once_it_is(stage: Stage, host: Host, begin: Begin) -> None:
    begin(SYNC.replace("path: src", "path: later/src"))
    host.said("does not exist; it is watched once it does")
    (stage.directory / "later/src").mkdir(parents=True)
    (stage.directory / "later/src/a").write_text("1")
    host.said("Syncing")
    (stage.directory / "later/src/b").write_text("2")
    host.said("Syncing", 2)


def test_an_event_stream_that_ends_in_an_error_ends_the_watch(stage: Stage, host: Host) -> None:
    (stage.directory / "src").mkdir()
    project = stage.project(SYNC)
    stage.up(SYNC)
    watcher = Watcher(stage.engine, project, Options(), read_rules(project, lambda build: ()), host)
    watcher.start()
    watcher._queue.put(_Failed(Unavailable("the engine went away")))
    with pytest.raises(Unavailable):
        watcher.wait()
    host.said("ended: the engine went away")
    watcher.close()


def test_a_file_system_without_notices_is_polled(stage: Stage, host: Host) -> None:
    (stage.directory / "src").mkdir()
    project = stage.project(SYNC)
    stage.up(SYNC)
    watcher = Watcher(
        stage.engine, project, Options(), read_rules(project, lambda build: ()), host, polls=True
    )
    watcher.start()
    (stage.directory / "src/a").write_text("1")
    host.said("Syncing")
    arrives(stage, "/app/a")
    stage.cancel.request()
    watcher.wait()
    watcher.close()
