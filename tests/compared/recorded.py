"""Play the recorded command lines of Compose v5.5 with composer, on both backends, and say what differs.

    python -m tests.compared.recorded [--backend NAME] [--only PROJECT]

COMPOSE_CORPUS names the directory that has v5/sessions.json: projects, and for each command line the exit code and
the two outputs. Needs root, busybox, and for the docker backend an engine at DOCKER_HOST.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from tests.compared.sessions import Line, Player, Printed, compare, play, report
from tests.integration.contract.conftest import root_archive

IMAGE = "alpine"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", action="append", choices=("docker", "namespace"))
    parser.add_argument("--only", help="play this project's lines")
    options = parser.parse_args()
    recorded = json.loads((pathlib.Path(os.environ["COMPOSE_CORPUS"]) / "v5" / "sessions.json").read_text())
    chosen = [one for one in recorded["commands"] if options.only in (None, one["project"])]
    lines = [Line(one["project"], one["command"]) for one in chosen]
    wanted = [Printed(one["exit"], one["stdout"], one["stderr"]) for one in chosen]
    for backend in options.backend or ("docker", "namespace"):
        with tempfile.TemporaryDirectory(prefix="composer-recorded-") as directory:
            player = _player(backend, directory)
            got = play(player, recorded["projects"], lines)
        print(report(lines, wanted, got))
        verdicts = [compare(*pair) for pair in zip(wanted, got, strict=True)]
        codes, outs, errs = (sum(one[n] for one in verdicts) for n in range(3))
        print(f"{player.title}: of {len(lines)} lines exit code {codes}, stdout {outs}, stderr {errs} equal")
    return 0


def _player(backend: str, directory: str) -> Player:
    """Return composer on a backend, with the image that the projects name."""
    root = str(pathlib.Path(__file__).parents[2])
    player = Player(
        f"composer on {backend}",
        (sys.executable, "-m", "composer", "--backend", backend),
        {"COMPOSER_ROOT": f"{directory}/state", "PYTHONPATH": root, "DOCKER_CONFIG": directory},
    )
    archive = root_archive(pathlib.Path(directory))
    subprocess.run(
        [*player.command, "image", "import", archive, IMAGE, "--env", "PATH=/bin", "--cmd", '["sh"]'],
        env=os.environ | dict(player.environment), check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return player


if __name__ == "__main__":
    sys.exit(main())
