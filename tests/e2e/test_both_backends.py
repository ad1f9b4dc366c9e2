"""A project's life, the same on both real backends: what people do in a day, step by step.

Each step is a command and what can be seen after it.
"""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
import tarfile

import pytest

from tests.documents import check
from tests.e2e.stack import Stack
from tests.integration.contract.conftest import IMAGE
from tests.integration.namespace.conftest import wait_for

PROJECT = """
name: NAME
services:
  db:
    image: IMAGE
    command: [sh, -c, "echo ready > /data/state; echo db is up; exec sleep 600"]
    volumes: [data:/data]
    healthcheck: {test: [CMD, test, -e, /data/state], interval: 1s, start_period: 5s, start_interval: 100ms}
    stop_signal: SIGKILL
  migrate:
    image: IMAGE
    command: [sh, -c, "echo migrated >> /data/log"]
    volumes: [data:/data]
    depends_on: {db: {condition: service_healthy}}
  web:
    image: IMAGE
    command: [sh, -c, "cat /page; echo; exec sleep 600"]
    environment: {LEVEL: "${LEVEL:-info}"}
    configs: [{source: page, target: /page}]
    depends_on: {migrate: {condition: service_completed_successfully}}
    stop_signal: SIGKILL
  debug: {image: IMAGE, command: [sleep, "600"], stop_signal: SIGKILL, profiles: [debug]}
volumes: {data: {}}
configs: {page: {content: "page of ${LEVEL:-info}"}}
"""


@pytest.fixture
def stack(empty: Stack) -> Stack:
    empty.write(PROJECT)
    return empty


def test_a_day(stack: Stack) -> None:
    stack.run("up", "-d", "--wait", "web")
    assert stack.states() == {"db-1": "running", "migrate-1": "exited", "web-1": "running"}
    assert stack.run("exec", "-T", "db", "cat", "/data/log").stdout == "migrated\n"
    wait_for(lambda: "page of info" in stack.run("logs", "web").stdout, what="the output")

    before = stack.containers()
    stack.run("up", "-d", "web", LEVEL="debug")
    after = stack.containers()
    assert [name for name in after if after[name][1] != before[name][1]] == ["web-1"], "one service changed"
    wait_for(lambda: "page of debug" in stack.run("logs", "web").stdout, what="the output")

    planned = stack.run("plan", "--detailed-exitcode", "web", code=2).stdout
    assert "LEVEL" in planned, "the cause is named"

    stack.run("up", "-d", "--no-deps", "--scale", "web=3", "web")
    assert [name for name in stack.states() if name.startswith("web")] == ["web-1", "web-2", "web-3"]
    stack.run("scale", "--no-deps", "web=1")
    assert [name for name in stack.states() if name.startswith("web")] == ["web-1"]


def test_every_document_of_a_running_stack_is_as_described(stack: Stack) -> None:
    stack.run("up", "-d", "--wait", "--timeline", "times.json", "web")
    check("timeline", (stack.directory / "times.json").read_text())
    phases = [one["phase"] for one in json.loads((stack.directory / "times.json").read_text())["command"]]
    assert phases[:3] == ["interpreter", "imports", "loading"]
    assert phases[-1] == "starting"
    for name, *arguments in (
        ("doctor", "doctor", "--json"),
        ("events", "events", "--json", "--since", "5m", "--until", "0s"),
        ("graph", "graph", "--format", "json"),
        ("image-inspect", "image", "inspect", IMAGE),
        ("image-ls", "image", "ls", "--format", "json"),
        ("images", "images", "--format", "json"),
        ("ls", "ls", "-a", "--format", "json"),
        ("network-inspect", "network", "inspect", f"{stack.name}_default"),
        ("network-ls", "network", "ls", "--format", "json"),
        ("ps", "ps", "-a", "--format", "json"),
        ("stats", "stats", "--no-stream", "--format", "json"),
        ("system-df", "system", "df", "--format", "json"),
        ("volume-inspect", "volume", "inspect", f"{stack.name}_data"),
        ("volume-ls", "volumes", "--format", "json"),
    ):
        check(name, stack.run(*arguments).stdout)
    (graph,) = check("graph", stack.run("graph", "--critical-path", "--format", "json").stdout)
    assert [hop["service"] for hop in graph["critical_path"]] == ["db", "migrate", "web"]
    check("progress", stack.run("--progress", "json", "up", "-d", "web", LEVEL="debug").stderr)


def test_what_ends_at_once_is_heard_to_its_last_word(stack: Stack) -> None:
    """Each time anew: the container is the same, what it said the times before is not said again."""
    (stack.directory / "compose.yaml").write_text(
        f"name: {stack.name}\nservices: {{job: {{image: {IMAGE}, command: [echo, words]}}}}\n"
    )
    for _ in range(3):
        assert stack.run("up").stdout.count("words") == 1


LINES = 300_000
LOUD = f"i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); done"


def loud(stack: Stack, command: str) -> None:
    """Write a project of one service that says a great deal."""
    text = f"name: {stack.name}\nservices: {{job: {{image: {IMAGE}, command: [sh, -c, '{command}']}}}}\n"
    (stack.directory / "compose.yaml").write_text(text.replace("$", "$$"))


@pytest.mark.timeout(180)
def test_the_end_of_an_attached_up_waits_for_a_slow_reader(stack: Stack) -> None:
    """Who begins to read when all has long been said, and when a limited patience would be over."""
    loud(stack, LOUD)
    with subprocess.Popen(
        **stack.command("up"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        wait_for(
            lambda: stack.states().get("job-1") == "exited", timeout_s=90, what="the end of the container"
        )
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=5)  # longer than anybody's patience
        assert process.stdout is not None
        said = [line for line in process.stdout if "line" in line]
    assert [line.split()[-1] for line in said] == [str(number) for number in range(LINES)]
    assert process.returncode == 0


@pytest.mark.timeout(180)
def test_a_second_interrupt_waits_for_no_reader(stack: Stack) -> None:
    loud(stack, f"{LOUD}; exec sleep 600")
    with subprocess.Popen(
        **stack.command("up", "-t", "0"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        while "line 0" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        wait_for(lambda: stack.states().get("job-1") == "exited", timeout_s=60, what="the stop")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130


def test_wait_gives_up_on_a_crash_loop(stack: Stack) -> None:
    (stack.directory / "compose.yaml").write_text(
        f"""
        name: {stack.name}
        services:
          web:
            image: {IMAGE}
            command: [sh, -c, "echo no database; sleep 0.2; exit 7"]
            restart: always
            healthcheck: {{test: [CMD, "false"], interval: 10s}}
        """
    )
    result = stack.run("up", "--wait", "--wait-restarts", "2", code=1)
    assert "web-1 Restarted once" in result.stderr
    assert "was restarted 2 times and is not ready" in result.stderr
    assert "    no database" in result.stderr, "its last output"


def test_data_is_not_lost_from_sight(stack: Stack) -> None:
    """By another name of the volume, and by another name of the project in its directory."""
    text = (
        f"name: {stack.name}\n"
        f"services: {{db: {{image: {IMAGE}, command: [touch, /data/here], volumes: ['data:/data']}}}}\n"
        "volumes: {data: {}}\n"
    )
    file = stack.directory / "compose.yaml"
    file.write_text(text)
    stack.run("up", "-d")
    renamed = f"{stack.name}-elsewhere"
    file.write_text(text.replace("{data: {}}", f"{{data: {{name: {renamed}}}}}"))
    where = f"will be created empty; the data is in volume '{stack.name}_data', which "
    for verb in (("up", "-d"), ("run", "db"), ("create",)):
        assert where + "is no longer used" in stack.run(*verb, code=1).stderr
    assert f"volume {renamed}" in stack.run("plan").stdout
    file.write_text(text.replace(stack.name, f"{stack.name}b", 1))
    assert (
        where + f"belongs to project '{stack.name}' in this directory" in stack.run("up", "-d", code=1).stderr
    )
    stack.run("-p", stack.name, "down")
    assert where + "is no longer used (created by" in stack.run("up", "-d", code=1).stderr
    stack.run("-p", f"{stack.name}b", "up", "-d")
    stack.run("-p", f"{stack.name}b", "down", "-v")
    file.write_text(text.replace("{data: {}}", f"{{data: {{name: {renamed}}}}}"))
    stack.run("up", "-d", "--yes")
    stack.run("volume", "rm", f"{stack.name}_data")


def test_stopping_and_going_on(stack: Stack) -> None:
    stack.run("up", "-d")
    before = stack.containers()
    stack.run("stop", "-t", "0")
    assert set(stack.states().values()) == {"exited"}
    stack.run("start", "db")
    assert stack.states()["db-1"] == "running"
    stack.run("up", "-d")
    after = stack.containers()
    assert {name: id for name, (_, id) in after.items()} == {name: id for name, (_, id) in before.items()}
    stack.run("kill", "web")
    assert stack.states()["web-1"] == "exited"
    stack.run("restart", "-t", "0", "web")
    assert stack.states()["web-1"] == "running"
    stack.run("rm", "-f", "-s", "web")
    assert "web-1" not in stack.states()


def test_data_outlives_down_and_goes_with_its_volume(stack: Stack) -> None:
    stack.run("up", "-d")
    stack.run("down", "-t", "0")
    assert stack.states() == {}
    stack.run("up", "-d")
    assert stack.run("exec", "-T", "db", "cat", "/data/log").stdout == "migrated\nmigrated\n"
    stack.run("down", "-v", "-t", "0")
    stack.run("up", "-d")
    assert stack.run("exec", "-T", "db", "cat", "/data/log").stdout == "migrated\n"


def test_a_profile_and_a_mistake(stack: Stack) -> None:
    stack.run("--profile", "debug", "up", "-d")
    assert stack.states()["debug-1"] == "running"
    stack.run("--profile", "debug", "stop", "-t", "0", "debug")
    file = stack.directory / "compose.yaml"
    right = file.read_text()
    file.write_text(right.replace('[sh, -c, "cat /page', '[/no/such/program, "cat /page'))
    failed = stack.run("up", "-d", "--wait", code=1)
    assert "web" in failed.stderr
    assert "/no/such/program" in failed.stderr
    file.write_text(right)
    stack.run("up", "-d", "--wait")
    assert stack.states()["web-1"] == "running"


def test_files_processes_and_images_of_containers(stack: Stack, tmp_path: pathlib.Path) -> None:
    stack.run("up", "-d", "db")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("copied\n")
    stack.run("cp", f"{tmp_path}/in", "db:/srv/")
    assert stack.run("exec", "-T", "db", "cat", "/srv/in/file").stdout == "copied\n"
    stack.run("cp", "db:/srv/in/.", f"{tmp_path}/out")
    assert (tmp_path / "out" / "file").read_text() == "copied\n"
    assert (
        "no such file or directory in the container: /none"
        in stack.run("cp", "db:/none", str(tmp_path), code=1).stderr
    )

    lines = stack.run("top").stdout.splitlines()
    assert lines[0].split()[:5] == ["SERVICE", "#", "UID", "PID", "PPID"]
    assert lines[1].split()[:2] == ["db", "1"]
    assert any("sleep 600" in line for line in lines[1:]), "beside it a health check may run"
    used = json.loads(stack.run("stats", "--no-stream", "--format", "json").stdout)
    assert used["Name"] == f"{stack.name}-db-1" and int(used["PIDs"]) >= 1 and used["MemUsage"] != "0B / 0B"
    template = 'table {{.Name}}\\t{{.Label "com.docker.compose.service"}}'
    assert stack.run("ps", "--format", template).stdout.split() == [
        "NAME",
        "SERVICE",
        f"{stack.name}-db-1",
        "db",
    ]

    stack.run("export", "-o", f"{tmp_path}/files.tar", "db")
    with tarfile.open(tmp_path / "files.tar") as archive:
        names = archive.getnames()
    assert "srv/in/file" in names and "data/state" not in names
    image = f"{stack.name}-changed:1"
    stack.run("commit", "-m", "why", "-c", "ENV ADDED=yes", "db", image)
    try:
        found = stack.run(
            "image", "inspect", "--format", "{{index .RepoTags 0}} {{.Id}}", image
        ).stdout.split()
        assert found[0].startswith(image) and found[1].startswith("sha256:")
        base, made = json.loads(stack.run("image", "inspect", IMAGE, image).stdout)
        assert base["RootFS"]["Layers"] == made["RootFS"]["Layers"][:-1]
        assert all(layer.startswith("sha256:") for layer in made["RootFS"]["Layers"])
        text = (
            f"services: {{again: {{image: '{image}', command: [sh, -c, 'cat /srv/in/file; echo $$ADDED']}}}}"
        )
        (stack.directory / "again.yaml").write_text(text)
        again = ("-p", f"{stack.name}x", "-f", "again.yaml")
        assert stack.run(*again, "run", "--rm", "-T", "again").stdout == "copied\nyes\n"
        stack.run(*again, "down")
    finally:
        stack.run("image", "rm", image)


def test_stopped_containers_and_what_is_left_behind(stack: Stack, tmp_path: pathlib.Path) -> None:
    stack.run("create", "db")
    (tmp_path / "file").write_text("before the start\n")
    stack.run("cp", f"{tmp_path}/file", "db:/srv/")
    stack.run("start", "db")
    assert stack.run("exec", "-T", "db", "cat", "/srv/file").stdout == "before the start\n"
    stack.run("rm", "-fsv", "db")
    stack.run("rm", "-fsv", "db")
    own = f"label=com.docker.compose.project={stack.name}"
    assert f"{stack.name}_default" in stack.run("network", "prune", "-f", "--filter", own).stdout
    assert f"{stack.name}_data" not in stack.run("volume", "prune", "-f", "--filter", own).stdout
    assert f"{stack.name}_data" in stack.run("volume", "prune", "-af", "--filter", own).stdout
    kinds = [line.split("  ")[0] for line in stack.run("system", "df").stdout.splitlines()]
    assert kinds == ["TYPE", "Images", "Containers", "Local Volumes", "Build Cache"]
