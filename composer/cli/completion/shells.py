"""The side of the shells: the script that a user loads, and the answer to a key.

The protocol is click's (https://click.palletsprojects.com/shell-completion): the script runs the program with
``_COMPOSER_COMPLETE`` in its environment, and prints what it answers.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
from click import shell_completion

from composer.cli import flags
from composer.cli.completion import ASKS, SHELLS, values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.shell_completion import CompletionItem

    from composer.cli.context import Context

_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) printf -v value %%q "$value"; COMPREPLY+=("$value") ;;
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


def script(shell: str, name: str) -> str:
    """Return what a user of a shell loads to have a program of this name completed."""
    return _kind(shell)(click.Command(name), {}, name, ASKS).source()


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
    completer = _kind(shell)(program, {"obj": context}, "composer", ASKS)
    try:
        words, incomplete = completer.get_completion_args()
    except (KeyError, ValueError, IndexError):
        return 0  # no script of ours asks so
    words = _without_compose(program, words)
    _dress(program, words)
    try:
        found = completer.get_completions(words, incomplete)
    except click.ClickException:
        return 0
    # a name of others with a line break would be two answers
    lines = (completer.format_completion(one) for one in found if str(one.value).isprintable())
    context.write("\n".join(lines))
    return 0


def _without_compose(program: click.Group, words: list[str]) -> list[str]:
    """Return a line as it is without the word of ``composer compose up``."""
    try:
        options, rest = flags.split(program, words, click.Context(program))
    except click.UsageError:
        return words  # an option lacks its value, which is what is asked for
    return [*options, *rest[1:]] if rest[:1] == [flags.COMPOSE] else words


# ------------------------------------------------------------------ parameters


def _dress(program: click.Group, words: list[str]) -> None:
    """Give the parameters of the commands on a line what completes them."""
    ctx = click.Context(program)
    for param in program.params:
        _give(param, values.OPTIONS.get(param.name or "") or values.of_metavar(_metavar(param)))
    # every word that is one: the first may be the value of an option
    verbs = filter(None, (program.get_command(ctx, word) for word in dict.fromkeys(words)))
    for command in (below for verb in verbs for below in _all(verb)):
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
