"""`docker run` of many short commands at once, and of those that cannot start: nothing is lost, nothing hangs."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import transcripts
from tests.api_client import Client
from tests.compared.api.image import archive

pytestmark = [pytest.mark.root, pytest.mark.oracle]


@pytest.fixture
def box(client: Client) -> Client:
    client.post("/images/load", {"quiet": 1}, archive(transcripts.IMAGE))
    return client


def run(client: Client, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", "run", "--rm", *arguments],
        env=transcripts.environment(client.host),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_output_of_short_commands_is_whole(box: Client) -> None:
    """Their containers remove themselves in the moment in which they end."""

    def one(number: int) -> tuple[str, str, int]:
        done = run(box, "box", "sh", "-c", f"echo out {number}; echo err {number} >&2")
        return done.stdout, done.stderr, done.returncode

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(one, range(60)))
    assert found == [(f"out {number}\n", f"err {number}\n", 0) for number in range(60)]
    assert box.get("/containers/json", {"all": 1}) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-p", "127.0.0.1:18439:80"], "port is already allocated"),
        (["-v", "/etc/hostname/below:/x"], "not a directory"),
        (["--sysctl", "net.nosuch=1"], "net.nosuch"),
    ],
)
def test_what_cannot_start_ends_its_client_and_leaves_nothing(
    box: Client, options: list[str], words: str
) -> None:
    body = {
        "Image": "box",
        "Cmd": ["sleep", "1000"],
        "ExposedPorts": {"80/tcp": {}},
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18439"}]}},
    }
    box.post("/containers/create", {"name": "holder"}, body)
    box.post("/containers/holder/start")
    done = run(box, *options, "box", "true")
    assert done.returncode in (125, 126, 127) and words in done.stderr.lower()
    assert [one["Names"] for one in box.get("/containers/json", {"all": 1})] == [["/holder"]]


def test_what_happened_to_the_last_container_is_told_later(box: Client) -> None:
    for number in range(3):
        assert run(box, "--name", f"one{number}", "box", "true").returncode == 0
    found = box.ask(
        "GET", "/events", {"since": 1, "until": time.time() + 0.1, "filters": {"type": ["container"]}}
    )
    told = [
        (one["Actor"]["Attributes"]["name"], one["Action"])
        for one in found.lines
        if one["Action"] != "attach"
    ]
    actions = ("create", "start", "die", "destroy")
    assert told == [(f"one{number}", action) for number in range(3) for action in actions]
