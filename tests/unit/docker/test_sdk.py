"""Effects through the Docker SDK: what goes out, from how many threads, and every way in which it fails."""

from __future__ import annotations

import gc
import json
import pathlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from composer.backends.docker.backend import DockerBackend
from composer.backends.docker.endpoint import Endpoint
from composer.backends.docker.sdk import Sdk, outgoing, send
from composer.engine.observed import Advance
from composer.engine.wanted import EndpointSpec, NetworkSpec, VolumeSpec
from composer.errors import BackendError, Conflict, NotFound, PullFailed, Unavailable
from tests.unit.docker.engine import Asked, Engine, answer

Start = Callable[..., Engine]
REFUSALS = [b'{"message": "In use."}', b'{"error": "x"}', b'["x"]', b"<html>", b""]


@pytest.fixture
def sdk(engine: Start) -> Iterator[Callable[..., Sdk]]:
    made: list[Sdk] = []

    def start(reply: Callable[[Asked], bytes], *, answer_s: float = 120.0) -> Sdk:
        found = engine(reply)
        made.append(Sdk(found.client(), answer_s))
        return made[-1]

    yield start
    for one in made:
        one.close()


def backend(found: Engine) -> DockerBackend:
    return DockerBackend(found.client(), {"HOME": "/nowhere"})


def created(asked: Asked) -> bytes:
    return answer(201, {"Id": "made", "Name": "v", "Labels": {}, "Warnings": []})


def chunked(*pieces: bytes, whole: bool = True) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head + body + (b"0\r\n\r\n" if whole else b"")


# ------------------------------------------------------------------ what goes out


def test_the_version_is_the_one_that_was_agreed_on(engine: Start) -> None:
    found = engine(lambda asked: answer(204), "1.44")
    one = backend(found)
    one.kill_container("abc", "SIGHUP")
    one.close()
    assert found.asked == [Asked("POST", "/v1.44/containers/abc/kill?signal=SIGHUP", b"")]


def test_fields_that_the_sdk_has_no_words_for_arrive(engine: Start) -> None:
    found = engine(created)
    one = backend(found)
    one.create_network(NetworkSpec("n", {"l": "1"}, {"enable_ipv4": False, "enable_ipv6": False}))
    one.connect_network("abc", EndpointSpec("n", ("a",), {"gw_priority": 7}))
    one.close()
    network, endpoint = (json.loads(asked.body) for asked in found.asked)
    assert (network["EnableIPv4"], network["EnableIPv6"]) == (False, False)
    assert endpoint["EndpointConfig"]["GwPriority"] == 7
    assert found.asked[1].target == "/v1.51/networks/n/connect"


def test_an_archive_goes_out_in_pieces(engine: Start) -> None:
    found = engine(lambda asked: answer(200))
    one = backend(found)
    one.write_path("abc", "/a b", iter([b"one", b"", b"two"]), to_user=True)
    one.close()
    assert found.asked[0].body == b"onetwo"
    assert found.asked[0].target == (
        "/v1.51/containers/abc/archive?path=%2Fa+b&noOverwriteDirNonDir=true&copyUIDGID=true"
    )


def test_how_long_a_stop_takes_is_the_containers_matter(engine: Start) -> None:
    """The SDK gives up some time after the grace period that it was told, and knows not of the container's own."""
    found = engine(lambda asked: (time.sleep(0.3), answer(204))[1])
    one = backend(found)
    one._effects = Sdk(one.client, 0.05)
    one.stop_container("abc")
    assert found.asked[0].target == "/v1.51/containers/abc/stop"
    one.restart_container(
        "abc", timeout_s=3, signal="SIGINT"
    )  # a stop and a start would lose what removes itself
    assert found.asked[1].target == "/v1.51/containers/abc/restart?t=3&signal=SIGINT"
    with pytest.raises(Unavailable, match="did not respond"):
        one.start_container("abc")
    one.close()


def test_the_sdk_is_imported_by_the_first_effect(engine: Start) -> None:
    import subprocess

    found = engine(created)
    program = """
import sys
from composer.backends import docker
backend = docker.connect({"DOCKER_HOST": sys.argv[1]})
backend.observe("p")
print(not {"docker", "requests", "composer.backends.docker.sdk"} & set(sys.modules))
backend.create_volume(__import__("composer.engine.wanted").engine.wanted.VolumeSpec("v", {}, {}))
print("docker" in sys.modules)
"""
    reads = {"/containers/json": [], "/networks": [], "/volumes": {"Volumes": []}}

    def reply(asked: Asked) -> bytes:
        value = next((v for key, v in reads.items() if f"{key}?" in asked.target), None)
        return created(asked) if value is None else answer(value=value)

    found._reply = reply
    result = subprocess.run(
        [sys.executable, "-c", program, found.url], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.split() == ["True", "True"]


# ------------------------------------------------------------------ many threads


def test_fifty_threads_at_once_each_get_their_own_answer(engine: Start) -> None:
    """One client serves them all: no answer is mixed up, and no connection is thrown away that is wanted again."""
    gate = threading.Barrier(50, timeout=60)

    def reply(asked: Asked) -> bytes:
        gate.wait()  # none is answered before all were asked: they are on the way at once
        name = json.loads(asked.body)["Name"]
        return answer(201, {"Name": name, "Labels": {"of": name}})

    found = engine(reply)
    one = backend(found)
    before = found.connections
    with ThreadPoolExecutor(50) as pool:
        for turn in range(3):
            names = [f"v{turn}-{number}" for number in range(50)]
            specs = [VolumeSpec(name, {"of": name}, {}) for name in names]
            assert list(pool.map(one.create_volume, specs)) == names
    one.close()
    assert found.connections - before == 50
    assert len(found.asked) == 150


def test_threads_that_come_first_at_once_open_one_client(
    engine: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    import docker

    made: list[object] = []
    real = docker.APIClient

    def counted(*arguments: object, **more: object) -> object:
        made.append(real(*arguments, **more))  # type: ignore[arg-type]
        time.sleep(0.05)
        return made[-1]

    monkeypatch.setattr(docker, "APIClient", counted)
    one = backend(engine(lambda asked: answer(204)))
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one.start_container, [f"c{number}" for number in range(16)]))
    one.close()
    assert len(made) == 1


IMPORTS = """
import sys, threading
from composer.backends import docker
from composer.engine.wanted import BuildSpec, NetworkSpec

backend = docker.connect({"DOCKER_HOST": sys.argv[1], "HOME": "/nowhere", "PATH": "/nowhere"})
gate, failed = threading.Barrier(3), []

def run(effect, *arguments):
    gate.wait()
    try:
        effect(*arguments)
    except Exception as error:
        failed.append(repr(error))

threads = [
    threading.Thread(target=run, args=(backend.create_network, NetworkSpec("n", {}, {}))),
    threading.Thread(target=run, args=(backend.build_image, BuildSpec("i", "s", {"context": sys.argv[2]}, {}))),
    threading.Thread(target=run, args=(backend.pull_image, "i")),
]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(failed)
"""


@pytest.mark.parametrize("turn", range(4))
def test_first_effects_at_once_do_not_meet_half_of_the_sdk(
    engine: Start, tmp_path: pathlib.Path, turn: int
) -> None:
    """Parts of it that two threads import at once are seen unfinished: Python prefers that to a deadlock."""
    import subprocess

    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    image = {"Id": "sha256:1", "RepoTags": ["i:latest"]}
    found = engine(lambda asked: answer(value=image) if asked.method == "GET" else created(asked))
    command = [sys.executable, "-c", IMPORTS, found.url, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "[]", result.stderr


# ------------------------------------------------------------------ what fails


@pytest.mark.parametrize("body", REFUSALS)
def test_a_refusal_is_the_engines_whatever_it_is_written_in(sdk: Callable[..., Sdk], body: bytes) -> None:
    head = b"HTTP/1.1 409 Conflict\r\nContent-Length: %d\r\n\r\n" % len(body)
    with pytest.raises(Conflict), sdk(lambda asked: head + body).call() as api:
        api.start("abc")


def test_a_name_that_is_gone(engine: Start) -> None:
    one = backend(engine(lambda asked: answer(404, {"message": "No such container: abc"})))
    with pytest.raises(NotFound, match="no such container: abc"):
        one.start_container("abc")
    one.remove_container("abc")  # it is gone: that is what was asked for
    one.close()


def test_an_engine_that_goes_in_the_middle(sdk: Callable[..., Sdk]) -> None:
    with (
        pytest.raises(Unavailable, match="lost connection to the Docker Engine"),
        sdk(lambda asked: b"").call() as api,
    ):
        api.start("abc")


def test_an_engine_that_was_restarted_is_asked_again(engine: Start) -> None:
    found = engine(lambda asked: answer(204))
    one = backend(found)
    one.start_container("abc")
    found.hang_up()
    one.start_container("abc")
    assert len(found.asked) == 2
    one.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_is_gone(engine: Start, tmp_path: pathlib.Path) -> None:
    found = engine(lambda asked: answer(204))
    one = backend(found)
    one.start_container("abc")
    found.close()
    (tmp_path / "engine.sock").unlink()
    with pytest.raises(Unavailable, match="cannot connect to the Docker Engine at"):
        one.start_container("abc")
    one.close()
    gc.collect()  # the SDK's transport forgets the socket that it could not connect: it is warned of here


def test_an_answer_that_does_not_come(sdk: Callable[..., Sdk]) -> None:
    slow = sdk(lambda asked: (time.sleep(0.5), answer(204))[1], answer_s=0.05)
    with pytest.raises(Unavailable, match="did not respond within 0 s"), slow.call() as api:
        api.start("abc")


STREAMS = [
    chunked(b'{"status": "a"}\n', whole=False),
    chunked(b'{"status": "a"}\n{"stat'),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
]


@pytest.mark.parametrize("stream", STREAMS, ids=["cut", "half a message", "no chunk"])
def test_a_stream_that_is_broken_is_no_success(engine: Start, stream: bytes) -> None:
    found = engine(lambda asked: stream)
    one = backend(found)
    threading.Thread(target=lambda: (found.answered.wait(30), found.hang_up())).start()
    with pytest.raises(PullFailed, match="cannot pull image 'busybox'"):
        one.pull_image("busybox")
    one.close()


def test_what_a_stream_reports_is_an_error(engine: Start) -> None:
    one = backend(engine(lambda asked: chunked(b'{"status": "a"}\n', b'{"error": "manifest unknown"}\n')))
    with pytest.raises(PullFailed, match="manifest unknown"):
        one.pull_image("busybox")
    one.close()


def test_progress_is_told_as_it_comes(engine: Start) -> None:
    entries = [
        {"id": "a", "status": "Pulling fs layer"},
        {"id": "a", "status": "Downloading", "progressDetail": {"current": 1_000_000, "total": 2_000_000}},
        {"id": "a", "status": "Pull complete"},
    ]
    stream = chunked(*(json.dumps(entry).encode() + b"\r\n" for entry in entries))
    inspected = answer(value={"Id": "sha256:1", "RepoTags": ["busybox:latest"]})
    one = backend(engine(lambda asked: stream if asked.method == "POST" else inspected))
    told: list[Advance] = []
    assert one.pull_image("busybox", progress=told.append).id == "sha256:1"
    assert told == [
        Advance("extracting", 0, 1, "layers"),
        Advance("extracting", 1_000_000, 2_000_000, "bytes", ((1_000_000, 2_000_000),)),
        Advance("extracting", 2_000_000, 2_000_000, "bytes", ((2_000_000, 2_000_000),)),
    ]
    one.close()


def test_a_body_that_cannot_be_read_is_not_the_engines_fault(engine: Start, sdk: Callable[..., Sdk]) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise IsADirectoryError(21, "Is a directory", "/src")

    found = sdk(lambda asked: answer(200))
    with pytest.raises(IsADirectoryError), found.call() as api:
        send(api, "put", "/x", data=outgoing(pieces()))
    with pytest.raises(Conflict), found.call() as api:
        send(api, "put", "/x", data=outgoing(_raising(Conflict("ours"))))


def _raising(error: Exception) -> Iterator[bytes]:
    raise error
    yield b""


def test_a_refusal_while_the_body_is_on_its_way_is_told(engine: Start) -> None:
    """The engine answers and hangs up before it has read everything."""
    refused = answer(404, {"message": "Could not find the file /x in container abc"})
    one = backend(engine(lambda asked: refused))
    with pytest.raises(NotFound, match="no such file or directory in the container: /x"):
        one.write_path("abc", "/x", iter([b"x" * 70_000] * 40))
    one.close()


# ------------------------------------------------------------------ the surroundings


def test_proxies_of_the_environment_are_not_for_the_engine(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    found = Engine(tmp_path, lambda asked: answer(204), port=True)
    one = backend(found)
    one.start_container("abc")
    one.close()
    found.close()
    assert found.asked[0].target == "/v1.51/containers/abc/start"


def test_a_login_is_that_of_the_given_environment(
    engine: Start, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK by itself reads the configuration of this process."""
    import base64

    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for directory, user in ((ours, "me"), (theirs, "other")):
        directory.mkdir()
        login = base64.b64encode(f"{user}:secret".encode()).decode()
        (directory / "config.json").write_text(json.dumps({"auths": {"h:1": {"auth": login}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(theirs))
    headers: list[str] = []
    found = engine(lambda asked: chunked(b"{}\n"))
    found.headers_seen = headers
    one = DockerBackend(found.client(), {"DOCKER_CONFIG": str(ours)})
    one.push_image("h:1/x:1")
    DockerBackend(found.client(), {"DOCKER_CONFIG": str(tmp_path)}).push_image("h:1/x:1")
    one.close()
    logins = [
        json.loads(base64.urlsafe_b64decode(line.partition(":")[2].strip()))
        for line in headers
        if line.lower().startswith("x-registry-auth:")
    ]
    assert logins[0]["username"] == "me"
    assert logins[1] == {}


def test_a_configuration_that_the_sdk_cannot_use_is_named(
    engine: Start, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text('{"auths": {"h": "nonsense"}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    one = backend(engine(lambda asked: answer(204)))
    with pytest.raises(Unavailable, match="invalid configuration for registry h"):
        one.start_container("abc")
    one.close()


@pytest.mark.parametrize(
    ("url", "tls", "wanted"),
    [
        ("tcp://h", None, "http://h:2375"),
        ("tcp://h:1", None, "http://h:1"),
        ("tcp://[::1]:5", None, "http://[::1]:5"),
        ("tcp://h/", "certs", "https://h:2376"),
        ("https://h:7", "certs", "https://h:7"),
        ("unix:///a b.sock", None, "http+docker://localhost"),
        ("ssh://me@h:22", None, "http://docker:2375"),
    ],
)
def test_addresses(tmp_path: pathlib.Path, url: str, tls: str | None, wanted: str) -> None:
    from composer.backends.docker.sdk import connect

    for name in ("ca", "cert", "key"):
        (tmp_path / f"{name}.pem").write_text("")
    found = connect(Endpoint(url, str(tmp_path) if tls else None), (1, 44), 1.0)
    assert found.base_url == wanted
    assert found.api_version == "1.44"
    assert found.verify == (f"{tmp_path}/ca.pem" if tls else True)
    found.close()


def test_every_error_is_ours(sdk: Callable[..., Sdk]) -> None:
    with pytest.raises(BackendError), sdk(lambda asked: b"nonsense\r\n\r\n").call() as api:
        api.start("abc")
