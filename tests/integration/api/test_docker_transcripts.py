"""The docker command on our socket prints what it prints on Docker Engine's: transcripts that were recorded there."""

from __future__ import annotations

import pathlib
from difflib import unified_diff

import pytest

from tests import transcripts
from tests.api_client import Client
from tests.compared.api.image import archive

pytestmark = [pytest.mark.root, pytest.mark.oracle]


@pytest.mark.parametrize("name", transcripts.names())
def test_the_docker_command_prints_what_it_does_on_docker_engine(
    client: Client, tmp_path: pathlib.Path, name: str
) -> None:
    client.post("/images/load", {"quiet": 1}, archive(transcripts.IMAGE))
    directory = tmp_path / "session"
    directory.mkdir()
    wanted: list[str] = []
    found: list[str] = []
    for head, recorded, came in transcripts.play(name, directory, client.host):
        wanted += [head, *transcripts.ours(recorded)]
        found += [head, *came]
    assert found == wanted, "\n".join(unified_diff(wanted, found, "Docker Engine", "ours", lineterm="", n=2))
