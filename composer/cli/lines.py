"""Output of containers on our output: a coloured, padded prefix per container, stdout to stdout, stderr to stderr.

Or as JSON, and only the lines that match.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer import dates
from composer.cli.safe import ESCAPE, paint, safe
from composer.cli.safe import line as shown
from composer.engine.observed import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TextIO

    from composer.cli.safe import Safe
    from composer.engine.observed import LogPiece

_COLORS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")


class Printer:
    """Writes output as it came. ``add`` names a container before its first line.

    A colour belongs to a name, by the order of names among those that were added together, so it does not change
    from one run to the next.
    """

    def __init__(
        self,
        stdout: TextIO | Safe,
        stderr: TextIO | Safe,
        *,
        color: bool,
        prefix: bool = True,
        timestamps: bool = False,
    ) -> None:
        self._streams = {"stdout": safe(stdout), "stderr": safe(stderr)}
        self._color, self._prefix, self._timestamps = color, prefix, timestamps
        self._names: dict[str, str] = {}
        self._codes: dict[str, str] = {}
        self._width = 0
        self._open: dict[str, bool] = {}

    def reserve(self, names: Iterable[str]) -> None:
        """Say which names will come, so that width and colours are settled before the first line."""
        for name in sorted(names):
            self._codes.setdefault(name, _COLORS[len(self._codes) % len(_COLORS)])
            self._width = max(self._width, len(name))

    def add(self, containers: Iterable[tuple[str, str]]) -> None:
        """Name containers, as (id, name)."""
        found = dict(containers)
        self.reserve(found.values())
        self._names.update(found)

    def write(self, piece: LogPiece) -> None:
        text = piece.data.decode("utf-8", errors="surrogateescape")
        ends = text.endswith("\n")
        stream = self._streams["stderr" if piece.stream == "stderr" else "stdout"]
        lead = self._lead(piece)
        if lead and "\n" in text:
            text = text.replace("\n", f"\n{lead}")
            text = text.removesuffix(lead) if ends else text
        if lead and not self._open.get(piece.container_id, False):
            text = lead + text
        # what a container prints is its own, as with Docker
        stream.raw.write(text + ("" if ends or not self._prefix else "\n"))
        # without prefixes a piece of a line is passed on as it is; with them each piece is a line of its own
        self._open[piece.container_id] = not ends and not self._prefix
        stream.flush()

    def say(self, id: str, sentence: str) -> None:
        """Write a line of ours about a container."""
        name = self._names.get(id, id[:12])
        self._streams["stdout"].write(f"{name} {shown(sentence)}\n")
        self._streams["stdout"].flush()

    def remark(self, sentence: str) -> None:
        """Write a line of a watch, behind Docker Compose's mark where lines have prefixes."""
        lead = f"{' ' * (self._width + 3)}⦿ " if self._prefix else ""
        self._streams["stdout"].write(f"{lead}{shown(sentence)}\n")
        self._streams["stdout"].flush()

    def _lead(self, piece: LogPiece) -> str:
        """Return what each line begins with, as it is written to a terminal."""
        lead = ""
        if self._prefix:
            name = self._names.get(piece.container_id, piece.container_id[:12])
            lead = shown(f"{name.ljust(self._width)}  | ")
            if self._color:
                lead = paint(self._codes.get(name, "0"), lead).replace(ESCAPE, "\x1b")
        return f"{lead}{dates.utc_ns(piece.time_ns)} " if self._timestamps else lead


class JsonLines:
    """Writes each line as a JSON object: the document ``logs``. Used as a `Printer` is, behind a `Whole`.

    ``service_of`` returns the service of a container, by its id.
    """

    def __init__(self, stdout: TextIO | Safe, service_of: Callable[[str], str]) -> None:
        self._stream = safe(stdout)
        self._service_of = service_of
        self._names: dict[str, str] = {}

    def add(self, containers: Iterable[tuple[str, str]]) -> None:
        """Name containers, as (id, name)."""
        self._names.update(containers)

    def write(self, piece: LogPiece) -> None:
        import json

        found = {
            "container": self._names.get(piece.container_id, piece.container_id[:12]),
            "service": self._service_of(piece.container_id),
            "stream": piece.stream,
            "time": dates.utc_ns(piece.time_ns),
            # bytes that are no UTF-8 cannot stand in JSON as they are
            "message": piece.data.decode("utf-8", errors="replace").removesuffix("\n"),
        }
        self._stream.raw.write(json.dumps(found, ensure_ascii=False) + "\n")
        self._stream.flush()


class Whole:
    """Passes on whole lines, of those that ``matches`` accepts; pieces are kept until the line has ended.

    A line without end is passed on in parts of 1 MiB.
    """

    _MOST_BYTES = 1 << 20

    def __init__(self, printer: Printer | JsonLines, matches: Callable[[str], object]) -> None:
        self._printer, self._matches = printer, matches
        self._pieces: dict[tuple[str, str], tuple[LogPiece, bytearray]] = {}

    def add(self, containers: Iterable[tuple[str, str]]) -> None:
        self._printer.add(containers)

    def write(self, piece: LogPiece) -> None:
        key = (piece.container_id, piece.stream)
        for line in lines((piece,)):
            first, data = self._pieces.get(key) or (piece, bytearray())
            data += line
            if line.endswith(b"\n") or len(data) >= self._MOST_BYTES:
                self._pieces.pop(key, None)
                self._pass_on(first._replace(data=bytes(data)))
            else:
                self._pieces[key] = (first, data)

    def close(self) -> None:
        """Pass on what has come of lines that did not end."""
        for first, data in self._pieces.values():
            self._pass_on(first._replace(data=bytes(data)))
        self._pieces.clear()

    def _pass_on(self, line: LogPiece) -> None:
        if self._matches(line.data.decode("utf-8", errors="surrogateescape").removesuffix("\n")):
            self._printer.write(line)


AnyPrinter = Printer | JsonLines | Whole


def short_name(name: str, project: str) -> str:
    """Return a container's name without its project: ``web-1``; a name of its own stays whole."""
    return name.removeprefix(f"{project}-")
