"""The process of ``composer``, and of ``python -m composer``."""

from __future__ import annotations

import gc
import os
import sys
import types

_ALLOCATIONS = 100_000


def main() -> None:
    """Run the command of this process.

    The garbage collector's threshold is raised before any import: collections during imports take a tenth of a short
    command's time and free nothing. Long-running commands are still collected, only less often.
    """
    gc.set_threshold(_ALLOCATIONS)
    speak_utf8()
    open_missing()
    import_click()
    from composer.cli.main import main as command

    command()


def speak_utf8() -> None:
    """Have paths and arguments in UTF-8 whatever the locale; bytes that are none go through as they are.

    Compose files are UTF-8, and so are the file names in them: in an ISO-8859-1 locale Python would write other
    bytes. It fixes its encoding of paths when it starts, so it is started again.
    """
    if not sys.flags.utf8_mode and sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def open_missing() -> None:
    """Open /dev/null in place of standard streams that are closed, as cron and daemons leave them.

    The next file to be opened would be one of them: what is written to standard output would go into it.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            # the lowest number that is free: this one, as those below it are open
            opened = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
            os.set_inheritable(opened, True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


class _StandIn(types.ModuleType):
    """A module whose real one is imported when something is asked of it that is not here."""

    def __getattr__(self, name: str) -> object:
        import importlib

        if name.startswith("__"):
            raise AttributeError(name)  # what the import itself asks
        return getattr(importlib.import_module(self.__name__), name)


def import_click() -> None:
    """Import click without what it imports for commands that are none of ours: a fifth of the time of a ``ps``.

    ``inspect`` is there for `cleandoc` and for what a terminal is asked, ``uuid`` for a type of values that no option
    has. ``gettext`` looks for catalogues of translated messages, of which there are none, in many places. Only click
    sees these stand-ins; whoever else imports the modules gets them.
    """
    if "click" in sys.modules:
        return
    inspect, uuid, gettext = (_StandIn(name) for name in ("inspect", "uuid", "gettext"))
    vars(inspect).update(cleandoc=_clean)
    vars(gettext).update(
        gettext=lambda text: text, ngettext=lambda one, many, count: one if count == 1 else many
    )
    vars(uuid).update(
        UUID=object
    )  # for a base class, which wants its name; what is asked later is the real one
    stand_ins = {one.__name__: one for one in (inspect, uuid, gettext) if one.__name__ not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        import click  # noqa: F401 - for those who import it after us
    finally:
        for name in stand_ins:
            del sys.modules[name]
        del uuid.UUID


def _clean(text: str) -> str:
    """Return a help text as ``inspect.cleandoc`` does, which is not needed for one line."""
    if "\n" not in text:
        return text.expandtabs().lstrip()
    import inspect

    return inspect.cleandoc(text)


if __name__ == "__main__":
    main()
