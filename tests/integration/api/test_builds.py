"""Images built through Docker's classic endpoint."""

from __future__ import annotations

import base64
import bz2
import contextlib
import gzip
import http.server
import json
import lzma
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.api_client import Client, Server, credentials, served
from tests.api_images import imported, layer, rootfs, tar
from tests.registries import PASSWORD, USER, push, registry

pytestmark = pytest.mark.root

BASE = "base/shell"


@pytest.fixture
def builder(client: Client) -> Client:
    imported(client, BASE)
    return client


def context(dockerfile: str, **files: bytes) -> bytes:
    text = dockerfile.replace("BASE", BASE)
    return tar({"Dockerfile": text.encode(), **files})


def lines(client: Client, dockerfile: str, query: dict[str, Any] | None = None, **files: bytes) -> list[Any]:
    return client.post("/build", query, context(dockerfile, **files)).lines


def output(found: list[Any]) -> str:
    return "".join(line.get("stream", "") for line in found)


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-c"], input=data, capture_output=True, check=True).stdout


def test_a_build_tells_its_steps_and_names_its_image(builder: Client) -> None:
    query = {"t": ["made/one:1", "made/one:2"], "buildargs": {"A": "5", "B": None}, "labels": {"l": "m"}}
    dockerfile = 'FROM BASE\nARG A=1\nENV X=$A\nCOPY file /file\nRUN cat /file && echo $A\nCMD ["x"]\n'
    found = lines(builder, dockerfile, query, file=b"hello\n")
    text = output(found)
    base = builder.get(f"/images/{BASE}/json")["Id"]
    assert text.startswith(f"Step 1/6 : FROM {BASE}\n ---> {base[7:19]}\nStep 2/6 : ARG A=1\n")
    assert "Step 5/6 : RUN cat /file && echo $A\nhello\n5\n ---> " in text
    image = builder.get("/images/made/one:1/json")
    assert found[-4] == {"aux": {"ID": image["Id"]}}
    assert text.endswith(
        f"Successfully built {image['Id'][7:19]}\nSuccessfully tagged made/one:1\nSuccessfully tagged made/one:2\n"
    )
    assert image["RepoTags"] == ["made/one:1", "made/one:2"]
    assert image["Config"]["Env"][-1] == "X=5" and image["Config"]["Labels"] == {"l": "m"}
    again = output(lines(builder, dockerfile, query, file=b"hello\n"))
    assert again.count(" ---> Using cache\n") == 2
    without = output(lines(builder, dockerfile, {**query, "nocache": 1}, file=b"hello\n"))
    assert "Using cache" not in without


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstd])
def test_a_context_may_be_compressed(builder: Client, compress: Callable[[bytes], bytes]) -> None:
    body = compress(context("FROM BASE\nCOPY file /file\n", file=b"x"))
    pieces = (body[at : at + 10_000] for at in range(0, len(body), 10_000))
    assert "aux" in builder.post("/build", {"t": "made"}, pieces).lines[-3]


def test_a_quiet_build_says_its_id_alone(builder: Client) -> None:
    found = lines(builder, "FROM BASE\nRUN echo noise\n", {"q": 1})
    assert len(found) == 1 and found[0]["stream"].startswith("sha256:")


def test_a_command_that_fails_has_its_code(builder: Client) -> None:
    found = lines(builder, "FROM BASE\nRUN echo before; exit 3\n", {"t": "made"})
    assert "before\n" in output(found)
    said = "The command '/bin/sh -c echo before; exit 3' returned a non-zero code: 3"
    assert found[-1] == {"errorDetail": {"code": 3, "message": said}, "error": said}
    assert builder.ask("GET", "/images/made/json").status == 404


@pytest.mark.parametrize(
    ("dockerfile", "query", "status", "said"),
    [
        ("FROM BASE\nNOTHING x\n", {}, 400, "unknown instruction"),
        ("FROM BASE\n", {"dockerfile": "Other"}, 500, "Cannot locate specified Dockerfile: Other"),
        ("FROM BASE\n", {"t": "UPPER"}, 400, "must be lowercase"),
        ("FROM BASE\n", {"target": "none"}, 500, "'none'"),
        ("FROM BASE\n", {"buildargs": "{"}, 400, "build args"),
        ("FROM BASE\n", {"labels": {"a": 1}}, 400, "labels.a must be a string"),
        ("FROM BASE\n", {"squash": 1}, 400, "squash"),
        ("FROM BASE\n", {"networkmode": "mine"}, 400, "networkmode 'mine'"),
        ("FROM BASE\n", {"securityopt": '["seccomp=unconfined"]'}, 400, "securityopt"),
        ("FROM BASE\n", {"extrahosts": "a:b"}, 400, "extrahosts"),
        ("FROM BASE\n", {"version": 2}, 400, "DOCKER_BUILDKIT=0"),
    ],
)
def test_a_build_that_cannot_begin_is_a_status(
    builder: Client, dockerfile: str, query: dict[str, Any], status: int, said: str
) -> None:
    answer = builder.ask("POST", "/build", query, body=context(dockerfile))
    assert answer.status == status and said in answer.message, answer.message


def test_commands_are_limited_and_connected_as_asked(builder: Client) -> None:
    dockerfile = "FROM BASE\nRUN cat /etc/hosts; ls /sys/class/net; df -k /dev/shm | tail -1; ulimit -n\n"
    program = "/bin/busybox"
    dockerfile = dockerfile.replace("cat ", f"{program} cat ").replace("ls ", f"{program} ls ")
    dockerfile = dockerfile.replace("df ", f"{program} df ").replace("tail ", f"{program} tail ")
    query = {
        "networkmode": "none",
        "extrahosts": ["first:10.0.0.1", "second:10.0.0.2"],
        "shmsize": 8 << 20,
        "memory": 64 << 20,
        "ulimits": '[{"Name": "nofile", "Soft": 99, "Hard": 100}]',
    }
    text = output(lines(builder, dockerfile, query))
    assert {"10.0.0.1", "first", "10.0.0.2", "second", "99"} <= set(text.split())
    assert "lo" in text.split() and "eth0" not in text.split()
    assert "8192" in text


def test_memory_is_limited(builder: Client) -> None:
    places = ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max")
    command = " || ".join(f"/bin/busybox cat {place}" for place in places)
    assert f"\n{64 << 20}\n" in output(lines(builder, f"FROM BASE\nRUN {command}\n", {"memory": 64 << 20}))


def wait_for(server: Server, client: Client, dockerfile: str, query: dict[str, Any]) -> Any:
    """Begin a build, and return its stream as soon as its command runs."""
    stream = client.open("POST", "/build", query, body=context(dockerfile))
    for line in stream.documents():
        if line.get("stream") == "begun\n":
            return stream
    raise AssertionError(server.log())


SLEEPS = "FROM BASE\nRUN echo begun; /bin/busybox sleep 300\n"


def no_container_of_builds(state: pathlib.Path) -> bool:
    found = state / "lib" / "containers"
    return not found.is_dir() or not os.listdir(found)


@pytest.mark.parametrize("how", ["gone", "cancelled"])
def test_a_build_ends_with_its_client_and_when_it_is_cancelled(
    server: Server, builder: Client, tmp_path: pathlib.Path, how: str
) -> None:
    stream = wait_for(server, builder, SLEEPS, {"buildid": "mine", "t": "made"})
    began = time.monotonic()
    if how == "gone":
        stream.close()
        while not no_container_of_builds(tmp_path / "state"):
            assert time.monotonic() - began < 30, "the command of the build still runs"
            time.sleep(0.05)
    else:
        builder.post("/build/cancel", {"id": "mine"})
        assert "build cancelled" in stream.read().decode() and time.monotonic() - began < 30
        stream.close()
        assert no_container_of_builds(tmp_path / "state")
    assert builder.ask("GET", "/images/made/json").status == 404
    assert "Traceback" not in server.log()


@contextmanager
def website(files: dict[str, bytes]) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = files.get(self.path)
            self.send_response(200 if data is not None else 404)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{found.server_address[1]}"
        found.shutdown()
        thread.join()


def test_a_context_may_be_elsewhere(builder: Client) -> None:
    whole = gzip.compress(context("FROM BASE\nCOPY file /file\nRUN /bin/busybox cat /file\n", file=b"far\n"))
    alone = f"FROM {BASE}\nRUN echo alone\n".encode()
    with website({"/context.tar.gz": whole, "/Dockerfile": alone}) as url:
        for path, said in (("context.tar.gz", "far\n"), ("Dockerfile", "alone\n")):
            assert said in output(builder.post("/build", {"remote": f"{url}/{path}"}).lines)
        assert builder.ask("POST", "/build", {"remote": f"{url}/none"}).status == 500


def test_logins_are_for_the_base_images_of_one_build(client: Client, tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "private"
    directory.mkdir()
    with registry(directory) as host:
        push(host, "base", "1", [rootfs()])
    with registry(directory, password=True) as host:
        header = credentials(USER, PASSWORD, host)
        config = json.dumps({host: json.loads(base64.urlsafe_b64decode(header))})
        mine = {"X-Registry-Config": base64.urlsafe_b64encode(config.encode()).decode()}
        body = tar({"Dockerfile": f"FROM {host}/base:1\n".encode()})
        refused = client.post("/build", body=body).lines[-1]
        assert "pull access denied" in refused["error"]
        assert "Successfully built" in output(client.post("/build", body=body, headers=mine).lines)


def test_several_builds_at_once_do_not_mix(builder: Client) -> None:
    found: dict[int, str] = {}

    def build(number: int) -> None:
        dockerfile = f"FROM BASE\nRUN echo this is {number}\nCOPY file /file\n"
        found[number] = output(lines(builder, dockerfile, {"t": f"made/n{number}"}, file=b"%d" % number))

    threads = [threading.Thread(target=build, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, text in found.items():
        assert f"this is {number}\n" in text and text.count("this is ") == 2, text
        assert text.endswith(f"Successfully tagged made/n{number}:latest\n")


def test_the_build_cache_is_seen_and_pruned(builder: Client) -> None:
    lines(builder, "FROM BASE\nCOPY file /file\n", {"t": "made"}, file=b"x" * 5000)
    client = builder
    listed = client.get("/system/df", {"type": "build-cache"})["BuildCache"]
    assert any(one["Type"] == "regular" and one["Size"] >= 5000 for one in listed)
    assert client.post("/build/prune", {"filters": {"id": ["none"]}}).json["CachesDeleted"] is None
    client.delete("/images/made", {"force": 1})
    found = client.post("/build/prune", {"all": 1}).json
    assert found["CachesDeleted"] and client.get("/system/df", {"type": "build-cache"})["BuildCache"] == []
    for query in ({"filters": {"nope": ["x"]}}, {"keep-storage": "x"}, {"min-free-space": "1"}):
        assert client.ask("POST", "/build/prune", query).status == 400
    assert client.ask("POST", "/build/cancel").status == 400


def test_memory_does_not_grow_with_what_passes(server: Server, builder: Client) -> None:
    def peak() -> int:
        text = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmHWM")))

    lines(builder, "FROM BASE\nCOPY data /data\n", {"t": "small"}, data=layer(1000))
    builder.ask("GET", "/images/small/get", status=200)
    before = peak()
    lines(builder, "FROM BASE\nCOPY data /data\n", {"t": "large"}, data=os.urandom(120 << 20))
    with builder.open("GET", "/images/large/get") as stream:
        assert sum(map(len, stream.pieces())) > 120 << 20
    assert peak() - before < 40 << 10, f"from {before} kB to {peak()} kB"


def test_a_server_that_is_killed_leaves_no_build(tmp_path: pathlib.Path) -> None:
    environment = {"COMPOSER_ROOT": str(tmp_path / "state"), "HOME": str(tmp_path)}
    first = tmp_path / "first"
    first.mkdir()
    with served_until_killed(first, environment) as server:
        client = server.client()
        imported(client, BASE)
        stream = wait_for(server, client, SLEEPS, {"t": "made"})
        server.process.kill()
        server.process.wait()
        stream.close()
    second = tmp_path / "second"
    second.mkdir()
    with served(second, environment) as server:
        client = server.client()
        assert [one["RepoTags"] for one in client.get("/images/json")] == [[f"{BASE}:latest"]]
        assert client.get("/containers/json", {"all": 1}) == [], (
            "the next server removes what cannot be started"
        )
        assert "aux" in lines(client, "FROM BASE\nRUN echo again\n", {"t": "made"})[-3]
        deadline = time.monotonic() + 30
        while not no_container_of_builds(tmp_path / "state"):
            assert time.monotonic() < deadline, "the command of the killed build is still there"
            time.sleep(0.05)
        assert os.listdir(tmp_path / "state/lib/build/downloads") == []


_DIES_BEFORE_ITS_COMMAND = """
import os, signal, sys
from composer.cli.main import main
from composer.runtime.objects.client import Client

def begin(self, request, **more):
    os.kill(os.getpid(), signal.SIGKILL)

Client.ask = begin
sys.argv[1:] = ["--backend", "namespace", "image", "build", "-q", "."]
main()
"""


def test_a_server_removes_the_containers_of_killed_builds(tmp_path: pathlib.Path) -> None:
    environment = {"COMPOSER_ROOT": str(tmp_path / "state"), "HOME": str(tmp_path)}
    (tmp_path / "Dockerfile").write_text("FROM BASE\nRUN true\n".replace("BASE", BASE))
    with served(tmp_path, environment) as server:
        imported(server.client(), BASE)
        builder = subprocess.run(
            [sys.executable, "-c", _DIES_BEFORE_ITS_COMMAND],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
        )
        assert builder.returncode == -signal.SIGKILL, builder.stderr
        assert os.listdir(tmp_path / "state/lib/containers")
        server.replace()
        assert server.client().get("/containers/json", {"all": 1}) == []
        assert os.listdir(tmp_path / "state/lib/containers") == []


@contextmanager
def served_until_killed(directory: pathlib.Path, environment: dict[str, str]) -> Iterator[Server]:
    """Run a server that is killed in the block."""
    held = contextlib.ExitStack()
    try:
        yield held.enter_context(served(directory, environment))
    finally:
        with pytest.raises(AssertionError, match="ended by itself"):
            held.close()
