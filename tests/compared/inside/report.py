"""The differences, the reasons for them, and the table of both in docs/compared.md."""

from __future__ import annotations

import fnmatch
import pathlib
import sys
from typing import NamedTuple

import yaml

from tests.compared.inside.facts import Facts

_REASONS = pathlib.Path(__file__).with_name("reasons.yaml")
_BEGIN, _END = "<!-- inside: begin -->", "<!-- inside: end -->"
_ABSENT = "–"
_MOST_NAMES = 6


class Difference(NamedTuple):
    service: str
    fact: str
    theirs: str
    ours: str


class Reason(NamedTuple):
    """``services`` and ``facts`` are patterns as of file names; ``text`` says why it may differ.

    What ``varies`` is by chance, or by the machine: it need not be there.
    """

    text: str
    facts: tuple[str, ...]
    services: tuple[str, ...]
    varies: bool = False

    def explains(self, one: Difference) -> bool:
        return any(fnmatch.fnmatchcase(one.service, p) for p in self.services) and any(
            fnmatch.fnmatchcase(one.fact, p) for p in self.facts
        )


def reasons() -> list[Reason]:
    """Return the table of reasons."""
    found = yaml.safe_load(_REASONS.read_text()) or []
    return [
        Reason(one["why"], tuple(one["facts"]), tuple(one.get("services") or ["*"]), bool(one.get("varies")))
        for one in found
    ]


def differences(ours: dict[str, Facts], theirs: dict[str, Facts]) -> list[Difference]:
    """Return every fact that is not the same on both sides."""
    return [
        Difference(service, fact, other.get(fact, _ABSENT), own.get(fact, _ABSENT))
        for service, other in theirs.items()
        for own in [ours.get(service, {})]
        for fact in sorted(own.keys() | other.keys())
        if own.get(fact) != other.get(fact)
    ]


def write(ours: dict[str, Facts], theirs: dict[str, Facts], page: pathlib.Path, *, complete: bool) -> int:
    """Put the section into the page; return 1 where something is not explained, or a reason explains nothing."""
    known = reasons()
    sorted_out: dict[Reason, list[Difference]] = {reason: [] for reason in known}
    unexplained = []  # type: ignore[var-annotated]
    for one in differences(ours, theirs):
        reason = next((reason for reason in known if reason.explains(one)), None)
        (unexplained if reason is None else sorted_out[reason]).append(one)
    for one in unexplained:
        print(f"{one.service}: {one.fact}\n    docker   {one.theirs}\n    composer {one.ours}")
    idle = (
        [reason for reason, found in sorted_out.items() if not (found or reason.varies)] if complete else []
    )
    for reason in idle:
        print(f"nothing differs for this reason: {reason.text}", file=sys.stderr)
    count = sum(len(facts) for facts in theirs.values())
    explained = sum(map(len, sorted_out.values()))
    print(
        f"{len(theirs)} services, {count} facts: {explained} differ for a reason, {len(unexplained)} without one",
        file=sys.stderr,
    )
    if complete and not unexplained:
        put(page, section(sorted_out, len(theirs), count))
    return 1 if unexplained or idle else 0


def section(found: dict[Reason, list[Difference]], services: int, facts: int) -> str:
    total = sum(map(len, found.values()))
    text = f"""## Inside the container, beside Docker Engine

`make inside` starts {services} differently configured services with the same file on composer's own runtime and on
Docker Engine, and looks at each from within: capabilities, seccomp, mounts and their options, devices, the files of
/etc, environment, identity, limits, sysctls, cgroups, addresses, routes, name service, exit codes. Of {facts} facts
{total} differ, for these reasons; one without a reason makes it fail.

| why | fact | services | Docker Engine | composer |
| --- | --- | --- | --- | --- |
"""
    for reason, group in found.items():
        if group:
            one = group[0]
            names = sorted({difference.service for difference in group})
            shown = ", ".join(names) if len(names) <= _MOST_NAMES else f"{len(names)} services"
            cells = (reason.text, _facts_of(group), shown, _cell(one.theirs), _cell(one.ours))
            text += f"| {' | '.join(cells)} |\n"
    return text


def _facts_of(group: list[Difference]) -> str:
    names = sorted({one.fact for one in group})
    return f"`{names[0]}`" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _cell(value: str) -> str:
    short = value if len(value) <= 90 else value[:87] + "…"
    return short.replace("|", "\\|")


def kept(page: pathlib.Path) -> str:
    """Return the section as the page has it, for who writes the rest anew."""
    text = page.read_text() if page.exists() else ""
    _, found, rest = text.partition(_BEGIN)
    return f"\n{_BEGIN}{rest}" if found else ""


def put(page: pathlib.Path, text: str) -> None:
    """Replace the section between its two marks; add it at the end where there is none."""
    before = page.read_text() if page.exists() else ""
    head, _, rest = before.partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    head = head if _BEGIN in before else before.rstrip("\n") + "\n\n"
    page.write_text(f"{head}{_BEGIN}\n{text}{_END}{tail or chr(10)}")
