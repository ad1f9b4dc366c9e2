"""``composer doctor`` names what is left behind, and only that: what is in use belongs to somebody."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from composer.runtime.base.state import Paths
from composer.runtime.container import cgroups
from composer.runtime.host import doctor, leftovers
from composer.runtime.network import netlink
from tests.integration.namespace.conftest import Stack, wait_for

pytestmark = pytest.mark.root
LINK = "cmpleftover0"


def texts(tmp_path: pathlib.Path) -> list[str]:
    paths = Paths(f"{tmp_path}/lib", f"{tmp_path}/run")
    return [one.text for one in leftovers.find(paths, settling_s=0.01)]


def test_a_bridge_without_a_network(tmp_path: pathlib.Path) -> None:
    subprocess.run(["ip", "link", "add", LINK, "type", "bridge"], check=True)
    try:
        assert any(LINK in text for text in texts(tmp_path))
    finally:
        subprocess.run(["ip", "link", "delete", LINK], check=True)
    assert not any(LINK in text for text in texts(tmp_path))


def test_an_empty_cgroup_without_a_container(tmp_path: pathlib.Path) -> None:
    base = pathlib.Path(cgroups.detect().parents()[-1]) / cgroups.PARENT
    directory = base / "leftover"
    directory.mkdir(parents=True)
    try:
        assert any(str(directory) in text for text in texts(tmp_path))
    finally:
        directory.rmdir()
        cgroups.remove_parents()


def test_what_is_left_of_stacks_whose_state_is_gone_is_cleaned_away(
    stack: Stack, tmp_path: pathlib.Path
) -> None:
    """Everything is killed from outside, as the end of a machine's session does, and the state is taken away."""
    stack.up("services: {a: {image: host, command: [sleep, inf], init: true, ports: ['127.0.0.1::80']}}")
    (container,) = stack.state.glob("lib/containers/*/state.json")
    victims = [stack.pid("keeper"), stack.pid("supervisor"), json.loads(container.read_text())["pid"]]
    os.kill(victims[0], signal.SIGSTOP)
    for pid in reversed(victims):
        os.kill(pid, signal.SIGKILL)
    stack.state.rename(tmp_path / "elsewhere")
    wait_for(lambda: any("cgroup" in text for text in texts(stack.state)), what="the end of its processes")
    told = stack.out("doctor", "--clean")
    for kind in (
        "removed: network interface 'cmp",
        "removed: firewall rules exist for bridge",
        "removed: cgroup",
    ):
        assert kind in told
    assert stack.out("doctor", "--clean") == "nothing is left behind\n"
    assert json.loads(stack.out("doctor", "--clean", "--json")) == {"removed": [], "kept": []}


def test_a_running_stack_is_no_leftover(stack: Stack, tmp_path: pathlib.Path) -> None:
    """Neither for its own state directory nor for another, which cannot know it."""
    before = texts(stack.state) or ["none"]
    stack.up("services: {web: {image: host, command: [sleep, '600'], stop_signal: SIGKILL}}")
    found = json.loads(stack.out("doctor", "--json"))["backends"]["namespace"]
    assert found["works"]
    assert [one["text"] for one in found["findings"] if one["subject"] == "leftovers"] == before
    assert texts(tmp_path / "other") == [text for text in before if text != "none"]


def test_a_stack_of_another_state_directory_is_no_leftover_while_nothing_of_it_runs(
    stack: Stack, tmp_path: pathlib.Path
) -> None:
    """Its bridge has no port while what restarts is waiting; without the bridge it could not start again."""
    stack.up("services: {web: {image: host, command: [sleep, '600'], stop_signal: SIGKILL}}")
    (network,) = (stack.state / "lib/networks").glob("*/network.json")
    bridge = json.loads(network.read_text())["bridge"]
    stack.run("stop")
    assert not any(bridge in text for text in texts(tmp_path / "other"))


def test_a_link_that_only_has_a_name_like_ours_is_somebodys(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = [netlink.Link(9, LINK, kind, "", 1500, 0, True) for kind in ("bridge", "wireguard", "")]
    for link, count in zip(links, (1, 0, 0), strict=True):
        monkeypatch.setattr(leftovers, "_links_here", lambda link=link: [link])
        assert sum(LINK in text for text in texts(tmp_path)) == count


def test_rules_of_another_network_namespace_are_not_judged_by_the_links_of_this_one(
    tmp_path: pathlib.Path,
) -> None:
    """`nsenter --net` leaves /sys as it is: what it lists are the links of the namespace that was left."""
    script = (
        "from composer.runtime.host import leftovers\n"
        "from composer.runtime.network import firewall, netlink\n"
        "from composer.runtime.base.state import Paths\n"
        f"name, paths = {LINK!r}, Paths({str(tmp_path / 'lib')!r}, {str(tmp_path / 'run')!r})\n"
        "with netlink.Netlink() as link:\n"
        "    bridge = link.create_bridge(name)\n"
        "    port = link.create_bridge('port')\n"
        "firewall.Firewall().add_network(firewall.Bridge(name, subnet4='10.1.2.0/24', gateway4='10.1.2.1'))\n"
        "assert not any(one.kind == 'rules' for one in leftovers.find(paths, settling_s=0))\n"
    )
    subprocess.run(["unshare", "--net", sys.executable, "-c", script], check=True)


def test_the_overlay_is_really_tried(tmp_path: pathlib.Path) -> None:
    (found,) = doctor._overlay(Paths(f"{tmp_path}/lib", f"{tmp_path}/run"))
    assert (found.level, found.subject) == ("ok", "overlayfs")
    assert list(tmp_path.iterdir()) == []
    (found,) = doctor._overlay(Paths("/proc/self/lib", "/proc/self/run"))
    assert (found.level, found.subject) == ("missing", "state directory")
