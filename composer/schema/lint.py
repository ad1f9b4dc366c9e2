"""``lint``: everything that a load reports, and advice on what is valid, each with its rule and its place.

Advice and warnings are switched off by a comment on their line or on the comment lines right above it
(``# composer-lint: disable=ID[,ID]``), or for the project (``x-composer: {lint: {disable: [ID]}}``). Errors cannot
be switched off: there is no project then.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import (
    ConfigError,
    CycleError,
    InterpolationError,
    Mark,
    MergeError,
    ProjectInvalid,
    SchemaError,
    YamlError,
)
from composer.patterns import pattern
from composer.schema.lint_rules import RULES, model_of
from composer.schema.load import load
from composer.schema.problems import Problems, did_you_mean
from composer.schema.tree import Map, find, mark_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.schema.model import Project
    from composer.schema.options import LoadOptions

_KINDS: dict[type[ConfigError], str] = {
    YamlError: "yaml",
    InterpolationError: "interpolation",
    SchemaError: "schema",
    MergeError: "merge",
    CycleError: "cycle",
}
_COMMENT = pattern(r"(?:^|\s)#\s*composer-lint:\s*disable=([\w-]+(?:\s*,\s*[\w-]+)*)")
_CONFIGURED = ("x-composer", "lint", "disable")


class Finding(NamedTuple):
    """One line of the report. ``rule`` is a key of `RULES`; ``excerpt`` is the source line, for errors only:

    a line that somebody is advised about may hold the very secret that should not be in a log.
    """

    rule: str
    severity: str
    message: str
    at: Mark | None
    hint: str | None = None
    excerpt: str = ""


class Report(NamedTuple):
    """All findings, in the order of files and lines. ``complete`` is False when errors left no model to advise on."""

    findings: tuple[Finding, ...]
    complete: bool

    def count(self, severity: str) -> int:
        return sum(finding.severity == severity for finding in self.findings)


def lint(options: LoadOptions) -> Report:
    """Load a project and look at it. Raises ProjectError when there is nothing to load."""
    problems = Problems()
    found: list[Finding] = []
    project: Project | None = None
    try:
        project = load(options, problems)
    except ProjectInvalid as invalid:
        found += [_error(error, problems) for error in invalid.errors]
    soft = [
        Finding(notice.rule, RULES[notice.rule].severity, notice.message, notice.at, notice.hint)
        for notice in problems.notices
    ]
    switches = _Switches(problems.sources, problems.compose_files)
    if project is not None:
        switches.configure(project.whole)
        soft += _advice(project, frozenset(problems.compose_files))
    soft += switches.unknown
    found += [finding for finding in soft if not switches.is_off(finding)]
    order = problems.order
    return Report(
        tuple(sorted(dict.fromkeys(found), key=lambda one: _position(one, order))), project is not None
    )


def _error(error: ConfigError, problems: Problems) -> Finding:
    rule = _KINDS.get(type(error), "config")
    return Finding(rule, "error", error.message, error.at, error.hint, problems.excerpt(error.at))


def _advice(project: Project, compose_files: frozenset[str]) -> Iterator[Finding]:
    model = model_of(project, compose_files)
    for rule in RULES.values():
        if rule.check is not None:
            for advice in rule.check(model):
                at = advice.at if advice.at and (advice.at.file or advice.at.why) else None
                yield Finding(rule.id, rule.severity, advice.message, at, advice.hint)


def _position(finding: Finding, order: Mapping[str, int]) -> tuple[int, int, int, str, str]:
    at = finding.at
    if at is None:
        return (len(order) + 1, 0, 0, finding.rule, finding.message)
    return (order.get(at.file, len(order)), at.line, at.column, finding.rule, finding.message)


class _Switches:
    """What was switched off, where, and what cannot be because there is no such rule."""

    def __init__(self, sources: Mapping[str, str], compose_files: set[str]) -> None:
        self.unknown: list[Finding] = []
        self._everywhere: set[str] = set()
        self._lines: dict[tuple[str, int], set[str]] = {}
        for file in sorted(compose_files):
            self._read_comments(file, sources[file])

    def _read_comments(self, file: str, text: str) -> None:
        if "composer-lint" not in text:
            return
        above: set[str] = set()
        for number, line in enumerate(text.splitlines(), 1):
            match = _COMMENT.search(line)
            names = set(re.split(r"\s*,\s*", match[1])) if match else set()
            for name in sorted(names):
                self._check(name, Mark(file, number, match.start(1) + 1 if match else 1))
            if line.lstrip().startswith("#"):
                above |= names
                continue
            self._lines[(file, number)] = names | above
            above = set()

    def configure(self, tree: Map) -> None:
        """Take the rules that ``x-composer.lint.disable`` names."""
        names: Any = find(tree, _CONFIGURED)
        if names is None:
            return
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.unknown.append(
                _warning("'x-composer.lint.disable' must be a list of rules", mark_at(tree, _CONFIGURED))
            )
            return
        for index, name in enumerate(names):
            self._check(name, mark_at(tree, (*_CONFIGURED, index)))
            self._everywhere.add(name)

    def _check(self, name: str, at: Mark | None) -> None:
        rule = RULES.get(name)
        if rule is None:
            known = [rule.id for rule in RULES.values() if rule.severity != "error"]
            near = did_you_mean(name, known)
            self.unknown.append(_warning(f"unknown rule '{name}'", at, near))
        elif rule.severity == "error":
            self.unknown.append(_warning(f"errors cannot be disabled: '{name}'", at))

    def is_off(self, finding: Finding) -> bool:
        if finding.rule in self._everywhere:
            return True
        at = finding.at
        return at is not None and finding.rule in self._lines.get((at.file, at.line), ())


def _warning(message: str, at: Mark | None, hint: str | None = None) -> Finding:
    return Finding("unknown-rule", "warning", message, at, hint)
