"""Hold composer's loader to compose-go, and to the docker compose that is installed; the figures into docs/loading.md.

    python -m tests.compared.loader.compare [--write] [--only WORD] [--all] [--compose DIRECTORY]...

The files are those of tests/cases and of the directories in COMPOSE_CORPUS (separated by ``:``). Models are compared as
parsed JSON, refusals as such, hashes of services as text. A difference that `reasons` does not explain is printed, and
the exit code is 1. Needs Go; docker compose is compared with where there is one, and with that of each DIRECTORY: a
configuration of Docker's, with another docker compose in cli-plugins.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from composer.engine.resolving import hashing
from composer.schema import shape
from composer.schema.load import load
from composer.schema.render import escape_dollars
from tests.compared.loader.reasons import Reason, Version, reason_for
from tests.conftest import compose_version
from tests.oracle import compare as oracle

ROOT = pathlib.Path(__file__).parents[3]
CASES = ROOT / "tests" / "cases"
PAGE = ROOT / "docs" / "loading.md"
HERE = pathlib.Path(__file__).parent
COMPOSE_GO = (5, 7, 1)
"""The version of docker compose whose modules go.mod names."""
_BEGIN, _END = "<!-- loaders: begin -->\n", "<!-- loaders: end -->\n"
_JOBS = 2


class Verdict(NamedTuple):
    """What a loader makes of a case. ``model`` is None where it refuses; ``hashes`` where it says none."""

    model: Any
    error: str = ""
    hashes: dict[str, str] | None = None


class Loader(NamedTuple):
    """Another loader, by its version of docker compose, with its verdict on each case."""

    title: str
    version: Version
    verdicts: dict[pathlib.Path, Verdict]


class Found(NamedTuple):
    """One difference from a loader: ``text`` begins with the case; without a reason it is a failure."""

    loader: str
    case: str
    text: str
    reason: Reason | None


# ------------------------------------------------------------------ the others


def ask_compose_go(cases: list[pathlib.Path]) -> Loader:
    """Return what compose-go makes of the cases that no flag of a command is about."""
    plain = [case for case in cases if not oracle.arguments(case).get("flags")]
    lines = []
    for case in plain:
        options = oracle.options_of(case)
        request = {
            "directory": str(case),
            "files": list(options.files),
            "profiles": list(options.profiles),
            "env_files": list(options.env_files),
            "environment": dict(options.environment),
        }
        lines.append(json.dumps(request) + "\n")
    with tempfile.TemporaryDirectory(prefix="composer-loader-") as directory:
        program = f"{directory}/loader"
        subprocess.run(["go", "build", "-o", program, "."], cwd=HERE, check=True, timeout=900)
        done = subprocess.run([program], input="".join(lines), capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return Loader(
        f"compose-go {_compose_go_version()}",
        COMPOSE_GO,
        {case: _of_answer(answer) for case, answer in zip(plain, answers, strict=True)},
    )


def _compose_go_version() -> str:
    found = re.search(r"compose-go/v2 v(\S+)", (HERE / "go.mod").read_text())
    return found[1] if found else "?"


def _of_answer(answer: dict[str, Any]) -> Verdict:
    if "error" in answer:
        return Verdict(None, answer["error"])
    model = answer["model"]
    hashes = {name: frozen_hash(service) for name, service in (model.get("services") or {}).items()}
    return Verdict(escape_dollars({k: v for k, v in model.items() if k != "models"}), hashes=hashes)


def frozen_hash(service: dict[str, Any]) -> str:
    """Return the hash of a service that compose-go printed, in the order of attributes that docker compose keeps to."""
    ordered = {key: service[key] for key in shape.SERVICE.fields if key in service}
    assert ordered.keys() == service.keys(), f"unknown to composer: {service.keys() - ordered.keys()}"
    form = hashing.form_of(COMPOSE_GO)
    assert form
    return hashing.service_hash(ordered, form)


def ask_docker_compose(cases: list[pathlib.Path], version: Version) -> Loader:
    """Return what the docker compose of this machine makes of the cases."""

    def ask(case: pathlib.Path) -> Verdict:
        model, error = oracle.oracle(case)
        if model is None or oracle.arguments(case).get("oracle_flags"):
            return Verdict(model, error)
        printed = oracle.docker_compose(case, "config", "--hash", "*").stdout.splitlines()
        return Verdict(model, hashes=dict(line.split(" ") for line in printed))

    with ThreadPoolExecutor(_JOBS) as pool:
        verdicts = dict(zip(cases, pool.map(ask, cases), strict=True))
    return Loader(f"docker compose {'.'.join(map(str, version))}", version, verdicts)


# ------------------------------------------------------------------ beside ours


def differences(loader: Loader) -> list[Found]:
    """Return everything in which a loader differs from ours."""
    return [
        Found(loader.title, case.name, text, reason_for(text, loader.version) or _decided(case, loader))
        for case, verdict in loader.verdicts.items()
        for text in _of_case(case, verdict, loader.version)
    ]


def _of_case(case: pathlib.Path, verdict: Verdict, version: Version) -> list[str]:
    model, error = oracle.ours(case)
    if verdict.model is None:
        return [f"{case.name}: accepted, should be refused: {verdict.error.strip()[-300:]}"] if model else []
    if model is None:
        return [f"{case.name}: refused: {error}"]
    found = [f"{case.name}: {one}" for one in oracle.differences(verdict.model, model)]
    explained = [reason_for(one, version) for one in found]
    if verdict.hashes is not None and all(reason is not None and reason.hashed for reason in explained):
        ours = _hashes(case, version)
        found += [
            f"{case.name}: hash of {name}: is {ours.get(name)}, should be {digest}"
            for name, digest in verdict.hashes.items()
            if ours.get(name) != digest
        ]
    return found


def _hashes(case: pathlib.Path, version: Version) -> dict[str, str]:
    """Return our hashes in the form of a version, of what its ``config --hash`` reads: 2.40 merges no files."""
    form = hashing.form_of((version[0], version[1], version[2]))
    assert form
    options = oracle.options_of(case)
    if version >= (5,):
        tree = load(options).tree
        return {name: hashing.service_hash(one, form) for name, one in tree["services"].items()}
    tree = load(options._replace(resolve_env=False)).tree
    return {
        name: hashing.service_hash({k: v for k, v in one.items() if k != "label_file"}, form)
        for name, one in tree["services"].items()
    }


def _decided(case: pathlib.Path, loader: Loader) -> Reason | None:
    """Return the reason that a case gives itself: against 2.40, and against 5.5 where it says so."""
    name = "decided.txt" if loader.version < (5,) else "decided-5.txt"
    if loader.version >= COMPOSE_GO or not (case / name).exists():
        return None
    return Reason("cases that say why", "", (), (), "see `decided.txt` of the case")


# ------------------------------------------------------------------ the page


def table(loaders: list[Loader], found: list[Found]) -> str:
    """Return the figures, and the kinds of differences with their reasons."""
    lines = [
        "| beside | files | equal | different, with a reason | without |",
        "| --- | --- | --- | --- | --- |",
    ]
    for loader in loaders:
        differing = {one.case for one in found if one.loader == loader.title}
        unexplained = {one.case for one in found if one.loader == loader.title and one.reason is None}
        total = len(loader.verdicts)
        counts = f"{total} | {total - len(differing)} | {len(differing - unexplained)} | {len(unexplained)}"
        lines.append(f"| {loader.title} | {counts} |")
    kinds: Counter[tuple[str, str, str]] = Counter()
    for loader_title, _, kind, why in {
        (one.loader, one.case, one.reason.kind, one.reason.why) for one in found if one.reason
    }:
        kinds[loader_title, kind, why] += 1
    lines += ["", "| what | in files | beside | why |", "| --- | --- | --- | --- |"]
    order = [loader.title for loader in loaders]
    for (title, kind, why), count in sorted(kinds.items(), key=lambda one: (order.index(one[0][0]), one[0])):
        lines.append(f"| {kind} | {count} | {title} | {why} |")
    today = datetime.datetime.now(datetime.UTC).date()
    return "\n".join([*lines, "", f"Compared on {today}.", ""])


def write(text: str) -> None:
    """Put the figures in their place in the page."""
    page = PAGE.read_text()
    begin, end = page.index(_BEGIN) + len(_BEGIN), page.index(_END)
    PAGE.write_text(page[:begin] + text + page[end:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the figures into docs/loading.md")
    parser.add_argument("--only", default="", help="compare cases with this in their names")
    parser.add_argument("--all", action="store_true", help="print the differences that have a reason, too")
    parser.add_argument(
        "--compose", action="append", default=[], help="a configuration with another docker compose"
    )
    options = parser.parse_args()
    directories = [CASES, *map(pathlib.Path, filter(None, os.environ.get("COMPOSE_CORPUS", "").split(":")))]
    cases = [
        case.resolve()
        for directory in directories
        for case in sorted(directory.iterdir())
        if oracle.compose_files(case) and options.only in case.name
    ]
    loaders = [ask_compose_go(cases)]
    for directory in ("", *options.compose):
        if directory:
            os.environ["DOCKER_CONFIG"] = directory
        version = compose_version()
        if version:
            loaders.append(ask_docker_compose(cases, version))
        else:
            print(f"no docker compose 2 or later is installed {f'in {directory}' if directory else 'here'}")
    found = [one for loader in loaders for one in differences(loader)]
    for one in found:
        if one.reason is None or options.all:
            print(f"{one.loader}: {one.text[:600]}")
    text = table(loaders, found)
    if options.write:
        write(text)
    print(text)
    return 1 if any(one.reason is None for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
