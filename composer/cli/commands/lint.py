"""``composer lint``: what is wrong with compose files, and what is valid but seldom wanted. docs/lint.md"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from composer.cli.safe import paint

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.schema.lint import Finding, Report

_FAILED, _STRICT = 1, 2
_COUNTS = {"error": "errors", "warning": "warnings", "advice": "advice"}
_COLORS = {"error": "31", "warning": "33", "advice": "36"}


@click.command(name="lint", help="Check compose files for errors and questionable settings.")
@click.option(
    "--format", "form", type=click.Choice(("text", "json")), default="text", help="Set the output format."
)
@click.option("--strict", is_flag=True, help="Exit with code 2 if there are warnings or advice.")
@click.pass_obj
def command(context: Context, /, form: str, strict: bool) -> int:
    from composer.schema.lint import lint

    report = lint(context.load_options())
    if form == "json":
        context.write(json.dumps(_as_json(report), ensure_ascii=False, indent=2))
    else:
        _show(context, report)
    if report.count("error"):
        return _FAILED
    return _STRICT if strict and report.findings else 0


def _as_json(report: Report) -> dict[str, object]:
    return {
        "complete": report.complete,
        **{name: report.count(severity) for severity, name in _COUNTS.items()},
        "findings": [_finding_json(finding) for finding in report.findings],
    }


def _finding_json(finding: Finding) -> dict[str, object]:
    at = finding.at
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "message": finding.message,
        "file": (at.file or None) if at else None,
        "line": (at.line or None) if at else None,
        "column": (at.column or None) if at else None,
        "hint": finding.hint,
    }


def _show(context: Context, report: Report) -> None:
    colored = context.is_colored(context.stdout)
    for finding in report.findings:
        label = f"{finding.severity}[{finding.rule}]"
        if colored:
            label = paint(_COLORS[finding.severity], label)
        place = f"{finding.at}: " if finding.at else ""
        context.write(f"{place}{label}: {finding.message}")
        if finding.excerpt:
            context.write(finding.excerpt)
        if finding.hint:
            context.write(f"  hint: {finding.hint}")
    if report.findings:
        counts = [f"{name}: {report.count(one)}" for one, name in _COUNTS.items()]
        rest = "" if report.complete else " (advice needs a project without errors)"
        context.write(", ".join(counts) + rest)
