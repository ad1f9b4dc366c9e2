"""Every command and flag of the docker CLI on single objects is known to ours."""

from __future__ import annotations

import pytest

from tests.unit.cli import docker_flags
from tests.unit.cli.console import Console
from tests.unit.test_commands_page import PAGE, commands


def test_no_command_and_no_flag_of_the_docker_cli_is_unknown() -> None:
    assert list(docker_flags.absent(dict(commands()))) == []
    assert len(docker_flags.known()["container run"]) > 90  # it has seen the help


def test_the_page_has_the_table() -> None:
    assert docker_flags.section(dict(commands())) in PAGE.read_text()


@pytest.mark.parametrize(
    "line",
    [
        "container run --kernel-memory 1m image",
        "container rm --link x",
        "container logs --details x",
        "network create --ingress x",
        "image pull -a x",
        "image build --annotation a=b .",
        "container update --cpuset-mems 0 x",
    ],
)
def test_a_refused_flag_says_why(line: str, console: Console) -> None:
    done = console(*line.split())
    assert done.code == 1
    assert " is not supported: " in done.err
