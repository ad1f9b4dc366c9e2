"""Importing click and PyYAML without what no command of ours needs of them: a fifth of the time of a ``ps``."""

from __future__ import annotations

import _thread
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _StandIn(types.ModuleType):
    """A module whose real one is imported when something is asked of it that is not here."""

    def __getattr__(self, name: str) -> object:
        import importlib

        if name.startswith("__"):
            raise AttributeError(name)  # what the import itself asks
        return getattr(importlib.import_module(self.__name__), name)


def import_click() -> None:
    """Import click.

    ``inspect`` is there for `cleandoc` and for what a terminal is asked, ``uuid`` for a type of values that no option
    has. ``gettext`` looks for catalogues of translated messages, of which there are none, in many places. Only click
    gets these stand-ins. Any other import of the three names gets the real module.
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


def leave_annotations() -> None:
    """Let fields of a NamedTuple keep the text that ``from __future__ import annotations`` makes of their annotations.

    ``typing`` would compile each of them, which is half of the time that such a class takes, and there are some ninety
    in an ``up``. ``typing.get_type_hints`` reads them all the same.
    """
    import typing

    check = getattr(typing, "_type_check", None)
    if check is None:
        return  # a later Python, which has other ways

    def checked(annotation: Any, message: str, *more: Any, **named: Any) -> Any:
        if type(annotation) is str and message.startswith("field "):
            return annotation
        return check(annotation, message, *more, **named)

    typing._type_check = checked  # type: ignore[attr-defined]


def import_yaml() -> None:
    """Import PyYAML with its regular expressions compiled at their first use: half of the time of this import.

    They are for the parts that libyaml replaces, and for YAML 1.1. Other threads may import something meanwhile: what
    they compile is compiled at once.
    """
    if "yaml" in sys.modules:
        return
    import re

    from composer.patterns import pattern

    compile, mine = re.compile, _thread.get_ident()

    def later(text: Any, flags: Any = 0) -> Any:
        return pattern(text, flags) if _thread.get_ident() == mine else compile(text, flags)

    re.compile = later  # type: ignore[assignment]
    try:
        import yaml  # noqa: F401 - for those who import it after us
    finally:
        re.compile = compile


def _clean(text: str) -> str:
    """Return a help text as ``inspect.cleandoc`` does, which is not needed for one line."""
    if "\n" not in text:
        return text.expandtabs().lstrip()
    import inspect

    return inspect.cleandoc(text)
