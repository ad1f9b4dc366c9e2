"""``composer watch`` on the built-in runtime: what people, editors and git do to files, seen in the containers."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.watching import EDITORS, LEFT_BY_EDITORS, Watch

from .conftest import Stack, wait_for

pytestmark = pytest.mark.root

SERVICE = "image: host, command: [sleep, infinity], stop_signal: SIGKILL"
SYNC = f"""
services:
  web: {{{SERVICE}, develop: {{watch: [{{path: src, action: sync, target: /app}}]}}}}
"""

PYTHON = "/usr/bin/python3"

Begin = Callable[..., Watch]


@pytest.fixture
def begin(stack: Stack) -> Iterator[Begin]:
    """Write a compose file and begin to watch; at the end Ctrl-C must end it as it ends docker compose."""
    begun: list[Watch] = []

    def start(text: str, *arguments: str) -> Watch:
        (stack.directory / "src").mkdir(exist_ok=True)
        stack.write(text)
        begun.append(Watch(stack.popen(*(arguments or ("watch",)))))
        return begun[-1].begun()

    yield start
    for watch in begun:
        assert watch.stop() == 130, str(watch)


LISTING = """
import hashlib, os, sys
for directory, names, files in os.walk(sys.argv[1]):
    for name in sorted(names):
        print(os.path.relpath(os.path.join(directory, name), sys.argv[1]), "directory")
    for name in files:
        path = os.path.join(directory, name)
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        print(os.path.relpath(path, sys.argv[1]), oct(os.stat(path).st_mode & 0o7777), digest)
"""


def tree(top: pathlib.Path) -> list[str]:
    """Return what is below a directory, with modes and digests."""
    command = [PYTHON, "-c", LISTING, str(top)]
    return sorted(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


def inner_tree(stack: Stack) -> list[str]:
    """Return the same of the service, as far as it does not change while it is looked at."""
    found = stack.run("exec", "-T", "web", PYTHON, "-c", LISTING, "/app", check=False)
    return sorted(found.stdout.splitlines())


def is_the_same(stack: Stack, top: pathlib.Path) -> None:
    """Wait until the service has what is here."""
    expected = tree(top)
    wait_for(lambda: inner_tree(stack) == expected, what=f"{len(expected)} entries the same as here")


def holds(stack: Stack, index: str, text: str) -> bool:
    """Tell whether a replica has the file, with its mode and owner."""
    script = "cat /app/main.py && stat -c '%a %u:%g' /app/main.py"
    return stack.run("exec", "-T", "--index", index, "web", "sh", "-c", script, check=False).stdout == text


def prints(stack: Stack, service: str, script: str, text: str) -> bool:
    return stack.run("exec", "-T", service, "sh", "-c", script, check=False).stdout.strip() == text


@pytest.mark.parametrize("save", EDITORS)
def test_editors_save_in_their_ways(
    stack: Stack, begin: Begin, save: Callable[[pathlib.Path, str], None]
) -> None:
    """Each replica gets what was saved, with its mode, as its own user, and nothing that the editor had beside it."""
    file = stack.directory / "src/main.py"
    file.parent.mkdir()
    file.write_text("old\n")
    file.chmod(0o750)
    watch = begin(SYNC.replace("web: {", 'web: {user: "7:8", scale: 2, '))
    for number in range(3):
        text = f"one\ntwo {number}\n"
        save(file, text)
        for index in ("1", "2"):
            wait_for(partial(holds, stack, index, f"{text}750 7:8\n"), what=f"{save.__name__} {number}")
    watch.said('Syncing service "web" after')
    found = stack.shell("web", "ls -A /app").splitlines()
    assert not [name for name in found if name.endswith(LEFT_BY_EDITORS)]


def test_directories_come_move_and_go(stack: Stack, begin: Begin) -> None:
    source = stack.directory / "src"
    begin(SYNC)
    (source / "a/b/c").mkdir(parents=True)
    (source / "a/b/c/file").write_text("1")
    (source / "empty").mkdir(mode=0o700)
    is_the_same(stack, source)
    (source / "a/b").rename(source / "moved")
    (source / "a/late").write_text("2")
    is_the_same(stack, source)
    shutil.rmtree(source / "moved")
    (source / "empty").rmdir()
    is_the_same(stack, source)
    (source / "a/late").unlink()
    (source / "a/late").mkdir()
    (source / "a/late/inside").write_text("a file is a directory now")
    is_the_same(stack, source)
    shutil.rmtree(source / "a/late")
    (source / "a/late").write_text("and a file again")
    is_the_same(stack, source)
    (source / "na me'\"$x").write_text("odd")
    os.close(os.open(os.fsencode(source) + b"/\xff", os.O_CREAT | os.O_WRONLY))
    (source / "after").write_text("a name that is no text ends no watch")
    wait_for(lambda: stack.shell("web", "ls -A /app | wc -l") == "4" and stack.shell("web", "cat /app/after"))


def test_links_are_links_and_lead_out_no_more(stack: Stack, begin: Begin) -> None:
    """A link to what is watched is copied as it is; what another leads to is copied, and watched."""
    source, outside = stack.directory / "src", stack.directory / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep/file").write_text("1")
    (outside / "loop").symlink_to(outside)
    source.mkdir()
    (source / "real").mkdir()
    (source / "inner").symlink_to("real")
    (source / "out").symlink_to("../outside")
    begin(SYNC.replace("target: /app", "target: /app, initial_sync: true"))
    wait_for(lambda: stack.shell("web", "cat /app/out/deep/file || true") == "1")
    (outside / "deep/file").write_text("2")
    (source / "real/file").write_text("3")
    wait_for(lambda: stack.shell("web", "cat /app/out/deep/file") == "2")
    wait_for(lambda: stack.shell("web", "cat /app/real/file /app/inner/file || true") == "33")
    assert stack.shell("web", "readlink /app/inner; readlink /app/out || echo directory") == "real\ndirectory"


def git(directory: pathlib.Path, *arguments: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=directory, check=True, capture_output=True, timeout=60)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_branch_of_3000_files_is_switched(stack: Stack, begin: Begin) -> None:
    source = stack.directory / "src"
    (source / "old").mkdir(parents=True)
    for number in range(1500):
        (source / f"old/{number}").write_text(f"old {number}")
        (source / f"file{number}").write_text(f"old {number}")
    git(stack.directory, "init", "-q", "-b", "old")
    git(stack.directory, "add", "src")
    git(stack.directory, "commit", "-qm", "old")
    git(stack.directory, "checkout", "-q", "-b", "new")
    shutil.rmtree(source / "old")
    for number in range(1500):
        (source / f"file{number}").write_text(f"new {number}")
        (source / f"new{number % 7}").mkdir(exist_ok=True)
        (source / f"new{number % 7}/{number}").write_text(f"new {number}")
    git(stack.directory, "add", "-A", "src")
    git(stack.directory, "commit", "-qm", "new")
    git(stack.directory, "checkout", "-q", "old")
    watch = begin(SYNC.replace("target: /app", "target: /app, initial_sync: true"))
    is_the_same(stack, source)
    git(stack.directory, "checkout", "-q", "new")
    is_the_same(stack, source)
    watch.said("Large batch of file changes detected")
    git(stack.directory, "checkout", "-q", "old")
    is_the_same(stack, source)


def test_a_full_disk_is_told_and_tried_again(stack: Stack, begin: Begin) -> None:
    text = SYNC.replace("stop_signal", "tmpfs: ['/app:size=256k'], stop_signal")
    watch = begin(text)
    source = stack.directory / "src"
    (source / "big").write_bytes(os.urandom(1 << 20))
    watch.said("no space left on device; this is tried again with the next change")
    (source / "big").unlink()
    (source / "small").write_text("fits")
    wait_for(lambda: stack.shell("web", "cat /app/small || true") == "fits")
    assert stack.shell("web", "ls -A /app") == "small"


def test_a_container_that_is_restarted_replaced_or_stopped_gets_what_it_lacks(
    stack: Stack, begin: Begin
) -> None:
    watch = begin(SYNC.replace("stop_signal", "tmpfs: [/app/volatile], stop_signal"))
    source = stack.directory / "src"
    (source / "volatile").mkdir()
    (source / "volatile/file").write_text("1")
    (source / "kept").write_text("1")
    wait_for(lambda: stack.shell("web", "cat /app/kept /app/volatile/file || true") == "11")
    stack.run("restart", "-t", "0", "web")
    wait_for(lambda: stack.shell("web", "cat /app/kept /app/volatile/file || true") == "11")
    stack.run("up", "-d", "--force-recreate", "-t", "0")
    wait_for(lambda: stack.shell("web", "cat /app/kept /app/volatile/file || true") == "11")
    watch.said("was started", 2)
    stack.run("stop", "-t", "0", "web")
    (source / "kept").unlink()
    (source / "new").write_text("written while it did not run")
    watch.said('Syncing service "web" after 2 changes')
    stack.run("start", "web")
    wait_for(lambda: stack.shell("web", "ls /app") == "new\nvolatile")


BUILT = f"""
services:
  web:
    build: .
    depends_on: [db]
    stop_signal: SIGKILL
    develop:
      watch:
        - {{path: src, action: sync, target: /app}}
        - {{path: build.txt, action: rebuild}}
  db: {{{SERVICE}}}
"""
DOCKERFILE = 'FROM host\nCOPY build.txt /build.txt\nRUN {}\nCMD ["sleep", "infinity"]\n'


def ids(stack: Stack) -> dict[str, str]:
    lines = stack.out("ps", "-a", "--format", "{{.Service}} {{.ID}}").splitlines()
    return dict(line.split() for line in lines)


def test_a_rebuild_replaces_its_service_alone_and_loses_no_change(stack: Stack, begin: Begin) -> None:
    """What changes while it builds is there afterwards, in the new container; the old image goes."""
    (stack.directory / "Dockerfile").write_text(DOCKERFILE.format("sleep 2"))
    (stack.directory / "build.txt").write_text("1")
    watch = begin(BUILT)
    before = ids(stack)
    (stack.directory / "src/early").write_text("before the build")
    watch.said('Syncing service "web" after 1 changes')
    (stack.directory / "build.txt").write_text("2")
    watch.said('Rebuilding service(s) ["web"] after changes were detected...')
    (stack.directory / "src/meanwhile").write_text("during the build")
    watch.said('service(s) ["web"] successfully built')
    wait_for(lambda: stack.run("exec", "-T", "web", "cat", "/app/meanwhile", check=False).returncode == 0)
    assert (
        stack.shell("web", "cat /build.txt /app/early /app/meanwhile") == "2before the buildduring the build"
    )
    after = ids(stack)
    assert after["db"] == before["db"] and after["web"] != before["web"]
    wait_for(lambda: len(stack.out("image", "ls", "-aq").split()) == 1, what="the old image went")


def test_a_build_that_fails_leaves_what_runs_and_the_watch_goes_on(stack: Stack, begin: Begin) -> None:
    (stack.directory / "Dockerfile").write_text(DOCKERFILE.format("true"))
    (stack.directory / "build.txt").write_text("1")
    watch = begin(BUILT.replace("path: build.txt", "path: Dockerfile"))
    before = ids(stack)
    (stack.directory / "Dockerfile").write_text(DOCKERFILE.format("exit 3"))
    watch.said("Build failed. Error:")
    assert ids(stack) == before
    (stack.directory / "src/file").write_text("still watched")
    wait_for(lambda: stack.shell("web", "cat /app/file || true") == "still watched")
    (stack.directory / "Dockerfile").write_text(DOCKERFILE.format("echo 4 > /four"))
    watch.said("successfully built")
    wait_for(
        lambda: ids(stack)["web"] not in ("", before["web"]) and stack.shell("web", "cat /four /app/file")
    )


def test_services_of_one_build_are_built_once(stack: Stack, begin: Begin) -> None:
    (stack.directory / "Dockerfile").write_text(
        "FROM host\nCOPY src /src\nRUN cat /src/* > /made\nCMD sleep infinity\n"
    )
    (stack.directory / "src").mkdir()
    (stack.directory / "src/a").write_text("1")
    rule = "develop: {watch: [{path: src, action: rebuild}]}, stop_signal: SIGKILL"
    services = "\n".join(f"  {name}: {{image: shared, build: ., {rule}}}" for name in ("a", "b", "c"))
    watch = begin(f"services:\n{services}\n", "watch", "--no-prune")
    done = watch.count("RUN cat /src/*")
    (stack.directory / "src/a").write_text("2")
    watch.said('service(s) ["a" "b" "c"] successfully built')
    assert watch.count("RUN cat /src/*") == done * 2
    for name in ("a", "b", "c"):
        wait_for(partial(prints, stack, name, "cat /made", "2"))
    assert len(stack.out("image", "ls", "-aq").split()) == 2


def test_commands_run_and_services_restart_after_a_sync(stack: Stack, begin: Begin) -> None:
    script = 'echo "$A $(id -u) $PWD $(cat /conf/file)"; echo wrong >&2; exit 3'
    watch = begin(f"""
services:
  web:
    image: host
    command: [sleep, infinity]
    stop_signal: SIGKILL
    develop:
      watch:
        - path: conf
          action: sync+exec
          target: /conf
          exec: {{command: [sh, -c, {script.replace("$", "$$")!r}], user: "7", working_dir: /tmp, environment: [A=b]}}
        - {{path: restarts, action: restart}}
        - {{path: both, action: sync+restart, target: /both}}
""")
    (stack.directory / "conf").mkdir()
    (stack.directory / "conf/file").write_text("new")
    watch.said("b 7 /tmp new")
    watch.said("exited with code 3")
    assert "wrong" in watch.err
    started = stack.out("container", "inspect", "-f", "{{.State.StartedAt}}", f"{stack.name}-web-1")
    (stack.directory / "restarts").write_text("a file that was not there")
    watch.said('service(s) ["web"] restarted')
    assert stack.out("container", "inspect", "-f", "{{.State.StartedAt}}", f"{stack.name}-web-1") != started
    (stack.directory / "both").mkdir()
    (stack.directory / "both/file").write_text("both")
    watch.said('service(s) ["web"] restarted', 2)
    assert stack.shell("web", "cat /both/file") == "both"


def test_a_file_that_is_watched_and_a_directory_that_is_replaced(stack: Stack, begin: Begin) -> None:
    """A file is found again under its name; a directory that another takes the place of is compared with it."""
    (stack.directory / "app.conf").write_text("1")
    source = stack.directory / "src"
    source.mkdir()
    (source / "old").write_text("1")
    (source / "same").write_text("1")
    begin(
        SYNC.replace("watch: [", "watch: [{path: app.conf, action: sync, target: /etc/app/}, ").replace(
            "target: /app", "target: /app, initial_sync: true"
        )
    )
    wait_for(lambda: stack.shell("web", "ls /app || true") == "old\nsame")
    for number in range(2):
        temporary = stack.directory / "app.conf.new"
        temporary.write_text(f"conf {number}")
        temporary.rename(stack.directory / "app.conf")
        wait_for(partial(prints, stack, "web", "cat /etc/app/app.conf", f"conf {number}"))
    other = stack.directory / "other"
    other.mkdir()
    (other / "same").write_text("2")
    (other / "new").write_text("2")
    source.rename(stack.directory / "away")
    other.rename(source)
    wait_for(lambda: stack.shell("web", "cd /app; ls; cat *") == "new\nsame\n22")
    (source / "later").write_text("3")
    wait_for(lambda: stack.shell("web", "cat /app/later || true") == "3")


def test_what_is_left_out_stays_out(stack: Stack, begin: Begin) -> None:
    (stack.directory / "Dockerfile").write_text("FROM host\nCMD sleep infinity\n")
    (stack.directory / ".dockerignore").write_text("**/node_modules\nsrc/*.log\n")
    begin("""
services:
  web:
    build: .
    stop_signal: SIGKILL
    develop:
      watch:
        - {path: src, action: sync, target: /app, ignore: [secret/]}
        - {path: src, action: sync, target: /py, include: ["**/*.py"]}
""")
    source = stack.directory / "src"
    for name in ("node_modules/a.py", "b.log", "secret/c.py", "d.py", "deep/e.py", "deep/f.txt", ".git/g"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    listing = "cd {} && find . -type f | sort"
    wait_for(
        lambda: (
            stack.shell("web", listing.format("/app") + " || true")
            == "./.git/g\n./d.py\n./deep/e.py\n./deep/f.txt"
        )
    )
    # the second rule does not know the directory that the first one ignores
    assert stack.shell("web", listing.format("/py")) == "./d.py\n./deep/e.py\n./secret/c.py"
    shutil.rmtree(source / "deep")
    wait_for(lambda: stack.shell("web", listing.format("/py")) == "./d.py\n./secret/c.py")


def test_changes_during_the_first_build_arrive(stack: Stack, begin: Begin) -> None:
    (stack.directory / "Dockerfile").write_text("FROM host\nCOPY src /app\nRUN sleep 2\nCMD sleep infinity\n")
    source = stack.directory / "src"
    source.mkdir()
    (source / "file").write_text("1")
    stack.write(SYNC.replace(SERVICE, "build: ., stop_signal: SIGKILL"))
    process = stack.popen("watch")
    wait_for(lambda: list(stack.state.glob("lib/*")), what="the build began")
    (source / "file").write_text("2")
    watch = Watch(process).begun()
    wait_for(lambda: stack.shell("web", "cat /app/file") == "2")
    assert watch.stop() == 130


def test_other_commands_are_not_kept_waiting(stack: Stack, begin: Begin) -> None:
    watch = begin(SYNC)
    (stack.directory / "src/file").write_text("1")
    watch.said("Syncing")
    assert "being changed by" not in stack.run("up", "-d").stderr
    assert "being changed by" not in stack.run("restart", "-t", "0").stderr
    stack.run("down", "-t", "0")
    (stack.directory / "src/file").write_text("2")
    watch.said("Syncing", 2)


def test_ctrl_c_ends_a_command_and_a_build_that_run(stack: Stack, begin: Begin) -> None:
    """A command that would run for ever gets SIGTERM; a build is not waited for."""
    (stack.directory / "Dockerfile").write_text(DOCKERFILE.format("true"))
    (stack.directory / "build.txt").write_text("1")
    hook = "exec: {command: [sh, -c, 'echo begun; exec sleep 1000']}"
    text = BUILT.replace("action: sync, target: /app", f"action: sync+exec, target: /app, {hook}")
    watch = begin(text)
    (stack.directory / "src/file").write_text("1")
    watch.said("begun")
    assert watch.stop() == 130
    wait_for(lambda: "sleep 1000" not in stack.out("top", "web"))
    watch = begin(text)
    (stack.directory / "Dockerfile").write_text(DOCKERFILE.format("echo has be''gun; exec sleep 1000"))
    (stack.directory / "build.txt").write_text("2")
    watch.said("has begun")
    assert watch.stop() == 130
    wait_for(lambda: not running("sleep", "1000"), what="the command of the build ended with the watch")
    (stack.directory / "Dockerfile").write_text(DOCKERFILE.format("true"))
    stack.run("build")  # takes away what is left of the other, as after any build that was killed


def running(*command: str) -> bool:
    """Tell whether a process of this workplace has a command line."""
    wanted = "\0".join(command) + "\0"
    return any(
        wanted == file.read_text() for file in pathlib.Path("/proc").glob("[0-9]*/cmdline") if file.exists()
    )


def test_up_watches_beside_the_output(stack: Stack, begin: Begin) -> None:
    (stack.directory / "Dockerfile").write_text(
        DOCKERFILE.format("true").replace('"sleep", "infinity"', '"cat", "/build.txt", "-"')
    )
    (stack.directory / "build.txt").write_text("first\n")
    watch = begin(BUILT.replace("build: .", "build: .\n    stdin_open: true"), "up", "--watch")
    watch.said("first")
    (stack.directory / "src/file").write_text("1")
    watch.said('⦿ Syncing service "web" after 1 changes were detected')
    (stack.directory / "build.txt").write_text("second\n")
    watch.said("second")
    assert watch.stop() == 130
    assert "Gracefully Stopping" in str(watch)
    assert stack.out("ps", "-q") == ""


def test_what_cannot_be_watched_is_refused_with_its_place(stack: Stack) -> None:
    (stack.directory / "src").mkdir()
    stack.write(SYNC.replace("action: sync, target: /app", "action: rebuild"))
    said = stack.run("watch", check=False)
    assert said.returncode == 1
    assert 'can\'t watch service "web" with action rebuild without a build context' in said.stderr
    assert "compose.yaml:3:" in said.stderr
    stack.write(f"services: {{web: {{{SERVICE}}}}}\n")
    sentence = "none of the selected services is configured for watch, consider setting a 'develop' section"
    for command in (["watch"], ["watch", "--no-up"], ["up", "--watch"]):
        said = stack.run(*command, check=False)
        assert (said.returncode, sentence in said.stderr) == (1, True)
    stack.write(SYNC.replace("stop_signal", "volumes: ['.:/app'], stop_signal"))
    said = stack.run("watch", check=False)
    assert f"path '{stack.directory}/src' also declared by a bind mount volume" in said.stderr
    assert stack.out("ps", "-aq") == ""


def test_a_dry_run_shows_the_plan_and_what_is_watched(stack: Stack) -> None:
    (stack.directory / "src").mkdir()
    stack.write(SYNC)
    said = stack.out("--dry-run", "watch")
    assert f"{stack.name}-web-1" in said
    assert f"watch {stack.directory}/src: sync web to /app" in said
    assert stack.out("ps", "-aq") == ""
