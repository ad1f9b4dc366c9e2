"""Why a build would do something: which step is not in the cache, and what is different about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.errors import ComposerError

if TYPE_CHECKING:
    from composer.runtime.build.cache.cache import Cache

_LONGEST = 60


class Unbuilt(ComposerError):
    """A build that only looks has found something that is not there; the text is the reason."""


def reason(cache: Cache, base: str, what: str) -> str:
    """Return why a step is not in the cache. ``base`` is the key of the files below, ``what`` its entry of history."""
    step = _short(what)
    before = [one.what for one in cache.steps() if one.base == base]
    if what in before:
        changed = "the files that it reads" if step.startswith(("COPY", "ADD")) else "what it runs with"
        return f"{step}: {changed} changed"
    if _without_arguments(what) in map(_without_arguments, before):
        return f"{step}: a build argument changed"
    from difflib import get_close_matches

    word = what.partition(" ")[0]
    like = get_close_matches(what, [one for one in before if one.startswith(f"{word} ")], 1, 0.6)
    return f"{step}: it was {_short(like[0])}" if like else f"{step}: not built yet"


def _without_arguments(what: str) -> str:
    """Return RUN without the values of build arguments: what is behind ``|2 A=b C=d``."""
    words = what.split(" ")
    if len(words) < 2 or not words[1].startswith("|") or not words[1][1:].isdecimal():
        return what
    # a value may have blanks: the command begins at the last word that the shell's is
    return what[what.find(" /") :] if " /" in what else what


def _short(what: str) -> str:
    line = what.removesuffix(" # buildkit").splitlines()[0] if what else ""
    head, _, rest = line.partition(" ")
    if head == "RUN" and rest.startswith("|"):
        rest = rest[rest.find(" /") + 1 :] if " /" in rest else rest
    for shell in ("/bin/sh -c ", "/bin/bash -c "):
        rest = rest.removeprefix(shell)
    text = f"{head} {rest}".strip()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
