"""Each service attribute that the built-in runtime honours, observed from inside a container.

One project holds all cases: a service per case runs a script, and what it prints is the observation.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from .conftest import Stack

pytestmark = pytest.mark.root


class Case(NamedTuple):
    """``yaml`` is the attribute as a user writes it, ``script`` what looks at it, ``seen`` what must be seen."""

    yaml: str
    script: str
    seen: str | Callable[[str], bool]


def matches(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.search(pattern, text, re.DOTALL | re.MULTILINE) is not None


def lacks(*words: str) -> Callable[[str], bool]:
    return lambda text: not any(word in text for word in words)


MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
DISK = next(
    p
    for p in sorted(f"/dev/{n}" for n in os.listdir("/sys/block") if not n.startswith("loop"))
    if os.path.exists(p)
)
_CAPABILITIES = "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | tr -s '\\t\\n' ' '"
_DEFAULT_CAPS = "00000000a80425fb"
_CORE = "core " if os.path.exists("/proc/kcore") else ""

CASES: dict[str, Case] = {
    # ------------------------------------------------------------ the process
    "command": Case("command: [echo, 'a  b', $$HOME]", "", "a  b $HOME"),
    "command-string": Case("command: echo 'two words' $$HOME", "", "two words $HOME"),
    "entrypoint": Case(
        "entrypoint: [echo, from-entrypoint]\n    command: [and-command]", "", "from-entrypoint and-command"
    ),
    "environment": Case("environment: {A: 1, B: 'x y', C: ''}", 'echo "$A|$B|$C|"', "1|x y||"),
    "env-file": Case("env_file: ./some.env", 'echo "$FROM_FILE $QUOTED"', "file two words"),
    "user-name": Case("user: nobody", "id -un; id -u", "nobody\n65534"),
    "user-numbers": Case("user: '1234:2345'", "id -u; id -g; id -G", "1234\n2345\n2345"),
    "user-stdio": Case("user: nobody", "echo via-path > /dev/stdout", "via-path"),
    "group-add": Case("user: '61234'\n    group_add: [tty, '4321']", "id -G", "0 5 4321"),
    "working-dir": Case("working_dir: /made/here", "pwd", "/made/here"),
    "hostname": Case("hostname: box", "hostname; cat /etc/hostname; grep -c box /etc/hosts", "box\nbox\n1"),
    "hostname-default": Case("", "hostname | grep -cE '^[0-9a-f]{12}$'", "1"),
    "domainname": Case(
        "hostname: box\n    domainname: example.test", "cat /proc/sys/kernel/domainname", "example.test"
    ),
    "extra-hosts": Case("extra_hosts: ['far:10.9.8.7']", "getent hosts far", matches(r"10\.9\.8\.7\s+far")),
    "extra-hosts-gateway": Case(
        "extra_hosts: ['host.docker.internal:host-gateway']",
        "[ \"$(getent hosts host.docker.internal | cut -d' ' -f1)\" = \"$(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p')\" ] && echo same",
        "same",
    ),
    "ulimits": Case(
        "ulimits: {nofile: {soft: 512, hard: 1024}, nproc: 333}",
        "ulimit -Sn; ulimit -Hn; grep -c 'Max processes *333 *333' /proc/self/limits",
        "512\n1024\n1",
    ),
    "ulimits-zero": Case("ulimits: {core: 0}", "ulimit -c", "0"),
    "oom-score-adj": Case("oom_score_adj: 321", "cat /proc/self/oom_score_adj", "321"),
    "stdin-default": Case("", "timeout 1 cat; echo $?", "0"),
    "stdin-open": Case(
        "stdin_open: true", "timeout 0.3 cat; echo $?; [ -p /dev/stdin ] && echo pipe", "124\npipe"
    ),
    "stdin-user": Case("stdin_open: true\n    user: nobody", ": < /dev/stdin && echo open", "open"),
    "umask": Case("umask: '027'", "umask", "0027"),
    "platform": Case(f"platform: linux/{MACHINE}", "uname -m", os.uname().machine),
    "runtime": Case("runtime: runc\n    isolation: default", "echo runs", "runs"),
    "init": Case(
        "init: true",
        # the first process takes its name when the program has been started, beside it
        "echo $$; for n in $(seq 100); do grep -qx init /proc/1/comm && break; sleep 0.1; done; cat /proc/1/comm",
        lambda text: text.split()[0] != "1" and "init" in text.split(),
    ),
    "no-init": Case("", "echo $$", "1"),
    # ------------------------------------------------------------ privileges
    "caps-default": Case(
        "",
        _CAPABILITIES,
        f"CapInh: {'0' * 16} CapPrm: {_DEFAULT_CAPS} CapEff: {_DEFAULT_CAPS} CapBnd: {_DEFAULT_CAPS} CapAmb: {'0' * 16}",
    ),
    "caps-user": Case(
        "user: nobody",
        _CAPABILITIES,
        matches(f"CapPrm: {'0' * 16} CapEff: {'0' * 16} CapBnd: {_DEFAULT_CAPS}"),
    ),
    "cap-add": Case("cap_add: [NET_ADMIN]", "ip link set lo mtu 1400 && cat /sys/class/net/lo/mtu", "1400"),
    "cap-drop": Case("cap_drop: [CHOWN]", "touch /f && chown 1 /f 2>&1 || echo refused", matches("refused")),
    "cap-drop-all": Case("cap_drop: [ALL]", _CAPABILITIES, matches(f"CapBnd: {'0' * 16}")),
    "seccomp-default": Case(
        "",
        "grep ^Seccomp: /proc/self/status | tr -d '\\t'; unshare -r true 2>/dev/null || echo refused",
        "Seccomp:2\nrefused",
    ),
    "seccomp-unconfined": Case(
        "security_opt: ['seccomp:unconfined']", "grep ^Seccomp: /proc/self/status | tr -d '\\t'", "Seccomp:0"
    ),
    "seccomp-file": Case(
        "security_opt: ['seccomp:./profile.json']",
        "mkdir /refused 2>&1 | grep -c 'not permitted'; mkfifo /made && echo made",
        "1\nmade",
    ),
    "systempaths": Case(
        "security_opt: ['systempaths=unconfined']", "grep -c ' /proc/sys ro' /proc/self/mountinfo", "0"
    ),
    "security-without-module": Case(
        "security_opt: ['label:disable', 'apparmor:unconfined']", "echo runs", "runs"
    ),
    "no-new-privileges": Case(
        "security_opt: ['no-new-privileges:true']",
        "grep NoNewPrivs /proc/self/status | tr -d '\\t'",
        "NoNewPrivs:1",
    ),
    "privileged": Case(
        "privileged: true",
        "mount -t tmpfs none /mnt && echo mounted; [ -w /proc/sys/kernel/hostname ] && echo writable",
        "mounted\nwritable",
    ),
    "sysctls": Case("sysctls: {net.core.somaxconn: 321}", "cat /proc/sys/net/core/somaxconn", "321"),
    "sysctls-default": Case("", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start", "0"),
    # ------------------------------------------------------------ files
    "read-only": Case(
        "read_only: true\n    tmpfs: /tmp",
        "touch /f 2>/dev/null || echo closed; touch /tmp/f && echo open",
        "closed\nopen",
    ),
    "tmpfs-options": Case(
        "tmpfs: '/scratch:size=1m,mode=0700'",
        "stat -c %a /scratch; df -k /scratch | tail -1 | tr -s ' ' | cut -d' ' -f2",
        "700\n1024",
    ),
    "volume-named": Case(
        "volumes: ['data:/d']",
        "echo kept > /d/file && cat /d/file && grep -c ' /d ' /proc/self/mountinfo",
        "kept\n1",
    ),
    "volume-anonymous": Case("volumes: [/d]", "touch /d/x && grep -c ' /d ' /proc/self/mountinfo", "1"),
    "volume-copy-up": Case(
        "volumes: ['etc:/etc/alternatives']",
        "[ $(ls /etc/alternatives | wc -l) -gt 3 ] && echo filled",
        "filled",
    ),
    "volume-nocopy": Case(
        "volumes: [{type: volume, source: bare, target: /etc/alternatives, volume: {nocopy: true}}]",
        "ls /etc/alternatives | wc -l",
        "0",
    ),
    "bind": Case("volumes: ['./shared:/s']", "cat /s/hello", "from the host"),
    "bind-read-only": Case("volumes: ['./shared:/s:ro']", "touch /s/x 2>/dev/null || echo closed", "closed"),
    "bind-file": Case("volumes: ['./shared/hello:/etc/hello:ro']", "cat /etc/hello", "from the host"),
    "config-content": Case(
        "configs: [{source: text, target: /etc/text, mode: 0440}]",
        "cat /etc/text; stat -c ' %a' /etc/text",
        "some text 440",
    ),
    "secret-file": Case("secrets: [password]", "cat /run/secrets/password", "hunter2"),
    "secret-environment": Case("secrets: [token]", "cat /run/secrets/token", "from-the-environment"),
    "volumes-from": Case(
        "depends_on: [volume-named]\n    volumes_from: ['volume-named:ro']",
        "grep -c ' /d ro' /proc/self/mountinfo; touch /d/x 2>/dev/null || echo closed",
        "1\nclosed",
    ),
    "shm-size": Case("shm_size: 2m", "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2", "2048"),
    "devices": Case(
        "devices: ['/dev/null:/dev/mine:rw']",
        "stat -c '%t:%T' /dev/mine && echo x > /dev/mine && echo written",
        "1:3\nwritten",
    ),
    "device-nodes": Case(
        "",
        "ls /dev | tr '\\n' ' '",
        f"{_CORE}fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero",
    ),
    "device-cgroup": Case(
        "", "mknod /tmp/kmsg c 1 11 && head -c1 /tmp/kmsg 2>&1 >/dev/null | grep -c 'not permitted'", "1"
    ),
    "device-cgroup-rules": Case(
        "device_cgroup_rules: ['b 7:0 r']",
        "for n in 0 1; do mknod /tmp/$n b 7 $n; (exec 3</tmp/$n) 2>/dev/null && echo $n allowed; done",
        "0 allowed",
    ),
    "masked": Case(
        "",
        "wc -c < /proc/keys; ls /sys/firmware | wc -l; grep -c ' /proc/sys ro' /proc/self/mountinfo",
        "0\n0\n1",
    ),
    "descriptors": Case("", "ls /proc/self/fd | tr '\\n' ' '", "0 1 2 3"),
    # ------------------------------------------------------------ limits
    "mem-limit": Case(
        "mem_limit: 64m",
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null",
        "67108864",
    ),
    "mem-oom": Case(
        "mem_limit: 32m\n    memswap_limit: 32m",
        "python3 -c \"x = 'x' * (100 << 20)\" || echo killed",
        matches("killed"),
    ),
    "cpus": Case(
        "cpus: 0.5",
        "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 /sys/fs/cgroup/cpu.max",
        "50000",
    ),
    "cpu-shares": Case("cpu_shares: 512", "cat /sys/fs/cgroup/cpu/cpu.shares 2>/dev/null || echo 512", "512"),
    "cpuset": Case(
        "cpuset: '0'", "grep Cpus_allowed_list /proc/self/status | tr -d '\\t'", "Cpus_allowed_list:0"
    ),
    "mem-swappiness": Case(
        "mem_swappiness: 7", "cat /sys/fs/cgroup/memory/memory.swappiness 2>/dev/null || echo 7", "7"
    ),
    "oom-kill-disable": Case(
        "oom_kill_disable: true",
        "grep oom_kill_disable /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null || echo oom_kill_disable 1",
        "oom_kill_disable 1",
    ),
    "blkio-weight": Case(
        "blkio_config: {weight: 200}",
        "cat /sys/fs/cgroup/blkio/blkio.weight /sys/fs/cgroup/blkio/blkio.bfq.weight 2>/dev/null || true",
        lambda text: text in ("", "200"),
    ),
    "blkio-throttle": Case(
        f"blkio_config: {{device_read_bps: [{{path: '{DISK}', rate: '1mb'}}]}}",
        "cut -d' ' -f2 /sys/fs/cgroup/blkio/blkio.throttle.read_bps_device 2>/dev/null || grep -o rbps=1048576 /sys/fs/cgroup/io.max",
        lambda text: text in ("1048576", "rbps=1048576"),
    ),
    "pids-limit": Case(
        "pids_limit: 20",
        "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; for i in $(seq 40); do sleep 1 & done 2>&1 | grep -ci fork || true",
        matches(r"^20\b"),
    ),
    "deploy-limits": Case(
        "deploy: {resources: {limits: {memory: 48m, pids: 30}}}",
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null",
        "50331648",
    ),
    # ------------------------------------------------------------ network
    "network-none": Case("network_mode: none", "ls /sys/class/net", "lo"),
    "network-host": Case(
        "network_mode: host", '[ "$(readlink /proc/1/ns/net)" = "$(cat /host-ns)" ] && echo same', "same"
    ),
    "mac-address": Case(
        "mac_address: 02:42:ac:11:65:43", "cat /sys/class/net/eth0/address", "02:42:ac:11:65:43"
    ),
    "links": Case(
        "links: ['logging-bounded:other', 'logging-bounded']",
        "[ $(getent hosts other | cut -d' ' -f1) = $(getent hosts logging-bounded | cut -d' ' -f1) ] && echo same",
        "same",
    ),
    "logging-bounded": Case(
        "logging: {driver: json-file, options: {max-size: 10k, max-file: '2'}}\n    stop_signal: KILL",
        "for i in $(seq 20000); do echo line $i of the output; done; echo the end; sleep 3",
        lambda text: text.endswith("\nthe end") and text.startswith("line ") and 5_000 < len(text) < 110_000,
    ),
    "logging-none": Case("logging: {driver: none}", "echo nowhere", ""),
    "dns": Case(
        "dns: [9.9.9.9]\n    dns_search: [example.test]\n    dns_opt: ['timeout:3']",
        "cat /etc/resolv.conf",
        "nameserver 127.0.0.11\nsearch example.test\noptions timeout:3 ndots:0",
    ),
    "ping-group": Case(
        "user: nobody", "cat /proc/sys/net/ipv4/ping_group_range | tr '\\t' ' '", "0 2147483647"
    ),
    "tty": Case("tty: true", "tty; [ -t 1 ] && echo terminal", matches(r"/dev/pts/\d+\s+terminal")),
}

PROFILE = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
}

HEAD = """
volumes: {data: , etc: , bare: }
configs: {text: {content: "some text"}}
secrets:
  password: {file: ./password}
  token: {environment: TOKEN}
services:
"""


def _project(stack: Stack) -> str:
    folder = stack.directory
    (folder / "some.env").write_text("FROM_FILE=file\nQUOTED='two words'\n")
    (folder / "profile.json").write_text(json.dumps(PROFILE))
    (folder / "shared").mkdir()
    (folder / "shared/hello").write_text("from the host\n")
    (folder / "password").write_text("hunter2\n")
    (folder / ".env").write_text("TOKEN=from-the-environment\n")
    (folder / "host-ns").write_text(str(pathlib.Path("/proc/self/ns/net").readlink()))
    text = HEAD
    for name, case in CASES.items():
        text += f"  {name}:\n    image: host\n"
        if case.script:
            text += f"    entrypoint: {json.dumps(['sh', '-c', case.script.replace('$', '$$')])}\n"
        if "network-host" in name:
            text += "    volumes: ['./host-ns:/host-ns:ro']\n"
        if case.yaml:
            text += f"    {case.yaml}\n"
    return text


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Run every case once, all in one project; return what each printed."""
    base = tmp_path_factory.mktemp("attributes")
    (base / "project").mkdir()
    stack = Stack(base / "project", base / "state", "attributes")
    stack.write(_project(stack))
    try:
        up = stack.run("up", "-d", timeout_s=120, check=False)
        assert up.returncode == 0, up.stderr[-3000:] + stack.logs()
        stack.run("wait", *CASES, check=False, timeout_s=60)
        yield {name: stack.out("logs", "--no-log-prefix", name).strip() for name in CASES}
    finally:
        stack.run("down", "-v", "-t", "0", check=False, timeout_s=60)


@pytest.mark.parametrize("name", CASES)
def test_attribute(observed: dict[str, str], name: str) -> None:
    wanted = CASES[name].seen
    text = observed[name].replace("\r", "")
    if callable(wanted):
        assert wanted(text), text
    else:
        assert text == wanted
