"""A project's name for the verbs that need nothing else of it: ``ps``, ``logs``, ``down``.

Parsing YAML is half of what such a verb imports, and the name is nearly always plain to see (`glance`). Whatever is
not as plain as that goes the loader's way. What was named and cannot be read names no project: the directory's name
would be another one's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.errors import ConfigError
from composer.schema import files
from composer.schema.glance import UNSURE, glance
from composer.schema.problems import Problems
from composer.schema.setting import explicit_name, find_setting, name_in, no_compose_file

if TYPE_CHECKING:
    from composer.schema.options import LoadOptions
    from composer.schema.setting import Named, Setting


def project_name(options: LoadOptions) -> str:
    """Return the project's name without loading its model."""
    return find_name(options, Problems()).name


def find_name(options: LoadOptions, problems: Problems) -> Named:
    """Return the project's name without loading its model.

    Raises ProjectError where there can be none, and ProjectInvalid where a file that may have it cannot be read. With
    a name that was given, what cannot be read does not matter: it is left in ``problems``.
    """
    setting = find_setting(options, problems, need_files=False)
    name = explicit_name(options, setting.variables)
    if name is not None:
        _note_missing(setting, problems)
        return name_in(setting, name)
    problems.raise_all()
    if not setting.files:
        raise no_compose_file(setting.directory)
    found: str | None = None
    for path in setting.files:
        try:
            written = UNSURE if path == "-" or files.is_remote(path) else glance(files.read_text(path, path))
        except ConfigError:
            written = UNSURE
        if written is UNSURE:
            from composer.schema import load

            return load.find_name(options)
        if isinstance(written, str):
            found = written
    return name_in(setting, None, found)


def _note_missing(setting: Setting, problems: Problems) -> None:
    for path in setting.files:
        if path != "-" and not files.is_remote(path) and not files.is_file(path):
            problems.error(files.missing(path, files.label(path, setting.working_dir)))
