"""Instances of a project beside each other, by the command."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import urllib.request
from typing import Any


def composer(directory: pathlib.Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "composer", *words], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_instances_run_beside_each_other_at_addresses_that_stay(
    directory: pathlib.Path, backend: str
) -> None:
    base = directory.name
    for name in ("a", "b"):
        composer(directory, "--instance", name, "up", "-d", "--wait")
    listed: list[dict[str, Any]] = json.loads(composer(directory, "ls", "--format", "json"))
    mine = [(one["Name"], one["Instance"]) for one in listed if one["Name"].startswith(base)]
    assert mine == [(f"{base}-a", "a"), (f"{base}-b", "b")]
    urls = [composer(directory, "--instance", name, "url", "web").strip() for name in ("a", "b")]
    assert urls[0] != urls[1]
    assert [urllib.request.urlopen(url).read() for url in urls] == [b"hello\n", b"hello\n"]
    variables = json.loads(composer(directory, "--instance", "a", "env", "--format", "json"))
    assert variables["WEB_URL"] == urls[0] == f"http://{variables['WEB_HOST']}:{variables['WEB_PORT']}"
    assert f"WEB_PORT={variables['WEB_PORT']}\n" in composer(directory, "--instance", "a", "env")
    assert "nothing to do" in composer(directory, "--instance", "a", "plan")
    names = composer(directory, "--instance", "a", "ps", "--format", "{{.Name}}").split()
    assert f"fixed-{base}-a" in names
    composer(directory, "--instance", "a", "down", "-v", "-t", "0")
    os.environ["COMPOSER_INSTANCE"] = "a"
    try:
        composer(directory, "up", "-d", "--wait")
        assert composer(directory, "url", "web").strip() == urls[0]
        composer(directory, "down", "-v", "-t", "0")
    finally:
        del os.environ["COMPOSER_INSTANCE"]
    composer(directory, "--instance", "b", "down", "-v", "-t", "0")
