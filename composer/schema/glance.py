"""The ``name`` of a compose file without parsing YAML, where that is plain to see.

There is no ``name`` at the beginning of a line, or it is the first key. Whatever is not as plain as that is the
parser's to say.
"""

from __future__ import annotations

import re
from typing import Final

from composer.patterns import pattern

UNSURE: Final = object()

_TOP_LINE = pattern(r"^[^ \t\n#].*$", re.M)
_KEY = pattern(r"([A-Za-z_][A-Za-z0-9_.-]*):(?:[ \t]|$)")
_VERSION = pattern(r"version:[ \t]+(['\"]?)[0-9.]+\1[ \t]*$")
# One line, a plain text in YAML's eyes too, and nothing indented after it that would continue it.
_NAME = pattern(
    r"name:[ \t]+(['\"]?)([a-z][a-z0-9_-]*)\1[ \t]*(?:[ \t]#.*)?"
    r"(?:\n(?:[ \t]*(?:#.*)?\n)*(?=[^ \t\n])|\s*\Z)"
)
_OTHER_BREAKS = pattern("[\r\x85\u2028\u2029\ufeff\0]")
_NO_TEXTS = frozenset({"true", "false", "null"})


def glance(text: str) -> str | object | None:
    """Return the ``name`` of a compose file, None when it has none, or UNSURE when that is not plain to see."""
    if _OTHER_BREAKS.search(text):
        return UNSURE
    found: str | None = None
    documents = keys = all_keys = 0
    for line in _TOP_LINE.finditer(text):
        if line[0].rstrip() == "---":
            if documents and not keys:
                return UNSURE
            documents, keys = documents + 1, 0
            continue
        key = _KEY.match(line[0])
        if key is None:
            return UNSURE
        if key[1] == "name":
            value = _NAME.match(text, line.start())
            if all_keys or value is None or value[2] in _NO_TEXTS:
                return UNSURE
            found = value[2]
        documents = documents or 1
        keys += 1
        if not _VERSION.match(line[0]):
            all_keys += 1
    return found if keys else UNSURE
