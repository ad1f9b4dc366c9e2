"""A fork's project: what would be shared by its name is its own."""

from __future__ import annotations

import pathlib

import pytest

import composer
from composer.stacks import snapshots

FILE = """
services:
  a:
    image: x
    ports: ["8080:80"]
    container_name: fixed
    volumes: ["own:/o", "named:/n", "outside:/x"]
    networks: [default, shared]
volumes: {own: {}, named: {name: everybody, labels: {kept: "yes"}}, outside: {external: true}}
networks: {shared: {name: all, driver_opts: {key: value}}, default: {}}
"""


def test_names_ports_and_external_objects_are_its_own(tmp_path: pathlib.Path) -> None:
    (tmp_path / "compose.yaml").write_text(FILE)
    project = composer.load(tmp_path / "compose.yaml", name="orig")
    fork = snapshots.forked(project, "copy")
    names = {
        kind: {key: tree["name"] for key, tree in fork.whole[kind].items()}
        for kind in ("volumes", "networks")
    }
    assert names == {
        "volumes": {"own": "copy_own", "named": "copy_named", "outside": "copy_outside"},
        "networks": {"shared": "copy_shared", "default": "copy_default"},
    }
    assert not any(tree.get("external") for tree in fork.whole["volumes"].values())
    assert fork.whole["volumes"]["named"]["labels"] == {"kept": "yes"}
    assert fork.whole["networks"]["shared"]["driver_opts"] == {"key": "value"}
    service = fork.whole["services"]["a"]
    assert "container_name" not in service and not service["ports"][0].get("published")
    assert project.whole["volumes"]["named"]["name"] == "everybody"


def test_a_fork_needs_another_name(tmp_path: pathlib.Path) -> None:
    (tmp_path / "compose.yaml").write_text(FILE)
    project = composer.load(tmp_path / "compose.yaml", name="orig")
    with pytest.raises(composer.errors.ProjectError, match="cannot fork project 'orig' as 'orig'"):
        snapshots.forked(project, "orig")
