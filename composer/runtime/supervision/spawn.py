"""Starting keepers: a Python of ours, from code in memory, behind a read-only mount.

The code is a zip in a sealed memfd that goes from process to process, so upgrading or removing the package under
a running stack changes nothing for it. The interpreter is executed through a detached read-only overlay of its
directory: a container that opens ``/proc/<pid>/exe`` of ours cannot write to it (CVE-2019-5736).
"""

from __future__ import annotations

import os

from composer.runtime.base import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MOUNT_ATTR_RDONLY = 1
# Room in the argument vector for the title that the process gives itself.
_TITLE_ROOM = "-" * 120
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


class Image:
    """What a process of ours is made from: descriptors of the zip and of the interpreter's directory."""

    __slots__ = ("code", "directory", "interpreter")

    def __init__(self, code: int, directory: int, interpreter: str) -> None:
        self.code = code
        self.directory = directory
        self.interpreter = interpreter

    def arguments(self) -> list[str]:
        """Return what the next process needs to make the next one."""
        return [str(self.code), str(self.directory), self.interpreter]


def seal_interpreter(interpreter: str) -> int:
    """Return a descriptor of the interpreter's directory that cannot be written through.

    Where the kernel cannot do that (no overlayfs, no privilege) it is the plain directory: PR_SET_DUMPABLE then
    keeps containers without SYS_PTRACE away.
    """
    directory = os.path.dirname(interpreter)
    empty = "/sys"  # any other directory: overlayfs wants two layers when there is no upper one
    try:
        fd = syscalls.overlay_mount([("lowerdir", f"{directory}:{empty}")], _MOUNT_ATTR_RDONLY)
    except OSError:
        fd = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    os.set_inheritable(fd, True)
    return fd


def _command(image: Image, arguments: Sequence[str]) -> tuple[str, list[str]]:
    path = f"/proc/self/fd/{image.directory}/{os.path.basename(image.interpreter)}"
    start = f"import sys; sys.path.insert(0, '/proc/self/fd/{image.code}'); import {__package__}.__main__"
    return path, [image.interpreter, "-I", "-S", "-c", start, *image.arguments(), *arguments, _TITLE_ROOM]


def daemon(image: Image, arguments: Sequence[str], keep: Sequence[int], log: str) -> int:
    """Start a keeper that is nobody's child; stderr goes to ``log``. It detaches itself (`detach`).

    Return the PID of the process that was started. It is the caller's child and ends once the keeper has detached;
    the caller must wait for it.
    """
    for fd in (*keep, image.code, image.directory):
        os.set_inheritable(fd, True)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_RDWR, 0),
        (os.POSIX_SPAWN_OPEN, 2, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
    ]
    path, argv = _command(image, arguments)
    pid = os.posix_spawn(path, argv, _ENVIRONMENT, file_actions=actions)
    for fd in keep:
        os.set_inheritable(fd, False)
    return pid


def detach() -> None:
    """Leave the process, session and directory that started this one behind. For a process with one thread."""
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
