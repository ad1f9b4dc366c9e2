"""Errors as text: one line first, then the place, the diagnosis and the remedy.

What is no `ComposerError` is a bug of ours: its traceback is written to a file and named by an id; with
``--debug`` it is shown.
"""

from __future__ import annotations

import json
import os
import traceback
from typing import TYPE_CHECKING

import click

from composer.cli.safe import paint
from composer.errors import (
    ComposerError,
    ConfigError,
    DockerfileInvalid,
    OperationFailed,
    ProjectInvalid,
    PullFailed,
    Unavailable,
    of_the_machine,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.cli.context import Context


def report(error: BaseException, context: Context) -> int:
    """Show an error and return the exit code of the command."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return 130
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if context.settings.debug:
        traceback.print_exception(error, file=context.stderr)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        context.write(error.format_message())
        context.stdout.flush()
        return 0
    if isinstance(error, click.ClickException):
        _write_usage(error, context)
        return 1
    errors = _pulls_in_one(_once(list(_leaves(error))), context)
    if context.settings.progress == "json":
        text = "; ".join(_in_a_line(each) for each in errors)
        context.stderr.write(json.dumps({"error": True, "message": text}, ensure_ascii=False) + "\n")
    else:
        for each in errors:
            _write(each, context)
        if len(errors) > 1:
            context.stderr.write(f"{len(errors)} errors\n")
    context.stderr.flush()
    return max((_exit_code(each) for each in errors), default=1)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    elif isinstance(error, ProjectInvalid):
        yield from error.errors
    elif isinstance(error, DockerfileInvalid) and len(error.faults) > 1:
        yield from (DockerfileInvalid((fault,)) for fault in error.faults)
    else:
        yield of_the_machine(error)


def _once(errors: list[BaseException]) -> list[BaseException]:
    """Say once that a backend went away, however many operations met it; what else failed is kept."""
    gone = [error for error in errors if isinstance(_cause(error), Unavailable)]
    if len(gone) < 2:
        return errors
    return [_cause(gone[0]), *(error for error in errors if error not in gone)]


def _pulls_in_one(errors: list[BaseException], context: Context) -> list[BaseException]:
    """Say in one error that images could not be pulled, and why, where the progress has not said it."""
    pulls = [error for error in errors if isinstance(error, PullFailed)]
    if len(pulls) < 2:
        return errors
    others = [error for error in errors if error not in pulls]
    summary = PullFailed(f"{len(pulls)} images could not be pulled", hint=pulls[0].hint)
    for error in pulls:
        if not context.has_shown(str(error)):
            summary.add_note(str(error))
    return [*others, summary]


def _in_a_line(error: BaseException) -> str:
    """Return an error as one text, with the images of one that stands for several."""
    notes = getattr(error, "__notes__", ()) if isinstance(error, PullFailed) else ()
    return f"{error}: {', '.join(notes)}" if notes else str(error)


def _cause(error: BaseException) -> BaseException:
    return error.cause if isinstance(error, OperationFailed) else error


def _exit_code(error: BaseException) -> int:
    return error.exit_code if isinstance(error, ComposerError) else 1


def _write(error: BaseException, context: Context) -> None:
    bug = _bug_of(error)
    if bug is not None:
        _write_bug(bug, context)
        return
    lead = _lead(context)
    if isinstance(error, ConfigError) and error.at is not None:
        from composer.schema.explain import explain

        context.stderr.write(f"{lead}{explain(error).removesuffix(chr(10))}\n")
        return
    context.stderr.write(f"{lead}{_indented(str(error))}\n")
    for note in getattr(error, "__notes__", ()):
        if context.has_shown(str(note).strip()):
            continue  # a builder's output, say
        context.stderr.write(f"  {_indented(str(note))}\n")
    hint = getattr(error, "hint", None)
    if hint:
        context.stderr.write(f"  hint: {_indented(str(hint))}\n")


def _lead(context: Context) -> str:
    return f"{paint('31', 'error:')} " if context.is_colored(context.stderr) else "error: "


def _indented(text: str) -> str:
    """Keep lines behind the first from being taken for other errors: a name in there may hold an end of line."""
    return text.replace("\n", "\n  ")


def _bug_of(error: BaseException) -> BaseException | None:
    """Return what is a bug: what nobody raised on purpose."""
    if isinstance(error, OperationFailed):
        return _bug_of(error.cause)
    return None if isinstance(error, ComposerError) else error


def _write_bug(error: BaseException, context: Context) -> None:
    import hashlib
    import tempfile

    text = "".join(traceback.format_exception(error))
    id = hashlib.sha256(text.encode()).hexdigest()[:8]
    try:
        descriptor, path = tempfile.mkstemp(prefix=f"composer-bug-{id}-", suffix=".txt")
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        place = f"the traceback is in {path}"
    except OSError:
        place = "run it again with --debug to see the traceback"
    context.stderr.write(
        f"{_lead(context)}this is a bug in composer ({type(error).__name__}: {error}), id {id}; {place}\n"
    )


def _write_usage(error: click.ClickException, context: Context) -> None:
    text = error.format_message()  # a sentence of click's, or one of ours
    context.stderr.write(f"{_lead(context)}{text[:1].lower()}{text[1:].removesuffix('.')}\n")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = getattr(error, "hint", None) or f"see {error.ctx.command_path} --help"
        context.stderr.write(f"  hint: {hint}\n")
