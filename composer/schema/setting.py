"""Where a project is: its files, directory, variables and name. All that is known before a model is loaded."""

from __future__ import annotations

import os.path
import re
from typing import TYPE_CHECKING, NamedTuple

from composer.errors import ConfigError, Mark, NoComposeFile, ProjectError
from composer.patterns import pattern
from composer.schema import dotenv, files
from composer.schema.interpolate import TemplateError, Variables, substitute
from composer.schema.model import DIRECTORY, GIVEN, WRITTEN
from composer.schema.paths import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from composer.schema.options import LoadOptions
    from composer.schema.problems import Problems
    from composer.schema.tree import Map

_NAME = pattern(r"[a-z0-9][a-z0-9_-]*")


class Setting(NamedTuple):
    """The surroundings of a load. ``files`` and ``env_files`` are absolute; ``-`` stays as it is.

    Files from elsewhere are references until they were fetched: then ``directory`` is that of the first of them, and
    all relative paths start there. The project's name and its ``.env`` are from ``name_directory`` all the same.
    """

    files: tuple[str, ...]
    directory: str
    env_files: tuple[str, ...]
    variables: Variables
    profiles: tuple[str, ...]
    working_dir: str
    name_directory: str


class Named(NamedTuple):
    """A project's name, the directory of the project, and whose choice the name is (see `model`)."""

    name: str
    directory: str
    origin: str


def absolute(path: str, directory: str, home: str) -> str:
    """Return a path of the command line, absolute and clean."""
    if path == "~" or path.startswith("~/"):
        path = home + path[1:]
    return clean(os.path.join(directory, path))


def find_setting(options: LoadOptions, problems: Problems, *, need_files: bool = True) -> Setting:
    """Find the files and read the env files. What is wrong with them is reported.

    Raises ProjectError when no compose file is there.
    """
    working_dir = os.path.abspath(options.working_dir)
    # as Compose has it: a shell sets PWD, but a service manager or a program that starts us may not
    options = options._replace(environment={"PWD": working_dir, **options.environment})
    directory = _given_directory(options, working_dir)
    is_there = not directory or _is_there(directory, problems)
    outer = Variables(options.environment, {})
    first_dir = directory or _first_directory(options.files, working_dir, options.home)
    env_files, variables = _read_env(options, first_dir, working_dir, outer, problems)
    named = options.files or _compose_file(variables.values)
    if named:
        paths = tuple(
            one if one == "-" or files.is_remote(one) else absolute(one, working_dir, options.home)
            for one in named
        )
    else:
        # above a directory that is not there is another project
        paths = files.discover(directory or working_dir) if is_there else ()
        _note_ignored(paths, working_dir, problems)
    if not paths and need_files:
        problems.raise_all()
        raise no_compose_file(directory or working_dir)
    final = directory or _first_directory(paths, working_dir, options.home)
    if final != first_dir and not _named_env_files(options):
        # both count, as in Compose: what is here before what is beside the files
        found, variables = _read_env(options, final, working_dir, variables, problems)
        env_files = found or env_files
    # no profile is the profile "", as in Compose: it enables a service with `profiles: ["${NOT_SET}"]`
    profiles = options.profiles or variables.values.get("COMPOSE_PROFILES", "").split(",")
    return Setting(
        paths, final, env_files, variables, tuple(part.strip() for part in profiles), working_dir, final
    )


def _given_directory(options: LoadOptions, working_dir: str) -> str | None:
    return options.directory and absolute(options.directory, working_dir, options.home)


def no_compose_file(directory: str) -> NoComposeFile:
    """Return the error of a command that has no project, in Docker Compose's words."""
    return NoComposeFile(
        "no configuration file provided: not found",
        hint=f"create {files.COMPOSE_NAMES[0]} in '{directory}' or one of its parents, specify a file with -f, "
        "or a project with -p",
    )


def _is_there(directory: str, problems: Problems) -> bool:
    """Tell whether ``--project-directory`` is a directory; what is not is reported: its name is nobody's."""
    try:
        os.stat(os.path.join(directory, "."))
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "paths must not contain a null byte").lower()
        problems.error(
            f"cannot use project directory '{directory}': {reason}",
            hint="use an existing directory",
        )
        return False
    return True


def _compose_file(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files of ``COMPOSE_FILE``.

    References have colons in them: where those separate the files, the first reference takes all that follows.
    """
    separator = environment.get("COMPOSE_PATH_SEPARATOR") or ":"
    named = files.environment_list(environment, "COMPOSE_FILE", separator)
    rest = environment.get("COMPOSE_FILE", "")
    for index in range(len(named) if separator == ":" else 0):
        rest = rest.lstrip(":")
        if files.is_remote(rest):
            return (*named[:index], rest)
        rest = rest.partition(":")[2]
    return named


def _first_directory(named: Sequence[str], working_dir: str, home: str) -> str:
    for one in named:
        if files.is_remote(one):
            return working_dir
        if one != "-":
            return os.path.dirname(absolute(one, working_dir, home))
    return working_dir


def _note_ignored(paths: tuple[str, ...], working_dir: str, problems: Problems) -> None:
    if not paths:
        return
    names = files.several_compose_files(os.path.dirname(paths[0]))
    if len(names) > 1:
        problems.warn(
            f"found multiple config files with supported names: {', '.join(names)}; using {names[0]}",
            Mark(files.label(paths[0], working_dir)),
            hint="remove the others, or specify files with -f",
        )


def _named_env_files(options: LoadOptions) -> tuple[str, ...]:
    return options.env_files or files.environment_list(options.environment, "COMPOSE_ENV_FILES", ",")


def _env_files(options: LoadOptions, directory: str, working_dir: str) -> tuple[str, ...]:
    named = _named_env_files(options)
    if named:
        return tuple(absolute(one, working_dir, options.home) for one in named)
    if files.is_truthy(options.environment.get("COMPOSE_DISABLE_ENV_FILE")):
        return ()
    default = os.path.join(directory, ".env")
    return (default,) if files.is_file(default) else ()


def _read_env(
    options: LoadOptions, directory: str, working_dir: str, outer: Variables, problems: Problems
) -> tuple[tuple[str, ...], Variables]:
    paths = _env_files(options, directory, working_dir)
    return paths, read_env_files(paths, outer, files.Labels(working_dir), problems)


def _has_options(path: str) -> bool:
    try:
        return "COMPOSE_" in files.read_text(path, path, what="env file")
    except ConfigError:
        return False  # the loader says so


def options_in_env_file(options: LoadOptions, problems: Problems) -> dict[str, str]:
    """Return the ``COMPOSE_`` variables of the env file that is read first: they count as if they were exported."""
    working_dir = os.path.abspath(options.working_dir)
    first = _first_directory(options.files, working_dir, options.home)
    paths = _env_files(options, _given_directory(options, working_dir) or first, working_dir)
    if not any(map(_has_options, paths)):
        return {}  # most often, and the loader reads the file anyway
    outer = Variables(options.environment, {})
    found = read_env_files(paths, outer, files.Labels(working_dir), problems).values
    return {name: value for name, value in found.items() if name.startswith("COMPOSE_")}


def read_env_files(
    paths: Sequence[str], outer: Variables, label: Callable[[str], str], problems: Problems
) -> Variables:
    """Return the variables with those of env files below them. What is wrong in a file is reported."""
    found: dict[str, str] = {}
    origins: dict[str, str] = {}

    def warn(name: str, at: Mark) -> None:
        problems.warn(f'The "{name}" variable is not set. Defaulting to a blank string.', at)

    for path in paths:
        name = label(path)
        try:
            text = files.read_text(path, name, what="env file")
            problems.read(name, text)
            for key, value in dotenv.parse_env(text, name, outer.values.get, warn, found).items():
                found[key] = str(value)
                origins[key] = f"{name}:{getattr(value, 'line', 0)}"
        except ConfigError as error:
            problems.errors.append(error)
    merged = {**found, **outer.values}
    kept = {key: origin for key, origin in origins.items() if key not in outer.values}
    return Variables(merged, {**outer.origins, **kept})


# ------------------------------------------------------------------ the name


def normal_name(text: str) -> str:
    """Return a text as a project name: lower case, other characters dropped, beginning with a letter or digit."""
    return re.sub(r"[^-_a-z0-9]", "", text.lower()).lstrip("_-")


def explicit_name(options: LoadOptions, variables: Variables) -> str | None:
    """Return the name that the user gave, by -p or COMPOSE_PROJECT_NAME. Raises ProjectError when it cannot be one."""
    name = options.name or variables.values.get("COMPOSE_PROJECT_NAME")
    if not name:
        return None
    if not _NAME.fullmatch(name):
        better = normal_name(name)
        raise ProjectError(
            f"invalid project name '{name}': must consist only of lowercase letters, digits, hyphens and underscores, "
            "and start with a letter or digit",
            hint=f"use '{better}'" if better else None,
        )
    return name


def name_in(setting: Setting, given: str | None, written: str | None = None) -> Named:
    """Return the name that counts. Raises ProjectError when there is none."""
    if given is not None:
        return Named(given, setting.name_directory, GIVEN)
    if written:
        return Named(written, setting.name_directory, WRITTEN)
    return Named(directory_name(setting.name_directory), setting.name_directory, DIRECTORY)


def written_name(documents: Sequence[Map], variables: Variables, *, as_written: bool = False) -> str | None:
    """Return the last ``name:`` of the files, interpolated; None when there is none.

    It is made a name that a project can have, but for ``as_written`` (``--no-normalize``). Raises ConfigError for one
    that is no text or that cannot be interpolated: a project without that name would be another one.
    """
    found: tuple[str, Mark] | None = None
    for document in documents:
        name = document.get("name", "")
        if not isinstance(name, str):
            raise ConfigError("the project name must be a string", at=document.mark("name"), path=("name",))
        if name:
            found = name, document.mark("name")
    if found is None:
        return None
    text, at = found
    try:
        name = substitute(text, variables.values.get)
    except TemplateError as error:
        raise ConfigError(str(error), at=at, path=("name",), hint=error.hint) from None
    name = name if as_written else normal_name(name)
    if not name:
        raise ProjectError(
            f"project name must not be empty: '{text}' contains no valid characters",
            hint="use lowercase letters, digits, '-' and '_'",
        )
    return name


def directory_name(directory: str) -> str:
    """Return the name that the project's directory gives it. Raises ProjectError when it gives none."""
    name = normal_name(os.path.basename(directory))
    if not name:
        raise ProjectError(
            f"cannot derive a project name from directory '{directory}'",
            hint="set it with -p, or with 'name:' in the compose file",
        )
    return name
