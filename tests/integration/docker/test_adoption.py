"""A stack belongs to whoever comes next: what docker compose started we take over as it is, and the reverse."""

from __future__ import annotations

import json

import pytest

from tests.integration.docker.conftest import Stack

pytestmark = [pytest.mark.docker, pytest.mark.oracle]

PLAIN = "services: {web: {image: IMAGE, command: [sleep, '600'], stop_signal: SIGKILL}}"
RICH = """
services:
  db:
    image: IMAGE
    command: sleep 600
    stop_signal: SIGKILL
    stop_grace_period: 3s
    environment: {A: "1", PASSWORD: "<secret> & more"}
    env_file: [vars.env]
    volumes:
      - data:/data
      - ./here:/here:ro
      - /anonymous
      - {type: bind, source: ./here, target: /as/long}
      - {type: bind, source: ./here, target: /there/already, bind: {create_host_path: false}}
    tmpfs: /run:size=1m
    healthcheck: {test: [CMD, "true"], interval: 1s, start_period: 2s, start_interval: 100ms}
    labels: {com.example.a: b}
    label_file: [labels.env]
    configs: [{source: page, target: /srv/page, mode: 0440}]
    secrets: [key]
    ulimits: {nofile: {soft: 1024, hard: 2048}}
    logging: {driver: json-file, options: {max-size: 1m}}
    deploy: {resources: {limits: {cpus: "0.5", memory: 64m}}}
  web:
    image: IMAGE
    command: ["sleep", "600"]
    stop_signal: SIGKILL
    depends_on: {db: {condition: service_healthy, restart: true}}
    networks: {front: {aliases: [www]}, back: {}}
    ports: ["127.0.0.1::80", "127.0.0.1:0:53/udp"]
    expose: ["8080"]
    cap_drop: [ALL]
    cap_add: [NET_BIND_SERVICE]
    read_only: true
    restart: on-failure:3
    extra_hosts: ["a.b:1.2.3.4"]
    dns: 1.1.1.1
    sysctls: {net.core.somaxconn: "512"}
    user: "1000"
    working_dir: /tmp
    hostname: other
    scale: 2
  side:
    image: IMAGE
    command: sleep 600
    stop_signal: SIGKILL
    network_mode: service:db
    pid: service:db
  apart:
    image: IMAGE
    command: sleep 600
    stop_signal: SIGKILL
    volumes: [{type: bind, source: ./here, target: /with/options, bind: {propagation: rprivate}}]
networks:
  default: {}
  front: {labels: {x: y}}
  back: {internal: true, ipam: {config: [{subnet: SUBNET.0/24}]}}
volumes: {data: {labels: {x: y}}}
configs: {page: {content: "hello"}}
secrets: {key: {file: ./key}}
"""


def rich(stack: Stack, text: str = RICH) -> None:
    stack.write(text)
    (stack.directory / "vars.env").write_text("B=2\nC='three $x'\n")
    (stack.directory / "labels.env").write_text("com.example.c=d\n")
    (stack.directory / "key").write_text("hidden")
    (stack.directory / "here").mkdir()


@pytest.mark.parametrize("text", [PLAIN, RICH], ids=["plain", "rich"])
def test_what_docker_compose_started_needs_nothing(stack: Stack, text: str) -> None:
    rich(stack, text)
    stack.theirs("up", "-d")
    assert stack.plan() == ""
    before = stack.ids()
    stack.ours("up", "-d")
    assert stack.ids() == before


@pytest.mark.parametrize("text", [PLAIN, RICH], ids=["plain", "rich"])
def test_docker_compose_recreates_nothing_of_ours(stack: Stack, text: str) -> None:
    rich(stack, text)
    stack.ours("up", "-d")
    assert stack.plan() == ""
    before = stack.ids()
    result = stack.theirs("up", "-d")
    assert stack.ids() == before, result.stderr
    assert "ecreate" not in result.stderr


def test_docker_compose_sees_ours_and_takes_it_down_without_a_file(stack: Stack) -> None:
    stack.write(PLAIN.replace("sleep, '600'", "sh, -c, 'echo said; sleep 600'"))
    stack.ours("up", "-d")
    shown = json.loads(stack.theirs("ps", "--format", "json").stdout)
    assert (shown["Service"], shown["State"]) == ("web", "running")
    assert "said" in stack.theirs("logs").stdout
    (stack.directory / "compose.yaml").unlink()
    stack.theirs("-p", stack.name, "down", "-t", "0")
    assert stack.ids() == []


def test_we_see_theirs_and_take_it_down_without_a_file(stack: Stack) -> None:
    stack.write(PLAIN.replace("sleep, '600'", "sh, -c, 'echo said; sleep 600'"))
    stack.theirs("up", "-d")
    (stack.directory / "compose.yaml").unlink()
    shown = json.loads(stack.ours("-p", stack.name, "ps", "--format", "json").stdout)
    assert (shown["Service"], shown["State"]) == ("web", "running")
    assert "said" in stack.ours("-p", stack.name, "logs").stdout
    stack.ours("-p", stack.name, "down", "-t", "0")
    assert stack.ids() == []


# What need not be equal: it is ours or theirs by name, by accident, or by time.
_OWN = {
    "HostConfig": {"ContainerIDFile", "ConsoleSize"},
    "Config": {"Labels", "Hostname", "Image"},
}


@pytest.mark.parametrize("service", ["db", "web", "side"])
def test_containers_are_configured_alike(stack: Stack, service: str) -> None:
    rich(stack)
    stack.theirs("create")
    theirs = stack.inspect(service)
    peer_id = stack.inspect("db")["Id"]
    stack.theirs("down", "-v", "-t", "0")
    stack.ours("create")
    ours = stack.inspect(service)
    own_id = stack.inspect("db")["Id"]
    for part, left_out in _OWN.items():
        mine = {key: _plain(value) for key, value in ours[part].items() if key not in left_out}
        wanted = {
            key: _plain(value, peer_id, own_id) for key, value in theirs[part].items() if key not in left_out
        }
        assert mine == wanted
    for key in (
        "project",
        "service",
        "container-number",
        "oneoff",
        "depends_on",
        "image",
        "project.working_dir",
    ):
        name = f"com.docker.compose.{key}"
        assert ours["Config"]["Labels"].get(name) == theirs["Config"]["Labels"].get(name), name


def _plain(value: object, old: str = "", new: str = "") -> object:
    """Make nothing of the difference between null, empty and absent, nor of order and of ids."""
    if isinstance(value, str):
        return value.replace(old, new) if old else value
    if isinstance(value, list):
        return sorted((_plain(one, old, new) for one in value), key=repr) or None
    if isinstance(value, dict):
        found = {key: _plain(one, old, new) for key, one in value.items()}
        return {key: one for key, one in found.items() if one not in (None, "", False, 0)} or None
    return value or None
