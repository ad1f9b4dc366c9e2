"""Coverage-guided fuzzing of the whole loader (``make fuzz SECONDS=300``; group ``fuzz``: atheris, libFuzzer).

One input is a compose file and, after a line ``#override``, a second one on top of it. A load may return a project
or raise a `ComposerError`; of a project every rendering, every typed view and the advice must come out too. Anything
else is a finding: it is saved, told once per place in our code, and fuzzing goes on. Slow and large inputs end the
run, libFuzzer saves those. Seeds are the cases of tests/cases, words those of the schema.

    python -m tests.fuzz.loader SECONDS [DIRECTORY]
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz import harness
from tests.fuzz.harness import ROOT

SEPARATOR = "\n#override\n"
MAX_INPUT = 4096
FILES = {
    "base.yaml": "services: {base: {image: b, environment: {A: b}, ports: ['1:1'], volumes: ['./d:/d']}}\n",
    "inc.yaml": "services: {inc: {image: i}}\nnetworks: {inc: {}}\n",
    "web.env": "A=1\nB='${A}'\nC=\"x\\n\"\n",
}


def run_one(text: str, directory: Path) -> None:
    """Load one input and everything that is made of a project. Raises what the loader should not raise."""
    from composer.errors import ComposerError
    from composer.schema import lint, render
    from composer.schema.load import LoadOptions, load

    first, found, second = text.partition(SEPARATOR)
    names = ["-"]
    if found:
        (directory / "override.yaml").write_text(second, encoding="utf-8", errors="replace")
        names.append("override.yaml")
    options = LoadOptions(
        files=tuple(names),
        working_dir=str(directory),
        directory=str(directory),
        home=str(directory),
        environment={"A": "1", "EMPTY": ""},
        stdin=lambda: first,
    )
    try:
        project = load(options)
    except ComposerError as error:
        str(error)
        return
    json.loads(render.project_json(project.tree))
    render.to_yaml(project.tree, project.extensions)
    for section in ("services", "networks", "volumes", "configs", "secrets", "models"):
        getattr(project, section)
    for name in project.disabled:
        try:
            project.select([name])
        except ComposerError:
            pass  # a service that is checked only when it is enabled
    lint.lint(options)


def seeds() -> Iterator[bytes]:
    """Yield the compose files of the cases and of COMPOSE_CORPUS, those of a directory together."""
    roots = [
        ROOT / "tests" / "cases",
        *map(Path, filter(None, os.environ.get("COMPOSE_CORPUS", "").split(":"))),
    ]
    for directory in sorted({path.parent for root in roots for path in root.rglob("*.yaml")}):
        texts = [path.read_bytes() for path in sorted(directory.glob("*.yaml"))[:2]]
        yield SEPARATOR.encode().join(texts)[:MAX_INPUT]


def words() -> set[str]:
    """Return the attribute names and the enumerated values of the schema."""
    text = (ROOT / "composer" / "schema" / "compose-spec.json").read_text()
    return {
        *re.findall(r'"([a-z][a-z0-9_]+)"', text),
        "!reset",
        "!override",
        "<<: *",
        "${A:-",
        "service_healthy",
    }


def _load() -> None:
    from composer.schema import complaints, lint, load, origins, render, validate, views  # noqa: F401


def _run(data: bytes, directory: Path) -> None:
    for name, text in FILES.items():
        if not (directory / name).exists():
            (directory / name).write_text(text)
    run_one(data.decode("utf-8", errors="replace"), directory)


if __name__ == "__main__":
    harness.main(
        harness.Fuzzer("loader", _run, seeds, words, _load, max_input=MAX_INPUT, address_space=3 << 30)
    )
