"""What every fuzzer here shares: the child that libFuzzer ends, findings told once per place, a corpus that is kept.

    python -m tests.fuzz.NAME SECONDS [DIRECTORY]      the corpus stays in DIRECTORY (.fuzz/NAME), and is gone on from
    python -m tests.fuzz.NAME --replay FILE            run one input, show its traceback

Needs atheris (group ``fuzz``). Exit code 1 when there are findings: in DIRECTORY, each with its traceback.
"""

from __future__ import annotations

import hashlib
import os
import re
import resource
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Fuzzer(NamedTuple):
    """``run_one(data, work)`` raises what is a finding; ``load`` imports what is to be watched.

    ``isolate`` is called in the child before anything runs; ``work`` is an empty directory on a tmpfs.
    """

    name: str
    run_one: Callable[[bytes, Path], None]
    seeds: Callable[[], Iterable[bytes]]
    words: Callable[[], Iterable[str]]
    load: Callable[[], None]
    isolate: Callable[[Path, Path], None] = lambda directory, work: None
    max_input: int = 8192
    input_seconds: int = 10
    memory_mb: int = 1500
    address_space: int = 4 << 30


def signature(error: BaseException) -> str:
    """Return what makes two findings the same: the error's type and where in our code it came from."""
    own = [
        f"{Path(frame.filename).name}:{frame.name}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if f"{os.sep}composer{os.sep}" in frame.filename
    ]
    place = f"{type(error).__name__} at {own[-1] if own else f'the target: {error}'[:200]}"
    details = getattr(error, "errors", None)
    if callable(details):  # pydantic: one place in our code for every field
        place += " " + ", ".join(sorted({f"{one['loc'][0]} {one['type']}" for one in details()}))
    return place


class _Target:
    """What libFuzzer calls. A finding is saved, told once per place in our code, and fuzzing goes on."""

    def __init__(self, fuzzer: Fuzzer, directory: Path, work: Path) -> None:
        self._fuzzer, self._findings, self._work = fuzzer, directory / "findings", work
        self._seen: set[str] = set()

    def __call__(self, data: bytes) -> None:
        try:
            self._fuzzer.run_one(data, self._work)
        except Exception as error:
            name = signature(error)
            if name in self._seen:
                return
            self._seen.add(name)
            finding = hashlib.sha256(name.encode()).hexdigest()[:12]
            (self._findings / finding).write_bytes(data)
            (self._findings / f"{finding}.txt").write_text(f"{name}\n\n{traceback.format_exc()}")


def _fuzz(fuzzer: Fuzzer, directory: Path, seconds: int, work: Path) -> None:
    """Fuzz in this process, which libFuzzer ends."""
    import atheris

    resource.setrlimit(resource.RLIMIT_AS, (fuzzer.address_space, fuzzer.address_space))
    with atheris.instrument_imports(include=["composer"], enable_loader_override=False):
        fuzzer.load()
    fuzzer.isolate(directory, work)
    arguments = [
        fuzzer.name,
        f"-max_total_time={seconds}",
        f"-max_len={fuzzer.max_input}",
        f"-timeout={fuzzer.input_seconds}",
        f"-rss_limit_mb={fuzzer.memory_mb}",
        f"-dict={directory / 'words'}",
        f"-artifact_prefix={directory / 'findings'}/",
        "-print_final_stats=1",
        str(directory / "corpus"),
    ]
    atheris.Setup(arguments, _Target(fuzzer, directory, work), enable_python_coverage=True)
    atheris.Fuzz()


def _prepare(fuzzer: Fuzzer, directory: Path) -> int:
    """Put the seeds and the dictionary there; return how large the corpus is."""
    for name in ("corpus", "findings"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    for seed in fuzzer.seeds():
        path = directory / "corpus" / hashlib.sha256(seed).hexdigest()[:16]
        path.write_bytes(seed[: fuzzer.max_input])
    (directory / "words").write_text("".join(f'"{_escaped(word)}"\n' for word in sorted(fuzzer.words())))
    return len(list((directory / "corpus").iterdir()))


def _escaped(word: str) -> str:
    """Return a word as libFuzzer's dictionaries have it."""
    plain = (
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word.encode()
    )
    return "".join(plain)


def _run(fuzzer: Fuzzer, seconds: int, directory: Path) -> int:
    """Fuzz in a process of its own and say what came out."""
    seeded = _prepare(fuzzer, directory)
    log = directory / "log"
    module = f"tests.fuzz.{fuzzer.name}"
    with tempfile.TemporaryDirectory(dir="/dev/shm") as work, log.open("wb") as output:
        child = subprocess.run(
            [sys.executable, "-m", module, "--child", str(seconds), str(directory), work],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            timeout=seconds + 180,
            check=False,
        )
    text = log.read_text(errors="replace")
    executions = re.findall(r"stat::number_of_executed_units:\s*(\d+)", text)
    coverage = re.findall(r"cov: (\d+)", text)
    found = sorted((directory / "findings").iterdir())
    inputs = [path for path in found if path.suffix != ".txt"]
    print(f"executions: {executions[-1] if executions else 'unknown'}, corpus before: {seeded}")
    print(f"covered edges: {coverage[0]} at first, {coverage[-1]} at last" if coverage else text[-2000:])
    print(f"findings: {len(inputs)}, exit code of the fuzzer: {child.returncode}, in {directory}")
    for path in found:
        if path.suffix == ".txt":
            print(f"  {path.with_suffix('').name}: {path.read_text().splitlines()[0]}")
    return 1 if inputs or child.returncode else 0


def _replay(fuzzer: Fuzzer, file: Path) -> int:
    """Run one input in a child, which may have made the machine read-only for itself."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as work:
        pid = os.fork()
        if pid == 0:
            try:
                fuzzer.load()
                fuzzer.isolate(Path(work), Path(work))
                fuzzer.run_one(file.read_bytes(), Path(work))
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(fuzzer: Fuzzer) -> None:
    arguments = sys.argv[1:]
    if arguments[0] == "--child":
        _fuzz(fuzzer, Path(arguments[2]), int(arguments[1]), Path(arguments[3]))
    elif arguments[0] == "--replay":
        sys.exit(_replay(fuzzer, Path(arguments[1])))
    else:
        place = Path(arguments[1]) if len(arguments) > 1 else ROOT / ".fuzz" / fuzzer.name
        sys.exit(_run(fuzzer, int(arguments[0]), place))
