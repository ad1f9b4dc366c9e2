"""The docker command, BuildKit's client and docker-py with images: unchanged, on our socket."""

from __future__ import annotations

import io
import json
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from tests.api_client import Client, Server
from tests.api_images import imported, layer, rootfs, tar
from tests.registries import PASSWORD, USER, push, registry

pytestmark = [pytest.mark.root, pytest.mark.oracle]

BASE = "base/shell"
Docker = Callable[..., subprocess.CompletedProcess[str]]


def environment(client: Client) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("COMPOSE", "BUILDX"))}
    return {**kept, "DOCKER_HOST": client.host}


@pytest.fixture
def command(client: Client, tmp_path: pathlib.Path) -> Docker:
    """Run the docker command in the test's directory; with ``check`` a failure fails the test."""

    def run(
        *arguments: str, check: bool = True, given: bytes | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["docker", *arguments],
            cwd=tmp_path,
            env={**environment(client), **variables},
            input=given,
            capture_output=True,
            timeout=120,
            check=False,
        )
        out, error = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        if check and done.returncode:
            pytest.fail(f"docker {' '.join(arguments)}: exit {done.returncode}\n{out}\n{error}")
        return subprocess.CompletedProcess(arguments, done.returncode, out, error)

    return run


@pytest.fixture
def project(client: Client, tmp_path: pathlib.Path) -> pathlib.Path:
    """A build context, and an image to build from."""
    imported(client, BASE)
    place = tmp_path / "context"
    (place / "below").mkdir(parents=True)
    (place / "Dockerfile").write_text(f"FROM {BASE}\nCOPY . /files\nRUN /bin/busybox find /files\n")
    (place / "file").write_text("contents\n")
    (place / "below/more").write_text("more\n")
    (place / "ignored").write_text("never\n")
    (place / "link").symlink_to("file")
    os.link(place / "file", place / "below/hard")
    (place / "below/more").chmod(0o4711)
    (place / ".dockerignore").write_text("ignored\n")
    return place


# ------------------------------------------------------------------ the docker command


def test_images_by_the_docker_command(client: Client, command: Docker, tmp_path: pathlib.Path) -> None:
    (tmp_path / "root.tar").write_bytes(rootfs())
    command("import", "-c", "ENV A=1", "-m", "why", "root.tar", "made/one:1")
    assert "made/one" in command("images").stdout
    assert "A=1" in command("image", "inspect", "-f", "{{.Config.Env}}", "made/one:1").stdout
    assert "why" in command("history", "made/one:1").stdout
    command("tag", "made/one:1", "made/two:2")
    command("save", "-o", "saved.tar", "made/one:1", "made/two:2")
    assert "Untagged: made/one:1" in command("rmi", "made/one:1").stdout
    assert "Deleted: sha256:" in command("image", "rm", "made/two:2").stdout
    assert "Loaded image: made/one:1" in command("load", "-i", "saved.tar").stdout
    command("create", "--name", "source", "made/one:1", "/bin/sh")
    command("commit", "-m", "message", "-c", 'CMD ["x"]', "source", "made/three")
    command("rm", "source")
    names = command(
        "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "-f", "reference=made/*"
    ).stdout.split()
    assert sorted(names) == ["made/one:1", "made/three:latest", "made/two:2"]
    command("import", "root.tar")
    assert "Total reclaimed space" in command("image", "prune", "-f").stdout
    command("image", "prune", "-af")
    assert client.get("/images/json") == []
    assert "TYPE" in command("system", "df", "-v").stdout or command("system", "df").stdout
    missing = command("image", "inspect", "none", check=False)
    assert missing.returncode == 1 and "No such image" in missing.stderr


def test_transfers_by_the_docker_command(client: Client, command: Docker, tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "private"
    directory.mkdir()
    with registry(directory) as host:
        push(host, "x/img", "1", [layer(100_000), rootfs()])
    with registry(directory, password=True) as host:
        config = {"DOCKER_CONFIG": str(tmp_path / "config")}
        assert "pull access denied" in command("pull", f"{host}/x/img:1", check=False, **config).stderr
        command("login", "-u", USER, "--password-stdin", host, given=PASSWORD.encode(), **config)
        assert "Status: Downloaded newer image" in command("pull", f"{host}/x/img:1", **config).stdout
        command("tag", f"{host}/x/img:1", f"{host}/y/new:2")
        assert "digest: sha256:" in command("push", f"{host}/y/new:2", **config).stdout
        command("logout", host, **config)
        assert command("push", f"{host}/y/other:2", check=False, **config).returncode == 1


def test_the_classic_builder_of_the_docker_command(command: Docker, project: pathlib.Path) -> None:
    done = command("build", "-t", "made/classic", str(project), DOCKER_BUILDKIT="0")
    assert "Successfully tagged made/classic:latest" in done.stdout
    assert "/files/below/hard" in done.stdout and "/files/ignored" not in done.stdout
    (project / "Dockerfile").write_text(f"FROM {BASE}\nRUN exit 7\n")
    failed = command("build", str(project), check=False, DOCKER_BUILDKIT="0")
    assert failed.returncode == 7 and "returned a non-zero code: 7" in failed.stderr


# ------------------------------------------------------------------ BuildKit's client


def build(command: Docker, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return command("buildx", "build", "--progress=plain", *arguments, **more)


def test_a_build_by_buildx_has_the_files_and_their_modes(
    client: Client, command: Docker, project: pathlib.Path
) -> None:
    text = f"FROM {BASE}\nCOPY . /files\nRUN cd /files && /bin/busybox stat -c '%n %a %h %F' * below/* .dockerignore\n"
    (project / "Dockerfile").write_text(text.replace("stat -c", "stat -c"))
    done = build(command, "--no-cache", "-t", "made/one", "-t", "made/two:2", "--iidfile", "id", str(project))
    for line in ("file 644 ", "below/more 4711 ", "link 777 ", "regular file", "symbolic link"):
        assert line in done.stderr, done.stderr
    assert "/ignored" not in done.stderr and " ignored " not in done.stderr
    id = (project.parent / "id").read_text()
    assert client.get("/images/made/two:2/json")["Id"] == id
    assert "CACHED" in build(command, str(project)).stderr


def test_options_of_buildx_reach_the_builder(command: Docker, project: pathlib.Path) -> None:
    (project / "Other").write_text(
        "ARG NAME=none\nFROM $NAME AS first\nARG X\n"
        "RUN echo x=$X; /bin/busybox cat /etc/hosts; ulimit -n\nFROM scratch\n"
    )
    done = build(
        command,
        *(
            "-f",
            str(project / "Other"),
            "--target",
            "first",
            "--build-arg",
            f"NAME={BASE}",
            "--build-arg",
            "X=5",
        ),
        *("--add-host", "me:192.0.2.9", "--ulimit", "nofile=77", "--network", "none", "--label", "a=b"),
        *("--shm-size", "8m", "-t", "made/options", str(project)),
    )
    assert "x=5" in done.stderr and "192.0.2.9" in done.stderr and " 77" in done.stderr
    found = json.loads(command("image", "inspect", "made/options").stdout)[0]
    assert found["Config"]["Labels"] == {"a": "b"}


def test_a_failed_command_of_a_build_is_told(command: Docker, project: pathlib.Path) -> None:
    (project / "Dockerfile").write_text(f"FROM {BASE}\nRUN echo before; exit 3\n")
    done = build(command, str(project), check=False)
    assert done.returncode == 1 and "exit code: 3" in done.stderr and "before" in done.stderr
    (project / "Dockerfile").write_text("FROM\n")
    assert "Dockerfile:1" in build(command, str(project), check=False).stderr


def test_a_context_is_kept_for_the_next_build(
    client: Client, command: Docker, project: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    kept = tmp_path / "state/lib/build/contexts"
    build(command, "-t", "made/one", str(project))
    (first,) = (path for path in kept.iterdir() if path.is_dir())
    before = {path.name: path.stat().st_ino for path in first.iterdir()}
    (project / "file").write_text("changed\n")
    (project / "link").unlink()
    done = build(command, "-t", "made/one", str(project))
    assert "/files/below/more" in done.stderr and "/files/link" not in done.stderr
    after = {path.name: path.stat().st_ino for path in first.iterdir()}
    assert before["Dockerfile"] == after["Dockerfile"] and "link" not in after
    assert (first / "file").read_text() == "changed\n"
    listed = client.get("/system/df", {"type": "build-cache"})["BuildCache"]
    assert [one["ID"] for one in listed if one["Type"] == "source.local"] == [first.name]
    command("buildx", "prune", "-af")
    assert not list(kept.iterdir())


def test_a_dockerfile_is_checked(client: Client, command: Docker, project: pathlib.Path) -> None:
    assert "no warnings found" in build(command, "--check", str(project)).stdout
    (project / "Dockerfile").write_text(f"FROM {BASE} as x\nRUN never\n")
    done = build(command, "--check", str(project), check=False)
    assert done.returncode == 1 and "FromAsCasing" in done.stdout
    assert len(client.get("/images/json")) == 1


def test_secrets_and_agents_are_lent(command: Docker, project: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "secret").write_text("of a file\n")
    (project / "Dockerfile").write_text(
        f"FROM {BASE}\n"
        "RUN --mount=type=secret,id=one /bin/busybox cat /run/secrets/one\n"
        "RUN --mount=type=secret,id=two,env=TWO echo two=$TWO\n"
        "RUN --mount=type=secret,id=three,required=false echo without\n"
        "RUN --mount=type=ssh echo agent=$SSH_AUTH_SOCK; /bin/busybox ls -la $SSH_AUTH_SOCK\n"
    )
    agent = subprocess.run(
        ["ssh-agent", "-s", "-a", str(tmp_path / "agent")], capture_output=True, text=True, check=True
    )
    try:
        secrets = ["--secret", f"id=one,src={tmp_path / 'secret'}", "--secret", "id=two,env=VALUE"]
        done = build(
            command,
            *("--no-cache", *secrets, "--ssh", "default", str(project)),
            VALUE="of a variable",
            SSH_AUTH_SOCK=str(tmp_path / "agent"),
        )
    finally:
        pid = next(part for part in agent.stdout.split(";") if "SSH_AGENT_PID=" in part).partition("=")[2]
        os.kill(int(pid), signal.SIGTERM)
    for said in ("of a file", "two=of a variable", "without", "srw"):
        assert said in done.stderr, done.stderr


def test_contexts_come_from_standard_input_and_by_name(
    command: Docker, project: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "second").mkdir()
    (tmp_path / "second/two").write_text("second\n")
    body = tar(
        {
            "Dockerfile": f"FROM {BASE}\nCOPY file /file\nRUN /bin/busybox cat /file\n".encode(),
            "file": b"piped\n",
        }
    )
    assert "piped" in build(command, "--no-cache", "-", given=body).stderr
    alone = (
        f"FROM {BASE}\nCOPY --from=other two /two\nCOPY --from=shell /bin/sh /sh\nRUN /bin/busybox cat /two\n"
    )
    done = build(
        command,
        *("--no-cache", "-f", "-", "--build-context", f"other={tmp_path / 'second'}"),
        *("--build-context", f"shell=docker-image://{BASE}", str(project)),
        given=alone.encode(),
    )
    assert "second" in done.stderr


def test_outputs_go_to_the_client(command: Docker, project: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (project / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    build(command, "-o", str(tmp_path / "out"), str(project))
    assert (tmp_path / "out/file").read_text() == "contents\n"
    assert (tmp_path / "out/below/more").stat().st_mode & 0o7777 == 0o4711
    assert (tmp_path / "out/link").readlink() == pathlib.Path("file")
    build(command, "-o", f"type=tar,dest={tmp_path / 'out.tar'}", str(project))
    import tarfile

    with tarfile.open(tmp_path / "out.tar") as found:
        assert {"file", "below/more", "link"} <= {name.removeprefix("./") for name in found.getnames()}


def test_a_build_that_is_interrupted_leaves_nothing(
    server: Server, client: Client, project: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (project / "Dockerfile").write_text(f"FROM {BASE}\nRUN echo begun; /bin/busybox sleep 300\n")
    process = subprocess.Popen(
        ["docker", "buildx", "build", "--progress=plain", str(project)],
        env=environment(client),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    with process.stderr as output:
        assert any(b"begun" in line and b"RUN" not in line for line in output)
        process.send_signal(signal.SIGINT)
        output.read()
        process.wait(60)
    deadline = time.monotonic() + 30
    places = [tmp_path / "state/lib/containers", tmp_path / "state/lib/build/downloads"]
    while any(place.is_dir() and os.listdir(place) for place in places):
        assert time.monotonic() < deadline, [os.listdir(place) for place in places if place.is_dir()]
        time.sleep(0.05)
    assert "Traceback" not in server.log()


def test_the_cache_by_buildx(command: Docker, project: pathlib.Path) -> None:
    build(command, str(project))
    assert "Total:" in command("buildx", "du").stdout
    command("image", "prune", "-af")
    assert "Total" in command("buildx", "prune", "-af").stdout
    assert "running" in command("buildx", "inspect").stdout


def test_a_login_of_the_client_is_used_for_base_images(
    command: Docker, project: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    directory = tmp_path / "private"
    directory.mkdir()
    with registry(directory) as host:
        push(host, "base", "1", [rootfs()])
    with registry(directory, password=True) as host:
        (project / "Dockerfile").write_text(f"ARG FROM={host}/base:1\nFROM $FROM\nCOPY file /file\n")
        assert "pull access denied" in build(command, str(project), check=False).stderr
        plugins = (
            pathlib.Path(os.environ.get("DOCKER_CONFIG", os.path.expanduser("~/.docker"))) / "cli-plugins"
        )
        (tmp_path / "config").mkdir()
        if plugins.is_dir():
            (tmp_path / "config/cli-plugins").symlink_to(plugins)
        config = {"DOCKER_CONFIG": str(tmp_path / "config")}
        command("login", "-u", USER, "--password-stdin", host, given=PASSWORD.encode(), **config)
        assert "ERROR" not in build(command, str(project), **config).stderr


def test_compose_builds_by_either_protocol(
    command: Docker, project: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "compose.yaml").write_text(
        "services:\n"
        f"  one: {{image: made/one, build: {project}}}\n"
        "  two:\n"
        "    image: made/two\n"
        "    build:\n"
        f"      context: {project}\n"
        "      dockerfile_inline: |\n"
        f"        FROM {BASE}\n"
        "        RUN echo inline\n"
    )
    for name, variables in (("bake", {}), ("classic", {"DOCKER_BUILDKIT": "0", "COMPOSE_BAKE": "false"})):
        services = ["one", "two"] if name == "bake" else ["one"]
        command("compose", "-p", name, "build", *services, **variables)
        for service in services:
            command("image", "rm", f"made/{service}")


# ------------------------------------------------------------------ docker-py


@pytest.fixture
def sdk(client: Client) -> Iterator[Any]:
    found = docker.DockerClient(base_url=client.host, version="auto")
    yield found
    found.close()


def test_images_by_docker_py(sdk: Any, client: Client, host: str) -> None:
    imported(client, BASE, "1")
    image = sdk.images.get(f"{BASE}:1")
    assert image.tags == [f"{BASE}:1"] and image.attrs["Architecture"] and len(image.history()) == 1
    assert image.tag(f"{host}/mine", "2")
    pushed = list(sdk.images.push(f"{host}/mine", "2", stream=True, decode=True))
    digest = next(line["aux"]["Digest"] for line in pushed if "aux" in line)
    assert sdk.images.get_registry_data(f"{host}/mine:2").id == digest
    saved = b"".join(image.save(named=True))
    sdk.images.remove(f"{host}/mine:2")
    sdk.images.remove(image.id, force=True)
    assert sdk.images.list() == []
    assert sdk.images.load(saved)[0].tags == [f"{BASE}:1"]
    assert set(sdk.images.pull(f"{host}/mine", tag="2").tags) == {f"{BASE}:1", f"{host}/mine:2"}
    with pytest.raises(docker.errors.ImageNotFound):
        sdk.images.get("none")
    with pytest.raises(docker.errors.NotFound):
        sdk.images.pull(f"{host}/none", tag="1")
    assert sdk.images.prune({"dangling": False})["ImagesDeleted"]
    assert sdk.df()["LayersSize"] == 0


def test_builds_by_docker_py(sdk: Any, client: Client, project: pathlib.Path) -> None:
    image, lines = sdk.images.build(path=str(project), tag="made/one", buildargs={"A": "1"}, rm=True)
    assert image.tags == ["made/one:latest"]
    assert any("/files/below/more" in line.get("stream", "") for line in lines)
    quiet, _ = sdk.images.build(fileobj=io.BytesIO(f"FROM {BASE}\nRUN echo x\n".encode()), quiet=True)
    assert quiet.id.startswith("sha256:")
    with pytest.raises(docker.errors.BuildError, match="returned a non-zero code: 4"):
        sdk.images.build(fileobj=io.BytesIO(f"FROM {BASE}\nRUN exit 4\n".encode()))
    container = sdk.containers.create(BASE, ["/bin/sh"])
    assert container.commit("made/two", "2", message="why").tags == ["made/two:2"]
    container.remove()
    assert sdk.api.prune_builds()["SpaceReclaimed"] >= 0
