"""Input that wants to hurt: refused in bounded time and memory, with an error and never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from composer.errors import ProjectInvalid
from tests.unit.schema.project import errors, project, write

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(f'*{chr(97 + n)}' for _ in range(10))}]\n" for n in range(12)
)

HOSTILE = {
    "alias bomb": BOMB,
    "merge bomb": "x0: &x0 {k: v}\n"
    + "".join(f"x{n}: &x{n} {{a: *x{n - 1}, b: *x{n - 1}, c: *x{n - 1}}}\n" for n in range(1, 40)),
    "deep flow": "a: " + "[" * 100_000,
    "deep block": "".join(f"{' ' * n}a:\n" for n in range(400)),
    "many values": "x-a: [" + "1, " * 200_000 + "]\nservices: {a: {image: i}}",
    "many errors": "services:\n" + "".join(f"  s{n}: {{imagee: i}}\n" for n in range(1000)),
    "port ranges": "services:\n" + "".join(f"  s{n}: {{image: i, ports: ['1-65535']}}\n" for n in range(50)),
    "nested defaults": "services: {a: {image: '" + "${A:-" * 5000 + "x" + "}" * 5000 + "'}}",
    "braces at every level": "services: {a: {command: ['"
    + "','".join("${A:-" * 19 + "{}" * 30_000 + "}" * 19 for _ in range(20))
    + "']}}",
    "open braces": "services: {a: {image: '" + "${A:-" * 50_000 + "'}}",
    "long number": "services: {a: {image: i, scale: " + "9" * 100_000 + "}}",
    "infinite": "services: {a: {image: i, cpus: .inf, mem_limit: 1e400}}",
    "zero byte": 'services: {a: {image: i, env_file: "a\\0b", develop: {watch: [{path: "a\\0b", action: rebuild}]}}}',
    "not utf-8": b"services: {a: {image: \xff\xfe}}",
    "control": "services: {a: {image: \x01}}",
    "chain": "services:\n"
    + "".join(f"  s{n}: {{extends: s{n + 1}}}\n" for n in range(1000))
    + "  s1000: {image: i}\n",
    "long cycle": "services:\n"
    + "".join(f"  s{n}: {{image: i, depends_on: [s{(n + 1) % 1000}]}}\n" for n in range(1000)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text(name: str, tmp_path: Path) -> None:
    text = HOSTILE[name]
    (tmp_path / "compose.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())  # type: ignore[attr-defined]
    assert errors(tmp_path)


def test_env_file_that_doubles(tmp_path: Path) -> None:
    lines = ["A0=xxxxxxxxxx"] + [f"A{n}=$A{n - 1}$A{n - 1}" for n in range(1, 60)]
    (found,) = errors(tmp_path, "services: {a: {image: i}}", {".env": "\n".join(lines)})
    assert "expands to too much text" in found.message


def test_includes_that_double(tmp_path: Path) -> None:
    files = {f"f{n}.yaml": f"include: [f{n + 1}.yaml, f{n + 1}.yaml]\n" for n in range(30)}
    files["f30.yaml"] = "services: {a: {image: i}}\n"
    found = errors(tmp_path, "include: [f0.yaml]\n", files)
    assert any("too many included files" in error.message for error in found)


def test_includes_that_go_down_for_ever(tmp_path: Path) -> None:
    files = {f"f{n}.yaml": f"include: [f{n + 1}.yaml]\n" for n in range(200)}
    found = errors(tmp_path, "include: [f0.yaml]\n", files)
    assert any("too many levels of include" in error.message for error in found)


def test_what_is_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    for name, words in (
        ("fifo", "not a regular file"),
        ("directory", "is a directory"),
        ("nope", "no such file"),
    ):
        (found,) = errors(tmp_path, files=(str(tmp_path / name),))
        assert words in found.message


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "compose.yaml", "wb") as file:
        file.truncate(1 << 40)
    (found,) = errors(tmp_path)
    assert "MiB" in found.message


def test_a_large_env_file_takes_linear_time(tmp_path: Path) -> None:
    text = "".join(f"K{n}='v\n{n}'\n" for n in range(50_000))
    assert len(project(tmp_path, "services: {a: {image: i}}", {".env": text}).environment) == 50_002


def test_memory_and_time_stay_bounded(tmp_path: Path) -> None:
    """The worst of them in a process with 500 MB of address space and 10 s."""
    for number, name in enumerate(
        ("alias bomb", "merge bomb", "many values", "port ranges", "deep flow", "many errors")
    ):
        write(tmp_path, {f"{number}.yaml": str(HOSTILE[name])})
    program = (
        "import sys\nfrom composer.schema.load import *\nfrom composer.errors import ProjectInvalid\n"
        "for n in range(6):\n"
        "    try: load(LoadOptions(files=(f'{n}.yaml',)))\n"
        "    except ProjectInvalid: continue\n"
        "    sys.exit(n + 1)\n"
    )
    done = subprocess.run(
        ["prlimit", "--as=500000000", "--cpu=10", sys.executable, "-c", program],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_errors_are_capped(tmp_path: Path) -> None:
    with pytest.raises(ProjectInvalid) as caught:
        project(tmp_path, str(HOSTILE["many errors"]))
    assert len(caught.value.errors) == 200
