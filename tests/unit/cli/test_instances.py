"""``--instance``: names, ports that stay, and what services are reached at."""

from __future__ import annotations

import json
import pathlib
import socket

import pytest

from composer.errors import ProjectError
from composer.session import instances
from composer.session.instances import Ports, name_of
from tests.unit.cli.console import Console

PORT = {"target": 80, "published": "8080", "protocol": "tcp"}


@pytest.mark.parametrize(
    ("wanted", "name"), [("a", "a"), ("Feature/X y", "feature-x-y"), ("-x-", "x"), ("a_b", "a_b")]
)
def test_a_name_becomes_part_of_a_projects_name(wanted: str, name: str) -> None:
    assert name_of(wanted, "/") == name


def test_a_name_of_nothing_is_refused() -> None:
    with pytest.raises(ProjectError, match="invalid instance"):
        name_of("!!", "/")


def test_auto_is_the_branch_the_worktree_or_the_directory(tmp_path: pathlib.Path) -> None:
    main, below = tmp_path / "shop", tmp_path / "shop/deep"
    (main / ".git").mkdir(parents=True)
    below.mkdir()
    (main / ".git/HEAD").write_text("ref: refs/heads/main\n")
    assert name_of("auto", str(below)) == "shop"
    (main / ".git/HEAD").write_text("ref: refs/heads/fix/Login\n")
    assert name_of("auto", str(below)) == "fix-login"
    (main / ".git/HEAD").write_text("0123456789abcdef0123456789abcdef01234567\n")
    assert name_of("auto", str(main)) == "shop"
    tree = tmp_path / "shop-review"
    tree.mkdir()
    (tree / ".git").write_text("gitdir: elsewhere\n")
    assert name_of("auto", str(tree)) == "shop-review"
    assert name_of("auto", str(tmp_path)) == tmp_path.name.lower()


def test_ports_are_the_same_from_run_to_run(tmp_path: pathlib.Path) -> None:
    first = Ports({}, "shop-a", lambda: ())
    port = first.choose("web", PORT)
    assert 20_000 <= int(port) < 30_000
    instances.write(str(tmp_path), "shop-a", {"ports": first.chosen})
    again = Ports(instances.read(str(tmp_path), "shop-a"), "shop-a", lambda: ())
    assert again.choose("web", PORT) == port
    assert Ports({}, "shop-a", lambda: ()).choose("web", PORT) == port  # also without the record
    assert Ports({}, "shop-b", lambda: ()).choose("web", PORT) != port


def test_two_ports_of_one_instance_are_two() -> None:
    ports = Ports({}, "shop-a", lambda: ())
    known = ports.choose("web", PORT)
    other = Ports(
        {"ports": {"web  80/tcp 8080": int(known), "db  80/tcp 8080": int(known)}}, "shop-a", lambda: ()
    )
    assert other.choose("web", PORT) != other.choose("db", PORT)


def test_a_port_that_somebody_else_has_is_replaced_and_ones_own_is_kept() -> None:
    chosen = Ports({}, "shop-a", lambda: ())
    number = int(chosen.choose("web", PORT))
    with socket.socket() as taken:
        taken.bind(("", number))
        taken.listen()
        assert Ports({"ports": chosen.chosen}, "shop-a", lambda: ()).choose("web", PORT) != str(number)
        assert Ports({"ports": chosen.chosen}, "shop-a", lambda: {number}).choose("web", PORT) == str(number)


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", '{"ports": 3}', '{"ports": {"web  80/tcp 8080": "x"}}']
)
def test_a_damaged_record_is_as_none(tmp_path: pathlib.Path, text: str) -> None:
    path = pathlib.Path(instances.path_of(str(tmp_path), "shop-a"))
    path.parent.mkdir()
    path.write_text(text)
    found = instances.read(str(tmp_path), "shop-a")
    assert Ports(found, "shop-a", lambda: ()).choose("web", PORT).isdecimal()


def test_a_record_is_json(tmp_path: pathlib.Path) -> None:
    instances.write(str(tmp_path), "shop-a", {"base": "shop"})
    assert json.loads(pathlib.Path(instances.path_of(str(tmp_path), "shop-a")).read_text()) == {
        "base": "shop"
    }


def test_config_shows_what_up_would_make(stack: Console) -> None:
    stack.write('services: {web: {image: nginx, container_name: shop, ports: ["8080:80", "90"]}}\n')
    shown = json.loads(stack("--instance", "review", "config", "--format", "json").out)["services"]["web"]
    assert shown["container_name"] == "shop-review"
    moved, open_ = shown["ports"]
    assert 20_000 <= int(moved["published"]) < 30_000 and "published" not in open_
    assert stack("--instance", "review", "up", "-d").code == 0
    assert f"127.0.0.1:{moved['published']}" in stack("--instance", "review", "url", "web", "80").out
    raw = json.loads(stack("--instance", "review", "config", "--no-interpolate", "--format", "json").out)
    assert raw["services"]["web"]["container_name"] == "shop"
