"""Why a program could not be executed, in the words by which Docker's own command finds its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer import errors

_EXEC = pattern(r"exec: '(.*)': (.*)")
_NAME = pattern(r"unable to find (user|group) '(.*?)':")
_WORDS = {
    126: ("permission denied",),
    127: ("executable file not found in $PATH", "no such file or directory"),
}
"""What is looked for, by exit code: one of these is in the reason."""


def reason_of(error: errors.StartFailed, command: Sequence[str]) -> str:
    """Return the reason of a failed start."""
    text = str(error)
    found = _EXEC.fullmatch(text)
    if found is not None:
        text = f'exec: "{found[1]}": {found[2]}'
    text = _NAME.sub(r"unable to find \1 \2:", text)
    wanted = _WORDS.get(code_of(error), ())
    if wanted and not any(words.lower() in text.lower() for words in wanted):
        program = command[0] if command else ""
        text = f'exec: "{program}": {wanted[0]}: {text}'
    return f"unable to start container process: {text}" if wanted else text


def code_of(error: errors.StartFailed) -> int:
    """Return the exit code that Docker has for it: a working directory that is not there is 127."""
    return (
        127
        if error.exit_code == 126 and "no such file or directory" in str(error).lower()
        else error.exit_code
    )
