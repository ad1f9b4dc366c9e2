"""Watching when the kernel, or a file system, says no."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from composer.errors import ProjectError
from composer.watching import hooks, notices
from composer.watching.notices import Notices

LIMITS = [
    "Error creating recommended watcher: Too many open files (os error 24)",
    "OS file watch limit reached.",
]


def watching(path: Path) -> Notices:
    return Notices([str(path)], lambda paths: None, lambda: None, lambda error: None)


@pytest.mark.parametrize("text", LIMITS)
@pytest.mark.parametrize("kind", [OSError, RuntimeError])
def test_a_limit_of_the_kernel_is_said_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, kind: type[Exception]
) -> None:
    from watchfiles import _rust_notify

    def refuse(*_: object) -> None:
        raise kind(text)

    monkeypatch.setattr(_rust_notify, "RustNotify", refuse)
    with pytest.raises(ProjectError, match=r"^cannot watch ") as failed:
        watching(tmp_path).start()
    assert "max_user_instances" in str(failed.value.hint)


def test_watches_that_cannot_be_made_anew_can_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watching(tmp_path)
    watch.start()
    calls = []
    real = notices._notify

    def second_fails(paths: list[str], **options: Any) -> Any:
        calls.append(paths)
        if len(calls) == 2:
            raise ProjectError("no more")
        return real(paths, **options)

    monkeypatch.setattr(notices, "_notify", second_fails)
    with pytest.raises(ProjectError, match="no more"):
        watch._renew()
    closing = threading.Thread(target=watch.close, daemon=True)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()


def test_a_command_that_cannot_start_keeps_nothing_open() -> None:
    class Backend:
        def exec(self, id: str, spec: object) -> object:
            raise ProjectError("it is stopping")

    class Cancel:
        level = 0

        def __init__(self) -> None:
            self.known: list[object] = []

        def subscribe(self, wake: object) -> None:
            self.known.append(wake)

        def unsubscribe(self, wake: object) -> None:
            self.known.remove(wake)

    cancel = Cancel()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(ProjectError):
            hooks.run(Backend(), "1", None, lambda name, data: None, cancel)  # type: ignore[arg-type]
    assert len(os.listdir("/proc/self/fd")) == before
    assert cancel.known == []
