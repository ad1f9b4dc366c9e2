"""``composer watch`` on Docker Engine, beside ``docker compose watch``: the same files arrive, and the same is said."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.integration.docker.conftest import COMMAND, PEER, Stack
from tests.watching import EDITORS, Watch

pytestmark = pytest.mark.docker

SYNC = """
services:
  web:
    image: IMAGE
    command: [sleep, "600"]
    stop_signal: SIGKILL
    develop: {watch: [{path: src, action: sync, target: /app}]}
"""

Begin = Callable[..., Watch]


@pytest.fixture
def begin(stack: Stack) -> Iterator[Begin]:
    """Write a compose file and begin to watch, as composer or as docker compose; at the end Ctrl-C ends it."""
    begun: list[Watch] = []

    def start(text: str, *arguments: str, command: list[str] = COMMAND) -> Watch:
        (stack.directory / "src").mkdir(exist_ok=True)
        stack.write(text)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
        process = subprocess.Popen(
            [*command, *(arguments or ("watch",))],
            cwd=stack.directory,
            env={
                **kept,
                "COMPOSE_PROJECT_NAME": stack.name,
                "COMPOSER_ROOT": str(stack.directory / "state"),
                "DOCKER_HOST": os.environ["COMPOSER_TEST_DOCKER"],
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        begun.append(Watch(process))
        return begun[-1].begun()

    yield start
    for watch in begun:
        assert watch.stop() == 130, str(watch)


def shell(stack: Stack, script: str, *, number: int = 1) -> str:
    found = stack.run(["docker"], "exec", f"{stack.name}-web-{number}", "sh", "-c", script, check=False)
    return found.stdout.strip()


def until(stack: Stack, script: str, expected: str, *, number: int = 1) -> None:
    """Wait until a script prints something in a replica."""
    deadline_s = time.monotonic() + 60
    while (found := shell(stack, script, number=number)) != expected:
        assert time.monotonic() < deadline_s, f"{script}: {found!r} instead of {expected!r}"
        time.sleep(0.05)


def test_editors_save_and_every_replica_gets_it_as_its_own_user(stack: Stack, begin: Begin) -> None:
    file = stack.directory / "src/main.py"
    file.parent.mkdir()
    file.write_text("old\n")
    file.chmod(0o750)
    begin(SYNC.replace("image: IMAGE", 'image: IMAGE\n    user: "7:8"\n    scale: 2'))
    for number, save in enumerate(EDITORS):
        save(file, f"text {number}\n")
        for replica in (1, 2):
            script = "cat /app/main.py; stat -c '%a %u:%g' /app/main.py; ls -A /app | grep -v '^main.py$'"
            until(stack, script, f"text {number}\n750 7:8", number=replica)


def test_directories_and_many_files(stack: Stack, begin: Begin) -> None:
    source = stack.directory / "src"
    watch = begin(SYNC)
    (source / "many").mkdir()
    for number in range(1200):
        (source / f"many/{number}").write_text(str(number))
    until(
        stack,
        "cat /app/many/* | wc -c; ls /app/many | wc -l",
        f"{sum(len(str(n)) for n in range(1200))}\n1200",
    )
    watch.said('Syncing service "web" after')
    (source / "many").rename(source / "moved")
    until(stack, "ls /app; ls /app/moved | wc -l", "moved\n1200")
    for path in (source / "moved").iterdir():
        path.unlink()
    (source / "moved").rmdir()
    (source / "moved").write_text("a file")
    until(stack, "cat /app/moved", "a file")


def test_a_tmpfs_is_reached_and_a_full_one_is_tried_again(stack: Stack, begin: Begin) -> None:
    """The engine's archive requests do not see it: files go through the container's tar, also after a restart."""
    watch = begin(SYNC.replace("command:", "tmpfs: ['/app:size=256k']\n    command:"))
    source = stack.directory / "src"
    (source / "big").write_text("x" * (1 << 20))
    watch.said("this is tried again with the next change")
    assert watch.count("No space left on device")
    (source / "big").unlink()
    (source / "small").write_text("fits")
    until(stack, "cat /app/*", "fits")
    stack.ours("restart", "-t", "0")
    until(stack, "cat /app/*", "fits")


def test_a_rebuild_replaces_its_service_alone(stack: Stack, begin: Begin) -> None:
    """A build that fails leaves what runs; the old image goes with the container that had it."""
    text = """
services:
  web:
    build: .
    depends_on: [db]
    stop_signal: SIGKILL
    develop:
      watch:
        - {path: src, action: sync, target: /app}
        - {path: Dockerfile, action: rebuild}
  db: {image: IMAGE, command: [sleep, "600"], stop_signal: SIGKILL}
"""
    image = stack_image(stack)
    dockerfile = stack.directory / "Dockerfile"
    dockerfile.write_text(f'FROM {image}\nRUN echo 1 > /made\nCMD ["sleep", "600"]\n')
    watch = begin(text)
    before = {name: stack.inspect(name)["Id"] for name in ("web", "db")}
    (stack.directory / "src/file").write_text("kept")
    watch.said('Syncing service "web" after 1 changes were detected')
    dockerfile.write_text(f"FROM {image}\nRUN exit 3\n")
    watch.said("Build failed. Error:")
    assert stack.inspect("web")["Id"] == before["web"]
    dockerfile.write_text(f'FROM {image}\nRUN echo 2 > /made\nCMD ["sleep", "600"]\n')
    watch.said('service(s) ["web"] successfully built')
    until(stack, "cat /made /app/file", "2\nkept")
    assert stack.inspect("db")["Id"] == before["db"]
    dangling = ("--filter", "dangling=true", "--filter", f"label=com.docker.compose.project={stack.name}")
    deadline_s = time.monotonic() + 60
    while stack.engine("images", "-q", *dangling):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert watch.stop() == 130
    stack.ours("down", "-t", "0", "--rmi", "local")


def stack_image(stack: Stack) -> str:
    """Return the base image that compose files here name IMAGE."""
    from tests.integration.contract.conftest import IMAGE

    return IMAGE


@pytest.mark.parametrize("command", [COMMAND, PEER], ids=["composer", "docker compose"])
def test_both_say_the_same(stack: Stack, begin: Begin, command: list[str]) -> None:
    watch = begin(
        """
services:
  web:
    image: IMAGE
    command: [sleep, "600"]
    stop_signal: SIGKILL
    develop:
      watch:
        - {path: src, action: sync, target: /app}
        - {path: restarts, action: restart}
        - {path: run, action: sync+exec, target: /run/it, exec: {command: [echo, "it ran"]}}
""",
        command=command,
    )
    for name in ("restarts", "run"):
        (stack.directory / name).mkdir()
    (stack.directory / "src/a").write_text("a")
    watch.said('Syncing service "web" after 1 changes were detected')
    (stack.directory / "src/d").mkdir()
    (stack.directory / "src/d/b").write_text("b")
    watch.said('Syncing service "web" after 2 changes were detected')
    (stack.directory / "restarts/x").write_text("x")
    watch.said('service(s) ["web"] restarted')
    (stack.directory / "run/x").write_text("x")
    watch.said("it ran")
    until(stack, "cat /app/a /app/d/b /run/it/x", "abx")
    assert watch.stop() == 130
    assert [line for line in watch.out if line and "Container" not in line][:4] == [
        "Watch enabled",
        'Syncing service "web" after 1 changes were detected',
        'Syncing service "web" after 2 changes were detected',
        'service(s) ["web"] restarted',
    ]
    stack.theirs("down", "-t", "0")
