"""One command at a time changes a project, and the locks of all that ever did are not there for ever."""

from __future__ import annotations

import os
import pathlib
import threading

from composer.session.locks import project_lock


def test_the_directory_of_locks_shrinks(tmp_path: pathlib.Path) -> None:
    for project in ("one", "two"):
        with project_lock(str(tmp_path), project, "up", print):
            assert os.listdir(tmp_path / "locks") == [project]
    assert os.listdir(tmp_path / "locks") == []


def test_who_waited_for_a_lock_that_was_removed_has_it_alone(tmp_path: pathlib.Path) -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def change() -> None:
        nonlocal inside, most
        for _ in range(40):
            with project_lock(str(tmp_path), "shop", "up", lambda _: None):
                with lock:
                    inside += 1
                    most = max(most, inside)
                os.sched_yield()
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=change) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert os.listdir(tmp_path / "locks") == []


def test_the_holder_is_named_to_who_waits(tmp_path: pathlib.Path) -> None:
    said: list[str] = []
    released = threading.Event()

    def hold() -> None:
        with project_lock(str(tmp_path), "shop", "down", print):
            held.set()
            released.wait(10)

    held = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)

    def say(text: str) -> None:
        said.append(text)
        released.set()

    with project_lock(str(tmp_path), "shop", "up", say):
        pass
    holder.join()
    assert "composer down" in said[0]
