"""Namespaces of the host and of other containers, observed from inside, and what becomes of them at an end."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

from .conftest import Stack, wait_for

pytestmark = pytest.mark.root

_KEEP = "entrypoint: [sh, -c, 'sleep 600']\n    stop_signal: SIGKILL\n"


def _namespace(stack: Stack, service: str, kind: str) -> str:
    return stack.shell(service, f"readlink /proc/self/ns/{kind}")


def _host(kind: str) -> str:
    return os.readlink(f"/proc/self/ns/{kind}")


def test_a_network_of_another_service(stack: Stack) -> None:
    stack.up(f"""
services:
  owner:
    image: host
    hostname: box
    ports: ['127.0.0.1::8080']
    extra_hosts: ['far:10.9.8.7']
    {_KEEP}
  guest:
    image: host
    network_mode: service:owner
    {_KEEP}
  other:
    image: host
    {_KEEP}
""")
    assert _namespace(stack, "guest", "net") == _namespace(stack, "owner", "net") != _host("net")
    for kind in ("pid", "ipc", "mnt", "uts"):
        assert _namespace(stack, "guest", kind) != _namespace(stack, "owner", kind)
    for script in ("cat /etc/hosts", "cat /etc/resolv.conf", "cat /etc/hostname", "hostname", "ip -o addr"):
        assert stack.shell("guest", script) == stack.shell("owner", script)
    assert "10.9.8.7" in stack.shell("guest", "getent hosts far")
    # names: both ways, by the owner's name server and under the owner's name
    assert stack.shell("guest", "getent hosts other")
    serve = "python3 -m http.server 8080 -d /etc --bind 0.0.0.0 >/dev/null 2>&1 &"
    stack.run("exec", "-d", "guest", "sh", "-c", f"{serve} wait")
    port = stack.out("port", "owner", "8080").strip()
    fetch = (
        "import urllib.request as u, sys; sys.stdout.write(u.urlopen(sys.argv[1], timeout=1).read().decode())"
    )
    for service, address in (
        ("other", "http://owner:8080/hostname"),
        ("owner", "http://127.0.0.1:8080/hostname"),
    ):
        seen = wait_for(
            lambda service=service, address=address: (
                stack.run(  # type: ignore[misc]
                    "exec", "-T", service, "python3", "-c", fetch, address, check=False
                ).stdout
            ),
            what=f"an answer to {service}",
        )
        assert seen == "box\n"
    import urllib.request

    assert urllib.request.urlopen(f"http://{port}/hostname", timeout=5).read() == b"box\n"


def test_the_guest_lives_on_without_the_owner(stack: Stack) -> None:
    stack.up(f"""
services:
  owner:
    image: host
    {_KEEP}
  guest:
    image: host
    network_mode: service:owner
    {_KEEP}
""")
    owner = json.loads(stack.out("ps", "--format", "json", "owner").splitlines()[0])
    before = _namespace(stack, "guest", "net")
    stack.run("kill", "owner")
    wait_for(lambda: "owner" not in stack.out("ps", "--services"), what="the owner's end")
    assert _namespace(stack, "guest", "net") == before
    # its address may be given to another container: nobody may have it any more
    assert stack.shell("guest", "ls /sys/class/net") == "lo"
    stack.run("up", "-d")
    again = json.loads(stack.out("ps", "--format", "json", "owner").splitlines()[0])
    assert again["ID"] == owner["ID"]
    stack.run("restart", "owner")
    assert _namespace(stack, "guest", "net") == _namespace(stack, "owner", "net")


def test_an_owner_that_was_recreated_takes_its_guests_along(stack: Stack) -> None:
    text = f"""
services:
  owner:
    image: host
    environment: {{MARK: 'MARKER'}}
    {_KEEP}
  guest:
    image: host
    network_mode: service:owner
    {_KEEP}
"""
    stack.up(text)
    stack.up(text.replace("MARKER", "changed"))
    assert stack.shell("owner", "echo $MARK") == "changed"
    assert _namespace(stack, "guest", "net") == _namespace(stack, "owner", "net")
    assert stack.shell("guest", "ls /sys/class/net | tr '\\n' ' '") == "eth0 lo"


def test_processes_of_another_service(stack: Stack) -> None:
    stack.up(f"""
services:
  owner:
    image: host
    {_KEEP}
  guest:
    image: host
    pid: service:owner
    {_KEEP}
""")
    assert _namespace(stack, "guest", "pid") == _namespace(stack, "owner", "pid") != _host("pid")
    assert stack.shell("guest", "tr '\\0' ' ' < /proc/1/cmdline") == stack.shell(
        "owner", "tr '\\0' ' ' < /proc/1/cmdline"
    )
    guest = stack.shell("owner", "for p in /proc/[0-9]*; do readlink $p/ns/net; done | sort -u | wc -l")
    assert guest == "2"
    # the end of the guest takes its own processes along, and the owner's stay
    stack.run("exec", "-d", "guest", "sleep", "654")
    seen = "grep -lz 6[5]4 /proc/[0-9]*/cmdline 2>/dev/null | wc -l"
    wait_for(lambda: stack.shell("owner", seen) == "1", what="the guest's second process")
    stack.run("stop", "-t", "0", "guest")
    assert stack.shell("owner", seen) == "0"
    # the end of the owner's first process empties the namespace
    stack.run("start", "guest")
    stack.run("kill", "owner")
    wait_for(lambda: not stack.out("ps", "--services").strip(), what="the end of both")


def test_memory_of_another_service(stack: Stack) -> None:
    stack.up(f"""
services:
  owner:
    image: host
    ipc: shareable
    shm_size: 3m
    {_KEEP}
  guest:
    image: host
    ipc: service:owner
    {_KEEP}
""")
    assert _namespace(stack, "guest", "ipc") == _namespace(stack, "owner", "ipc") != _host("ipc")
    stack.shell("owner", "echo shared > /dev/shm/file; ipcmk -Q >/dev/null")
    assert stack.shell("guest", "cat /dev/shm/file") == "shared"
    assert stack.shell("guest", "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2") == "3072"
    assert stack.shell("guest", "ipcs -q | grep -c 0x") == "1"


def test_a_private_ipc_namespace_is_not_joined(stack: Stack) -> None:
    stack.write(f"""
services:
  owner:
    image: host
    {_KEEP}
  guest:
    image: host
    ipc: service:owner
    {_KEEP}
""")
    failed = stack.run("up", "-d", check=False)
    assert failed.returncode != 0
    assert "ipc: shareable" in failed.stderr


def test_a_container_of_another_project(stack: Stack) -> None:
    stack.up(
        f"services: {{owner: {{image: host, container_name: {stack.name}-far, command: [sleep, '600']}}}}"
    )
    stack.write(
        f"services: {{guest: {{image: host, network_mode: 'container:{stack.name}-far', command: [sleep, '600']}}}}",
        "guest.yaml",
    )
    other = ("-p", f"{stack.name}g", "-f", "guest.yaml")
    try:
        stack.run(*other, "up", "-d")
        inside = stack.out(*other, "exec", "-T", "guest", "readlink", "/proc/self/ns/net").strip()
        assert inside == _namespace(stack, "owner", "net")
        # the owner can go: no link and no address stays with the guest
        stack.run("down", "-t", "0")
        assert stack.out(*other, "exec", "-T", "guest", "ls", "/sys/class/net").strip() == "lo"
        failed = stack.run(*other, "restart", "-t", "0", check=False)
        assert failed.returncode != 0
        assert "no longer exists" in failed.stderr
    finally:
        stack.run(*other, "down", "-t", "0")


def test_namespaces_of_the_host(stack: Stack) -> None:
    stack.up("""
services:
  pid: {image: host, pid: host, command: [sleep, '600']}
  ipc: {image: host, ipc: host, command: [sleep, '600']}
  none: {image: host, ipc: none, command: [sleep, '600']}
  uts: {image: host, uts: host, command: [sleep, '600']}
  cgroup: {image: host, cgroup: host, command: [sleep, '600']}
  private: {image: host, cgroup: private, userns_mode: host, command: [sleep, '600']}
""")
    name = pathlib.Path("/proc/sys/kernel/hostname").read_text()
    for kind in ("pid", "ipc", "uts", "cgroup"):
        assert _namespace(stack, kind, kind) == _host(kind)
        assert _namespace(stack, "private", kind) != _host(kind)
    assert _namespace(stack, "private", "user") == _host("user")
    assert stack.shell("pid", f"tr '\\0' ' ' < /proc/{os.getpid()}/comm").strip()
    assert stack.shell("uts", "hostname") == name.strip()
    assert pathlib.Path("/proc/sys/kernel/hostname").read_text() == name
    assert stack.shell("none", "ls -d /dev/shm 2>/dev/null || echo none") == "none"
    file = pathlib.Path(f"/dev/shm/{stack.name}")
    file.write_text("of the host")
    try:
        assert stack.shell("ipc", f"cat /dev/shm/{stack.name}") == "of the host"
    finally:
        file.unlink()
    assert "composer" in stack.shell("cgroup", "cat /proc/self/cgroup")
    assert "composer" not in stack.shell("private", "cat /proc/self/cgroup")


def test_a_process_of_the_hosts_pid_namespace_leaves_none_behind(stack: Stack) -> None:
    stack.up("services: {many: {image: host, pid: host, entrypoint: [sh, -c, 'sleep 655 & exec sleep 656']}}")
    wait_for(lambda: len(_sleepers("655")) == 1, what="the second process")
    stack.run("stop", "-t", "5", "many")
    assert wait_for(lambda: not _sleepers("655"), what="its end")


def _sleepers(seconds: str) -> list[str]:
    found = []
    for entry in os.listdir("/proc"):
        try:
            if (
                entry.isdigit()
                and pathlib.Path(f"/proc/{entry}/cmdline").read_bytes() == f"sleep\0{seconds}\0".encode()
            ):
                found.append(entry)
        except OSError:
            continue
    return found
