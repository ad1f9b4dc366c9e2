"""Pulling an image of 8 layers, 300 MB and 50,000 files from a registry on loopback, beside docker pull.

    python tests/bench/pulls.py [--runs N]

Needs root and docker-registry, and for the comparison docker on PATH with an engine at DOCKER_HOST. The two take turns;
each run pulls an image of its own, because ext4 is slow to use again the inodes of what was just removed, and what was
pulled is removed at the end only.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.archives import file  # noqa: E402 - found by the line above
from tests.registries import push_blob, push_manifest, registry, sha256  # noqa: E402

LAYERS, DIRECTORIES, FILES = 8, 125, 50
COMPOSER = [sys.executable, "-m", "composer", "--backend", "namespace"]


def make_layer(number: int, chance: random.Random) -> bytes:
    """A tar of files whose sizes are spread as those of a distribution; half text, half noise."""
    words = [
        bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 10))) for _ in range(4000)
    ]
    text, noise = b" ".join(chance.choices(words, k=400_000)), chance.randbytes(4 << 20)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for directory in range(DIRECTORIES):
            entry = tarfile.TarInfo(f"usr/share/l{number}/d{directory}")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
            for name in range(FILES):
                half = min(int(chance.lognormvariate(7.2, 1.5)), 1 << 20)
                place = chance.randrange(len(text) - half), chance.randrange(len(noise) - half)
                data = text[place[0] : place[0] + half] + noise[place[1] : place[1] + half]
                entry = tarfile.TarInfo(f"usr/share/l{number}/d{directory}/file{name}")
                entry.size, entry.mtime = len(data), 1_700_000_000 + name
                tar.addfile(entry, io.BytesIO(data))
    return raw.getvalue()


def push_images(host: str, count: int) -> tuple[int, int]:
    """Push images app:0, app:1, … that share no layer; return the bytes, compressed and plain, of one."""
    chance = random.Random(1)
    commons = [make_layer(number, chance) for number in range(LAYERS)]
    packed = [gzip.compress(common, 6, mtime=0) for common in commons]
    for image in range(count):
        layers, diff_ids = [], []
        for number, common in enumerate(commons):
            own = file(f"own{number}", b"%d of %d" % (number, image))
            blob = gzip.compress(own, 6, mtime=0) + packed[number]  # gzip: members follow one another
            diff_ids.append(sha256(own + common))
            kind = "application/vnd.docker.image.rootfs.diff.tar.gzip"
            layers.append({"mediaType": kind, "digest": push_blob(host, "app", blob), "size": len(blob)})
        config = repr(
            {
                "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
                "os": "linux",
                "config": {"Cmd": ["true"]},
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
            }
        ).replace("'", '"')
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "digest": push_blob(host, "app", config.encode()),
                "size": len(config),
            },
            "layers": layers,
        }
        push_manifest(host, "app", str(image), manifest)
    return sum(map(len, packed)), sum(map(len, commons))


def timed(
    command: list[str], environment: dict[str, str], directory: pathlib.Path
) -> tuple[float, int, float]:
    """Run a command; return its seconds, its peak memory in KiB, and its processor seconds."""
    started_s = time.perf_counter()
    process = subprocess.Popen(command, env=environment, cwd=directory, stdout=subprocess.DEVNULL)
    # ru_maxrss would be ours as we were when it was forked
    peak = 0
    while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        peak = max(
            peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0
        )
        time.sleep(0.02)
    elapsed_s = time.perf_counter() - started_s
    _, code, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}")
    return elapsed_s, peak, usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    with_docker = bool(os.environ.get("DOCKER_HOST")) and shutil.which("docker") is not None
    ours, theirs, memory, busy = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        directory = pathlib.Path(folder)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPATH"] = str(ROOT)
        with registry(directory) as host:
            packed, plain = push_images(host, runs)
            files = LAYERS * DIRECTORIES * FILES
            print(
                f"{LAYERS} layers, {files} files, {plain / 1e6:.0f} MB, {packed / 1e6:.0f} MB packed",
                flush=True,
            )
            for run in range(runs):
                name = f"{host}/app:{run}"
                (directory / "compose.yaml").write_text(
                    f"name: bench\nservices: {{app: {{image: '{name}'}}}}\n"
                )
                os.sync()
                environment["COMPOSER_ROOT"] = f"{folder}/state{run}"
                seconds, kibibytes, cpu = timed([*COMPOSER, "pull", "-q"], environment, directory)
                ours.append(seconds)
                memory.append(kibibytes)
                busy.append(cpu)
                if with_docker:
                    os.sync()
                    theirs.append(timed(["docker", "pull", "-q", name], environment, directory)[0])
            if with_docker:
                for run in range(runs):
                    subprocess.run(
                        ["docker", "rmi", "-f", f"{host}/app:{run}"], check=False, capture_output=True
                    )
    print(f"composer:    {statistics.median(ours):.2f} s {[round(one, 2) for one in ours]}")
    print(
        f"             {max(memory) / 1024:.0f} MB at most, {statistics.median(busy):.2f} s of processor time"
    )
    if theirs:
        print(f"docker pull: {statistics.median(theirs):.2f} s {[round(one, 2) for one in theirs]}")
        print(f"ratio:       {statistics.median(ours) / statistics.median(theirs):.2f}")


if __name__ == "__main__":
    main()
