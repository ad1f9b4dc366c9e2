"""Clients that ask for the same at once, and clients that go in the middle: nothing breaks, and nothing stays."""

from __future__ import annotations

import collections
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from tests.api_client import Answer, Client, Server, await_answer
from tests.compared.api.image import archive
from tests.registries import push

pytestmark = pytest.mark.root

SLEEP = {"Image": "box", "Cmd": ["sleep", "1000"], "StopSignal": "SIGKILL"}


@pytest.fixture
def client(server: Server) -> Client:
    made = server.client()
    made.post("/images/load", {"quiet": 1}, archive("box"))
    return made


def at_once(questions: Sequence[Callable[[], Answer]]) -> collections.Counter[int]:
    """Ask all at the same time; return the statuses. None may be a fault of the server."""
    answers: list[Answer] = []
    ready = threading.Barrier(len(questions))

    def ask(question: Callable[[], Answer]) -> None:
        ready.wait()
        answers.append(question())

    threads = [threading.Thread(target=ask, args=(one,)) for one in questions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(questions)
    assert not [one for one in answers if one.status >= 500], answers
    return collections.Counter(one.status for one in answers)


def named(client: Client, name: str, *, starts: bool = False) -> str:
    id = str(client.post("/containers/create", {"name": name}, SLEEP).json["Id"])
    if starts:
        client.post(f"/containers/{id}/start")
    return id


def test_one_of_twenty_gets_a_name(client: Client) -> None:
    asked = [lambda: client.ask("POST", "/containers/create", {"name": "same"}, body=SLEEP)] * 20
    assert at_once(asked) == {201: 1, 409: 19}
    assert len(client.get("/containers/json", {"all": 1})) == 1
    ids = [named(client, f"name{number}") for number in range(8)]
    renamed = [lambda id=id: client.ask("POST", f"/containers/{id}/rename", {"name": "one"}) for id in ids]
    assert at_once(renamed) == {204: 1, 409: 7}


def test_starts_stops_and_removals_at_once(client: Client) -> None:
    named(client, "web")
    start = lambda: client.ask("POST", "/containers/web/start")  # noqa: E731
    stop = lambda: client.ask("POST", "/containers/web/stop", {"t": 0})  # noqa: E731
    restart = lambda: client.ask("POST", "/containers/web/restart", {"t": 0})  # noqa: E731
    remove = lambda: client.ask("DELETE", "/containers/web", {"force": 1})  # noqa: E731
    assert set(at_once([start] * 10)) <= {204, 304}
    assert client.get("/containers/web/json")["State"]["Running"]
    assert set(at_once([start, stop, restart] * 5)) <= {204, 304}
    assert set(at_once([start, remove, stop] * 4)) <= {204, 304, 404, 409}
    assert client.ask("GET", "/containers/web/json").status == 404
    named(client, "web")  # the name is free


def test_changes_of_one_container_at_once_are_all_there(client: Client) -> None:
    id = named(client, "web", starts=True)
    for number in range(6):
        client.post("/networks/create", body={"Name": f"net{number}"})
    joined = [
        lambda number=number: client.ask("POST", f"/networks/net{number}/connect", body={"Container": id})
        for number in range(6)
    ]
    renamed = [
        lambda number=number: client.ask("POST", f"/containers/{id}/rename", {"name": f"new{number}"})
        for number in range(6)
    ]
    limited = [
        lambda: client.ask("POST", f"/containers/{id}/update", body={"Memory": 1 << 26, "MemorySwap": -1})
    ]
    assert set(at_once([*joined, *renamed, *limited])) <= {200, 204}
    found = client.get(f"/containers/{id}/json")
    assert found["NetworkSettings"]["Networks"].keys() == {"bridge", *(f"net{number}" for number in range(6))}
    assert found["HostConfig"]["Memory"] == 1 << 26
    for number in range(6):
        named(client, f"new{number}x")
        if found["Name"] != f"/new{number}":
            named(client, f"new{number}")  # its name is free again


def test_networks_that_go_while_containers_join(client: Client) -> None:
    id = named(client, "web", starts=True)
    body = {"Container": id}
    for _ in range(5):
        client.ask("POST", "/networks/create", body={"Name": "net"})
        assert set(at_once([lambda: client.ask("DELETE", "/networks/net")] * 6)) <= {204, 404}
        assert at_once([lambda: client.ask("POST", "/networks/create", body={"Name": "net"})] * 8) == {
            201: 1,
            409: 7,
        }
        mixed = [
            lambda: client.ask("POST", "/networks/net/connect", body=body),
            lambda: client.ask("DELETE", "/networks/net"),
        ]
        assert set(at_once(mixed * 4)) <= {200, 204, 400, 403, 404, 409}
        client.ask("POST", "/networks/net/disconnect", body=body)
        client.ask("DELETE", "/networks/net", status=(204, 404))
        assert client.get("/containers/web/json")["NetworkSettings"]["Networks"].keys() == {"bridge"}


def test_one_that_is_paused_as_it_is_killed_starts_again(client: Client) -> None:
    id = named(client, "web", starts=True)
    for _ in range(15):
        pause = lambda: client.ask("POST", f"/containers/{id}/pause")  # noqa: E731
        kill = lambda: client.ask("POST", f"/containers/{id}/kill")  # noqa: E731
        assert set(at_once([kill, pause])) <= {204, 409}
        client.ask("POST", f"/containers/{id}/unpause")
        client.ask("POST", f"/containers/{id}/stop", {"t": 0}, status=(204, 304))
        client.post(f"/containers/{id}/start")
        exec_id = client.post(
            f"/containers/{id}/exec", body={"Cmd": ["echo", "in"], "AttachStdout": True}
        ).json["Id"]
        assert b"in" in client.ask("POST", f"/exec/{exec_id}/start", body={}).body


def test_a_container_that_goes_while_it_joins(client: Client) -> None:
    client.post("/networks/create", body={"Name": "net"})
    for _ in range(10):
        id = named(client, "web")
        join = lambda id=id: client.ask("POST", "/networks/net/connect", body={"Container": id})  # noqa: E731
        leave = lambda id=id: client.ask("POST", "/networks/net/disconnect", body={"Container": id})  # noqa: E731
        remove = lambda id=id: client.ask("DELETE", f"/containers/{id}")  # noqa: E731
        ready = [join, leave, join, remove]
        barrier = threading.Barrier(len(ready))
        answers: list[Answer] = []

        def ask(
            question: Callable[[], Answer],
            barrier: threading.Barrier = barrier,
            answers: list[Answer] = answers,
        ) -> None:
            barrier.wait()
            answers.append(question())

        threads = [threading.Thread(target=ask, args=(one,)) for one in ready]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Docker, too, answers 500 where a container is in no such network
        assert not [one for one in answers if one.status >= 500 and "is not connected" not in one.message], (
            answers
        )


def test_a_stop_that_waits_for_ever_is_taken(client: Client) -> None:
    named(client, "web", starts=True)
    for seconds in (-1, (1 << 63) - 1):
        client.post("/containers/web/stop", {"t": seconds, "signal": "KILL"})
        client.post("/containers/web/start")


def test_ids_that_lead_elsewhere_are_not_found(client: Client) -> None:
    for id in ("9" * 400, "../x", "..", "a" * 63, "%2e%2e%2fx", "a\0b"):
        for path in (f"/exec/{id}/json", f"/containers/{id}/json", f"/volumes/{id}", f"/networks/{id}"):
            assert client.ask("GET", path).status == 404


# ------------------------------------------------------------------ clients that go


def counts(server: Server) -> tuple[int, int]:
    here = f"/proc/{server.process.pid}"
    return len(os.listdir(f"{here}/task")), len(os.listdir(f"{here}/fd"))


def settled(server: Server, before: tuple[int, int], timeout_s: float = 30) -> tuple[int, int]:
    """Return what the server has, once it is no more than before, or the time is up."""
    until = time.monotonic() + timeout_s
    while (found := counts(server)) > before and time.monotonic() < until:
        time.sleep(0.1)
    return found


def test_a_volume_is_removed_and_made_by_many_at_once(client: Client) -> None:
    for _ in range(30):
        client.post("/volumes/create", body={"Name": "v"})
        asked = [lambda: client.ask("DELETE", "/volumes/v")] * 6
        asked += [lambda: client.ask("POST", "/volumes/create", body={"Name": "v"})] * 2
        assert set(at_once(asked)) <= {201, 204, 404}
    client.ask("DELETE", "/volumes/v")


def test_clients_that_go_leave_nothing(server: Server, client: Client) -> None:
    id = named(client, "web", starts=True)
    client.ask("GET", "/_ping")
    asked = [
        ("POST", f"/containers/{id}/attach?stream=1&stdout=1&stdin=1", "tcp"),
        ("GET", f"/containers/{id}/logs?follow=1&stdout=1", ""),
        ("GET", f"/containers/{id}/stats", ""),
        ("POST", f"/containers/{id}/wait", ""),
        ("GET", "/events", ""),
        ("GET", f"/containers/{id}/export", ""),
    ]

    def go(method: str, target: str, upgrade: str, after_s: float) -> None:
        connection = client.connect()
        more = f"Connection: Upgrade\r\nUpgrade: {upgrade}\r\n" if upgrade else ""
        connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())
        time.sleep(after_s)
        connection.close()

    for one in asked:
        go(*one, 0.1)
    time.sleep(12)  # threads that have nothing to do end
    before = counts(server)
    for _ in range(10):
        threads = [threading.Thread(target=go, args=(*one, 0.02)) for one in asked]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = settled(server, before)
    assert found <= before
    assert client.get(f"/containers/{id}/json")["State"]["Running"]


def test_uploads_and_pulls_of_clients_that_go_leave_nothing(
    server: Server, client: Client, host: str, tmp_path: pathlib.Path
) -> None:
    id = named(client, "web", starts=True)
    push(host, "x/large", "1", [os.urandom(8 << 20) for _ in range(3)])
    state = tmp_path / "state"
    whole = archive("half")

    def go(method: str, target: str, data: bytes, size: int, after_s: float) -> None:
        connection = client.connect()
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
        connection.sendall(head.encode() + data)
        time.sleep(after_s)
        connection.close()

    asked = [
        ("PUT", f"/containers/{id}/archive?path=/tmp", whole[: len(whole) // 2], len(whole)),
        ("POST", "/images/load", whole[: len(whole) // 2], len(whole)),
        ("POST", "/images/create?fromSrc=-&repo=half", whole[: len(whole) // 2], len(whole)),
        ("POST", "/build", whole[: len(whole) // 2], len(whole)),
        ("POST", f"/images/create?fromImage={host}/x/large&tag=1", b"", 0),
        ("POST", "/session", b"", 0),
    ]
    for one in asked:
        go(*one, 0.1)
    time.sleep(12)
    before, files = counts(server), _made(state)
    for number in range(4):
        threads = [threading.Thread(target=go, args=(*one, 0.01 * number)) for one in asked]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert settled(server, before) <= before
    until = time.monotonic() + 60  # a pull that has begun goes on
    while (more := _made(state) - files) and time.monotonic() < until:
        time.sleep(0.2)
    assert not more
    assert client.ask("GET", "/images/half/json").status == 404


def _made(state: pathlib.Path) -> set[str]:
    """Return the files of a state directory but for those of the image that is pulled; its locks go with the image."""
    found = {str(path.relative_to(state)) for path in (state / "lib").rglob("*") if path.is_file()}
    pulled = tuple(f"lib/{part}/" for part in ("images/blobs", "images/layers", "images/locks", "cache"))
    return {path for path in found if not path.startswith(pulled)}


def test_a_commit_that_is_killed_does_not_leave_its_container_paused(server: Server, client: Client) -> None:
    id = named(client, "web", starts=True)
    client.ask("PUT", f"/containers/{id}/archive", {"path": "/tmp"}, body=_large(), status=200)
    for _ in range(3):
        thread = threading.Thread(target=_commit, args=(client, id))
        thread.start()
        until = time.monotonic() + 20
        while (
            client.get(f"/containers/{id}/json")["State"]["Status"] != "paused" and time.monotonic() < until
        ):
            time.sleep(0.005)
        server.replace()
        thread.join()
        until = time.monotonic() + 10
        while (
            state := client.get(f"/containers/{id}/json")["State"]["Status"]
        ) == "paused" and time.monotonic() < until:
            time.sleep(0.05)
        assert state == "running"


def _large() -> bytes:
    import io
    import tarfile

    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as opened:
        for number in range(40):
            info = tarfile.TarInfo(f"f{number}")
            info.size = 1 << 20
            opened.addfile(info, io.BytesIO(os.urandom(1 << 20)))
    return made.getvalue()


def _commit(client: Client, id: str) -> None:
    try:
        client.ask("POST", "/commit", {"container": id, "repo": "made"}, body={})
    except (OSError, ValueError, IndexError):
        return  # the server was killed


# ------------------------------------------------------------------ the end of the server


def test_it_ends_at_once_while_streams_run(server: Server, client: Client) -> None:
    id = named(client, "web", starts=True)
    exec_id = client.post(
        f"/containers/{id}/exec", body={"Cmd": ["cat"], "AttachStdin": True, "AttachStdout": True}
    )
    streams = [
        client.open("POST", f"/containers/{id}/attach", {"stream": 1, "stdout": 1}, upgrade="tcp"),
        client.open("GET", f"/containers/{id}/logs", {"follow": 1, "stdout": 1}),
        client.open("GET", f"/containers/{id}/stats"),
        client.open("POST", f"/containers/{id}/wait"),
        client.open("GET", "/events"),
        client.open("POST", f"/exec/{exec_id.json['Id']}/start", body={}, upgrade="tcp"),
    ]
    idle = [client.connect() for _ in range(20)]
    time.sleep(0.3)
    began_s = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) == 0
    took_s = time.monotonic() - began_s
    for stream in streams:
        stream.close()
    for connection in idle:
        connection.close()
    assert not server.path.exists()
    server.process = server._start()
    await_answer(server)
    assert took_s < 1.5, f"it took {took_s:.2f} s"
    assert client.get(f"/containers/{id}/json")["State"]["Running"]


def test_the_socket_of_another_server_is_not_removed(server: Server, client: Client) -> None:
    other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    other.bind(f"{server.path}.other")
    other.listen()
    os.rename(f"{server.path}.other", server.path)
    server.process.terminate()
    assert server.process.wait(10) == 0
    assert server.path.exists()
    other.close()
    server.process = server._start()
    await_answer(server)
    assert oct(server.path.stat().st_mode & 0o777) == "0o660"


def test_an_idle_server_holds_little_and_lets_supervisors_go(server: Server, client: Client) -> None:
    labels = {"com.docker.compose.project": "shop"}
    id = client.post("/containers/create", body={**SLEEP, "Labels": labels}).json["Id"]
    client.post(f"/containers/{id}/start")
    client.delete(f"/containers/{id}", {"force": 1})
    until = time.monotonic() + 60
    while _titles("composer: supervisor shop") and time.monotonic() < until:
        time.sleep(0.5)
    assert not _titles("composer: supervisor shop")
    time.sleep(11)  # a thread waits so long for more to do
    assert counts(server)[0] <= 2  # one accepts, one watches for all


def _titles(title: str) -> list[str]:
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in found.splitlines() if line.startswith(title)]
