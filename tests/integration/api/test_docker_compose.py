"""Docker Compose on our socket: its commands, and stacks that it and composer take over from each other."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable

import pytest

from tests import terminals, transcripts
from tests.api_client import Client
from tests.compared.api.image import archive
from tests.ports import free_port

pytestmark = [pytest.mark.root, pytest.mark.oracle]

Command = Callable[..., subprocess.CompletedProcess[str]]
PROJECT = """
name: trproject
services:
  web:
    image: box
    command: [sh, -c, "mkdir -p /www; echo page >/www/index.html; echo serving; exec /bin/busybox httpd -f -h /www"]
    init: true
    ports: ["127.0.0.1:PORT:80", "81"]
    environment: {A: b}
    labels: {own.label: "1"}
    volumes: ["data:/data", "./bound:/bound:ro"]
    healthcheck: {test: [CMD, wget, -qO-, "http://127.0.0.1/"], interval: 1s, start_period: 10s, start_interval: 200ms}
    networks: {front: {aliases: [www]}, back: {}}
    configs: [{source: conf, target: /etc/conf}]
    secrets: [secret]
    deploy: {resources: {limits: {pids: 100, memory: 64m}}}
  ticker:
    image: box
    command: [sh, -c, "while :; do echo tick; sleep 0.2; done"]
    init: true
    depends_on: {web: {condition: service_healthy}}
    networks: [front]
    restart: unless-stopped
    tmpfs: [/scratch]
    stop_grace_period: 1s
    logging: {options: {max-size: 1m}}
  once:
    image: box
    command: [sh, -c, "wget -qO- http://www/ && cat /etc/hostname >/dev/null"]
    depends_on: [web]
    networks: [front]
  tool:
    image: box
    command: [echo, tool]
    profiles: [tools]
    network_mode: none
networks:
  front: {}
  back: {internal: true, ipam: {config: [{subnet: 10.233.9.0/24}]}}
volumes: {data: {labels: {v: "1"}}}
configs: {conf: {content: "of a config\\n"}}
secrets: {secret: {environment: SECRET}}
"""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def project(client: Client, tmp_path: pathlib.Path, port: int) -> pathlib.Path:
    client.post("/images/load", {"quiet": 1}, archive(transcripts.IMAGE))
    place = tmp_path / "project"
    (place / "bound").mkdir(parents=True)
    (place / "bound/file").write_text("bound\n")
    (place / "compose.yaml").write_text(PROJECT.replace("PORT", str(port)))
    return place


@pytest.fixture
def variables(client: Client) -> dict[str, str]:
    return {**transcripts.environment(client.host), "SECRET": "word", "COMPOSE_STATUS_STDOUT": "0"}


@pytest.fixture
def compose(project: pathlib.Path, variables: dict[str, str]) -> Command:
    return commands(["docker", "compose", "--ansi", "never"], project, variables)


@pytest.fixture
def composer(project: pathlib.Path, variables: dict[str, str], tmp_path: pathlib.Path) -> Command:
    """Composer itself, on the state directory of the server."""
    own = {key: value for key, value in variables.items() if key != "DOCKER_HOST"}
    own |= {"COMPOSER_ROOT": str(tmp_path / "state"), "HOME": str(tmp_path / "home")}
    return commands([sys.executable, "-m", "composer", "--backend", "namespace"], project, own)


def commands(words: list[str], directory: pathlib.Path, variables: dict[str, str]) -> Command:
    def run(*arguments: str, status: int | None = 0, given: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*words, *arguments],
            cwd=directory,
            env=variables,
            input=given,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        if status is not None and done.returncode != status:
            pytest.fail(f"{' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    return run


def ids(client: Client) -> dict[str, tuple[str, str]]:
    """Return id and state of each container, by name."""
    listed = client.get("/containers/json", {"all": 1})
    return {one["Names"][0][1:]: (one["Id"], one["State"]) for one in listed}


def test_a_project_from_up_to_down(
    compose: Command, client: Client, port: int, project: pathlib.Path
) -> None:
    compose("up", "-d", "--wait", "web", "ticker")
    compose("up", "-d")
    deadline = time.monotonic() + 20
    wanted = {"trproject-web-1": "running", "trproject-ticker-1": "running", "trproject-once-1": "exited"}
    while (states := {name: state for name, (_, state) in ids(client).items()}) != wanted:
        assert time.monotonic() < deadline, states
        time.sleep(0.1)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        assert answer.read() == b"page\n"
    rows = [json.loads(line) for line in compose("ps", "-a", "--format", "json").stdout.splitlines()]
    web = next(row for row in rows if row["Service"] == "web")
    assert (web["State"], web["Health"]) == ("running", "healthy")
    assert {one["PublishedPort"] for one in web["Publishers"]} >= {port}
    assert compose("port", "web", "80").stdout == f"127.0.0.1:{port}\n"
    assert "httpd" in compose("top", "web").stdout
    assert compose("images", "web", "--format", "json").stdout.count("box") >= 1
    assert [row["Name"] for row in json.loads(compose("ls", "--format", "json").stdout)] == ["trproject"]
    assert "trproject_data" in compose("volumes", "-q").stdout
    assert compose(
        "exec", "-T", "web", "sh", "-c", "echo $A; cat /etc/conf /run/secrets/secret /bound/file"
    ).stdout == ("b\nof a config\nwordbound\n")
    assert compose("exec", "-T", "web", "sh", "-c", "exit 5", status=5).returncode == 5
    assert compose("exec", "-T", "web", "cat", given="given\n").stdout == "given\n"
    assert compose("run", "--rm", "-T", "tool").stdout == "tool\n"
    assert compose("run", "--rm", "-T", "tool", "sh", "-c", "exit 6", status=6).returncode == 6
    assert compose("run", "--rm", "-T", "--no-deps", "once", "wget", "-qO-", "http://web/").stdout == "page\n"
    (project / "file").write_text("copied\n")
    compose("cp", "file", "web:/tmp/copied")
    compose("cp", "web:/tmp/copied", "back")
    assert (project / "back").read_text() == "copied\n"
    assert "web-1  | serving" in compose("logs", "web").stdout
    compose("scale", "ticker=3")
    assert sum(name.startswith("trproject-ticker") for name in ids(client)) == 3
    compose("up", "-d", "--scale", "ticker=1")
    compose("pause", "web")
    assert ids(client)["trproject-web-1"][1] == "paused"
    compose("unpause", "web")
    compose("kill", "-s", "KILL", "ticker")
    assert ids(client)["trproject-ticker-1"][1] == "exited"
    compose("restart", "-t", "1", "ticker")
    compose("stop", "-t", "1")
    assert {state for _, state in ids(client).values()} == {"exited"}
    compose("start")
    compose("rm", "-sf", "once")
    compose("create", "once")
    assert ids(client)["trproject-once-1"][1] == "created"
    assert compose("stats", "--no-stream", "--format", "{{.Name}}").stdout.count("trproject") >= 2
    compose("export", "-o", "out.tar", "web")
    compose("commit", "web", "trimage:1")
    compose("down", "-v", "--remove-orphans", "-t", "1")
    assert ids(client) == {} and client.get("/volumes")["Volumes"] == []
    assert client.get("/networks", {"filters": {"type": ["custom"]}}) == []


def test_a_change_recreates_what_it_concerns(compose: Command, client: Client, project: pathlib.Path) -> None:
    compose("up", "-d", "--wait", "web", "ticker")
    before = ids(client)
    assert "Recreate" not in compose("up", "-d", "web", "ticker").stderr
    assert ids(client) == before
    file = project / "compose.yaml"
    file.write_text(file.read_text().replace("echo tick;", "echo tock;"))
    compose("up", "-d", "--wait", "web", "ticker")
    after = ids(client)
    assert after["trproject-web-1"] == before["trproject-web-1"]
    assert after["trproject-ticker-1"][0] != before["trproject-ticker-1"][0]
    compose("up", "-d", "--force-recreate", "--renew-anon-volumes", "-t", "1", "ticker")
    compose("down", "-v", "-t", "1")


def test_an_attached_up_and_its_end_by_ctrl_c(
    client: Client, project: pathlib.Path, variables: dict[str, str]
) -> None:
    words = ["docker", "compose", "--project-directory", str(project), "up", "web", "ticker"]
    with terminals.terminal(words, variables) as up:
        up.wait_for("serving")
        up.wait_for("tick")
        up.type("\x03")
        assert up.wait() in (0, 130)
    assert {state for _, state in ids(client).values()} == {"exited"}
    words = [
        "docker",
        "compose",
        "--project-directory",
        str(project),
        "up",
        "--abort-on-container-exit",
        "once",
    ]
    with terminals.terminal(words, variables) as up:
        up.wait_for("page")
        assert up.wait() == 0


def test_a_terminal_in_exec_and_run(
    compose: Command, project: pathlib.Path, variables: dict[str, str]
) -> None:
    compose("up", "-d", "--wait", "web")
    base = ["docker", "compose", "--project-directory", str(project)]
    for words in (["exec", "web", "sh"], ["run", "--rm", "tool", "sh"]):
        with terminals.terminal([*base, *words], variables) as shell:
            # the client sets the size when the program runs already
            shell.type("until stty size 2>/dev/null | grep '24 80'; do sleep 0.1; done; exit 7\n")
            shell.wait_for("\n24 80")
            assert shell.wait() == 7


def test_followers(
    compose: Command, client: Client, project: pathlib.Path, variables: dict[str, str]
) -> None:
    compose("up", "-d", "--wait", "web", "ticker")
    base = ["docker", "compose", "--ansi", "never", "--project-directory", str(project)]
    with terminals.terminal([*base, "logs", "-f", "--tail", "2"], variables) as logs:
        logs.wait_for("ticker-1  | tick")
        logs.wait_for("tick")
        assert logs.interrupt() in (0, 130)
    with terminals.terminal([*base, "events"], variables) as events:
        time.sleep(0.5)
        compose("restart", "-t", "1", "web")
        for action in ("kill", "die", "start"):
            events.wait_for(f"container {action}")
        assert events.interrupt() in (0, 130)
    with terminals.terminal([*base, "wait", "ticker"], variables) as waiting:
        time.sleep(0.3)
        compose("kill", "ticker")
        assert waiting.wait() == 137


def test_watch_copies_what_changes(client: Client, project: pathlib.Path, variables: dict[str, str]) -> None:
    (project / "source").mkdir()
    (project / "source/one").write_text("first\n")
    (project / "Dockerfile").write_text("FROM box\nCOPY source /source\n")
    (project / "compose.yaml").write_text(
        "name: trproject\nservices:\n  app:\n    build: .\n    init: true\n    command: [sleep, '1000']\n"
        "    develop: {watch: [{path: source, target: /source, action: sync}]}\n"
    )
    words = ["docker", "compose", "--project-directory", str(project), "up", "--watch", "--build"]
    with terminals.terminal(words, variables) as watch:
        watch.wait_for("Watch enabled")
        deadline = time.monotonic() + 60
        while True:
            # written anew each time: docker compose says that it watches before it does
            (project / "source/one").write_text("second\n")
            command = ["docker", "exec", "trproject-app-1", "cat", "/source/one"]
            done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
            if done.stdout == "second\n":
                break
            assert time.monotonic() < deadline, (done, watch.text)
            time.sleep(1)
        assert watch.interrupt() in (0, 130)


# ------------------------------------------------------------------ taken over


def test_composer_takes_over_what_docker_compose_made(
    compose: Command, composer: Command, client: Client
) -> None:
    compose("up", "-d", "--wait", "web", "ticker")
    compose("up", "-d")
    before = ids(client)
    plan = json.loads(composer("plan", "--json").stdout)
    changes = [one for one in plan["operations"] if "once" not in json.dumps(one)]
    assert changes == [], json.dumps(changes, indent=1)
    composer("up", "-d")
    after = ids(client)
    assert {name: id for name, (id, _) in after.items()} == {name: id for name, (id, _) in before.items()}
    assert composer("exec", "-T", "web", "cat", "/etc/conf").stdout == "of a config\n"
    composer("down", "-v", "-t", "1")
    assert ids(client) == {} and client.get("/volumes")["Volumes"] == []


def test_docker_compose_takes_over_what_composer_made(
    compose: Command, composer: Command, client: Client
) -> None:
    composer("up", "-d", "--wait", "web", "ticker")
    composer("up", "-d")
    before = ids(client)
    shown = compose("up", "-d").stderr
    assert "Recreate" not in shown and "Creating" not in shown, shown
    after = ids(client)
    assert {name: id for name, (id, _) in after.items()} == {name: id for name, (id, _) in before.items()}
    assert compose("exec", "-T", "web", "cat", "/run/secrets/secret").stdout == "word"
    compose("down", "-v", "-t", "1")
    assert ids(client) == {} and client.get("/volumes")["Volumes"] == []
