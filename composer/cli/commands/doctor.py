"""``composer doctor``: what this machine can do on each backend, what is missing, and which one would be used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from composer.backends import choice
from composer.cli.safe import paint
from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.cli.context import Context
    from composer.engine.backend import Finding

    Findings = Mapping[str, Sequence[Finding]]

_SIGNS = {"ok": ("✔", "32"), "note": ("·", "36"), "warning": ("!", "33"), "missing": ("✘", "31")}
_TITLES = {"namespace": "The built-in runtime", "docker": "Docker Engine"}


@click.command(name="doctor", help="Check which backends work on this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--clean",
    is_flag=True,
    help="Remove interfaces, firewall rules, cgroups and mounts left behind by removed projects.",
)
@click.option(
    "--repair", is_flag=True, help="Repair damaged records of the built-in runtime, or move them aside."
)
@click.pass_obj
def command(context: Context, /, as_json: bool, clean: bool, repair: bool) -> int:
    if clean and repair:
        raise ProjectError("--clean and --repair are two things", hint="repair first, then clean")
    if clean or repair:
        return _change(context, "clean" if clean else "repair", as_json=as_json)
    found = {name: choice.diagnose(name, context.environment) for name in choice.CHOICES}
    wanted = context.wanted_backend()
    chosen, reason = _choice(found, wanted, by_option=context.settings.backend is not None)
    if as_json:
        context.write(json.dumps(_document(found, chosen, reason), ensure_ascii=False, indent=2))
    else:
        for name, findings in found.items():
            _show(context, name, findings)
        title = _TITLES[chosen].replace("The", "the") if chosen else ""
        context.write(f"New projects use {title}: {reason}." if chosen else f"No backend: {reason}.")
    return 0 if chosen else 1


def _change(context: Context, what: str, *, as_json: bool) -> int:
    """Remove leftovers, of which none is data and all would be made anew; or mend damaged records."""
    if context.settings.dry_run:
        raise ProjectError(
            f"--dry-run is not supported by doctor --{what}",
            hint="run composer doctor to see what it would change",
        )
    act, word, nothing = (
        (choice.clean, "removed", "nothing is left behind")
        if what == "clean"
        else (choice.repair, "repaired", "no record is damaged")
    )
    done, kept = act(context.environment)
    if as_json:
        context.write(json.dumps({word: done, "kept": kept}, ensure_ascii=False, indent=2))
        return 1 if kept else 0
    for text in done:
        context.write(f"{word}: {text}")
    for text in kept:
        context.display().warn(text)
    if not done and not kept:
        context.write(nothing)
    return 1 if kept else 0


def _works(findings: Sequence[Finding]) -> bool:
    return all(finding.level != "missing" for finding in findings)


def _choice(found: Findings, wanted: str | None, *, by_option: bool) -> tuple[str | None, str]:
    """Return the backend that a new project would get, or None, and why: the rule of `choice.choose`."""
    if wanted is not None:
        source = "--backend" if by_option else "the configuration"
        if _works(found[wanted]):
            return wanted, f"{source} says so"
        return None, f"{source} says '{wanted}', which does not work here"
    for name in choice.CHOICES:
        if _works(found[name]):
            return name, "it works here" if name == choice.CHOICES[0] else (
                f"it works here, and {_TITLES[choice.CHOICES[0]].lower()} does not"
            )
    return None, "none works here; what is missing is marked above"


def _document(found: Findings, chosen: str | None, reason: str) -> dict[str, object]:
    return {
        "backend": chosen,
        "reason": reason,
        "backends": {
            name: {"works": _works(findings), "findings": [finding._asdict() for finding in findings]}
            for name, findings in found.items()
        },
    }


def _show(context: Context, name: str, findings: Sequence[Finding]) -> None:
    state = "works" if _works(findings) else "does not work here"
    context.write(f"{_TITLES[name]} ('{name}') {state}")
    width = max(len(finding.subject) for finding in findings) + 2
    colored = context.is_colored(context.stdout)
    for finding in findings:
        sign, color = _SIGNS[finding.level]
        mark = paint(color, sign) if colored else sign
        context.write(f"  {mark} {finding.subject.ljust(width)}{finding.text}")
        if finding.hint:
            context.write(f"    {' ' * width}hint: {finding.hint}")
    context.write("")
