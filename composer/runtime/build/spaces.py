"""What white space is in a Dockerfile and a .dockerignore: that of Unicode, as Go has it.

Python's own `str.strip` and `str.split` also take the separators U+001C to U+001F, which are ordinary characters here.
"""

from __future__ import annotations

SPACES = " \t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def strip(text: str) -> str:
    return text.strip(SPACES)


def lstrip(text: str) -> str:
    return text.lstrip(SPACES)
