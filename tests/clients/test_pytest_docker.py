"""pytest-docker's fixtures: the example of its README, with the default command and with ``docker_compose_command``."""

from __future__ import annotations

import sys

import pytest

from tests.clients.conftest import PYTHON, Client
from tests.integration.contract.conftest import IMAGE

PROJECT = """
services:
  hello:
    build: ./hello
    ports: ["80"]
    volumes: ["data:/data"]
volumes: {data: {}}
"""
DOCKERFILE = f"""FROM {IMAGE}
RUN mkdir /www && echo hello >/www/index.html
CMD ["httpd", "-f", "-p", "80", "-h", "/www"]
STOPSIGNAL SIGKILL
"""
EXAMPLE = '''
import pytest
import requests
from requests.exceptions import ConnectionError


def is_responsive(url):
    try:
        return requests.get(url).status_code == 200
    except ConnectionError:
        return False


@pytest.fixture(scope="session")
def http_service(docker_ip, docker_services):
    """Ensure that HTTP service is up and responsive."""
    port = docker_services.port_for("hello", 80)
    url = f"http://{docker_ip}:{port}"
    docker_services.wait_until_responsive(timeout=30.0, pause=0.1, check=lambda: is_responsive(url))
    return url


def test_status_code(http_service):
    assert requests.get(http_service).text == "hello\\n"


def test_what_is_not_published(docker_services):
    with pytest.raises(Exception, match="port"):
        docker_services.port_for("hello", 81)
'''
COMMAND = """
import pytest


@pytest.fixture(scope="session")
def docker_compose_command():
    return "WORDS"


@pytest.fixture(scope="session")
def docker_compose_project_name():
    return "NAME"


@pytest.fixture(scope="session")
def docker_setup():
    return SETUP
"""


def prepare(client: Client, words: str, setup: str) -> None:
    client.stack.write("name: NAME\ninclude: [tests/docker-compose.yml]\n")
    client.write("tests/docker-compose.yml", PROJECT)
    client.write("tests/hello/Dockerfile", DOCKERFILE)
    client.write("tests/test_example.py", EXAMPLE)
    conftest = COMMAND.replace("WORDS", words).replace("NAME", client.stack.name).replace("SETUP", setup)
    client.write("tests/conftest.py", conftest)


def finish(client: Client) -> None:
    """Remove the image, and see that its own clean-up left nothing."""
    assert client.stack.containers() == {}
    assert client.stack.name not in client.stack.run("volume", "ls", "-q").stdout
    client.stack.run("image", "rm", f"{client.stack.name}-hello")


@pytest.mark.parametrize(
    "words", ["docker compose", f"{sys.executable} -m composer"], ids=["default", "ours"]
)
def test_the_fixtures_do_what_the_readme_says(client: Client, words: str) -> None:
    prepare(client, words, "['down -v', 'up --build --wait']")
    assert "2 passed" in client.run(PYTHON, "-m", "pytest", "-q", "tests").stdout
    finish(client)


def test_a_failed_setup_says_what_failed(client: Client) -> None:
    prepare(client, "docker compose", "'up --build --wait nosuch'")
    test = "tests/test_example.py::test_status_code"
    with pytest.raises(AssertionError, match="no such service: nosuch"):
        client.run(PYTHON, "-m", "pytest", "-q", test)
