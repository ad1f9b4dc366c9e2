"""The side of the shells: the script that a user loads, and the answer to a key.

The protocol is click's (https://click.palletsprojects.com/shell-completion): the script runs the program with
``_COMPOSER_COMPLETE`` in its environment, and prints what it answers.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
from click import shell_completion

from composer.cli.completion import values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from click.shell_completion import CompletionItem

    from composer.cli.context import Context

SHELLS = ("bash", "fish", "zsh")
_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
        [[ $value != *[:=] ]] || compopt -o nospace
    done < <(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _Bash(shell_completion.BashComplete):
    """click's, but for words with a colon or an equals sign, which bash takes for several words."""

    source_template = _BASH

    def source(self) -> str:
        return self.source_template % self.source_vars()  # click's own runs bash to learn its version

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ.get("COMP_LINE", "")[: int(os.environ.get("COMP_POINT", "0"))]
        words = shell_completion.split_arg_string(line)
        is_begun = bool(words) and not line[-1:].isspace()
        self._incomplete = words.pop() if is_begun else ""
        return words[1:], self._incomplete

    def format_completion(self, item: CompletionItem) -> str:
        breaks = os.environ.get("COMP_WORDBREAKS", "")
        cut = max((self._incomplete.rfind(one) for one in ":=" if one in breaks), default=-1) + 1
        kept = item.value[cut:] if item.type == "plain" else item.value
        return f"{item.type},{kept}"


_ASKS = "_COMPOSER_COMPLETE"  # for a program of any name


def script(shell: str, name: str) -> str:
    """Return what a user of a shell loads to have a program of this name completed."""
    return _kind(shell)(click.Command(name), {}, name, _ASKS).source()


def _kind(shell: str) -> type[shell_completion.ShellComplete]:
    found = _Bash if shell == "bash" else shell_completion.get_completion_class(shell)
    assert found is not None
    return found


def answer(instruction: str, context: Context, program: click.Group) -> int:
    """Print what completes the line that the environment describes; return the exit code.

    ``instruction`` is ``SHELL_complete``. A line that makes no sense completes to nothing.
    """
    shell = instruction.partition("_")[0]
    if shell not in SHELLS:
        return 1
    completer = _kind(shell)(program, {"obj": context}, "composer", _ASKS)
    _dress(program, _words(context.environment))
    try:
        found = completer.complete()
    except click.ClickException:
        return 0
    context.write(found)
    return 0


def _words(environment: Mapping[str, str]) -> list[str]:
    line = environment.get("COMP_WORDS") or environment.get("COMP_LINE", "")
    return shell_completion.split_arg_string(line)[1:]


# ------------------------------------------------------------------ parameters


def _dress(program: click.Group, words: list[str]) -> None:
    """Give the parameters of the commands on a line what completes them."""
    ctx = click.Context(program)
    for param in program.params:
        _give(param, values.OPTIONS.get(param.name or "") or values.of_metavar(_metavar(param)))
    verb = next(filter(None, (program.get_command(ctx, word) for word in words)), None)
    for command in _all(verb) if verb is not None else ():
        for param in command.params:
            name = f"{command.name} {param.name}"
            _give(param, values.OPTIONS.get(name) or values.of_metavar(_metavar(param)))


def _all(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from _all(below)


def _metavar(param: click.Parameter) -> str:
    return param.metavar or (param.name or "").upper()


def _give(param: click.Parameter, found: Any) -> None:
    if found is not None and not isinstance(param.type, click.Choice):
        # a parameter could take this where it is declared; then every command would import it
        param.shell_complete = found  # type: ignore[method-assign]
