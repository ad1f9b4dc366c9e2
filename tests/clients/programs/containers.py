"""testcontainers with containers of its own, on the server at DOCKER_HOST: ``python containers.py DIRECTORY``."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from urllib.request import urlopen

from testcontainers.community.postgres import PostgresContainer
from testcontainers.community.redis import RedisContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.image import DockerImage
from testcontainers.core.network import Network
from testcontainers.core.waiting_utils import wait_for_logs


def generic() -> None:
    command = [
        "sh",
        "-c",
        "mkdir /www; echo page >/www/index.html; echo ready; exec busybox httpd -f -h /www",
    ]
    made = DockerContainer("box").with_command(command).with_exposed_ports(80).with_env("A", "b")
    with made as container:
        wait_for_logs(container, "ready", timeout=20)
        url = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(80)}/"
        with urlopen(url, timeout=5) as answer:
            assert answer.read() == b"page\n"
        assert container.exec(["sh", "-c", "echo $A"]) == (0, b"b\n")
        assert container.get_logs() == (b"ready\n", b"")
        assert container.get_wrapped_container().status in ("created", "running")


def networks() -> None:
    with Network() as network:
        first = (
            DockerContainer("box")
            .with_command("sleep 1000")
            .with_network(network)
            .with_network_aliases("one")
        )
        with first, DockerContainer("box").with_command("sleep 1000").with_network(network) as second:
            code, said = second.exec(["nslookup", "one"])
            assert code == 0, said


def postgres() -> None:
    with PostgresContainer("postgres:16", username="me", password="word", dbname="data") as container:
        assert container.get_connection_url().startswith("postgresql+psycopg2://me:word@")
        code, said = container.exec(["psql", "-h", "/tmp", "-U", "me", "-d", "data", "-Atc", "select 6*7"])
        assert (code, said) == (0, b"42\n"), (code, said)


def redis() -> None:
    with RedisContainer("redis:7") as container:
        place = (container.get_container_host_ip(), int(container.get_exposed_port(6379)))
        with socket.create_connection(place, timeout=5) as connection:
            connection.sendall(b"SET a b\r\nGET a\r\n")
            said = b""
            while not said.endswith(b"b\r\n"):
                piece = connection.recv(100)
                assert piece, said
                said += piece
        assert said == b"+OK\r\n$1\r\nb\r\n"


def built(context: Path) -> None:
    (context / "Dockerfile").write_text('FROM box\nARG WORD\nRUN echo $WORD >/word\nCMD ["cat", "/word"]\n')
    with DockerImage(path=context, tag="built:test", buildargs={"WORD": "of the build"}) as image:
        with DockerContainer(str(image)) as container:
            wait_for_logs(container, "of the build", timeout=20)
        assert any("RUN" in str(line) for line in image.get_logs())


if __name__ == "__main__":
    for part in (generic, networks, postgres, redis):
        part()
        print(part.__name__, flush=True)
    built(Path(sys.argv[1]))
    print("built")
