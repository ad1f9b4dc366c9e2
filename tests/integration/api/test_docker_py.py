"""docker-py on our socket, and on Docker Engine's: what is tested holds for both."""

from __future__ import annotations

import gc
import io
import socket
import tarfile
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import docker
import pytest
import requests
from docker.types import Mount

from tests import transcripts
from tests.api_client import Client
from tests.compared.api.image import archive

pytestmark = [
    pytest.mark.root,
    # docker-py leaves the sockets of streams to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

IMAGE = transcripts.IMAGE


@pytest.fixture(params=["ours", pytest.param("engine", marks=pytest.mark.docker)])
def sdk(request: pytest.FixtureRequest) -> Iterator[Any]:
    client: Client = request.getfixturevalue("client" if request.param == "ours" else "engine")
    client.post("/images/load", {"quiet": 1}, archive(IMAGE))
    found = docker.DockerClient(base_url=client.host, version="auto", timeout=30)
    try:
        yield found
    finally:
        found.close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()  # here, and not in the middle of another test
        transcripts.clear(client)


def close(connection: Any) -> None:
    connection._sock.close()
    connection.close()


@pytest.fixture
def sleeper(sdk: Any) -> Any:
    return sdk.containers.run(IMAGE, ["sleep", "1000"], name="trpy", detach=True, init=True)


def test_run_in_all_its_forms(sdk: Any) -> None:
    assert sdk.containers.run(IMAGE, ["echo", "hello"], remove=True) == b"hello\n"
    assert sdk.containers.run(IMAGE, "echo a b", remove=True) == b"a b\n"
    both = sdk.containers.run(IMAGE, ["sh", "-c", "echo out; echo err >&2"], remove=True, stderr=True)
    assert sorted(both.split()) == [b"err", b"out"]
    lines = sdk.containers.run(IMAGE, ["sh", "-c", "echo 1; sleep 0.2; echo 2"], remove=True, stream=True)
    assert b"".join(lines) == b"1\n2\n"
    with pytest.raises(docker.errors.ContainerError) as failed:
        sdk.containers.run(IMAGE, ["sh", "-c", "echo why >&2; exit 7"], remove=True)
    said: Any = failed.value.stderr
    assert failed.value.exit_status == 7 and said == b"why\n"
    with pytest.raises(docker.errors.APIError, match="executable file not found"):
        sdk.containers.run(IMAGE, ["nosuch"], name="trpy")
    sdk.containers.get("trpy").remove()
    with pytest.raises(docker.errors.NotFound):
        sdk.containers.get("trpy")
    seen = sdk.containers.run(
        IMAGE,
        [
            "sh",
            "-c",
            "id -u; echo $A; pwd; hostname; cat /proc/sys/net/core/somaxconn; ulimit -n; ls -d /scratch",
        ],
        remove=True,
        user="1000",
        environment={"A": "b"},
        working_dir="/tmp",
        hostname="trhost",
        sysctls={"net.core.somaxconn": 99},
        ulimits=[docker.types.Ulimit(name="nofile", soft=64, hard=128)],
        tmpfs={"/scratch": "size=1m"},
        mem_limit="64m",
        pids_limit=50,
        nano_cpus=500_000_000,
        cap_drop=["ALL"],
        read_only=True,
        labels=["x"],
        network_disabled=True,
    )
    assert seen.decode().split() == ["1000", "b", "/tmp", "trhost", "99", "64", "/scratch"]


def test_a_container_from_create_to_remove(sdk: Any) -> None:
    made = sdk.containers.create(IMAGE, ["sleep", "1000"], name="trpy", labels={"a": "b"}, init=True)
    assert made.status == "created" and made.labels == {"a": "b"} and f"{IMAGE}:latest" in made.image.tags
    made.start()
    made.reload()
    assert made.status == "running" and made.attrs["State"]["Pid"] > 0
    assert [one.id for one in sdk.containers.list(filters={"label": "a=b", "name": "trpy"})] == [made.id]
    assert made.top()["Processes"] and made.top(ps_args="-o pid,comm")["Titles"] == ["PID", "COMMAND"]
    made.pause()
    made.reload()
    assert made.status == "paused"
    made.unpause()
    made.rename("trpy2")
    assert sdk.containers.get("trpy2").id == made.id
    made.update(
        mem_limit="96m", memswap_limit="96m", restart_policy={"Name": "on-failure", "MaximumRetryCount": 2}
    )
    made.reload()
    assert made.attrs["HostConfig"]["Memory"] == 96 << 20
    made.restart(timeout=5)
    with pytest.raises((requests.exceptions.ConnectionError, requests.exceptions.ReadTimeout)):
        made.wait(timeout=0.5)
    made.kill(signal="SIGTERM")
    assert made.wait(timeout=20)["StatusCode"] == 143
    with pytest.raises(docker.errors.APIError) as conflict:
        made.kill()
    assert conflict.value.status_code == 409
    made.start()
    with pytest.raises(docker.errors.APIError, match="cannot remove container"):
        made.remove()
    made.stop(timeout=1)
    assert made.wait(condition="not-running")["StatusCode"] in (137, 143)
    made.remove(v=True)


def test_waiting_for_the_removal(sdk: Any) -> None:
    made = sdk.containers.run(IMAGE, ["sh", "-c", "sleep 0.5; exit 4"], detach=True, remove=True, name="trpy")
    assert made.wait(condition="removed", timeout=20)["StatusCode"] == 4
    with pytest.raises(docker.errors.NotFound):
        made.reload()


def test_logs_as_a_whole_and_as_they_come(sdk: Any) -> None:
    script = "for i in 1 2 3; do echo $i; sleep 0.2; done; echo end >&2"
    made = sdk.containers.run(IMAGE, ["sh", "-c", script], detach=True, name="trpy")
    assert list(made.logs(stream=True, follow=True)) == [b"1\n", b"2\n", b"3\n", b"end\n"]
    assert made.logs(stderr=False) == b"1\n2\n3\n"
    assert made.logs(stdout=False) == b"end\n"
    assert made.logs(tail=2, stderr=False) == b"3\n"  # the last two of both streams
    stamped = made.logs(timestamps=True, stderr=False, tail=2)
    assert stamped[:4].isdigit() and stamped.endswith(b" 3\n")
    assert made.logs(since=int(time.time()) + 100) == b""
    assert made.logs(until=1) == b""


def test_exec_run_with_each_kind_of_answer(sleeper: Any) -> None:
    # what comes at once may be lost from Docker Engine: see test_what_comes_at_once_is_not_lost
    both = ["sh", "-c", "sleep 0.2; echo out; echo err >&2; exit 3"]
    code, out = sleeper.exec_run(both)
    assert code == 3 and sorted(out.split()) == [b"err", b"out"]
    assert sleeper.exec_run(both, demux=True) == (3, (b"out\n", b"err\n"))
    assert sleeper.exec_run(["sh", "-c", "exit 0"], demux=True) == (0, (None, None))
    code, pieces = sleeper.exec_run(["sh", "-c", "sleep 0.2; echo 1; sleep 0.1; echo 2"], stream=True)
    assert code is None and b"".join(pieces) == b"1\n2\n"
    _, pairs = sleeper.exec_run(both, stream=True, demux=True)
    assert {piece for pair in pairs for piece in pair if piece} == {b"out\n", b"err\n"}
    assert sleeper.exec_run(["sh", "-c", "sleep 0.2; test -t 1 && echo tty"], tty=True) == (0, b"tty\r\n")
    assert sleeper.exec_run(
        ["sh", "-c", "sleep 0.2; id -u; echo $A; pwd"], user="5", environment={"A": "b"}, workdir="/tmp"
    ) == (
        0,
        b"5\nb\n/tmp\n",
    )
    assert sleeper.exec_run(["touch", "/tmp/made"], detach=True)[0] in (None, 0)  # it may have ended
    assert sleeper.exec_run(["sh", "-c", "sleep 0.2; ls /nosuch"], stdout=False)[1].endswith(
        b"No such file or directory\n"
    )
    code, said = sleeper.exec_run(["nosuch"])
    assert code == 127 and b"executable file not found" in said


def test_exec_by_a_socket(sdk: Any, sleeper: Any) -> None:
    _, connection = sleeper.exec_run(["cat"], stdin=True, socket=True)
    connection._sock.sendall(b"typed\n")
    connection._sock.shutdown(socket.SHUT_WR)
    assert connection.read()[8:] == b"typed\n"
    close(connection)
    id = sdk.api.exec_create(sleeper.id, ["sh"], stdin=True, tty=True)["Id"]
    connection = sdk.api.exec_start(id, tty=True, socket=True)
    sdk.api.exec_resize(id, height=30, width=90)
    connection._sock.sendall(b"stty size; exit 6\n")
    assert b"30 90" in connection.read()
    close(connection)
    found = sdk.api.exec_inspect(id)
    assert (found["ExitCode"], found["Running"], found["ContainerID"]) == (6, False, sleeper.id)


def test_attach_by_a_socket_and_as_a_stream(sdk: Any) -> None:
    made = sdk.containers.create(
        IMAGE, ["sh", "-c", "read x; echo got $x; exit 2"], name="trpy", stdin_open=True
    )
    connection = made.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    made.start()
    connection._sock.sendall(b"word\n")
    assert connection.read()[8:] == b"got word\n"
    close(connection)
    assert made.wait(timeout=20)["StatusCode"] == 2
    made.remove()
    made = sdk.containers.run(
        IMAGE, ["sh", "-c", "sleep 0.5; echo one; echo two >&2"], name="trpy", detach=True
    )
    assert sorted(made.attach(stream=True, logs=True)) == [b"one\n", b"two\n"]
    made.remove()
    made = sdk.containers.create(IMAGE, ["sh"], name="trpy", stdin_open=True, tty=True)
    connection = made.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    made.start()
    made.resize(33, 77)
    connection._sock.sendall(b"stty size; exit\n")
    assert b"33 77" in connection.read()
    close(connection)


def test_what_comes_at_once_is_not_lost(client: Client) -> None:
    """docker-py reads the head through a buffer, and passes that by: what Docker Engine sends with it is lost."""
    client.post("/images/load", {"quiet": 1}, archive(IMAGE))
    sdk = docker.DockerClient(base_url=client.host, version="auto", timeout=30)
    made: Any = sdk.containers.run(
        IMAGE, ["sh", "-c", "echo one; echo two >&2; sleep 1000"], name="trpy", detach=True
    )
    while made.logs().count(b"\n") < 2:
        time.sleep(0.05)
    for _ in range(30):
        assert sorted(made.attach(logs=True, stream=False, stdout=True).split()) == [b"one", b"two"]
        assert made.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True) == (0, (b"out\n", b"err\n"))
    sdk.close()


def test_statistics_once_and_as_a_stream(sleeper: Any) -> None:
    once = sleeper.stats(stream=False)
    assert once["memory_stats"]["usage"] > 0 and once["cpu_stats"]["online_cpus"] > 0
    assert once["pids_stats"]["current"] >= 1 and once["networks"]["eth0"]["rx_bytes"] >= 0
    stream = sleeper.stats(decode=True)
    first, second = next(stream), next(stream)
    assert second["read"] > first["read"] and second["precpu_stats"]["cpu_usage"]["total_usage"] > 0
    stream.close()


def test_events_as_they_happen_and_of_the_past(sdk: Any) -> None:
    since = time.time()
    stream = sdk.events(decode=True, filters={"container": "trpy"})
    seen: list[str] = []

    def read() -> None:
        for event in stream:
            seen.append(event["Action"])
            if event["Action"] == "destroy":
                return

    reader = threading.Thread(target=read)
    reader.start()
    sdk.containers.run(IMAGE, ["true"], name="trpy", remove=True)
    reader.join(20)
    stream.close()
    assert not reader.is_alive()
    assert [one for one in seen if one != "attach"] == ["create", "start", "die", "destroy"]
    past = sdk.events(
        since=since, until=time.time(), decode=True, filters={"event": "die", "type": "container"}
    )
    assert [
        one["Actor"]["Attributes"]["exitCode"] for one in past if one["Actor"]["Attributes"]["name"] == "trpy"
    ] == ["0"]


def test_files_go_in_and_come_out(sleeper: Any) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("below/file")
        info.size, info.mode, info.uid = 5, 0o640, 1000
        tar.addfile(info, io.BytesIO(b"bytes"))
    assert sleeper.put_archive("/tmp", packed.getvalue()) is True
    assert sleeper.exec_run("cat /tmp/below/file")[1] == b"bytes"
    pieces, stat = sleeper.get_archive("/tmp/below/file")
    assert (stat["name"], stat["size"], stat["mode"] & 0o777) == ("file", 5, 0o640)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        member = tar.getmember("file")
        assert member.uid == 1000 and tar.extractfile(member).read() == b"bytes"  # type: ignore[union-attr]
    with pytest.raises(docker.errors.NotFound):
        sleeper.get_archive("/nosuch")
    with pytest.raises(docker.errors.NotFound):
        sleeper.put_archive("/nosuch", packed.getvalue())
    assert {"Path": "/tmp/below/file", "Kind": 1} in sleeper.diff()
    with tarfile.open(fileobj=io.BytesIO(b"".join(sleeper.export()))) as tar:
        assert "tmp/below/file" in tar.getnames()


def test_networks(sdk: Any, sleeper: Any) -> None:
    pool = docker.types.IPAMPool(subnet="10.232.5.0/24", gateway="10.232.5.1")
    made = sdk.networks.create(
        "trnet", driver="bridge", ipam=docker.types.IPAMConfig(pool_configs=[pool]), labels={"a": "b"}
    )
    made.connect(sleeper, aliases=["other"], ipv4_address="10.232.5.77")
    made.reload()
    assert [one.id for one in made.containers] == [sleeper.id]
    sleeper.reload()
    assert sleeper.attrs["NetworkSettings"]["Networks"]["trnet"]["IPAddress"] == "10.232.5.77"
    script = ["nslookup", "other"]
    assert b"10.232.5.77" in sdk.containers.run(IMAGE, script, network="trnet", remove=True)
    with pytest.raises(docker.errors.APIError) as refused:
        made.remove()
    assert refused.value.status_code == 403
    made.disconnect(sleeper)
    assert [one.name for one in sdk.networks.list(names=["trnet"], filters={"label": "a=b"})] == ["trnet"]
    assert "trnet" in sdk.networks.prune({"label": ["a=b"]})["NetworksDeleted"]
    with pytest.raises(docker.errors.NotFound):
        sdk.networks.get("trnet")


def test_volumes_and_mounts(sdk: Any, tmp_path: Any) -> None:
    made = sdk.volumes.create("trvol", labels={"a": "b"})
    (tmp_path / "file").write_text("of the host\n")
    script = [
        "sh",
        "-c",
        "cat /bound/file; echo kept >/data/file; touch /bound/x || echo refused; ls -d /temporary",
    ]
    said = sdk.containers.run(
        IMAGE,
        script,
        remove=True,
        volumes={str(tmp_path): {"bind": "/bound", "mode": "ro"}},
        mounts=[Mount("/data", "trvol"), Mount("/temporary", None, type="tmpfs", tmpfs_size=1 << 20)],
    )
    assert said == b"of the host\nrefused\n/temporary\n"
    assert sdk.containers.run(IMAGE, "cat /d/file", remove=True, volumes=["trvol:/d"]) == b"kept\n"
    holder = sdk.containers.create(IMAGE, "cat /d/file", volumes=["trvol:/d"], name="trpy")
    assert sdk.containers.run(IMAGE, "cat /d/file", remove=True, volumes_from=["trpy"]) == b"kept\n"
    with pytest.raises(docker.errors.APIError) as refused:
        made.remove()
    assert refused.value.status_code == 409
    holder.remove()
    assert [one.name for one in sdk.volumes.list(filters={"label": "a=b"})] == ["trvol"]
    assert sdk.volumes.prune({"all": True, "label": ["a=b"]})["VolumesDeleted"] == ["trvol"]


def test_ports_restarts_health_and_shared_namespaces(sdk: Any) -> None:
    first = sdk.containers.run(
        IMAGE,
        ["sh", "-c", "mkdir /www; echo page >/www/index.html; exec /bin/busybox httpd -f -h /www"],
        name="trpy",
        detach=True,
        ports={"80/tcp": ("127.0.0.1", None)},
        healthcheck={"test": ["CMD", "wget", "-qO-", "http://127.0.0.1/"], "interval": 200_000_000},
    )
    deadline = time.monotonic() + 20
    while sdk.containers.get("trpy").health != "healthy":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    first.reload()
    bound = first.ports["80/tcp"][0]
    assert requests.get(f"http://127.0.0.1:{bound['HostPort']}/", timeout=5).text == "page\n"
    shared = {"network_mode": "container:trpy", "pid_mode": "container:trpy", "remove": True}
    assert sdk.containers.run(IMAGE, ["wget", "-qO-", "http://127.0.0.1/"], **shared) == b"page\n"
    assert b"httpd" in sdk.containers.run(IMAGE, ["ps"], **shared)
    policy = {"Name": "on-failure", "MaximumRetryCount": 1}
    again = sdk.containers.run(
        IMAGE, ["sh", "-c", "exit 5"], name="trpy2", detach=True, restart_policy=policy
    )
    while (again.attrs["RestartCount"], again.status) != (1, "exited"):
        assert time.monotonic() < deadline + 10
        time.sleep(0.1)
        again.reload()
    assert {one.name for one in sdk.containers.list(all=True) if one.name.startswith("trpy")} == {
        "trpy",
        "trpy2",
    }


def test_the_machine(sdk: Any) -> None:
    assert sdk.ping() is True
    assert sdk.version()["ApiVersion"] == "1.51" and sdk.info()["OSType"] == "linux"
    assert {"Images", "Containers", "Volumes", "BuildCache"} <= set(sdk.df())
    with pytest.raises(docker.errors.APIError) as refused:
        sdk.services.list()
    assert refused.value.status_code == 503
    with pytest.raises(docker.errors.APIError) as none:
        sdk.swarm.leave()
    assert none.value.status_code in (406, 503)
    made = sdk.containers.create(IMAGE, ["true"], name="trpy", labels={"trpy": "1"})
    assert sdk.containers.prune({"label": ["trpy=1"]})["ContainersDeleted"] == [made.id]
