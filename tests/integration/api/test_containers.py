"""Containers through the REST API: their life, their streams, their commands, their files."""

from __future__ import annotations

import io
import json
import tarfile
import threading
import time
from typing import Any

import pytest

from tests.api_client import Client, Server, frames
from tests.compared.api.image import archive

pytestmark = pytest.mark.root


@pytest.fixture
def client(server: Server) -> Client:
    made = server.client()
    made.post("/images/load", {"quiet": 1}, archive("box"))
    return made


def create(client: Client, *command: str, name: str = "", **body: Any) -> str:
    query = {"name": name} if name else {}
    answer = client.post(
        "/containers/create", query, {"Image": "box", "Cmd": list(command), **body}, status=201
    )
    return str(answer.json["Id"])


def run(client: Client, *command: str, **body: Any) -> str:
    id = create(client, *command, **body)
    client.post(f"/containers/{id}/start", status=204)
    return id


def state(client: Client, id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/containers/{id}/json")["State"]
    return found


def output(client: Client, id: str, **query: Any) -> dict[int, bytes]:
    data = client.ask("GET", f"/containers/{id}/logs", {"stdout": 1, "stderr": 1, **query}, status=200).body
    found: dict[int, bytes] = {}
    for stream, piece in frames(data):
        found[stream] = found.get(stream, b"") + piece
    return found


def test_a_container_from_its_creation_to_its_removal(client: Client) -> None:
    id = create(client, "sleep", "1000", name="one", Labels={"a": "b"})
    assert state(client, id)["Status"] == "created"
    assert client.post("/containers/one/start").status == 204
    assert client.ask("POST", "/containers/one/start").status == 304
    assert state(client, id)["Running"] is True
    assert client.post("/containers/one/pause").status == 204
    assert state(client, id)["Status"] == "paused"
    assert client.ask("POST", "/containers/one/exec", body={"Cmd": ["true"]}).status == 409
    client.post("/containers/one/unpause")
    assert client.ask("DELETE", "/containers/one").status == 409
    client.post("/containers/one/stop", {"t": 0})
    assert client.ask("POST", "/containers/one/stop").status == 304
    assert state(client, id)["ExitCode"] == 137
    client.delete("/containers/one")
    assert client.ask("GET", f"/containers/{id}/json").message == f"No such container: {id}"


def test_a_wait_answers_when_the_command_ends(client: Client) -> None:
    id = run(client, "sh", "-c", "read x; exit 7", OpenStdin=True)
    with client.open("POST", f"/containers/{id}/wait") as waiting:
        assert waiting.status == 200  # at once, though it runs
        with client.open(
            "POST", f"/containers/{id}/attach", {"stream": 1, "stdin": 1}, upgrade="tcp"
        ) as attached:
            attached.send(b"go\n")
            assert json.loads(waiting.read()) == {"StatusCode": 7}


def test_a_wait_for_the_next_exit_does_not_see_the_last(client: Client) -> None:
    id = run(client, "true")
    client.post(f"/containers/{id}/wait")
    with client.open("POST", f"/containers/{id}/wait", {"condition": "next-exit"}) as waiting:
        client.post(f"/containers/{id}/start")
        assert json.loads(waiting.read()) == {"StatusCode": 0}


def test_a_wait_for_the_removal_has_the_exit_code(client: Client) -> None:
    id = create(client, "sh", "-c", "exit 4", HostConfig={"AutoRemove": True})
    with client.open("POST", f"/containers/{id}/wait", {"condition": "removed"}) as waiting:
        client.post(f"/containers/{id}/start")
        assert json.loads(waiting.read()) == {"StatusCode": 4}
    assert client.ask("GET", f"/containers/{id}/json").status == 404


def test_who_attaches_first_sees_the_first_byte_and_the_end(client: Client) -> None:
    id = create(client, "sh", "-c", "echo out; echo err >&2")
    query = {"stream": 1, "stdout": 1, "stderr": 1}
    with client.open("POST", f"/containers/{id}/attach", query, upgrade="tcp") as attached:
        assert attached.status == 101
        assert attached.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
        client.post(f"/containers/{id}/start")
        data = b""
        while piece := attached.receive():
            data += piece
    assert sorted(frames(data)) == [(1, b"out\n"), (2, b"err\n")]


def test_input_ends_with_the_client_that_opened_it(client: Client) -> None:
    id = create(client, "cat", OpenStdin=True, StdinOnce=True)
    query = {"stream": 1, "stdin": 1, "stdout": 1}
    with client.open("POST", f"/containers/{id}/attach", query, upgrade="tcp") as attached:
        client.post(f"/containers/{id}/start")
        attached.send(b"x" * 200_000)
        attached.end_writing()
        data = b""
        while piece := attached.receive():
            data += piece
    assert b"".join(piece for _, piece in frames(data)) == b"x" * 200_000
    assert json.loads(client.post(f"/containers/{id}/wait").body) == {"StatusCode": 0}


def test_a_terminal_has_a_size_and_no_frames(client: Client) -> None:
    id = create(client, "sh", "-c", "read x; stty size; read x", Tty=True, OpenStdin=True)
    query = {"stream": 1, "stdin": 1, "stdout": 1}
    with client.open("POST", f"/containers/{id}/attach", query, upgrade="tcp") as attached:
        assert attached.headers["content-type"] == "application/vnd.docker.raw-stream"
        client.post(f"/containers/{id}/start")
        client.post(f"/containers/{id}/resize", {"h": 33, "w": 101}, status=200)
        attached.send(b"\n")
        attached.receive_until(b"33 101")
        attached.send(b"\n")
        while attached.receive():
            pass


def test_detach_keys_leave_a_container_running(client: Client) -> None:
    id = create(client, "sh", Tty=True, OpenStdin=True)
    query = {"stream": 1, "stdin": 1, "stdout": 1, "detachKeys": "ctrl-a,x"}
    with client.open("POST", f"/containers/{id}/attach", query, upgrade="tcp") as attached:
        client.post(f"/containers/{id}/start")
        attached.send(b"echo he''llo\r")
        attached.receive_until(b"hello")
        attached.send(b"\x01")
        attached.send(b"x")
        while attached.receive():
            pass
    assert state(client, id)["Running"] is True


def test_a_websocket_carries_what_an_attachment_does(client: Client) -> None:
    import wsproto
    from wsproto import events

    id = run(client, "cat", OpenStdin=True)
    protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    path = f"/v1.51/containers/{id}/attach/ws?stream=1&stdin=1&stdout=1"
    with client.connect() as connection:
        connection.sendall(protocol.send(events.Request(host="docker", target=path)))
        found = b""
        has_sent = False
        while b"hello" not in found:
            protocol.receive_data(connection.recv(1 << 16))
            for event in protocol.events():
                if isinstance(event, events.AcceptConnection) and not has_sent:
                    has_sent = True
                    connection.sendall(protocol.send(events.TextMessage(data="hello\n")))
                elif isinstance(event, events.BytesMessage):
                    found += event.data
                elif isinstance(event, events.RejectConnection):
                    raise AssertionError(event)


def test_logs_are_framed_cut_and_dated(client: Client) -> None:
    id = run(client, "sh", "-c", "echo a; echo b >&2; echo c")
    client.post(f"/containers/{id}/wait")
    assert output(client, id) == {1: b"a\nc\n", 2: b"b\n"}
    assert output(client, id, stderr=0) == {1: b"a\nc\n"}
    # the order of the two streams is the kernel's: only one of them is cut
    id = run(client, "sh", "-c", "echo a; echo b; echo c")
    client.post(f"/containers/{id}/wait")
    assert output(client, id, tail=1) == {1: b"c\n"}
    [(_, line)] = frames(
        client.ask("GET", f"/containers/{id}/logs", {"stdout": 1, "tail": 1, "timestamps": 1}).body
    )
    moment, _, text = line.partition(b" ")
    assert text == b"c\n" and moment.endswith(b"Z") and len(moment) == len("2026-01-02T03:04:05.000000000Z")
    # lines that came together have one time
    assert output(client, id, since=moment.decode())[1].endswith(b"c\n")
    assert output(client, id, since=time.time() + 60) == {}
    assert client.ask("GET", f"/containers/{id}/logs").status == 400


def test_followed_logs_end_with_the_container_and_with_the_client(client: Client, server: Server) -> None:
    id = run(client, "sh", "-c", "echo a; read x; echo b", OpenStdin=True)
    query = {"stdout": 1, "follow": 1}
    with client.open("GET", f"/containers/{id}/logs", query) as gone:
        next(gone.pieces())
    with client.open("GET", f"/containers/{id}/logs", query) as followed:
        pieces = followed.pieces()
        assert next(pieces).endswith(b"a\n")
        with client.open(
            "POST", f"/containers/{id}/attach", {"stream": 1, "stdin": 1}, upgrade="tcp"
        ) as attached:
            attached.send(b"\n")
        assert b"".join(pieces).endswith(b"b\n")


def executed(client: Client, id: str, *command: str, **body: Any) -> tuple[bytes, int]:
    asked = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, **body}
    made = client.post(f"/containers/{id}/exec", body=asked, status=201).json["Id"]
    with client.open("POST", f"/exec/{made}/start", body={}, upgrade="tcp") as stream:
        data = b""
        while piece := stream.receive():
            data += piece
    found = client.get(f"/exec/{made}/json")
    assert found["Running"] is False
    return b"".join(piece for _, piece in frames(data)), found["ExitCode"]


def test_commands_run_in_a_container(client: Client) -> None:
    id = run(client, "sleep", "1000")
    assert executed(client, id, "echo", "hi") == (b"hi\n", 0)
    assert executed(client, id, "sh", "-c", "exit 9") == (b"", 9)
    assert executed(client, id, "sh", "-c", "echo $A; pwd", Env=["A=1"], WorkingDir="/tmp") == (
        b"1\n/tmp\n",
        0,
    )
    text, code = executed(client, id, "no-such-program")
    assert code == 127 and b"executable file not found in $PATH" in text
    assert executed(client, id, "id", "-u", User="1000") == (b"1000\n", 0)


def test_a_command_starts_once(client: Client) -> None:
    id = run(client, "sleep", "1000")
    made = client.post(f"/containers/{id}/exec", body={"Cmd": ["sleep", "1000"]}).json["Id"]
    assert client.get(f"/containers/{id}/json")["ExecIDs"] == [made]
    client.post(f"/exec/{made}/start", body={"Detach": True})
    assert client.ask("POST", f"/exec/{made}/start", body={"Detach": True}).status == 409
    assert client.get(f"/exec/{made}/json")["Running"] is True
    client.post(f"/containers/{id}/kill")
    client.post(f"/containers/{id}/wait")
    until = time.monotonic() + 20
    while client.get(f"/exec/{made}/json")["Running"] and time.monotonic() < until:
        threading.Event().wait(0.02)
    assert client.get(f"/exec/{made}/json")["ExitCode"] == 137


def test_the_terminal_of_a_container_has_a_size_from_its_start_on(client: Client) -> None:
    id = run(client, "stty", "size", Tty=True, HostConfig={"ConsoleSize": [20, 70]})
    client.post(f"/containers/{id}/wait")
    assert client.ask("GET", f"/containers/{id}/logs", {"stdout": 1}).body == b"20 70\r\n"


def test_paths_are_hidden_and_protected_as_the_client_says(client: Client) -> None:
    hidden = {"MaskedPaths": ["/etc/passwd"], "ReadonlyPaths": ["/tmp"]}
    command = (
        "sh",
        "-c",
        "wc -c </etc/passwd; touch /tmp/x || echo no; grep -c /proc/sys /proc/self/mountinfo",
    )
    id = run(client, *command, HostConfig=hidden)
    client.post(f"/containers/{id}/wait")
    assert output(client, id)[1] == b"0\nno\n0\n"


def test_an_update_lifts_the_limit_of_processes(client: Client) -> None:
    id = run(client, "sleep", "1000", HostConfig={"PidsLimit": 20})
    client.post(f"/containers/{id}/update", body={"PidsLimit": -1})
    assert client.get(f"/containers/{id}/json")["HostConfig"]["PidsLimit"] == 0
    forks = "i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done; echo all"
    assert executed(client, id, "sh", "-c", forks + "; kill $(jobs -p)")[0] == b"all\n"


def test_a_copied_archive_becomes_the_user_s(client: Client) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        made.addfile(tarfile.TarInfo("file"))
    id = run(client, "sleep", "1000", User="1234:2345")
    for query, owner in (({}, [b"0", b"0"]), ({"copyUIDGID": "true"}, [b"1234", b"2345"])):
        client.ask(
            "PUT", f"/containers/{id}/archive", {"path": "/tmp", **query}, body=buffer.getvalue(), status=200
        )
        assert executed(client, id, "ls", "-n", "/tmp/file")[0].split()[2:4] == owner


def test_the_terminal_of_a_command_has_a_size(client: Client) -> None:
    id = run(client, "sleep", "1000")
    asked = {"Cmd": ["sh"], "Tty": True, "AttachStdin": True, "AttachStdout": True}
    made = client.post(f"/containers/{id}/exec", body=asked).json["Id"]
    with client.open("POST", f"/exec/{made}/start", body={"ConsoleSize": [20, 70]}, upgrade="tcp") as stream:
        stream.send(b"stty size\r")
        stream.receive_until(b"20 70")
        client.post(f"/exec/{made}/resize", {"h": 44, "w": 132}, status=200)
        stream.send(b"stty size\r")
        stream.receive_until(b"44 132")
        stream.send(b"exit 5\r")
        while stream.receive():
            pass
    assert client.get(f"/exec/{made}/json")["ExitCode"] == 5


def test_files_go_in_and_come_out(client: Client) -> None:
    id = create(client, "true")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("dir/file")
        info.size, info.mode, info.uid = 5, 0o640, 1000
        tar.addfile(info, io.BytesIO(b"hello"))
    client.ask("PUT", f"/containers/{id}/archive", {"path": "/tmp"}, body=buffer.getvalue(), status=200)
    answer = client.ask("HEAD", f"/containers/{id}/archive", {"path": "/tmp/dir/file"}, status=200)
    import base64

    found = json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"]))
    assert (found["name"], found["size"], found["mode"]) == ("file", 5, 0o640)
    data = client.ask("GET", f"/containers/{id}/archive", {"path": "/tmp/dir"}, status=200).body
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        file = tar.extractfile("dir/file")
        assert file is not None and file.read() == b"hello" and tar.getmember("dir/file").uid == 1000
    missing = client.ask("GET", f"/containers/{id}/archive", {"path": "/none"})
    assert (missing.status, missing.message) == (404, f"Could not find the file /none in container {id}")
    assert client.ask("PUT", f"/containers/{id}/archive", {"path": "/etc/passwd"}, body=b"").status == 400
    assert {"Path": "/tmp/dir/file", "Kind": 1} in client.get(f"/containers/{id}/changes")


def test_what_a_client_said_is_shown_again(client: Client) -> None:
    host = {
        "Binds": ["v:/data", "/tmp:/host:ro"],
        "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]},
        "Memory": 67108864,
        "NanoCpus": 500_000_000,
        "CapAdd": ["NET_ADMIN"],
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
    }
    id = create(client, "sleep", "1000", HostConfig=host, Env=["A=1"], Labels={"l": "x"})
    found = client.get(f"/containers/{id}/json")
    assert {key: found["HostConfig"][key] for key in host} == host
    assert found["Config"]["Cmd"] == ["sleep", "1000"] and "A=1" in found["Config"]["Env"]
    assert [(one["Type"], one["Destination"], one["RW"]) for one in found["Mounts"]] == [
        ("volume", "/data", True),
        ("bind", "/host", False),
    ]
    client.post(f"/containers/{id}/start")
    assert (
        client.get(f"/containers/{id}/json")["NetworkSettings"]["Ports"]["80/tcp"][0]["HostIp"] == "127.0.0.1"
    )
    client.post(f"/containers/{id}/update", body={"Memory": 134217728, "RestartPolicy": {"Name": "always"}})
    changed = client.get(f"/containers/{id}/json")["HostConfig"]
    assert changed["Memory"] == 134217728 and changed["RestartPolicy"]["Name"] == "always"


def test_a_container_is_renamed_restarted_listed_and_exported(client: Client) -> None:
    id = run(client, "sleep", "1000", name="before")
    client.post(f"/containers/{id}/rename", {"name": "after"}, status=204)
    assert client.ask("POST", f"/containers/{id}/rename", {"name": "after"}).status == 400
    started = state(client, "after")["StartedAt"]
    client.post(f"/containers/{id}/restart", {"t": 0}, status=204)
    assert state(client, id)["StartedAt"] > started
    found = client.get(f"/containers/{id}/top")
    assert [row[found["Titles"].index("CMD")] for row in found["Processes"]] == ["sleep 1000"]
    assert client.ask("POST", f"/containers/{id}/kill", {"signal": "NOTHING"}).status == 400
    assert [one["Names"] for one in client.get("/containers/json")] == [["/after"]]
    data = client.ask("GET", f"/containers/{id}/export", status=200).body
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert "bin/busybox" in {name.removeprefix("./") for name in tar.getnames()}


def test_a_restart_is_not_the_end_of_what_is_removed_when_it_ends(client: Client) -> None:
    id = run(client, "sleep", "1000", Volumes={"/data": {}}, HostConfig={"AutoRemove": True})
    volume = client.get(f"/containers/{id}/json")["Mounts"][0]["Name"]
    started = state(client, id)["StartedAt"]
    client.post(f"/containers/{id}/restart", {"t": 0}, status=204)
    assert state(client, id)["Running"] and state(client, id)["StartedAt"] > started
    assert client.get(f"/volumes/{volume}")["Name"] == volume
    client.post(f"/containers/{id}/stop", {"t": 0})
    until = time.monotonic() + 20
    while client.ask("GET", f"/volumes/{volume}").status == 200 and time.monotonic() < until:
        threading.Event().wait(0.02)
    assert client.ask("GET", f"/containers/{id}/json").status == 404
    assert client.ask("GET", f"/volumes/{volume}").status == 404


def test_links_lead_to_a_container_by_another_name(client: Client) -> None:
    run(client, "sleep", "1000", name="target")
    id = run(client, "sleep", "1000", HostConfig={"Links": ["target:alias"]})
    assert executed(client, id, "ping", "-c1", "-W2", "alias")[1] == 0


def test_all_exposed_ports_are_published(client: Client) -> None:
    id = run(client, "sleep", "1000", ExposedPorts={"81/tcp": {}}, HostConfig={"PublishAllPorts": True})
    ports = client.get(f"/containers/{id}/json")["NetworkSettings"]["Ports"]
    assert int(ports["81/tcp"][0]["HostPort"]) > 0


def test_a_network_of_another_container_and_its_volumes_are_shared(client: Client) -> None:
    owner = run(client, "sh", "-c", "echo x >/data/f; sleep 1000", HostConfig={"Binds": ["v:/data"]})
    host = {"NetworkMode": f"container:{owner}", "VolumesFrom": [owner]}
    id = run(client, "cat", "/data/f", HostConfig=host)
    assert client.post(f"/containers/{id}/wait").json == {"StatusCode": 0}
    assert output(client, id) == {1: b"x\n"}
    assert client.get(f"/containers/{id}/json")["HostConfig"]["NetworkMode"] == f"container:{owner}"


def test_a_command_that_is_not_there_is_said_in_dockers_words(client: Client) -> None:
    id = create(client, "no-such-program")
    answer = client.ask("POST", f"/containers/{id}/start")
    assert answer.status == 400 and "executable file not found in $PATH" in answer.message
    gone = create(client, "no-such-program", HostConfig={"AutoRemove": True})
    assert client.ask("POST", f"/containers/{gone}/start").status == 400
    assert client.ask("GET", f"/containers/{gone}/json").status == 404


def test_statistics_are_counted(client: Client) -> None:
    id = run(client, "sh", "-c", "while true; do :; done", HostConfig={"Memory": 67108864})
    found = client.get(f"/containers/{id}/stats", {"stream": 0})
    assert (
        found["cpu_stats"]["cpu_usage"]["total_usage"] > found["precpu_stats"]["cpu_usage"]["total_usage"] > 0
    )
    assert found["cpu_stats"]["system_cpu_usage"] > found["precpu_stats"]["system_cpu_usage"]
    assert found["memory_stats"]["limit"] == 67108864 and found["pids_stats"]["current"] == 1
    assert "eth0" in found["networks"]
    with client.open("GET", f"/containers/{id}/stats") as stream:
        documents = stream.documents()
        assert next(documents)["id"] == id and next(documents)["read"] > found["read"]


def test_events_tell_the_life_of_a_container(client: Client) -> None:
    with client.open("GET", "/events", {"filters": {"type": ["container"]}}) as stream:
        documents = stream.documents()
        id = run(client, "sh", "-c", "exit 3", name="told", Labels={"a": "b"})
        found = [next(documents) for _ in range(3)]
    assert [one["Action"] for one in found] == ["create", "start", "die"]
    assert {one["Actor"]["ID"] for one in found} == {id}
    assert found[2]["Actor"]["Attributes"] | {"execDuration": "0"} == {
        "a": "b",
        "exitCode": "3",
        "execDuration": "0",
        "image": "box",
        "name": "told",
    }
    client.delete("/containers/told")
    past = client.ask(
        "GET", "/events", {"since": 1, "until": time.time(), "filters": {"container": ["told"]}}
    ).lines
    assert [one["Action"] for one in past] == ["create", "start", "die", "destroy"]


def test_a_prune_takes_what_has_ended(client: Client) -> None:
    kept = run(client, "sleep", "1000", Labels={"a": "1"})
    gone = run(client, "true", Labels={"a": "1"})
    other = run(client, "true")
    for id in (gone, other):
        client.post(f"/containers/{id}/wait")
    answer = client.post("/containers/prune", {"filters": {"label": ["a"]}}).json
    assert answer["ContainersDeleted"] == [gone]
    assert {one["Id"] for one in client.get("/containers/json", {"all": 1})} == {kept, other}


def test_another_server_goes_on_where_one_was_killed(client: Client, server: Server) -> None:
    """Containers, their attributes and the commands made in them do not notice."""
    id = run(client, "sleep", "1000", name="lasting", HostConfig={"RestartPolicy": {"Name": "always"}})
    made = client.post(f"/containers/{id}/exec", body={"Cmd": ["true"]}).json["Id"]
    server.replace()
    assert state(client, "lasting")["Running"] is True
    assert executed(client, id, "echo", "hi") == (b"hi\n", 0)
    client.post(f"/exec/{made}/start", body={"Detach": True})


def test_a_seccomp_profile_is_the_text_that_the_client_has_read(client: Client) -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}],
    }
    id = run(client, "mkdir", "/x", HostConfig={"SecurityOpt": [f"seccomp={json.dumps(profile)}"]})
    assert client.post(f"/containers/{id}/wait").json["StatusCode"] == 1
    for text in ("{", "{}"):
        body = {"Image": "box", "Cmd": ["true"], "HostConfig": {"SecurityOpt": [f"seccomp={text}"]}}
        assert client.ask("POST", "/containers/create", body=body).status == 400


def test_what_a_health_check_leaves_open_is_the_images(client: Client) -> None:
    made = {"Test": ["CMD", "true"], "Interval": 7_000_000_000, "Retries": 4}
    create(client, "true", name="checked", Healthcheck=made)
    client.post("/commit", {"container": "checked", "repo": "checked"})
    id = create(client, "true", Image="checked", Healthcheck={"Retries": 9})
    found = client.get(f"/containers/{id}/json")["Config"]["Healthcheck"]
    assert found == {**made, "Retries": 9}
