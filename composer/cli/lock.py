"""One command at a time changes a project. Others wait, and say for whom; different projects never meet here.

A lock is a file with a flock: it goes with the process that has it, however that ends. What is written in it only
tells who that is.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from composer.errors import PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def project_lock(directory: str, project: str, verb: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a project's lock for the block."""
    descriptor = _take(f"{directory}/locks", project, say)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"composer {verb} (pid {os.getpid()})".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _take(directory: str, project: str, say: Callable[[str], None]) -> int:
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        descriptor = os.open(f"{directory}/{project}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PermissionDenied(
            f"cannot lock project '{project}' in '{directory}': {(error.strerror or str(error)).lower()}",
            hint="set COMPOSER_ROOT to a directory that you may write to",
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another command"
        say(f"project '{project}' is being changed by {holder}: waiting for it to finish")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except BaseException:
            os.close(descriptor)
            raise
    return descriptor
