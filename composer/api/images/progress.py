"""How far a pull or a push is, in Docker's words: a line for each layer and each of its states."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from composer.runtime.images.progress import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.runtime.images.progress import Part

    Tell = Callable[[Any], None]

_EVERY_S = 0.1
_SHORT = 12
_WIDTH = 50
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def size_text(size_bytes: int) -> str:
    """Return a size with four digits: ``3.678kB``, ``1.982MB``."""
    value, unit = float(size_bytes), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.4g}{_UNITS[unit]}"


def bar(done_bytes: int, total_bytes: int) -> str:
    """Return Docker's bar, for clients that draw none themselves."""
    if total_bytes <= 0:
        return f"{size_text(done_bytes):>8}"
    filled = min(_WIDTH, int(done_bytes / total_bytes * 100) // 2)
    drawn = f"[{'=' * filled}>{' ' * (_WIDTH - filled)}]"
    numbers = f"{size_text(done_bytes):>8}"
    if done_bytes <= total_bytes:
        numbers += f"/{size_text(total_bytes)}"
    return f"{drawn} {numbers}"


class _Layers(Watcher):
    """What pulls and pushes have in common. Safe for threads; each layer is told of ten times a second at most."""

    _moving = ""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._told_s: dict[str, float] = {}
        self._arrivals: set[str] = set()
        self._ends: set[str] = set()

    def say(self, status: str, digest: str, **more: Any) -> None:
        self._tell({"status": status, "progressDetail": {}, **more, "id": short(digest)})

    def moved(self, digest: str, done_bytes: int, total_bytes: int) -> None:
        with self._lock:
            now = time.monotonic()
            is_whole = done_bytes >= total_bytes > 0
            if digest in self._arrivals or digest in self._ends:
                return
            is_new = digest not in self._told_s
            if not is_new and not is_whole and now - self._told_s[digest] < _EVERY_S:
                return
            self._told_s[digest] = now
            if is_whole:
                self._arrivals.add(digest)
            self.say(
                self._moving,
                digest,
                progressDetail={"current": done_bytes, "total": total_bytes},
                progress=bar(done_bytes, total_bytes),
            )
            if is_whole:
                self._whole(digest)

    def _whole(self, digest: str) -> None:
        """All bytes are there."""


def short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:_SHORT]


class Pulling(_Layers):
    """The lines of a pull. ``begin`` is called once its manifest is there, before the layers."""

    _moving = "Downloading"

    def __init__(self, tell: Tell, begin: Callable[[], None], check: Callable[[], None]) -> None:
        """``check`` raises when the pull is to end; it is called with each piece."""
        super().__init__(tell)
        self._begin, self._check = begin, check
        self.is_new = False
        self._sizes: dict[str, int] = {}

    def begun(self, parts: Sequence[Part]) -> None:
        self._begin()
        self.is_new = True
        said: set[str] = set()
        for part in parts:
            if part.digest not in said:
                said.add(part.digest)
                self._sizes[part.digest] = part.size_bytes
                self.say("Already exists" if part.is_there else "Pulling fs layer", part.digest)

    def moved(self, digest: str, done_bytes: int, total_bytes: int) -> None:
        self._check()
        super().moved(digest, done_bytes, total_bytes)

    def _whole(self, digest: str) -> None:
        self.say("Verifying Checksum", digest)
        self.say("Download complete", digest)

    def ended(self, digest: str, how: str) -> None:
        self._check()
        with self._lock:
            if digest in self._ends:
                return
            self._ends.add(digest)
            size = self._sizes.get(digest, 0)
            self.say(
                "Extracting",
                digest,
                progressDetail={"current": size, "total": size},
                progress=bar(size, size),
            )
            self.say("Pull complete", digest)


class Pushing(_Layers):
    """The lines of a push. A layer's id is that of its plain form."""

    _moving = "Pushing"

    def __init__(self, tell: Tell, check: Callable[[], None]) -> None:
        super().__init__(tell)
        self._check = check
        self.manifest: tuple[str, int] = ("", 0)

    def begun(self, parts: Sequence[Part]) -> None:
        for digest in dict.fromkeys(part.digest for part in reversed(parts)):
            self.say("Preparing", digest)

    def moved(self, digest: str, done_bytes: int, total_bytes: int) -> None:
        self._check()
        super().moved(digest, done_bytes, total_bytes)

    def ended(self, digest: str, how: str) -> None:
        self._check()
        with self._lock:
            if digest in self._ends:
                return
            self._ends.add(digest)
            words = {"pushed": "Pushed", "there": "Layer already exists"}
            self.say(words.get(how, how[:1].upper() + how[1:]), digest)

    def described(self, digest: str, size_bytes: int) -> None:
        self.manifest = (digest, size_bytes)
