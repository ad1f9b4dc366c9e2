"""All tests, as ``make test`` runs them: those of one piece on all processors, then the others two at a time.

    python -m tests.everything [PYTEST-OPTION…]

Tests of the built-in runtime look at the whole machine. So half of them run in a workplace of their own (`tests.apart`)
while the other half, with those that need the machine's Docker Engine, run on the machine itself. Each part is printed
whole when it has ended; the exit code is the worst.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

TESTS = Path(__file__).parent
_NONE_COLLECTED = 5


def parts() -> tuple[list[str], list[str], list[str]]:
    """Return the directories of each part; what is new and named nowhere here runs on the machine itself."""
    pieces, apart = ["tests/unit"], ["tests/integration/namespace"]
    others = sorted(
        {f"tests/{path.parent.relative_to(TESTS)}" for path in TESTS.rglob("test_*.py")}
        - _below(*pieces, *apart)
    )
    return pieces, apart, others


def _below(*places: str) -> set[str]:
    return {
        f"tests/{path.parent.relative_to(TESTS)}"
        for place in places
        for path in (TESTS.parent / place).rglob("test_*.py")
    }


def run(name: str, before: list[str], arguments: list[str], codes: list[int], lock: threading.Lock) -> None:
    """Run pytest and print what it said when it has ended."""
    command = [*before, sys.executable, "-m", "pytest", "-q", *arguments]
    with tempfile.TemporaryFile() as output:
        code = subprocess.run(command, cwd=TESTS.parent, stdout=output, stderr=output, check=False).returncode
        output.seek(0)
        with lock:
            print(f"==== {name}", flush=True)
            sys.stdout.buffer.write(output.read())
            sys.stdout.flush()
            codes.append(0 if code == _NONE_COLLECTED and "-k" in arguments else code)


def main(options: list[str]) -> int:
    codes: list[int] = []
    lock = threading.Lock()
    pieces, apart, others = parts()
    run("of one piece", [], [*pieces, "-n", "auto", *options], codes, lock)
    there = threading.Thread(
        target=run,
        args=("apart", [sys.executable, "-m", "tests.apart"], [*apart, *options], codes, lock),
    )
    there.start()
    run("on the machine itself", [], [*others, *options], codes, lock)
    there.join()
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
