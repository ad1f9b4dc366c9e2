"""How progress is shown: one module per mode, all with the methods of `composer.engine.progress.Events`.

Progress goes to one stream (standard error, unless asked otherwise); what a command was asked for goes to
standard output and is no business of this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from composer.engine.progress import Events

if TYPE_CHECKING:
    from collections.abc import Container
    from typing import TextIO

    from composer.cli.safe import Safe

MODES = ("auto", "tty", "plain", "json", "quiet")


class Display(Events, Protocol):
    """Events that are shown. ``settle`` ends redrawing: what comes later are plain lines.

    ``shown`` has the details that were shown in full: an error need not say them again.
    """

    @property
    def shown(self) -> Container[str]: ...

    def settle(self) -> None: ...
    def close(self) -> None: ...


def open_display(
    mode: str, stream: TextIO | Safe, *, output: TextIO | Safe, color: bool, title: str
) -> Display:
    """Return the display for a mode; ``auto`` is tty on a terminal and plain elsewhere.

    ``output`` gets what builders print, where it is shown.
    """
    if mode == "auto":
        mode = "tty" if stream.isatty() else "plain"
    if mode == "tty":
        from composer.cli.display.tty import TtyDisplay

        return TtyDisplay(stream, color=color, title=title)
    if mode == "json":
        from composer.cli.display.json import JsonDisplay

        return JsonDisplay(stream)
    if mode == "quiet":
        from composer.cli.display.quiet import QuietDisplay

        return QuietDisplay(stream)
    from composer.cli.display.plain import PlainDisplay

    return PlainDisplay(stream, output)
