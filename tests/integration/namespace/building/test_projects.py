"""Builds of a project: attributes of `build`, order, once each, and what a plan says before anything is built."""

from __future__ import annotations

import json

import pytest

from tests.integration.namespace.building.conftest import Workshop

pytestmark = pytest.mark.root

COMPOSE = """
services:
  lib:
    build: {context: lib}
    image: lib-image
    entrypoint: ["true"]
  web:
    build:
      context: web
      dockerfile: web.Dockerfile
      args: {V: "1"}
      target: run
      labels: {from.compose: "yes"}
      extra_hosts: ["name.of.host=10.9.8.7"]
      shm_size: 32m
      ulimits: {nofile: {soft: 300, hard: 400}}
      secrets: [token]
      tags: [web-other:1]
      additional_contexts: {own: "service:lib", files: ./files}
    command: ["sleep", "1000"]
secrets:
  token: {environment: TOKEN}
"""
WEB = """FROM base AS run
ARG V
RUN --mount=type=secret,id=token wc -c < /run/secrets/token > /length
RUN echo $V > /v; ulimit -n > /n; grep name.of.host /etc/hosts > /hosts; df /dev/shm | tail -1 > /shm
COPY --from=own /lib /lib
COPY --from=files f /f
FROM run
RUN exit 1
"""


@pytest.fixture
def project(shop: Workshop) -> Workshop:
    shop.stack.write(COMPOSE)
    shop.write("lib/Dockerfile", "FROM base\nRUN echo lib > /lib\n")
    shop.write("web/web.Dockerfile", WEB)
    shop.write("files/f", "f\n")
    return shop


def planned(shop: Workshop, *flags: str) -> str:
    return shop.stack.run("plan", *flags, TOKEN="abc").stdout


def test_attributes_of_a_build(project: Workshop) -> None:
    stack = project.stack
    stack.run("up", "-d", TOKEN="abc")
    shown = stack.shell("web", "cat /length /v /n /hosts /lib /f").split("\n")
    assert shown == ["3", "1", "300", "10.9.8.7\tname.of.host", "lib", "f"]
    assert "32768" in stack.shell("web", "cat /shm")
    image = json.loads(stack.out("image", "inspect", "web-other:1"))[0]
    assert image["Config"]["Labels"]["from.compose"] == "yes"
    assert image["Config"]["Labels"]["com.docker.compose.service"] == "web"
    assert f"{stack.name}-web:latest" in image["RepoTags"]
    stack.run("down", "--rmi", "all", TOKEN="abc")
    assert f"{stack.name}-web" not in stack.out("image", "ls")


def test_a_plan_says_what_would_be_built_and_why(project: Workshop) -> None:
    stack = project.stack
    assert "2 to build" in planned(project)
    stack.run("build", TOKEN="abc")
    assert "to build" not in planned(project, "--build")
    project.write("files/f", "changed\n")
    assert "COPY f /f: the files that it reads changed" in planned(project, "--build")
    stack.run("build", TOKEN="abc")
    stack.write(COMPOSE.replace('V: "1"', 'V: "2"'))
    assert "a build argument changed" in planned(project, "--build")
    stack.write(COMPOSE.replace('from.compose: "yes"', 'from.compose: "no"'))
    assert "its configuration changed" in planned(project, "--build")
    stack.write(COMPOSE)
    project.write("lib/Dockerfile", "FROM base\nRUN echo other > /lib\n")
    text = planned(project, "--build")
    assert "RUN echo other > /lib: it was RUN echo lib > /lib" in text
    project.write("lib/Dockerfile", "FROM missing.example/image\n")
    assert "base image missing.example/image:latest is not here" in planned(project, "--build")
    # nothing was built to find that out
    project.write("lib/Dockerfile", "FROM base\nRUN echo lib > /lib\n")
    assert "to build" not in planned(project, "--build")


def test_a_container_is_replaced_when_its_image_was_built_anew(project: Workshop) -> None:
    stack = project.stack
    stack.run("up", "-d", TOKEN="abc")
    before = stack.out("ps", "-q", "web")
    stack.run("up", "-d", "--build", TOKEN="abc")
    assert stack.out("ps", "-q", "web") == before
    project.write("files/f", "changed\n")
    stack.run("up", "-d", "--build", TOKEN="abc")
    assert stack.out("ps", "-q", "web") != before
    assert stack.inside("web", "cat", "/f") == "changed\n"


def test_a_failing_build_stops_up_before_anything_is_made(project: Workshop) -> None:
    project.write("lib/Dockerfile", "FROM base\nRUN echo why; exit 5\n")
    done = project.stack.run("up", "-d", check=False, TOKEN="abc")
    assert done.returncode == 1
    assert "lib/Dockerfile:2:1" in done.stderr
    assert "of service 'lib'" in done.stderr
    assert "> why" in done.stderr
    assert project.stack.out("ps", "-aq") == ""


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        ("isolation: hyperv", "isolation"),
        ("provenance: mode=max", "build.provenance is not supported"),
        ("sbom: true", "build.sbom is not supported"),
        ("platforms: [linux/amd64, nowhere]", "invalid platform 'nowhere'"),
        ("platforms: [windows/amd64]", "only linux is supported"),
        ("target: nowhere", "target stage 'nowhere' is not in"),
        ("network: mine", "a build cannot use network 'mine'"),
        ("entitlements: [bogus]", "unknown entitlement 'bogus'"),
        ("extra_hosts: [a=nowhere]", "invalid IP address 'nowhere'"),
        ("dockerfile: nowhere", "no such file"),
        ("context: nowhere", "no such file"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(shop: Workshop, attribute: str, said: str) -> None:
    shop.write("Dockerfile", "FROM base\n")
    context = "" if attribute.startswith("context") else "context: ., "
    shop.stack.write(f"services:\n  a:\n    build: {{{context}{attribute}}}\n")
    done = shop.stack.run("build", check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "bug in composer" not in done.stderr


def test_checks_of_a_project_build_nothing_and_end_with_1_where_they_find_something(shop: Workshop) -> None:
    shop.stack.write("services: {a: {build: ., image: checked}}")
    shop.write("Dockerfile", "FROM base\nRUN echo 1 > /one\n")
    clean = shop.stack.run("build", "--check")
    assert " Checked" in clean.stderr
    assert clean.stdout.endswith("Check complete, no warnings found.\n")
    shop.write("Dockerfile", "from base\nRUN echo 1 > /one\nCMD true\n")
    for command in (("build", "--check"), ("image", "build", "--check", ".")):
        found = shop.stack.run(*command, check=False)
        assert found.returncode == 1
        assert "Check complete, 2 warnings have been found!\n" in found.stdout
        assert "ConsistentInstructionCasing" in found.stderr
        assert "JSONArgsRecommended" in found.stderr
    assert shop.stack.run("image", "inspect", "checked", check=False).returncode == 1


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--shm-size", "x", "invalid size 'x'"),
        ("--build-context", "a", "'a': write NAME=SOURCE"),
        ("--build-context", "=x", "'=x': write NAME=SOURCE"),
        ("--add-host", "bad", "invalid IP address ''"),
        ("--network", "mine", "a build cannot use network 'mine'"),
        ("--ssh", "key=/nowhere", "cannot find '/nowhere' of build.ssh 'key'"),
        ("--allow", "bogus", "unknown entitlement 'bogus'"),
        ("--platform", "linux/amd64,windows/amd64", "only linux is supported"),
        ("--target", "nowhere", "use 0, the only stage"),
    ],
)
def test_a_flag_with_a_wrong_value_is_refused_with_the_remedy(
    shop: Workshop, flag: str, value: str, said: str
) -> None:
    shop.write("Dockerfile", "FROM base\n")
    done = shop.stack.run("image", "build", flag, value, ".", check=False)
    assert done.returncode != 0
    assert said in done.stderr
    assert "hint:" in done.stderr
    assert "bug in composer" not in done.stderr


def test_hosts_of_a_build_may_be_ipv6_addresses_in_brackets(shop: Workshop) -> None:
    shop.build("FROM base\nRUN grep six /etc/hosts > /hosts\n", "--add-host", "six=[fd00::6]")
    assert shop.text("/hosts").split() == ["fd00::6", "six"]
