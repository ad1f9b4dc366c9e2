"""Who looks at each process that comes into a container, from its birth, with the right to open what it has.

The attacker runs inside with SYS_PTRACE: it opens /proc/N/root, descriptors and state of the numbers that are given
next. What it sees of any process, however early, has to be the container's.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.namespace.conftest import Stack, wait_for

pytestmark = pytest.mark.root

# It stops whoever gets one of the next numbers at the first moment, and looks at leisure.
ATTACKER = textwrap.dedent(
    """
    import json, os, signal, sys
    secret, trap, host = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    found, seen = {}, {"early": 0, "late": 0}
    last = max(int(n) for n in os.listdir("/proc") if n.isdigit())

    def look_at_root(base):
        for name in ("root", "cwd"):
            place = os.stat(f"{base}/{name}/.")
            if [place.st_dev, place.st_ino] == host["/"]:
                found[name] = host["/"]
        for path, mode in ((secret, "r"), (trap, "x")):
            try:
                open(f"{base}/root{path}", mode).close()
                found[mode] = path
            except OSError:
                pass  # not there, as it should be

    def look(pid):
        base = f"/proc/{pid}"
        look_at_root(base)
        status = open(f"{base}/status").read()
        lines = dict(line.split(":\\t", 1) for line in status.splitlines() if ":\\t" in line)
        is_early = lines["Name"].startswith("composer-")
        seen["early" if is_early else "late"] += 1
        if not is_early:
            return
        confined = [lines["CapPrm"].strip(), lines["Seccomp"].strip()]
        if confined not in found.setdefault("confined", []):
            found["confined"].append(confined)
        for name in ("mnt", "net", "ipc", "uts", "cgroup", "pid", "pid_for_children"):
            if os.readlink(f"{base}/ns/{name}") in host["namespaces"]:
                found.setdefault("namespaces", []).append(name)
        links = [os.readlink(f"{base}/fd/{fd}") for fd in os.listdir(f"{base}/fd")]
        streams = ("pipe:", "/dev/null", "/dev/pts", "socket:")
        bad = [link for link in links if not link.startswith(streams) and not link.endswith(".fifo")]
        if bad or len(set(links)) > 4:  # one may have two numbers while it is moved to its place
            found.setdefault("descriptors", []).append(links)

    def tell():
        with open("/out/told.new", "w") as file:
            json.dump({"found": found, **seen}, file)
        os.rename("/out/told.new", "/out/told")

    tell()
    while True:
        for pid in range(last + 1, last + 4):
            try:
                os.kill(pid, signal.SIGSTOP)
            except ProcessLookupError:
                continue
            last = pid
            try:
                look(pid)
            except (OSError, KeyError) as error:
                found.setdefault("errors", []).append(str(error))
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
            tell()
    """
)

DEFAULT_CAPABILITIES = "00000000a80425fb"
CAPABILITIES = {
    "SYS_PTRACE": "cap_add: [SYS_PTRACE]",
    "all but SYS_ADMIN": "cap_add: [ALL]\n    cap_drop: [SYS_ADMIN]",
}


class Attack:
    """A container with an attacker in it, and what that has found."""

    def __init__(self, stack: Stack, trap: pathlib.Path) -> None:
        self.stack, self.trap = stack, trap

    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.stack.directory / "out" / "told").read_text())
        return told

    def until_seen(self, act: Callable[[], object], *, early: int = 2, rounds: int = 400) -> None:
        """Act until the attacker has stopped some processes before they were programs, and check what it saw."""
        before = self.told()["early"]
        for _ in range(rounds):
            act()
            self.check()
            if self.told()["early"] - before >= early:
                return
        pytest.fail(f"the attacker stopped nobody early enough in {rounds} rounds: {self.told()}")

    def check(self) -> None:
        bad = {key: value for key, value in self.told()["found"].items() if key not in ("confined", "errors")}
        assert bad == {}, "the attacker has seen the host"
        assert not self.trap.exists()


@pytest.fixture(params=sorted(CAPABILITIES))
def attack(stack: Stack, tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> Attack:
    if not os.path.exists("/usr/bin/python3"):
        pytest.skip("needs /usr/bin/python3")
    secret, trap = tmp_path / "secret", tmp_path / "trap"
    secret.write_text("the host's")
    secret.chmod(0o600)
    (stack.directory / "attacker.py").write_text(ATTACKER)
    (stack.directory / "out").mkdir()
    names = ("mnt", "net", "ipc", "uts", "cgroup", "pid")
    root = os.stat("/")
    host = {
        "/": [root.st_dev, root.st_ino],
        "namespaces": [os.readlink(f"/proc/self/ns/{name}") for name in names],
    }
    stack.up(
        "services:\n  a:\n    image: host\n    stop_grace_period: 0s\n"
        f"    {CAPABILITIES[request.param]}\n"
        f"    command: [/usr/bin/python3, -SB, /attacker.py, '{secret}', '{trap}', '{json.dumps(host)}']\n"
        "    volumes: ['./attacker.py:/attacker.py:ro', './out:/out']\n"
        "    post_start: [{command: [/bin/true]}]\n"
        "  b:\n    image: host\n    command: sleep 1000\n    stop_grace_period: 0s\n    pid: service:a\n"
        "    depends_on: [a]\n"
    )
    wait_for(lambda: (stack.directory / "out" / "told").exists(), what="the attacker")
    return Attack(stack, trap)


def test_exec_is_the_containers_from_its_birth(attack: Attack) -> None:
    attack.until_seen(lambda: attack.stack.run("exec", "-T", "a", "true"))
    assert {seccomp for _, seccomp in attack.told()["found"]["confined"]} == {"2"}
    own = pathlib.Path(f"/proc/{first_process(attack.stack)}/status").read_text()
    permitted = next(line.split()[1] for line in own.splitlines() if line.startswith("CapPrm"))
    seen = {capabilities for capabilities, _ in attack.told()["found"]["confined"]}
    assert seen <= {permitted, DEFAULT_CAPABILITIES}  # its own, and its neighbour's


def first_process(stack: Stack) -> int:
    records = [json.loads(path.read_text()) for path in stack.state.glob("lib/containers/*/state.json")]
    names = [json.loads(path.read_text()) for path in stack.state.glob("lib/containers/*/config.json")]
    found = {config["composer"]["name"]: record["pid"] for config, record in zip(names, records, strict=True)}
    return int(found[f"{stack.name}-a-1"])


def test_exec_with_all_rights_shows_nothing_of_the_host(attack: Attack) -> None:
    attack.until_seen(lambda: attack.stack.run("exec", "-T", "--privileged", "a", "true"))


def test_exec_with_a_terminal_shows_nothing_of_the_host(attack: Attack) -> None:
    attack.until_seen(lambda: attack.stack.run("exec", "--tty", "a", "true", check=False), early=1)


def test_a_start_in_its_pid_namespace_is_the_containers_from_its_birth(attack: Attack) -> None:
    attack.until_seen(lambda: attack.stack.run("restart", "b"))


def test_health_checks_and_hooks_are_the_containers_from_their_birth(attack: Attack) -> None:
    """Both of a neighbour in the attacker's pid namespace, with each of its starts."""
    stack = attack.stack
    text = (stack.directory / "compose.yaml").read_text()
    stack.write(
        text
        + "    healthcheck: {test: [CMD, 'true'], interval: 1s}\n    post_start: [{command: [/bin/true]}]\n"
    )
    attack.until_seen(lambda: stack.run("up", "-d", "--wait", "--force-recreate", "--no-deps", "b"), early=4)


def test_nobody_comes_in_with_cp_commit_and_attach(attack: Attack) -> None:
    """These reach files and streams from outside: no process appears inside at all."""
    stack = attack.stack
    before = attack.told()
    (stack.directory / "file").write_text("text")
    stack.run("cp", "file", "a:/tmp/file")
    stack.run("cp", "a:/tmp/file", "copied")
    stack.run("commit", "a", "taken:1", check=False)
    attached = stack.popen("attach", "--no-stdin", "--sig-proxy=false", "a")
    with pytest.raises(subprocess.TimeoutExpired):
        attached.communicate(timeout=2)
    attached.kill()
    attached.communicate()
    stack.run("stop", "b")
    stack.run("cp", "file", "b:/tmp/file")
    stack.run("cp", "b:/tmp/file", "copied")
    attack.check()
    after = attack.told()
    assert (after["early"], after["late"]) == (before["early"], before["late"])
