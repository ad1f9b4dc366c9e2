"""What a Linux runtime can express beyond the everyday: images as volumes, cgroups and networks of others, devices
by name, propagation, logs elsewhere, ports on ::1."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.integration.contract.conftest import root_archive
from tests.integration.namespace.conftest import Stack, wait_for

pytestmark = pytest.mark.root
_SLEEP = "image: host, command: [sleep, '600'], stop_signal: SIGKILL"


def test_an_image_is_a_volume_that_nobody_changes(stack: Stack, tmp_path: pathlib.Path) -> None:
    stack.run("image", "import", root_archive(tmp_path), "small")
    stack.up(
        f"services:\n  web: {{{_SLEEP}, volumes: [{{type: image, source: small, target: /all}}, "
        "{type: image, source: small, target: /some, image: {subpath: bin}}]}\n"
    )
    assert stack.shell(
        "web", "ls -d /all/bin /all/srv; ls /some/busybox; touch /all/x /some/x; true"
    ).split() == [
        "/all/bin",
        "/all/srv",
        "/some/busybox",
    ]
    stack.run("image", "rm", "--force", "small", check=False)
    stack.run("image", "prune", "-f", check=False)
    stack.run("restart", "-t", "0")
    assert stack.shell("web", "ls /some/busybox") == "/some/busybox"


def test_an_image_that_is_not_there_is_said_by_its_name(stack: Stack) -> None:
    stack.write(
        f"services:\n  web: {{{_SLEEP}, volumes: [{{type: image, source: nowhere, target: /all}}]}}\n"
    )
    done = stack.run("up", "-d", check=False)
    assert done.returncode == 1
    assert "cannot pull 'nowhere" in done.stderr or "pull access denied for nowhere" in done.stderr


def _cgroups(name: str) -> list[pathlib.Path]:
    return list(pathlib.Path("/sys/fs/cgroup").glob(f"*/{name}")) + list(
        pathlib.Path("/sys/fs/cgroup").glob(name)
    )


def test_a_cgroup_parent_holds_the_container_and_goes_with_it(stack: Stack) -> None:
    parent = f"{stack.name}-parent"
    stack.up(f"services:\n  web: {{{_SLEEP}, mem_limit: 64m, cgroup_parent: /{parent}/below, scale: 2}}\n")
    held = [path for one in _cgroups(parent) for path in (one / "below").iterdir() if path.is_dir()]
    assert len({path.name for path in held}) == 2
    assert all((path / "cgroup.procs").read_text().strip() for path in held)
    stack.run("down", "-t", "0")
    wait_for(lambda: not _cgroups(parent), what="removing the parents")


def test_a_cgroup_parent_that_was_there_stays(stack: Stack) -> None:
    parent = f"{stack.name}-parent"
    bases = [p.parent for p in pathlib.Path("/sys/fs/cgroup").glob("*/cgroup.procs")] or [
        pathlib.Path("/sys/fs/cgroup")
    ]
    made = [base / parent for base in bases]
    for one in made:
        one.mkdir()
    try:
        stack.up(f"services:\n  web: {{{_SLEEP}, cgroup_parent: {parent}}}\n")
        stack.run("down", "-t", "0")
        assert all(one.is_dir() for one in made)
    finally:
        for one in made:
            wait_for(lambda one=one: _rmdir(one))  # type: ignore[misc]


def _rmdir(path: pathlib.Path) -> bool:
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def test_the_default_bridge_is_made_for_its_first_and_gone_with_its_last(stack: Stack) -> None:
    stack.up(
        f"services:\n  web: {{{_SLEEP}, network_mode: bridge}}\n  other: {{{_SLEEP}, network_mode: bridge}}\n"
        f"  named: {{{_SLEEP}}}\n"
    )
    assert "127.0.0.11" not in stack.shell("web", "cat /etc/resolv.conf")
    assert "127.0.0.11" in stack.shell("named", "cat /etc/resolv.conf")
    address = stack.shell("other", "hostname -I").split()[0]
    assert "1 received" in stack.shell(
        "web", f"ping -c 1 -W 3 {address} || busybox ping -c 1 {address}"
    ).replace("1 packets received", "1 received")
    assert "bridge" in _networks(stack)
    stack.run("rm", "-f", "-s", "web")
    assert "bridge" in _networks(stack)
    stack.run("down", "-t", "0")
    assert "bridge" not in _networks(stack)


def _networks(stack: Stack) -> list[str]:
    """Return the names of all networks. The driver of each is a word of its own: a name is the second of a line."""
    return [line.split()[1] for line in stack.out("network", "ls").splitlines()[1:]]


@pytest.fixture
def shared(stack: Stack) -> Iterator[pathlib.Path]:
    """A mount of the host that is shared, with another below it."""
    target = stack.directory / "shared"
    target.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(target)], check=True)
    subprocess.run(["mount", "--make-shared", str(target)], check=True)
    (target / "below").mkdir()
    (target / "late").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(target / "below")], check=True)
    yield target
    stack.run("down", "-t", "0", check=False)
    subprocess.run(["umount", "-R", str(target)], check=True)


def test_mounts_pass_in_the_directions_that_were_asked_for(stack: Stack, shared: pathlib.Path) -> None:
    stack.up(
        "services:\n"
        f"  both: {{{_SLEEP}, cap_add: [SYS_ADMIN], volumes: ['./shared:/m:rshared']}}\n"
        f"  down: {{{_SLEEP}, volumes: ['./shared:/m:rslave']}}\n"
        f"  none: {{{_SLEEP}, volumes: ['./shared:/m']}}\n"
    )
    stack.shell("both", "mount -t tmpfs tmpfs /m/late && echo one >/m/late/file")
    assert (shared / "late" / "file").read_text() == "one\n"
    assert stack.shell("down", "cat /m/late/file") == "one"
    assert stack.shell("none", "ls /m/late") == ""


def test_read_only_is_so_all_the_way_down_unless_said_otherwise(stack: Stack, shared: pathlib.Path) -> None:
    long = "{type: bind, source: ./shared, target: /m, read_only: true, bind: {recursive: writable}}"
    stack.up(
        f"services:\n  deep: {{{_SLEEP}, volumes: ['./shared:/m:ro']}}\n  flat: {{{_SLEEP}, volumes: [{long}]}}\n"
    )
    script = "for one in /m /m/below; do touch $one/x 2>/dev/null && echo $one; done; true"
    assert stack.shell("deep", script) == ""
    assert stack.shell("flat", script) == "/m/below"


def test_what_the_host_does_not_share_cannot_be_shared(stack: Stack) -> None:
    private = stack.directory / "private"
    private.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(private)], check=True)
    subprocess.run(["mount", "--make-private", str(private)], check=True)
    try:
        stack.write(f"services:\n  web: {{{_SLEEP}, volumes: ['./private:/m:rshared']}}\n")
        done = stack.run("up", "-d", check=False)
        assert done.returncode == 1
        assert "which is not shared" in done.stderr
    finally:
        subprocess.run(["umount", str(private)], check=True)


@pytest.fixture
def described(stack: Stack, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A specification of devices, with a hook that writes into the container's root."""
    hook = tmp_path / "hook"
    hook.write_text(
        '#!/bin/sh\nbundle=$(sed \'s/.*"bundle": *"\\([^"]*\\)".*/\\1/\')\necho "$1" >"$bundle/rootfs/hooked"\n'
    )
    hook.chmod(0o755)
    gpus = [{"name": n, "containerEdits": {"env": [f"GPU_{n}=1"]}} for n in ("0", "1")]
    one = {
        "env": ["THING=one"],
        "deviceNodes": [{"path": "/dev/thing", "hostPath": "/dev/null", "permissions": "r"}],
        "hooks": [{"hookName": "createContainer", "path": str(hook), "args": ["hook", "said"]}],
    }
    path = pathlib.Path(f"/var/run/cdi/{stack.name}.json")
    made = not path.parent.exists()
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        json.dumps(
            {
                "cdiVersion": "0.6.0",
                "kind": "t.example/thing",
                "devices": [{"name": "one", "containerEdits": one}],
            }
        )
    )
    second = path.with_suffix(".yaml")
    second.write_text(json.dumps({"cdiVersion": "0.6.0", "kind": "t.example/gpu", "devices": gpus}))
    yield hook
    path.unlink()
    second.unlink()
    if made:
        path.parent.rmdir()


def test_devices_come_by_the_name_that_describes_them(stack: Stack, described: pathlib.Path) -> None:
    stack.up(
        f"services:\n  web: {{{_SLEEP}, devices: ['t.example/thing=one']}}\n"
        f"  all: {{{_SLEEP}, gpus: all}}\n  first: {{{_SLEEP}, gpus: [{{count: 1}}]}}\n"
        f"  chosen: {{{_SLEEP}, deploy: {{resources: {{reservations: {{devices: "
        "[{capabilities: [gpu], device_ids: ['1']}]}}}}\n"
    )
    assert stack.shell("web", "echo $THING; stat -c '%F %t:%T' /dev/thing; cat /hooked").splitlines() == [
        "one",
        "character special file 1:3",
        "said",
    ]
    seen = {one: stack.shell(one, "echo $GPU_0/$GPU_1") for one in ("all", "first", "chosen")}
    assert seen == {"all": "1/1", "first": "1/", "chosen": "/1"}


def test_a_hook_that_fails_keeps_the_container_from_starting(stack: Stack, described: pathlib.Path) -> None:
    described.write_text("#!/bin/sh\nexit 9\n")
    stack.write(f"services:\n  web: {{{_SLEEP}, devices: ['t.example/thing=one']}}\n")
    done = stack.run("up", "-d", check=False)
    assert done.returncode != 0
    assert "exited with status 9" in done.stderr


def test_output_goes_to_syslog_and_is_here_as_well(stack: Stack) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        address = f"udp://127.0.0.1:{receiver.getsockname()[1]}"
        stack.up(
            "services:\n  web:\n    image: host\n    command: [sh, -c, 'echo to all; exec sleep 600']\n"
            "    stop_signal: SIGKILL\n"
            f"    logging: {{driver: syslog, options: {{syslog-address: '{address}', tag: '{{{{.Name}}}}'}}}}\n"
        )
        message = receiver.recv(4096).decode()
    assert message.startswith("<30>")
    assert message.endswith("]: to all\n")
    assert f" {stack.name}-web-1[" in message
    assert "to all" in stack.out("logs", "web")


def test_ports_answer_on_every_address_of_the_machine(stack: Stack) -> None:
    serve = 'exec busybox httpd -f -p "[::]:80" -h /tmp'
    stack.up(
        "services:\n"
        f"  web: {{image: host, command: [sh, -c, 'echo one >/tmp/index.html; {serve}'], stop_signal: SIGKILL, "
        "ports: ['18461:80', '[::1]:18462:80'], networks: [four]}\n"
        f"  six: {{image: host, command: [sh, -c, 'echo six >/tmp/index.html; {serve}'], stop_signal: SIGKILL, "
        "ports: ['18463:80'], networks: [both]}\n"
        "networks: {four: {}, both: {enable_ipv6: true}}\n"
    )
    for host, port, expected in (
        ("127.0.0.1", 18461, b"one"),
        ("::1", 18461, b"one"),
        ("::1", 18462, b"one"),
        ("127.0.0.1", 18463, b"six"),
        ("::1", 18463, b"six"),
    ):
        assert expected in wait_for(lambda host=host, port=port: _get(host, port)), (host, port)  # type: ignore[misc]
    killed = stack.pid("supervisor")
    os.kill(killed, 9)
    wait_for(lambda: not pathlib.Path(f"/proc/{killed}").exists() and stack.pid("supervisor") != killed)
    assert b"one" in wait_for(lambda: _get("::1", 18462))


def test_datagrams_reach_every_address_of_the_machine_too(stack: Stack) -> None:
    script = (
        "import socket; s=socket.socket(2,2); s.bind(('',53))\\nwhile 1:\\n d,a=s.recvfrom(99); s.sendto(d,a)"
    )
    stack.up(
        f'services:\n  web: {{image: host, command: [/usr/bin/python3, -S, -c, "{script}"], '
        "stop_signal: SIGKILL, ports: ['18464:53/udp']}\n"
    )
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.settimeout(0.5)
            client.connect((host, 18464))
            assert wait_for(lambda client=client: _echo(client)) == b"hello", host  # type: ignore[misc]


def _echo(client: socket.socket) -> bytes:
    try:
        client.send(b"hello")
        return client.recv(100)
    except OSError:
        return b""


def _get(host: str, port: int) -> bytes:
    try:
        with socket.create_connection((host, port), timeout=3) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            data = b""
            while chunk := connection.recv(4096):
                data += chunk
            return data
    except OSError:
        return b""


def test_who_waits_for_signals_gets_them(stack: Stack) -> None:
    """Tini and dumb-init wait in sigtimedwait, where /proc shows nothing of it."""
    script = "import signal,sys; signal.pthread_sigmask(0,{15}); signal.sigwait({15}); sys.exit(7)"
    stack.up(
        f'services:\n  web: {{image: host, command: [/usr/bin/python3, -S, -c, "{script}"]}}\n'
        "  init: {image: host, init: true, command: [sleep, '600']}\n"
    )
    stack.run("stop", "-t", "10")
    lines = stack.out("ps", "-a", "--format", "json").splitlines()
    codes = {one["Service"]: one["ExitCode"] for one in map(json.loads, lines)}
    assert codes == {"web": 7, "init": 143}
