"""Play every scenario with docker compose and with composer, and write docs/compared.md.

    python -m tests.compared.run [--only WORD] [--to FILE]

Needs root, docker with docker compose, an engine at DOCKER_HOST, and busybox.
"""

from __future__ import annotations

import argparse
import datetime
import os
import pathlib
import sys
import tempfile

from tests.compared.habits import HABITS
from tests.compared.inside import report
from tests.compared.places import IMAGE, PLACES, Place, versions
from tests.compared.scenarios import SCENARIOS, Result, Scenario
from tests.integration.contract.conftest import root_archive

ROOT = pathlib.Path(__file__).parents[2]
_HEAD = """# Compared with docker compose

Common problem scenarios, run by `make compared` with docker compose and with composer on the same engine,
and with composer's built-in runtime. ✔: the result is as expected; ✘: it is not. The table is generated.

"""

_EXCEPTIONS = """
## Intended differences

| scenario | docker compose 2.40 | composer |
| --- | --- | --- |
| a volume would start empty although its data is in another volume: its `name:`, its key or the project's name changed | creates the empty volume | `plan` reports it. `up`, `create`, `scale`, `run` and `apply` prompt on a terminal, and require `--yes` without one. With `-p` or `COMPOSE_PROJECT_NAME` they do not prompt, because two names in one directory are two projects |
| `--project-directory` does not exist, with `-f` | uses the last part of the path as the project name | exit 1 |
| `compose.yaml` is a broken symbolic link | uses the compose file of a parent directory | exit 1 |
| `-p NAME` or `COMPOSE_PROJECT_NAME`, with a `-f` file that does not exist | exit 1 | `ps`, `stop`, `down` and similar commands warn and continue |
| an invalid compose file whose project name can be read | exit 1 | `ps`, `stop`, `down` and similar commands continue |
| `pause` of several services, one of which is already paused; `unpause` of several, one of which is not paused | stops at the first such service | pauses or unpauses the others, and fails with the name of this service |
| `start`, `up` or `restart` of a service whose namespace another service shares | leaves the other service without a network (`restart` only if its `depends_on` is in the long form) | starts the other service again |
| two services swap their ports of the host; a renamed service has the `container_name` or a port of an orphan, with `--remove-orphans` | fails: the port or the name is in use | works |
| an invalid restart policy, limit, capability, signal or name server | fails when the container is created, after earlier changes | exit 1 before any change, with file and line |
| `up --wait` with a health check, on a container that is restarted again and again | waits forever | shows the restarts, and fails after `--wait-restarts` (3) |
"""  # noqa: E501 - a table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="play scenarios whose function's name has this in it")
    parser.add_argument("--to", default=str(ROOT / "docs" / "compared.md"))
    options = parser.parse_args()
    chosen = [one for one in (*SCENARIOS, *HABITS) if options.only in one.play.__name__]
    with tempfile.TemporaryDirectory(prefix="composer-compared-") as directory:
        os.environ["COMPOSER_ROOT"] = f"{directory}/state"
        os.environ["PYTHONPATH"] = str(ROOT)
        _images(pathlib.Path(directory))
        rows = [(scenario, _play(scenario, pathlib.Path(directory))) for scenario in chosen]
    page = pathlib.Path(options.to)
    page.write_text(_HEAD + _table(rows) + _foot(rows) + _EXCEPTIONS + report.kept(page))
    return 0


def _images(directory: pathlib.Path) -> None:
    archive = root_archive(directory)
    for kind in PLACES[1:]:
        place = kind(directory / "image", "compared")
        done = place.start([*place.command, "image", "import", archive, IMAGE, "--env", "PATH=/bin"])
        if done.code:
            sys.exit(f"{place.title}: {done.err}")


def _play(scenario: Scenario, directory: pathlib.Path) -> list[Result]:
    results = []
    for number, kind in enumerate(PLACES):
        name = f"compared{number}-{scenario.play.__name__.replace('_', '-')}"
        place: Place = kind(directory / name, name)
        try:
            results.append(scenario.play(place))
        finally:
            place.close()
        print(f"{scenario.play.__name__}: {place.title}: {results[-1]}", file=sys.stderr, flush=True)
    return results


def _table(rows: list[tuple[Scenario, list[Result]]]) -> str:
    lines = [
        "| scenario | expected | " + " | ".join(kind.title for kind in PLACES) + " | better |",
        "| --- | --- | " + "--- | " * len(PLACES) + "--- |",
    ]
    for scenario, results in rows:
        cells = [f"{'✔' if one.good else '✘'} {one.text}" for one in results]
        lines.append(f"| {scenario.title} | {scenario.wanted} | {' | '.join(cells)} | {_better(results)} |")
    return "\n".join(lines) + "\n"


def _better(results: list[Result]) -> str:
    """Say who does better on the engine that both use, and whether the built-in runtime differs."""
    theirs, ours, own = (one.good for one in results)
    text = "equal" if theirs == ours else "composer" if ours else "docker compose"
    return text if own == ours else f"{text}; own runtime {'as expected' if own else 'not'}"


def _foot(rows: list[tuple[Scenario, list[Result]]]) -> str:
    count = [sum(results[n].good for _, results in rows) for n in range(len(PLACES))]
    totals = ", ".join(f"{kind.title} {n} of {len(rows)}" for kind, n in zip(PLACES, count, strict=True))
    today = datetime.datetime.now(datetime.UTC).date()
    return f"\nAs expected: {totals}. Run on {today}: {versions()}.\n"


if __name__ == "__main__":
    sys.exit(main())
