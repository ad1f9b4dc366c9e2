"""One command at a time changes a project. Others wait, and say for whom; different projects never meet here.

A lock is a file with a flock: it goes with the process that has it, however that ends. What is written in it only
tells who that is. Whoever had it removes the file, and who gets the lock of a file that is gone takes the next.
Windows has no flock: a byte far behind the text is locked there, which goes in the same way.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from composer.errors import PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BYTE = 1 << 20


@contextmanager
def project_lock(directory: str, project: str, verb: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a project's lock for the block."""
    descriptor = _take(f"{directory}/locks", project, say)
    try:
        _sign(descriptor, verb)
        yield
    finally:
        _remove(f"{directory}/locks/{project}", descriptor)
        os.close(descriptor)


def holder(directory: str, project: str) -> str:
    """Return which other command changes a project now, as ``restart``; empty where none does."""
    try:
        descriptor = os.open(f"{directory}/locks/{project}", os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return ""  # most often there is no such file
    try:
        if _lock(descriptor, wait=False, shared=True):
            return ""  # it was killed
        text = os.read(descriptor, 200).decode(errors="replace")
        verb, _, pid = text.removeprefix("composer ").partition(" (pid ")
        return "" if pid.rstrip(")") == str(os.getpid()) else verb or "another command"
    finally:
        os.close(descriptor)


def _sign(descriptor: int, verb: str) -> None:
    """Write into the file who has the lock, for whoever waits. A full disk has no room for that; the lock holds."""
    try:
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"composer {verb} (pid {os.getpid()})".encode())
    except OSError:
        return


def _take(directory: str, project: str, say: Callable[[str], None]) -> int:
    while True:
        descriptor = _take_file(directory, project, say)
        if _is_there(f"{directory}/{project}", descriptor):
            return descriptor
        os.close(descriptor)  # whoever had it has removed it


def _take_file(directory: str, project: str, say: Callable[[str], None]) -> int:
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(f"{directory}/{project}", flags, 0o600)
    except OSError as error:
        raise PermissionDenied(
            f"cannot lock project '{project}' in '{directory}': {(error.strerror or str(error)).lower()}",
            hint="set COMPOSER_ROOT to a directory that you may write to",
        ) from None
    try:
        if not _lock(descriptor, wait=False):
            holder = os.read(descriptor, 200).decode(errors="replace") or "another command"
            say(f"project '{project}' is being changed by {holder}: waiting for it to finish")
            _lock(descriptor, wait=True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_there(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove(path: str, descriptor: int) -> None:
    try:
        if _is_there(path, descriptor):
            os.unlink(path)
    except OSError:
        pass  # Windows removes nothing that is open; a directory that was made read-only meanwhile keeps it


def _lock(descriptor: int, *, wait: bool, shared: bool = False) -> bool:
    """Lock a file; tell whether that worked, which it always did after waiting."""
    try:
        import fcntl
    except ModuleNotFoundError:
        return _lock_byte(descriptor, wait=wait)
    try:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(descriptor, kind | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _lock_byte(descriptor: int, *, wait: bool) -> bool:
    """Lock on Windows, whose own waiting gives up after ten tries, a second apart (msvcrt.locking)."""
    from importlib import import_module

    windows: Any = import_module("msvcrt")
    while True:
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        try:
            windows.locking(descriptor, windows.LK_LOCK if wait else windows.LK_NBLCK, 1)
        except OSError:
            if wait:
                continue
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True
