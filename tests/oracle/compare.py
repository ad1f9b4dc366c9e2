"""Holds the loader to what Docker Compose makes of the same files.

    python -m tests.oracle.compare DIRECTORY...          compare with the recorded verdicts in each sub-directory
    python -m tests.oracle.compare --live DIRECTORY...   ask the docker compose of this machine instead

A case is a directory with a compose file and ``expected.json`` (or ``want.json``), or ``expected-error.txt``
(``want.err``): the verdict of version 2.40. Where that of version 5.5 is another one it is in ``want-5.json`` or
``want-5.err``, or in ``v5/models.json`` beside the directory of a corpus, and is what we are held to; unless
``decided-5.txt`` says why we stay with 2.40. ``$DIR`` stands for the directory, ``$ABOVE`` (``$PARENT``) for the one
above, ``$PROJECT`` for its normalised name.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.engine.resolving.hashing import DEFAULT, service_hash
from composer.errors import ComposerError
from composer.schema.explain import explain
from composer.schema.files import COMPOSE_NAMES
from composer.schema.load import LoadOptions, load
from composer.schema.render import escape_dollars, project_json, to_json
from composer.schema.setting import normal_name
from tests.conftest import compose_version

if TYPE_CHECKING:
    from composer.engine.resolving.hashing import Form


def arguments(case: Path) -> dict[str, Any]:
    """Return the options of a case: ``case.json`` beside the compose file, all of it optional."""
    file = case / "case.json"
    return json.loads(file.read_text()) if file.exists() else {}


def compose_files(case: Path) -> tuple[str, ...]:
    """Return the compose files that a case names, or the default one."""
    named = arguments(case).get("files")
    if named:
        return tuple(str(case / one) for one in named)
    return tuple(str(case / name) for name in COMPOSE_NAMES if (case / name).exists())[:1]


def ours(case: Path) -> tuple[Any, str]:
    """Return our model as parsed JSON, or None and the error."""
    options = options_of(case)
    try:
        tree = load(options).tree
        # as `config` prints it: without interpolation it is what was written
        return json.loads(project_json(escape_dollars(tree)) if options.interpolate else to_json(tree)), ""
    except ComposerError as error:
        return None, explain(error)
    except Exception as error:  # a bug of ours: show it as a difference and go on
        return {"crash": repr(error)}, ""


def hashes(case: Path, form: Form = DEFAULT) -> dict[str, str]:
    """Return the hash of each service, as in its containers' labels."""
    return {name: service_hash(tree, form) for name, tree in load(options_of(case)).tree["services"].items()}


def options_of(case: Path) -> LoadOptions:
    """Return what a case is loaded with."""
    extra = arguments(case)
    environment = {"HOME": "/root", "PATH": "/usr/bin", **extra.get("environment", {})}
    return LoadOptions(
        files=compose_files(case),
        environment=environment,
        working_dir=str(case),
        home="/root",
        profiles=tuple(extra.get("profiles", ())),
        env_files=tuple(str(case / one) for one in extra.get("env_files", ())),
        **extra.get("flags", {}),
    )


def oracle(case: Path) -> tuple[Any, str]:
    """Return docker compose's model, or None and the error."""
    flags = arguments(case).get("oracle_flags", ())
    done = docker_compose(case, "config", "--format", "json", *flags)
    if "unknown shorthand flag" in done.stderr or "is not a docker command" in done.stderr:
        raise SystemExit("docker compose is not installed here")
    return (json.loads(done.stdout), done.stderr) if done.returncode == 0 else (None, done.stderr)


def docker_compose(case: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run docker compose on a case."""
    extra = arguments(case)
    command = ["docker", "compose"]
    for file in compose_files(case):
        command += ["-f", file]
    for profile in extra.get("profiles", ()):
        command += ["--profile", profile]
    for file in extra.get("env_files", ()):
        command += ["--env-file", str(case / file)]
    environment = {
        key: value for key, value in os.environ.items() if key in ("PATH", "DOCKER_CONFIG", "DOCKER_HOST")
    }
    environment.update({"HOME": "/root", **extra.get("environment", {})})
    return subprocess.run(
        [*command, *words],
        env=environment, cwd=case, capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def recorded(case: Path, *, newest: bool = True) -> tuple[Any, str] | None:
    """Return the recorded verdict of a case, None when it has none; the older one where ``newest`` is not asked for."""
    if newest and (found := _newest(case)) is not None:
        return found
    for name in ("expected.json", "want.json"):
        if (case / name).exists():
            return _model((case / name).read_text(), case), ""
    for name in ("expected-error.txt", "want.err"):
        if (case / name).exists():
            return None, (case / name).read_text()
    return None


def _newest(case: Path) -> tuple[Any, str] | None:
    """Return the verdict of version 5.5 where it differs from that of 2.40; None where it does not."""
    if (case / "want-5.json").exists():
        return _model((case / "want-5.json").read_text(), case), ""
    if (case / "want-5.err").exists():
        return None, (case / "want-5.err").read_text()
    found = _of_corpus(case)
    if "model" in found:
        return _model(json.dumps(found["model"]), case), ""
    return (None, found["error"]) if "error" in found else None


def recorded_hashes(case: Path) -> dict[str, str]:
    """Return the hashes of version 5.5 that were recorded for a case of a corpus."""
    found: dict[str, str] = _of_corpus(case).get("hash", {})
    return found


def _of_corpus(case: Path) -> dict[str, Any]:
    found: dict[str, Any] = _models(case.parent.parent / "v5" / "models.json")
    return found.get(f"{case.parent.name}/{case.name}") or {}


@functools.cache
def _models(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def _model(text: str, case: Path) -> Any:
    text = (
        text.replace("$DIR", str(case))
        .replace("$ABOVE", str(case.parent))
        .replace("$PARENT", str(case.parent))
    )
    return json.loads(text.replace("$PROJECT", normal_name(case.name)))


def differences(want: Any, got: Any, path: str = "") -> list[str]:
    """Return the places in which two parsed JSON values differ."""
    if isinstance(want, dict) and isinstance(got, dict):
        found = []
        for key in sorted({*want, *got}):
            if key not in got:
                found.append(f"{path}.{key}: missing, should be {json.dumps(want[key])[:200]}")
            elif key not in want:
                found.append(f"{path}.{key}: should not be there: {json.dumps(got[key])[:200]}")
            else:
                found += differences(want[key], got[key], f"{path}.{key}")
        return found
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        return [
            one
            for i, (a, b) in enumerate(zip(want, got, strict=True))
            for one in differences(a, b, f"{path}[{i}]")
        ]
    if (want == got and type(want) is type(got)) or (isinstance(want, (int, float)) and want == got):
        return []
    return [f"{path}: is {json.dumps(got)[:200]}, should be {json.dumps(want)[:200]}"]


def compare(case: Path, *, live: bool = False, major: int = 5) -> list[str]:
    """Return what differs in a case; empty when nothing does.

    A ``live`` oracle of a ``major`` version before 5 is held to its own record where version 5 made another one.
    """
    verdict = oracle(case) if live else recorded(case)
    if verdict is None:
        return []
    want, why = verdict
    if live and major < 5 and _newest(case) is not None:
        got, error = recorded(case, newest=False) or (None, "not recorded")
    else:
        got, error = ours(case)
    if want is None:
        return [] if got is None else [f"accepted, should be refused: {why.strip()[-200:]}"]
    if got is None:
        return [f"refused: {error}"]
    return differences(want, got)


def main(argv: list[str]) -> int:
    """Compare every case of the directories; print what differs; return 1 when something does."""
    live = "--live" in argv
    version = compose_version() if live else ()
    failed = total = 0
    for directory in (Path(one) for one in argv if not one.startswith("--")):
        cases = (
            [directory]
            if compose_files(directory)
            else sorted(one for one in directory.iterdir() if compose_files(one))
        )
        for case in cases:
            total += 1
            found = compare(case.resolve(), live=live, major=version[0] if version else 5)
            if found:
                failed += 1
                print(f"{case}:\n  " + "\n  ".join(found[:12]))
    print(f"{total - failed} of {total} agree")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
