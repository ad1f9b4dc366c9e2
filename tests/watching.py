"""A watch that runs beside a test: what it says is waited for, and it ends with Ctrl-C."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import threading
import time

import pytest

PATIENCE_S = 60


class Watch:
    """A ``composer watch`` that was started with pipes for its output."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.out: list[str] = []
        self.err: list[str] = []
        self._news = threading.Condition()
        self._threads = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((process.stdout, self.out), (process.stderr, self.err))
        ]
        for thread in self._threads:
            thread.start()

    def begun(self) -> Watch:
        """Wait until it watches."""
        self.said("Watch enabled")
        return self

    def _read(self, stream: object, lines: list[str]) -> None:
        for line in stream:  # type: ignore[attr-defined]
            with self._news:
                lines.append(line.rstrip("\n"))
                self._news.notify_all()

    def count(self, text: str) -> int:
        return sum(text in line for line in (*self.out, *self.err))

    def said(self, text: str, times: int = 1) -> None:
        """Wait until a text was said so many times."""
        deadline_s = time.monotonic() + PATIENCE_S
        with self._news:
            while self.count(text) < times:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or (self._process.poll() is not None and not self._is_read()):
                    pytest.fail(f"{text!r} was not said {times} times:\n{self}")
                self._news.wait(min(left_s, 0.5))

    def _is_read(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> int:
        """Press Ctrl-C; return the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            pytest.fail(f"the watch did not end:\n{self}")
        for thread in self._threads:
            thread.join(PATIENCE_S)
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()
        return code

    def __str__(self) -> str:
        return "\n".join([*self.out, "--- standard error", *self.err])


def saved_by_rename(path: pathlib.Path, text: str) -> None:
    """Save as most editors do: a new file takes the name of the old one."""
    temporary = path.with_name(f".{path.name}.kate-swp")
    temporary.write_text(text)
    temporary.chmod(path.stat().st_mode & 0o7777)
    temporary.rename(path)


def saved_in_place(path: pathlib.Path, text: str) -> None:
    """Save as nano does: the file is truncated and written."""
    with path.open("w") as file:
        for piece in text.splitlines(keepends=True):
            file.write(piece)
            file.flush()


def saved_by_vim(path: pathlib.Path, text: str) -> None:
    """Save as Vim does: is the directory writable (4913), the old file is a backup meanwhile, a new one is written."""
    mode = path.stat().st_mode & 0o7777
    swap = path.with_name(f".{path.name}.swp")
    swap.write_text("swap")
    probe = path.with_name("4913")
    probe.touch()
    probe.unlink()
    backup = path.with_name(f"{path.name}~")
    path.rename(backup)
    path.write_text(text)
    path.chmod(mode)
    backup.unlink()


def saved_by_emacs(path: pathlib.Path, text: str) -> None:
    """Save as Emacs does: a link that leads nowhere is the lock, and there is an autosave file."""
    lock, autosave = path.with_name(f".#{path.name}"), path.with_name(f"#{path.name}#")
    lock.symlink_to("user@machine.1:2")
    autosave.write_text(text)
    mode = path.stat().st_mode & 0o7777
    path.rename(path.with_name(f"{path.name}~"))
    path.write_text(text)
    path.chmod(mode)
    autosave.unlink()
    lock.unlink()


EDITORS = (saved_by_rename, saved_in_place, saved_by_vim, saved_by_emacs)
LEFT_BY_EDITORS = (".kate-swp", ".swp", "~", "4913", "#")
