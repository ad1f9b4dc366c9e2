"""A machine that really reboots (``make reboot``): Debian under qemu, with composer as its user installs it.

The first boot runs ``composer boot enable`` and ``composer up -d``; then the machine reboots by itself, and the
second boot has to have the services back before anybody logs in: the same containers, whose published port answers.
Needs root, some 2 GB of disk and the network for Debian's packages. Without /dev/kvm it is emulated, in some minutes.

    python -m tests.reboot.run [DIRECTORY]      exit code 0 when all came back; the directory is kept and used again
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NEEDED = {"qemu-system-x86_64": "qemu-system-x86", "mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs"}
_PACKAGES = (
    "linux-image-cloud-amd64,systemd-sysv,udev,kmod,python3,nftables,iproute2,initramfs-tools,"
    "libnftables1,libseccomp2,busybox-static,netbase"
)
_BUILD_S, _KVM_S, _EMULATED_S = 900, 240, 1500
_KERNEL_S = 45
"""How long it may take until the kernel speaks: where virtual machines are virtual themselves it may never."""
_KVM, _EMULATED = ["-enable-kvm", "-cpu", "host,-arch-capabilities"], ["-cpu", "max"]
_VERDICT = re.compile(rb"REBOOT-(OK|FAILED): ([^\r\n]*)")

_LAUNCHER = """\
#!/usr/bin/python3
import sys

sys.path.insert(0, "/opt/composer")
from composer.__main__ import main

sys.exit(main())
"""

_COMPOSE = """\
name: shop
services:
  web:
    image: host
    command: [python3, -m, http.server, "8000", --bind, 0.0.0.0]
    restart: always
    stop_signal: SIGKILL
    ports: ["8080:8000"]
    depends_on: {db: {condition: service_healthy}}
  db:
    image: host
    command: [sh, -c, "sleep 1; touch /t/ready; exec sleep inf"]
    tmpfs: [/t]
    restart: unless-stopped
    stop_signal: SIGKILL
    volumes: [data:/data]
    healthcheck: {test: [CMD, test, -e, /t/ready], interval: 1s}
  halted: {image: host, command: [sleep, inf], restart: unless-stopped, stop_signal: SIGKILL}
  plain: {image: host, command: [sleep, inf], stop_signal: SIGKILL}
volumes: {data: {}}
"""

_STAGES = """\
#!/usr/bin/python3
import json, pathlib, subprocess, sys, time, urllib.request

NOTES = pathlib.Path("/var/lib/stage.json")
console = open("/dev/ttyS0", "w")


def run(*words):
    done = subprocess.run(words, cwd="/srv/shop", capture_output=True, text=True, timeout=600)
    print("+", *words, done.returncode, done.stdout, done.stderr, file=console, flush=True)
    return done


def states():
    shown = run("composer", "ps", "-a", "--format", "json").stdout
    return {one["Service"]: (one["State"], one["ID"]) for one in map(json.loads, shown.splitlines())}


def answers():
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            return urllib.request.urlopen("http://127.0.0.1:8080/", timeout=5).status == 200
        except OSError:
            time.sleep(0.5)
    return False


def end(word, text):
    run("dmesg", "--level", "err")
    if word == "FAILED":
        print("".join(p.read_text() for p in pathlib.Path("/run/composer").rglob("supervisor.log")), file=console)
        run("systemctl", "status", "composer-boot", "--no-pager")
    print(f"REBOOT-{word}: {text}", file=console, flush=True)
    subprocess.run(["systemctl", "poweroff"])
    sys.exit()


boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text()
if not NOTES.exists():
    for words in (("boot", "enable"), ("up", "-d", "--wait"), ("stop", "-t", "0", "halted")):
        if run("composer", *words).returncode:
            end("FAILED", f"composer {' '.join(words)}, before the reboot")
    if not answers():
        end("FAILED", "the published port does not answer before the reboot")
    NOTES.write_text(json.dumps({"boot": boot, "states": states()}))
    # Not today's files: a boot goes by the records.
    pathlib.Path("/srv/shop/compose.yaml").rename("/srv/shop/away.yaml")
    subprocess.run(["sync"])
    subprocess.run(["systemctl", "reboot"])
    sys.exit()
notes = json.loads(NOTES.read_text())
if notes["boot"] == boot:
    end("FAILED", "it is the same boot")
if not answers():
    end("FAILED", "the published port does not answer after the reboot")
pathlib.Path("/srv/shop/away.yaml").rename("/srv/shop/compose.yaml")
before, after = notes["states"], states()
if {name: id for name, (_, id) in after.items()} != {name: id for name, (_, id) in before.items()}:
    end("FAILED", f"other containers: {after}")
found = {name: state for name, (state, _) in after.items()}
if found != {"web": "running", "db": "running", "halted": "exited", "plain": "exited"}:
    end("FAILED", f"{found}")
if run("systemctl", "is-active", "composer-boot").stdout.strip() != "active":
    end("FAILED", "the unit is not active")
if run("composer", "up", "-d").returncode or states()["web"][1] != before["web"][1] or not answers():
    end("FAILED", "up after the reboot")
end("OK", "the same containers run, and the published port answers")
"""

_UNIT = """\
[Unit]
After=multi-user.target

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/stages
TimeoutStartSec=infinity

[Install]
WantedBy=graphical.target
"""


def main(directory: Path) -> int:
    _install_tools()
    directory.mkdir(parents=True, exist_ok=True)
    tree = directory / "tree.tar"
    if not tree.exists():
        print(f"building a Debian in {directory}", flush=True)
        _build(tree)
    disk = _disk(directory, tree)
    return _boot(directory, disk)


def _install_tools() -> None:
    missing = sorted({package for tool, package in _NEEDED.items() if shutil.which(tool) is None})
    if missing:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
            subprocess.run(["apt-get", *words], check=True, env=environment, timeout=_BUILD_S, stdout=-3)


def _build(tree: Path) -> None:
    """Make the tree of a small Debian with a kernel, once."""
    making = tree.with_suffix(".part")
    command = ["mmdebstrap", "--variant=minbase", f"--include={_PACKAGES}", "--format=tar", "bookworm"]
    subprocess.run([*command, str(making)], check=True, timeout=_BUILD_S)
    making.rename(tree)


def _disk(directory: Path, tree: Path) -> Path:
    """Make the machine's disk: that tree, with composer as it is now and what is to happen."""
    root = directory / "root"
    if root.exists():
        shutil.rmtree(root)
    root.mkdir()
    subprocess.run(["tar", "-x", "-p", "-f", str(tree), "-C", str(root)], check=True, timeout=_BUILD_S)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--target",
        str(root / "opt/composer"),
        str(ROOT),
    ]
    subprocess.run(pip, check=True, timeout=_BUILD_S)
    for path, text, mode in (
        ("usr/local/bin/composer", _LAUNCHER, 0o755),
        ("usr/local/sbin/stages", _STAGES, 0o755),
        ("etc/systemd/system/stages.service", _UNIT, 0o644),
        ("srv/shop/compose.yaml", _COMPOSE, 0o644),
        ("etc/fstab", "/dev/vda / ext4 rw 0 1\n", 0o644),
    ):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
    wanted = root / "etc/systemd/system/graphical.target.wants"
    wanted.mkdir(parents=True, exist_ok=True)
    (wanted / "stages.service").symlink_to("/etc/systemd/system/stages.service")
    for name in ("vmlinuz", "initrd.img"):
        (source,) = root.glob(f"boot/{name}-*")
        shutil.copy(source, directory / name)
    disk = directory / "disk.img"
    disk.unlink(missing_ok=True)
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(disk), "2G"], check=True, timeout=_BUILD_S
    )
    shutil.rmtree(root)
    return disk


def _boot(directory: Path, disk: Path) -> int:
    log = directory / "console.log"
    started_s = time.monotonic()
    how = "kvm"
    is_run = os.access("/dev/kvm", os.R_OK | os.W_OK) and _run(directory, disk, log, _KVM, _KVM_S)
    if not is_run:
        how = "emulated"
        _run(directory, disk, log, _EMULATED, _EMULATED_S)
    found = _VERDICT.search(log.read_bytes() if log.exists() else b"")
    where = f"{how}, {time.monotonic() - started_s:.0f} s, console in {log}"
    if found is None:
        print(f"verdict: none in time ({where})")
        return 1
    print(f"verdict: {found[1].decode()}: {found[2].decode()} ({where})")
    return 0 if found[1] == b"OK" else 1


def _run(directory: Path, disk: Path, log: Path, processor: list[str], seconds: int) -> bool:
    """Run the machine to its end; False where it could not be started in this way."""
    command = [
        "qemu-system-x86_64",
        *processor,
        *("-m", "1024", "-smp", "2", "-nographic", "-serial", f"file:{log}", "-monitor", "none"),
        *("-kernel", str(directory / "vmlinuz"), "-initrd", str(directory / "initrd.img")),
        *("-append", "root=/dev/vda rw console=ttyS0 panic=-1"),
        *("-drive", f"file={disk},format=raw,if=virtio", "-nic", "user,model=virtio-net-pci"),
    ]
    log.unlink(missing_ok=True)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as machine:
        for patience_s in (_KERNEL_S, seconds):
            try:
                machine.wait(patience_s)
            except subprocess.TimeoutExpired:
                if patience_s == _KERNEL_S and b"Linux version" in log.read_bytes():
                    continue
                machine.kill()
            break
    return b"Linux version" in (log.read_bytes() if log.exists() else b"")


if __name__ == "__main__":
    place = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="composer-reboot-")
    sys.exit(main(Path(place)))
