"""Coverage-guided fuzzing of the whole loader (``make fuzz SECONDS=300``; group ``fuzz``: atheris, libFuzzer).

One input is a compose file and, after a line ``#override``, a second one on top of it. A load may return a project
or raise a `ComposerError`; of a project every rendering, every typed view and the advice must come out too. Anything
else is a finding: it is saved, told once per place in our code, and fuzzing goes on. Slow and large inputs end the
run, libFuzzer saves those. Seeds are the cases of tests/cases, words those of the schema.

    python -m tests.fuzz.loader SECONDS [DIRECTORY]      exit code 1 when there are findings
    python -m tests.fuzz.loader --replay FILE            run one input, show its traceback
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEPARATOR = "\n#override\n"
MAX_INPUT = 4096
INPUT_SECONDS, MEMORY_MB = 10, 1500
ADDRESS_SPACE = 3 << 30
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


def signature(error: BaseException) -> str:
    """Return what makes two findings the same: the error's type and where in our code it came from."""
    own = [
        f"{Path(frame.filename).name}:{frame.name}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if f"{os.sep}composer{os.sep}" in frame.filename
    ]
    place = f"{type(error).__name__} at {own[-1] if own else 'the target'}"
    details = getattr(error, "errors", None)
    if callable(details):  # pydantic: one place in our code for every field
        place += " " + ", ".join(sorted({f"{one['loc'][0]} {one['type']}" for one in details()}))
    return place


class Target:
    """What libFuzzer calls."""

    def __init__(self, directory: Path) -> None:
        self._findings = directory / "findings"
        self._work = directory / "work"
        self._seen: set[str] = set()

    def __call__(self, data: bytes) -> None:
        text = data.decode("utf-8", errors="replace")
        try:
            run_one(text, self._work)
        except Exception as error:
            name = signature(error)
            if name in self._seen:
                return
            self._seen.add(name)
            digest = hashlib.sha256(name.encode()).hexdigest()[:12]
            (self._findings / digest).write_bytes(data)
            (self._findings / f"{digest}.txt").write_text(f"{name}\n\n{traceback.format_exc()}")


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


def prepare(directory: Path) -> None:
    for name in ("corpus", "findings", "work"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (directory / "work" / name).write_text(text)
    for seed in seeds():
        (directory / "corpus" / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    (directory / "words").write_text("".join(f'"{word}"\n' for word in sorted(words())))


def fuzz(directory: Path, seconds: int) -> None:
    """Fuzz in this process, which libFuzzer ends."""
    import atheris

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    with atheris.instrument_imports(include=["composer"], enable_loader_override=False):
        from composer.schema import complaints, lint, load, origins, render, validate, views  # noqa: F401
    arguments = [
        "loader",
        f"-max_total_time={seconds}",
        f"-max_len={MAX_INPUT}",
        f"-timeout={INPUT_SECONDS}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-dict={directory / 'words'}",
        f"-artifact_prefix={directory / 'findings'}/",
        "-print_final_stats=1",
        str(directory / "corpus"),
    ]
    atheris.Setup(arguments, Target(directory), enable_python_coverage=True)
    atheris.Fuzz()


def main(seconds: int, directory: Path) -> int:
    """Fuzz in a process of its own and say what came out."""
    prepare(directory)
    seeded = len(list((directory / "corpus").iterdir()))
    log = directory / "log"
    with log.open("wb") as output:
        child = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.loader", "--child", str(seconds), str(directory)],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            timeout=seconds + 120,
            check=False,
        )
    text = log.read_text(errors="replace")
    executions = re.findall(r"stat::number_of_executed_units:\s*(\d+)", text)
    coverage = re.findall(r"cov: (\d+)", text)
    found = sorted((directory / "findings").iterdir())
    inputs = [path for path in found if path.suffix != ".txt"]
    print(f"executions: {executions[-1] if executions else 'unknown'}, seeds: {seeded}")
    print(f"covered edges: {coverage[0]} at first, {coverage[-1]} at last" if coverage else text[-2000:])
    print(f"findings: {len(inputs)}, exit code of the fuzzer: {child.returncode}, in {directory}")
    for path in found:
        if path.suffix == ".txt":
            print(f"  {path.with_suffix('').name}: {path.read_text().splitlines()[0]}")
    return 1 if inputs or child.returncode else 0


def replay(file: Path) -> None:
    with tempfile.TemporaryDirectory() as directory:
        for name, text in FILES.items():
            (Path(directory) / name).write_text(text)
        run_one(file.read_text(encoding="utf-8", errors="replace"), Path(directory))


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        fuzz(Path(sys.argv[3]), int(sys.argv[2]))
    elif sys.argv[1] == "--replay":
        replay(Path(sys.argv[2]))
    else:
        place = sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="composer-fuzz-")
        sys.exit(main(int(sys.argv[1]), Path(place)))
