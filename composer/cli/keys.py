"""``--detach-keys``: ``ctrl-p,ctrl-q`` or single characters, as bytes; and looking for them in what is typed."""

from __future__ import annotations

import click

_NAMED = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse_keys(text: str) -> bytes:
    """Return the bytes of a sequence of keys. Raises click.BadParameter."""
    found = bytearray()
    for part in text.split(",") if text else ():
        name = part.removeprefix("ctrl-")
        if part.startswith("ctrl-") and len(name) == 1 and name.isascii() and name.isalpha():
            found.append(ord(name.lower()) - ord("a") + 1)
        elif part.startswith("ctrl-") and name in _NAMED:
            found.append(_NAMED[name])
        elif len(part) == 1 and part.isascii():
            found.append(ord(part))
        else:
            raise click.BadParameter(
                f"'{part}' must be one character, or ctrl- and a letter or one of @[\\]^_",
                param_hint="--detach-keys",
            )
    return bytes(found)


class Watch:
    """Holds typed bytes back as long as they may be the beginning of the sequence."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return what is to be passed on, and whether the sequence was typed."""
        if not self._keys:
            return data, False
        passed = bytearray()
        for byte in data:
            self._held += bytes([byte])
            while self._held and not self._keys.startswith(self._held):
                passed.append(self._held[0])
                self._held = self._held[1:]
            if self._held == self._keys:
                return bytes(passed), True
        return bytes(passed), False
