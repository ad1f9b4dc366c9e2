"""On macOS and Windows the Docker backend works, and the built-in runtime says in one line that it needs Linux."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.unit.docker.engine import Asked, Engine, answer

ROOT = pathlib.Path(__file__).parents[3]

# What other systems lack is taken away first; the standard library and click are there before, for they would
# look for the other system's own modules.
PROGRAM = """
import sys
import click, importlib, json, os, select, selectors, signal, socket, subprocess, tempfile, threading, tomllib
import click._termui_impl, hashlib, ipaddress, urllib.parse

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ABSENT:
            raise ModuleNotFoundError(f"no {name} here", name=name)

if sys.argv[1] == "darwin":
    ABSENT, functions, numbers = {"systemd"}, (), ()
else:
    ABSENT = {"fcntl", "termios", "tty", "pwd", "grp", "resource"}
    functions = ("fork", "geteuid", "getuid", "pread", "pwrite", "uname", "statvfs", "setns", "unshare")
    numbers = ("SIGHUP", "SIGQUIT", "SIGWINCH", "SIGKILL", "SIGUSR1", "SIGCHLD")
for name in ABSENT:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Absent())
for module, names in ((os, (*functions, "pidfd_open", "memfd_create")), (signal, numbers)):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
sys.platform = sys.argv[1]

import msvcrt_stand_in
sys.modules["msvcrt"] = msvcrt_stand_in
from composer.cli.main import run
sys.exit(run(sys.argv[2:], os.environ))
"""
LOCKING = """
LK_LOCK, LK_NBLCK = 1, 2
def locking(descriptor, mode, count):
    import os
    assert os.lseek(descriptor, 0, os.SEEK_CUR) > 10000, "the text must stay readable"
"""


def reply(asked: Asked) -> bytes:
    if "/containers/json" in asked.target:
        return answer(200, [])
    if "/volumes" in asked.target:
        return answer(200, {"Volumes": []})
    if "/images/" in asked.target:
        return answer(200, {"Id": f"sha256:{'0' * 64}", "RepoTags": ["nginx:latest"], "Config": {}})
    return answer(200, [])


@pytest.fixture(params=["darwin", "win32"])
def system(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def on(
    system: str, directory: pathlib.Path, *arguments: str, host: str = ""
) -> subprocess.CompletedProcess[str]:
    (directory / "msvcrt_stand_in.py").write_text(LOCKING)
    (directory / "compose.yaml").write_text("name: app\nservices: {web: {image: nginx}}\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "COMPOSER_ROOT": str(directory / "state"),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{directory}",
        **({"DOCKER_HOST": host} if host else {}),
    }
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, system, *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "verb", [("ps",), ("ls",), ("logs",), ("down",), ("config", "-q"), ("plan",), ("--help",)]
)
def test_docker_works(system: str, tmp_path: pathlib.Path, verb: tuple[str, ...]) -> None:
    engine = Engine(tmp_path, reply)
    try:
        result = on(system, tmp_path, "--backend", "docker", *verb, host=engine.url)
    finally:
        engine.close()
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr


def test_exec_starts(system: str, tmp_path: pathlib.Path) -> None:
    """Its module handles terminals and signals, of which other systems have fewer."""
    engine = Engine(tmp_path, reply)
    try:
        result = on(system, tmp_path, "--backend", "docker", "exec", "-T", "web", "true", host=engine.url)
    finally:
        engine.close()
    assert 'service "web" is not running' in result.stderr


def test_the_runtime_needs_linux(system: str, tmp_path: pathlib.Path) -> None:
    result = on(system, tmp_path, "--backend", "namespace", "ps")
    assert result.returncode == 1
    assert result.stderr.splitlines()[0] == "error: the built-in runtime requires Linux"
    assert len(result.stderr.splitlines()) == 2


def test_doctor_says_so(system: str, tmp_path: pathlib.Path) -> None:
    result = on(system, tmp_path, "doctor", "--json", host=f"unix://{tmp_path}/none.sock")
    assert result.returncode == 1, result.stderr
    found = json.loads(result.stdout)["backends"]["namespace"]
    assert [one["text"] for one in found["findings"]] == ["the built-in runtime requires Linux"]


def test_the_default_of_windows_is_a_named_pipe(tmp_path: pathlib.Path) -> None:
    result = on("win32", tmp_path, "--backend", "docker", "ps")
    assert result.returncode == 1
    assert "npipe:////./pipe/docker_engine" in result.stderr
    assert "pywin32" in result.stderr
