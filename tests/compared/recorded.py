"""Play command lines with composer on both backends and compare with Docker Compose: v5.5 as recorded, 2.40 beside us.

    python -m tests.compared.recorded [--of v5|live] [--compose DIRECTORY]... [--backend NAME] [--only PROJECT]

v5: COMPOSE_CORPUS names the directory that has v5/sessions.json, with what each command line printed there.
live: the lines of ``invocations.yaml``, played by the docker compose of this machine too, and by that of each
DIRECTORY: a configuration of Docker's with another docker compose in cli-plugins. Needs root, busybox, and an engine
at DOCKER_HOST. What differs has a reason in ``reasons.yaml``, or makes the run fail. ``--write`` puts the
figures and the reasons into docs/compared.md.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, NamedTuple

import yaml

from tests.compared.sessions import Line, Player, Printed, Reason, Result, judge, play
from tests.integration.contract.conftest import root_archive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

IMAGE = "alpine"
_HERE = pathlib.Path(__file__).parent
_PAGE = _HERE.parents[1] / "docs" / "compared.md"
_BACKENDS = ("docker", "namespace")


class Session(NamedTuple):
    """Lines on projects; ``wanted`` is None where a player has to be asked."""

    title: str
    projects: dict[str, dict[str, str]]
    lines: list[Line]
    wanted: list[Printed] | None
    peer: Player = Player("docker compose", ("docker", "compose"))


def _sessions(kinds: Sequence[str], directories: Sequence[str], only: str | None) -> Iterator[Session]:
    for kind in kinds:
        session = _read(kind, only)
        if session.wanted is not None:
            yield session
            continue
        for directory in (None, *directories):
            environment = {} if directory is None else {"DOCKER_CONFIG": directory}
            peer = session.peer._replace(environment=environment)
            shown = subprocess.run(
                [*peer.command, "version", "--short"],
                env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            version = shown.stdout.strip().removeprefix("v")
            yield session._replace(title=f"docker compose {version}, on the same engine", peer=peer)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--of", choices=("v5", "live"), action="append")
    parser.add_argument("--compose", action="append", default=[], metavar="DIRECTORY")
    parser.add_argument("--backend", action="append", choices=_BACKENDS)
    parser.add_argument("--only", help="play this project's lines")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--all", action="store_true", help="print what differs for a reason too")
    options = parser.parse_args()
    reasons = [Reason.of(entry) for entry in yaml.safe_load((_HERE / "reasons.yaml").read_text())]
    results: list[tuple[str, Result]] = []
    known = ("v5", "live") if os.environ.get("COMPOSE_CORPUS") else ("live",)
    for session in _sessions(options.of or known, options.compose, options.only):
        wanted = session.wanted
        for backend in options.backend or _BACKENDS:
            with tempfile.TemporaryDirectory(prefix="composer-recorded-") as directory:
                player = _player(backend, directory)
                if wanted is None:
                    wanted = play(session.peer, session.projects, session.lines)
                got = play(player, session.projects, session.lines)
            result = judge(player, session.lines, wanted, got, reasons)
            print("\n".join((*(result.explained if options.all else ()), *result.unexplained)))
            print(f"{session.title}: {result.summary()}", flush=True)
            results.append((session.title, result))
    if options.write:
        _write(results, reasons)
    return 1 if any(result.unexplained for _, result in results) else 0


def _read(version: str, only: str | None) -> Session:
    if version == "v5":
        path = pathlib.Path(os.environ["COMPOSE_CORPUS"]) / "v5" / "sessions.json"
        recorded = json.loads(path.read_text())
        chosen = [one for one in recorded["commands"] if only in (None, one["project"])]
        return Session(
            "Docker Compose v5.5, recorded",
            {name: {"compose.yaml": text} for name, text in recorded["projects"].items()},
            [Line(one["project"], one["command"]) for one in chosen],
            [Printed(one["exit"], one["stdout"], one["stderr"]) for one in chosen],
        )
    found = yaml.safe_load((_HERE / "invocations.yaml").read_text())["projects"]
    projects = {
        name: {
            "compose.yaml": one["compose"].replace("image: X", f"image: {IMAGE}"),
            **{
                file: text.replace("image: X", f"image: {IMAGE}")
                for file, text in one.get("files", {}).items()
            },
        }
        for name, one in found.items()
        if only in (None, name)
    }
    return Session(
        "docker compose",
        projects,
        [Line(name, command) for name in projects for command in found[name]["lines"]],
        None,
    )


def _player(backend: str, directory: str) -> Player:
    """Return composer on a backend, with the image that the projects name."""
    root = str(_HERE.parents[1])
    player = Player(
        f"composer on {backend}",
        (sys.executable, "-m", "composer", "--backend", backend),
        {"COMPOSER_ROOT": f"{directory}/state", "PYTHONPATH": root},
    )
    archive = root_archive(pathlib.Path(directory))
    subprocess.run(
        [*player.command, "image", "import", archive, IMAGE, "--env", "PATH=/bin", "--cmd", '["sh"]', "--label", "v=0"],
        env=os.environ | dict(player.environment), check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return player


def _write(results: list[tuple[str, Result]], reasons: list[Reason]) -> None:
    begin, end = "<!-- recorded: begin -->", "<!-- recorded: end -->"
    used = {why for _, result in results for why in result.used}
    lines = [
        begin,
        "## Command lines, beside Docker Compose",
        "",
        "`make recorded` plays command lines on both backends, each without a terminal, and compares exit code,",
        "standard output and the lines of standard error with those of Docker Compose, but for ids, times and sizes.",
        "",
        "| beside | played by | lines | exit code equal | standard output equal | standard error equal |",
        "| --- | --- | --- | --- | --- | --- |",
        *(f"| {title} | {r.player} | {r.lines} | {r.codes} | {r.outs} | {r.errs} |" for title, r in results),
        "",
        "What differs, and why:",
        "",
        *(f"- {reason}" for reason in dict.fromkeys(one.why for one in reasons if one.why in used)),
        end,
    ]
    text = _PAGE.read_text()
    if begin in text:
        head, _, rest = text.partition(begin)
        text = head + "\n".join(lines) + rest.partition(end)[2]
    else:
        text = text.rstrip("\n") + "\n\n" + "\n".join(lines) + "\n"
    _PAGE.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
