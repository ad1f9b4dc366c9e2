"""The command of a RUN carried out, and what is said where it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.errors import BuildFailed, Cancelled, ComposerError
from composer.runtime.build.steps import running

if TYPE_CHECKING:
    from composer.runtime.build.cache.cache import Snapshot
    from composer.runtime.build.dockerfile import instructions as said
    from composer.runtime.build.steps.stage import Stage
    from composer.runtime.build.steps.work import Work
    from composer.runtime.build.telling import Showing

_TAIL_LINES = 25


def execute(work: Work, stage: Stage, one: said.Run, command: running.Command, shown: Showing) -> Snapshot:
    """Run a command over the files of a stage; return what it changed. Raises BuildFailed, with its last lines."""
    with work.mounter.reading(stage.files) as root:
        try:
            with work.runner().changes_of(command, root, shown.output) as changed:
                return work.take(changed)
        except running.CommandFailed as error:
            raise _failed(work, stage, one, command, error, shown) from None
        except ComposerError as error:
            if isinstance(error, BuildFailed | Cancelled):
                raise
            raise stage.failed(one.at, f"cannot run the command: {error}", hint=error.hint) from error


def _failed(
    work: Work,
    stage: Stage,
    one: said.Run,
    command: running.Command,
    error: running.CommandFailed,
    shown: Showing,
) -> BuildFailed:
    code = "an unknown exit code" if error.exit_code is None else f"exit code: {error.exit_code}"
    shell = " ".join(command.arguments)
    hint = "correct the command, or keep its container with composer image build --keep-failed"
    if error.container:
        hint = f"look into container {error.container}, and remove it with composer container rm {error.container}"
    if not error.had_room:
        hint = f"there is no space left on the disk of {work.cache.root}: free up disk space, and build again"
    failed = stage.failed(
        one.at, f'process "{shell.strip()}" did not complete successfully: {code}', hint=hint
    )
    failed.command, failed.code = tuple(command.arguments), error.exit_code
    for line in shown.tail(_TAIL_LINES):
        failed.add_note(f"  > {line}")
    return failed
