"""How Go writes and splits values: Compose's canonical texts are Go's.

``fmt``'s ``%v`` for numbers (an environment value 1.50 becomes ``1.5``), encoding/json for hashes, and the shell
words of ``command`` and ``entrypoint``.
"""

from __future__ import annotations

from typing import Any


def go_float(value: float) -> str:
    """Return a float as ``%v`` prints it: shortest digits, an exponent below 1e-4 and from 1e6 on."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    digits, exponent = _digits(value)
    sign = "-" if str(value).startswith("-") else ""
    if -4 <= exponent < 6:
        return sign + _positional(digits, exponent)
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _digits(value: float) -> tuple[str, int]:
    """Return the shortest decimal digits of a number and the exponent of the first."""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    shift = int(exponent or 0) + len(whole) - 1
    digits = whole + fraction
    stripped = digits.lstrip("0")
    shift -= len(digits) - len(stripped)
    return (stripped.rstrip("0") or "0"), (shift if stripped else 0)


def _positional(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    if len(digits) <= exponent + 1:
        return digits.ljust(exponent + 1, "0")
    return digits[: exponent + 1] + "." + digits[exponent + 1 :]


def go_text(value: Any) -> str:
    """Return a value as ``%v`` prints it; mappings sorted by key."""
    if value is None:
        return "<nil>"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(go_text(item) for item in value)}]"
    return str(value)


def go_json_float(value: float) -> str:
    """Return a float as encoding/json writes it: no exponent between 1e-6 and 1e21."""
    if value == 0:
        return "0"
    if value != value or value in (float("inf"), float("-inf")):
        return "null"  # JSON has no word for it, and no attribute takes it: it stood under x-…
    digits, exponent = _digits(value)
    sign = "-" if value < 0 else ""
    if -6 <= exponent < 21:
        return sign + _positional(digits, exponent)
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent)}"


class ShellWordsError(ValueError):
    """A command line has an unterminated quote, or syntax that requires a shell."""


def shell_words(text: str) -> list[str]:
    """Return the words of a command as go-shellwords 1.0.14 splits them: ``\\n`` and ``\\t`` are what C makes of them.

    No variables, no backticks. An operator (``|``, ``&``, ``;``, ``<``, ``>``) ends the command: the loader
    warns about that. Raises ShellWordsError.
    """
    return _Words().split(text)


_ESCAPES = {"n": "\n", "t": "\t"}


class _Words:
    """The state of one split. ``$(…)`` and backticks protect spaces and operators but are kept as text."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.word = ""
        self.started = False
        self.open: dict[str, bool] = {"'": False, '"': False, "`": False, "$(": False}

    def split(self, text: str) -> list[str]:
        escaped = False
        for char in text:
            if escaped:
                escaped = False
                self._keep(self._escape(char))
            elif char == "\\" and not self.open["'"]:
                escaped = True
            elif char == "\\":
                self.word += char
            elif char in " \t\r\n":
                self._space(char)
            elif char in ";&|<>" and not any(self.open.values()):
                if char == ">" and self.word.isascii() and self.word.isdigit():
                    self.started = False
                break
            else:
                self._other(char)
        if self.started:
            self.words.append(self.word)
        if escaped or any(self.open.values()):
            left = "backslash" if escaped else next(name for name, is_open in self.open.items() if is_open)
            raise ShellWordsError(
                f"unterminated {left}" if not escaped else "unexpected backslash at the end"
            )
        return self.words

    def _escape(self, char: str) -> str:
        if self.open["`"] or self.open["$("]:
            return "\\" + char
        return _ESCAPES.get(char, char)

    def _keep(self, char: str) -> None:
        self.word += char
        self.started = True

    def _space(self, char: str) -> None:
        if any(self.open.values()):
            self.word += char
        elif self.started:
            self.words.append(self.word)
            self.word, self.started = "", False

    def _other(self, char: str) -> None:
        state = self.open
        quoted = state["'"] or state['"']
        if char == "`" and not quoted and not state["$("]:
            state["`"] = not state["`"]
        elif char == ")" and not quoted and not state["`"]:
            if not state["$("]:
                raise ShellWordsError("')' needs a shell")
            state["$("] = False
        elif char == "(" and not quoted and not state["`"]:
            if state["$("] or not self.word.endswith("$"):
                raise ShellWordsError("'(' requires a shell")
            state["$("] = True
            self.word += char
            return
        elif char in "\"'" and not state["'" if char == '"' else '"'] and not (state["$("] or state["`"]):
            self.started = self.started or state[char]
            state[char] = not state[char]
            return
        self._keep(char)


def shell_operator(text: str) -> str | None:
    """Return the first operator outside quotes, where `shell_words` stops; None when there is none."""
    quote, escaped = "", False
    for char in text:
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif char in "\"'`":
            quote = "" if quote == char else quote or char
        elif char in ";&|<>" and not quote:
            return char
    return None
