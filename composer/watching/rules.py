"""``develop.watch`` of the services as rules: which paths are watched, which changes count, where they go.

Pure: a ``.dockerignore`` is read by whoever asks. Patterns are those of ``.dockerignore``, relative to the path of the
rule; a pattern that matches a directory matches what is below it.
"""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import ConfigError, ProjectError
from composer.runtime.build.context.patterns import BadPattern, Patterns
from composer.watching.actions import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from composer.engine.wanted import ExecSpec
    from composer.schema.model import Project
    from composer.watching.actions import Action

    ReadIgnore = Callable[[Mapping[str, Any]], Sequence[str]]
    """Returns the patterns of the ``.dockerignore`` that counts for a service's ``build``."""

EPHEMERAL = (
    "**/*___jb_old___", "**/*___jb_tmp___", "**/.idea/**",  # JetBrains
    "**/.#*", "**/#*#",  # Emacs
    "**/4913", "**/*~", "**/.*.swp", "**/.*.swx", "**/.*.swo", "**/.*.swn",  # Vim
    "**/.*.kate-swp",
    "**/*-go-tmp-umask",
)  # fmt: skip
"""Files that editors and compilers write beside those that they save: the same as in Docker Compose."""

NOT_AT_FIRST = (
    "**/.git", "**/Dockerfile", "**/compose.yaml", "**/compose.yml", "**/docker-compose.yml", "**/docker-compose.yaml",
    "**/compose.override.yml", "**/compose.override.yaml", "**/docker-compose.override.yml",
    "**/docker-compose.override.yaml",
)  # fmt: skip
"""What ``initial_sync`` leaves out besides, as in Docker Compose."""


def below(path: str, base: str) -> str | None:
    """Return an absolute path relative to a directory: empty for the directory itself, None for what is elsewhere."""
    if path == base:
        return ""
    prefix = base if base.endswith("/") else f"{base}/"
    return path[len(prefix) :] if path.startswith(prefix) else None


class Selection(NamedTuple):
    """Paths below ``base`` that patterns select, and all that is below those."""

    base: str
    patterns: Patterns

    def has(self, path: str) -> bool:
        inner = below(path, self.base)
        return bool(inner and self.patterns) and self.patterns.descend(inner or "")[0]

    def has_all_below(self, directory: str) -> bool:
        """Tell whether nothing below a directory is left over."""
        inner = below(directory, self.base)
        return self.has(directory) and not self.patterns.may_take_back_below(inner or "")


class Rule(NamedTuple):
    """One entry of ``develop.watch``. ``path`` is absolute, its links resolved; ``target`` is in the container.

    ``include`` None is everything; ``hook`` is the command of ``sync+exec``; ``left_out`` is what ``initial_sync`` does
    not copy besides, None where there is no initial sync.
    """

    service: str
    action: str
    path: str
    target: str = ""
    include: Selection | None = None
    ignores: tuple[Selection, ...] = ()
    hook: ExecSpec | None = None
    left_out: Selection | None = None

    @property
    def does(self) -> Action:
        return ACTIONS[self.action]

    def counts(self, path: str) -> bool:
        """Tell whether a change of a path matters to this rule."""
        if not below(path, self.path):
            return path == self.path
        if self.include is not None and not self.include.has(path):
            return False
        return not any(ignore.has(path) for ignore in self.ignores)

    def counts_at_first(self, path: str) -> bool:
        """Tell whether ``initial_sync`` copies a file."""
        return self.left_out is not None and self.counts(path) and not self.left_out.has(path)

    def passes_over(self, directory: str) -> bool:
        """Tell whether nothing below a directory can matter."""
        return any(ignore.has_all_below(directory) for ignore in self.ignores)

    def target_of(self, path: str, *, is_directory: bool) -> str:
        """Return where a path goes in the container; a file as ``path`` goes into a ``target`` that ends in ``/``."""
        inner = below(path, self.path) or ""
        if not inner and not is_directory and self.target.endswith("/"):
            inner = posixpath.basename(path)
        return posixpath.normpath(posixpath.join("/", self.target, inner))


class Watched(NamedTuple):
    """The rules of the chosen services, and what a person should know of those that were left out."""

    rules: tuple[Rule, ...]
    warnings: tuple[str, ...] = ()

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(rule.service for rule in self.rules))


def read_rules(project: Project, read_ignore: ReadIgnore) -> Watched:
    """Return the rules of a project's services. Raises ConfigError with the place of what no change could carry out."""
    rules, warnings = list[Rule](), list[str]()
    services = project.tree.get("services") or {}
    for service in sorted(services):
        tree = services[service]
        entries = (tree.get("develop") or {}).get("watch") or ()
        if not entries:
            continue
        ignored = _selections(tree, read_ignore)
        for index, entry in enumerate(entries):
            _check(project, service, tree, index)
            if _is_mounted(entry, tree):
                warnings.append(
                    f"path '{entry['path']}' also declared by a bind mount volume, this path won't be monitored!"
                )
                continue
            rules.append(_rule(project, service, index, ignored))
    return Watched(tuple(rules), tuple(warnings))


def nothing_to_watch() -> ProjectError:
    """Return the error of a watch without a rule, in Docker Compose's words."""
    return ProjectError(
        "none of the selected services is configured for watch, consider setting a 'develop' section",
        hint="add develop.watch to a service: https://docs.docker.com/compose/how-tos/file-watch/",
    )


def _selections(tree: Mapping[str, Any], read_ignore: ReadIgnore) -> tuple[Selection, ...]:
    """Return what the ``.dockerignore`` of a service's build leaves out."""
    build = tree.get("build")
    if not build:
        return ()
    patterns = _without_all(read_ignore(build))
    return (Selection(os.path.realpath(build.get("context") or "."), Patterns(patterns)),) if patterns else ()


def _without_all(patterns: Sequence[str]) -> list[str]:
    """Return patterns as Docker Compose takes them: a file that ignores ``*`` is about the build, and hides nothing."""
    if "*" in patterns:
        return [pattern for pattern in patterns if pattern.startswith("!")]
    return list(patterns)


def _rule(project: Project, service: str, index: int, ignored: tuple[Selection, ...]) -> Rule:
    tree = project.tree["services"][service]
    entry, build = tree["develop"]["watch"][index], tree.get("build")
    path = os.path.realpath(entry["path"])
    include = _patterns(project, service, index, "include")
    ignores = (
        *ignored,
        Selection(path, Patterns(EPHEMERAL)),
        Selection(path, _patterns(project, service, index, "ignore")),
    )
    hook = None
    if ACTIONS[entry["action"]].executes:
        from composer.engine.resolving.resolve import hooks

        hook = hooks({"exec": [entry["exec"]]}, "exec")[0]
    return Rule(
        service,
        entry["action"],
        path,
        entry.get("target") or "",
        Selection(path, include) if include else None,
        tuple(one for one in ignores if one.patterns),
        hook,
        _left_out(path, build) if entry.get("initial_sync") and ACTIONS[entry["action"]].syncs else None,
    )


def _left_out(path: str, build: Mapping[str, Any] | None) -> Selection:
    own = posixpath.basename((build or {}).get("dockerfile") or "Dockerfile")
    escaped = re.sub(r"([\\\\*?\[])", r"\\\1", own)
    return Selection(path, Patterns((*NOT_AT_FIRST, f"**/{escaped}")))


def _patterns(project: Project, service: str, index: int, key: str) -> Patterns:
    entry = project.tree["services"][service]["develop"]["watch"][index]
    try:
        return Patterns(_relative(entry.get(key) or ()))
    except BadPattern as error:
        raise ConfigError(
            f"invalid pattern in '{key}' of service '{service}': {error}",
            at=project.mark(_place(service, index, key)),
            hint="write a backslash before a bracket that is part of a name",
        ) from None


def _relative(texts: Iterable[str]) -> Iterator[str]:
    """Yield patterns relative to the path of their rule: ``./a``, ``/a`` and ``a/`` are ``a``."""
    for text in texts:
        takes_back = text.startswith("!")
        pattern = posixpath.normpath(text.removeprefix("!").strip() or ".").lstrip("/")
        if pattern not in ("", "."):
            yield f"!{pattern}" if takes_back else pattern


def _place(service: str, index: int, key: str) -> tuple[str | int, ...]:
    return ("services", service, "develop", "watch", index, key)


def _check(project: Project, service: str, tree: Mapping[str, Any], index: int) -> None:
    """Refuse what no change could carry out. Raises ConfigError."""
    entry = tree["develop"]["watch"][index]
    action = ACTIONS[entry["action"]]
    if action.rebuilds and not tree.get("build"):
        raise ConfigError(
            f'can\'t watch service "{service}" with action {entry["action"]} without a build context',
            at=project.mark(_place(service, index, "action")),
            hint="add build to the service, or use another action",
        )
    if action.executes and not (entry.get("exec") or {}).get("command"):
        raise ConfigError(
            f'can\'t watch service "{service}" with action {entry["action"]} without a command',
            at=project.mark(_place(service, index, "action")),
            hint="set 'exec.command'",
        )


def _is_mounted(entry: Mapping[str, Any], tree: Mapping[str, Any]) -> bool:
    """Tell whether files would be copied to the container that a bind mount shows it already."""
    path = os.path.realpath(entry["path"])
    return ACTIONS[entry["action"]].syncs and any(
        below(path, os.path.realpath(volume["source"])) is not None
        for volume in tree.get("volumes") or ()
        if volume.get("type") == "bind" and volume.get("source")
    )
