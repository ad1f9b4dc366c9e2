"""What somebody who starts a project from elsewhere is told and asked: whose files these are, and what they get."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.errors import ProjectError
from composer.references import without_login
from composer.schema import files

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.schema.model import Project

_HINT = "use -y, or answer on a terminal"


class _Row(NamedTuple):
    name: str
    value: str
    source: str
    required: str
    default: str


def agree(context: Context, project: Project, *, yes: bool) -> None:
    """Ask before a project whose first file is from elsewhere is started; ``yes`` is the answer to everything.

    Raises ProjectError where the answer is no, or where nobody can answer.
    """
    if not project.files or not files.is_remote(project.files[0]):
        return
    if not yes:
        _agree_to_others(context, project)
    if context.settings.progress not in ("quiet", "json"):
        context.stderr.write(f'Your compose stack "{project.files[0]}" is stored in "{project.directory}"\n')
    if not yes:
        _agree_to_variables(context, project)


def _agree_to_others(context: Context, project: Project) -> None:
    others = [one for one in map(without_login, context.fetched) if one not in project.files]
    if not others:
        return
    lines = "".join(f"  - {one}\n" for one in others)
    context.stderr.write(
        f"\nWarning: This Compose project includes files from remote sources:\n{lines}\n"
        "Remote includes could potentially be malicious. Make sure you trust the source.\n"
    )
    _ask(context, "Do you want to continue?", otherwise=False)


def _agree_to_variables(context: Context, project: Project) -> None:
    rows = _variables(context, project)
    if not rows:
        return
    from composer.cli.table import align

    title = _Row("VARIABLE", "VALUE", "SOURCE", "REQUIRED", "DEFAULT")
    context.stderr.write("\nFound the following variables in configuration:\n")
    context.stderr.write(f"{align([title, *rows], least=0)}\n")
    _ask(context, "\nDo you want to proceed with these variables?", otherwise=True)


def _ask(context: Context, question: str, *, otherwise: bool) -> None:
    if context.settings.dry_run:
        return  # nothing happens that anybody would have to agree to
    if not context.confirm(question, otherwise=otherwise, hint=_HINT):
        raise ProjectError("operation cancelled by user")


def _variables(context: Context, project: Project) -> list[_Row]:
    from composer.schema.load import load
    from composer.schema.origins import variables

    model = load(context.load_options()._replace(interpolate=False, all_resources=True))
    found = []
    for one in variables(model.tree):
        if one.name in context.environment:
            value, source = context.environment[one.name], "environment"
        elif one.name in project.environment:
            value, source = project.environment[one.name], "env file"
        elif one.default:
            value, source = one.default, "compose file"
        else:
            value, source = "<unset>", "none"
        found.append(_Row(one.name, value, source, "yes" if one.required else "no", one.default))
    return found
