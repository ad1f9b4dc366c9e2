"""Tells where something has changed. The only module that imports watchfiles, and only when something is watched.

watchfiles follows an inode: a path that is replaced, or made later, is heard of by its directory, and watched anew.
Names that are no UTF-8 end its watch, and more changes than the kernel queues are lost without a word: after the one
the watch begins anew, and after so many that the other may have happened everything is looked at.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from composer.errors import ProjectError
from composer.watching.rules import below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_STEP_MS = 50
_GROUP_MS = 100
_TIMEOUT_MS = 60_000
_POLL_MS = 300
_MANY = 4096
"""Changes at once, a quarter of what the kernel queues at least (fs.inotify.max_queued_events)."""

_LIMITS = ("limit", "os error 24", "os error 28", "Too many open files", "No space left")


class Notices:
    """Watches paths from `start` to `close`.

    ``changed`` gets a path where something has changed, ``lost`` is called when anything may have changed anywhere,
    ``failed`` when watching has ended. All come from threads of ours. ``polls``: look at every file again and
    again, for file systems whose changes the kernel does not tell.
    """

    def __init__(
        self,
        paths: Iterable[str],
        changed: Callable[[Iterable[str]], None],
        lost: Callable[[], None],
        failed: Callable[[Exception], None],
        *,
        polls: bool = False,
    ) -> None:
        self._polls = polls
        self._paths = sorted(set(paths))
        self._changed, self._lost, self._failed = changed, lost, failed
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._stops: list[threading.Event] = []

    def start(self) -> None:
        """Begin. Raises ProjectError where the kernel watches no more."""
        self._renew()

    def close(self) -> None:
        """Stop watching; nothing is told afterwards."""
        self._end.set()
        with self._lock:
            for stop in self._stops:
                stop.set()
            threads = tuple(self._threads)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()

    def _renew(self) -> None:
        """Watch what is there now, in place of what was watched before."""
        deep = _topmost(path for path in self._paths if os.path.isdir(path))
        shallow = sorted({_nearest(os.path.dirname(path)) for path in self._paths})
        with self._lock:
            if self._end.is_set():
                return
            made: list[tuple[Any, bool]] = []
            try:
                for paths, recursive in ((deep, True), (shallow, False)):
                    if paths:
                        made.append((_notify(paths, recursive=recursive, polls=self._polls), recursive))
            except BaseException:
                for notify, _ in made:
                    notify.close()
                raise  # what was watched before still is
            before, self._stops = self._stops, []
            for notify, recursive in made:
                self._watch(notify, recursive=recursive)
            for stop in before:
                stop.set()
            self._threads = [thread for thread in self._threads if thread.is_alive()]

    def _watch(self, notify: Any, *, recursive: bool) -> None:
        stop = threading.Event()
        thread = threading.Thread(
            target=self._read, args=(notify, stop, recursive), name="watch", daemon=True
        )
        self._stops.append(stop)
        self._threads.append(thread)
        thread.start()

    def _read(self, notify: Any, stop: threading.Event, recursive: bool) -> None:
        try:
            while not stop.is_set():
                found = notify.watch(_GROUP_MS, _STEP_MS, _TIMEOUT_MS, stop)
                if isinstance(found, str):
                    continue  # nothing came in time, or it is to end
                self._tell([path for _, path in found], recursive)
        except RuntimeError:  # of watchfiles: a name that it cannot tell
            self._begin_anew(stop)
        except (OSError, ProjectError) as error:
            self._failed(error)
        finally:
            notify.close()

    def _tell(self, paths: list[str], recursive: bool) -> None:
        if recursive:
            self._changed(paths)
            if len(paths) >= _MANY:
                self._lost()
            return
        self._changed([path for path in paths if path in self._paths])
        moved = [path for path in paths if any(below(one, path) is not None for one in self._paths)]
        if any(not os.path.isfile(path) for path in moved):
            # a directory that is watched was replaced, or what leads to one has come or gone
            self._renew()
            self._lost()

    def _begin_anew(self, stop: threading.Event) -> None:
        if stop.is_set():
            return
        try:
            self._renew()
        except (OSError, ProjectError) as error:
            self._failed(error)
            return
        self._lost()


def _notify(paths: list[str], *, recursive: bool, polls: bool) -> Any:
    """Return the watch of paths that are there. Raises ProjectError where the kernel watches no more of them."""
    from watchfiles._rust_notify import RustNotify

    try:
        return RustNotify(paths, False, polls, _POLL_MS, recursive, True)
    except FileNotFoundError:
        there = [path for path in paths if os.path.exists(path)]
        return RustNotify(there or ["/"], False, polls, _POLL_MS, recursive and bool(there), True)
    except (
        OSError,
        RuntimeError,
    ) as error:  # watchfiles has an error of its own, which says the number in its text
        hint = None
        if any(reason in str(error) for reason in _LIMITS):
            hint = "raise fs.inotify.max_user_watches and max_user_instances (sysctl), or watch fewer directories"
        raise ProjectError(f"cannot watch {', '.join(paths)}: {error}", hint=hint) from error


def _topmost(paths: Iterable[str]) -> list[str]:
    """Return paths without those that are below another."""
    kept: list[str] = []
    for path in sorted(paths):
        if not any(below(path, one) is not None for one in kept):
            kept.append(path)
    return kept


def _nearest(directory: str) -> str:
    """Return a directory, or the one above it that is there."""
    while not os.path.isdir(directory) and directory != os.path.dirname(directory):
        directory = os.path.dirname(directory)
    return directory
