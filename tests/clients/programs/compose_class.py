"""testcontainers' DockerCompose, as its documentation shows it: ``python compose_class.py DIRECTORY COMMAND``.

COMMAND is the command that stands for ``docker``; ``-`` leaves it to the library.
"""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.request import urlopen

from testcontainers.compose import DockerCompose
from testcontainers.core.exceptions import ContainerIsNotRunning, NoSuchPortExposed


def refused(error: type[Exception], call: object) -> None:
    assert callable(call)
    try:
        call()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


def documented(context: str, command: str | None) -> None:
    with DockerCompose(
        context, compose_file_name="compose.yaml", pull=True, build=True, docker_command_path=command
    ) as compose:
        host, port = compose.get_service_host_and_port("web", 80)
        compose.wait_for(f"http://{host}:{port}/")
        assert compose.get_service_host("web", 80) == host == "0.0.0.0"
        assert compose.get_service_port("web", 80) == port
        with urlopen(f"http://{host}:{port}/") as answer:
            assert answer.read() == b"hello\n"
        refused(NoSuchPortExposed, lambda: compose.get_service_port("web", 99))
        refused(NoSuchPortExposed, lambda: compose.get_service_port("web"))
        refused(ContainerIsNotRunning, compose.get_container)

        web = compose.get_container("web")
        assert (web.Service, web.State, web.Health, web.ExitCode) == ("web", "running", "healthy", 0)
        assert {one.TargetPort for one in web.Publishers} == {80, 81}

        information = web.get_container_info()  # of Docker's API
        assert (information is not None) is (os.environ["COMPOSER_BACKEND"] == "docker")

        out, err, code = compose.exec_in_container(["sh", "-c", "echo out; echo err >&2"], "web")
        assert (out, err, code) == ("out\n", "err\n", 0), (out, err, code)
        refused(subprocess.CalledProcessError, lambda: compose.exec_in_container(["false"], "web"))

        out, err = compose.get_logs()
        assert {line.partition("|")[0].strip() for line in out.splitlines()} == {"ticker-1", "web-1"}, out
        assert err == ""
        out, _ = compose.get_logs("ticker")
        assert "tick" in out
        assert "web" not in out

        config = compose.get_config()
        assert sorted(config["services"]) == ["ticker", "web"]
        raw = compose.get_config(path_resolution=False, normalize=False, interpolate=False)
        assert raw["services"]["web"]["build"]["context"] == "."
    assert compose.get_containers(include_all=True) == []


def services_apart(context: str, command: str | None) -> None:
    """One file, an object for each service: each stops its own."""
    web, ticker = (
        DockerCompose(context, services=[name], docker_command_path=command) for name in ("web", "ticker")
    )
    web.start()
    refused(ContainerIsNotRunning, lambda: ticker.get_container("ticker"))
    ticker.start()
    assert len(web.get_containers()) == len(ticker.get_containers()) == 2
    web.stop()
    assert [one.Service for one in ticker.get_containers()] == ["ticker"]
    ticker.stop(down=False)
    refused(ContainerIsNotRunning, lambda: ticker.get_container("ticker"))
    assert ticker.get_container("ticker", include_all=True).State == "exited"
    ticker.stop()
    assert ticker.get_containers(include_all=True) == []
    ticker.stop()  # of nothing


def kept_volumes(context: str, command: str | None) -> None:
    compose = DockerCompose(context, wait=False, keep_volumes=True, docker_command_path=command)
    with compose:
        compose.exec_in_container(["sh", "-c", "echo kept >/data/file"], "web")
    compose.keep_volumes = False
    with compose:
        assert compose.exec_in_container(["cat", "/data/file"], "web")[0] == "kept\n"
    with compose:
        refused(
            subprocess.CalledProcessError, lambda: compose.exec_in_container(["cat", "/data/file"], "web")
        )


def profiles(context: str, command: str | None) -> None:
    for given, expected in ((None, False), (["late"], True)):
        with DockerCompose(context, profiles=given, docker_command_path=command) as compose:
            assert ("later" in {one.Service for one in compose.get_containers()}) is expected


if __name__ == "__main__":
    directory, word = sys.argv[1:]
    named = None if word == "-" else word
    for part in (documented, services_apart, kept_volumes, profiles):
        part(directory, named)
        print(part.__name__, flush=True)
