"""Pushing an image of 6 layers and 300 MB to a registry on loopback, beside docker push of the same layers.

    python tests/bench/pushes.py [--runs N]

Needs root and docker-registry, and for the comparison docker on PATH with an engine at DOCKER_HOST whose store keeps
layers unpacked. Half of the bytes are text, half are noise. The two take turns; each run pushes an image of its own,
so that every layer is compressed and sent. `again` is the second push of the same image.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.archives import archive, file  # noqa: E402 - found by the line above
from tests.bench.pulls import COMPOSER, timed  # noqa: E402
from tests.registries import ARCHITECTURE, registry, sha256  # noqa: E402

SIZES_MB = (120, 80, 50, 30, 15, 5)


def make_layer(number: int, size: int, chance: random.Random) -> bytes:
    """A tar of files of 1 kB to 2 MB, by turns text and noise."""
    words = [
        bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 10))) for _ in range(4000)
    ]
    text, noise = b" ".join(chance.choices(words, k=600_000)), chance.randbytes(4 << 20)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        left, count = size, 0
        while left > 0:
            length = min(int(chance.lognormvariate(10, 2)) + 1000, 2 << 20, left)
            source = (text, noise)[count % 2]
            start = chance.randrange(len(source) - length)
            entry = tarfile.TarInfo(f"usr/share/l{number}/file{count}")
            entry.size, entry.mtime = length, 1_700_000_000
            tar.addfile(entry, io.BytesIO(source[start : start + length]))
            left, count = left - length, count + 1
    return raw.getvalue()


def write_image(path: pathlib.Path, name: str, commons: list[bytes], run: int) -> None:
    """Write a docker-archive of an image that shares no layer with that of another run."""
    layers = [file(f"own{number}", b"%d of %d" % (number, run)) + one for number, one in enumerate(commons)]
    config = json.dumps(
        {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "config": {"Cmd": ["true"]},
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
        }
    ).encode()
    manifest = [
        {"Config": "c.json", "RepoTags": [name], "Layers": [f"{n}/layer.tar" for n in range(len(layers))]}
    ]
    members = [file(f"{n}/layer.tar", layer) for n, layer in enumerate(layers)]
    path.write_bytes(
        archive(file("manifest.json", json.dumps(manifest).encode()), file("c.json", config), *members)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    with_docker = bool(os.environ.get("DOCKER_HOST")) and shutil.which("docker") is not None
    chance = random.Random(1)
    commons = [make_layer(number, size * 1_000_000, chance) for number, size in enumerate(SIZES_MB)]
    print(f"{len(commons)} layers, {sum(map(len, commons)) / 1e6:.0f} MB", flush=True)
    figures: dict[str, list[float]] = {}
    peak = 0
    with tempfile.TemporaryDirectory() as folder:
        directory = pathlib.Path(folder)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPATH": str(ROOT), "COMPOSER_ROOT": f"{folder}/state"}
        with registry(directory) as host:
            for run in range(runs):
                name, path = f"{host}/app:{run}", directory / "image.tar"
                write_image(path, name, commons, run)
                push = [*COMPOSER, "image", "push", "-q", name]
                rounds = [("composer", "composer", push), ("composer again", "composer", push)]
                subprocess.run(
                    [*COMPOSER, "image", "load", str(path)], env=environment, check=True, stdout=-3
                )
                if with_docker:
                    # a repository of its own: what the first has sent is not there
                    theirs = f"{host}/docker:{run}"
                    subprocess.run(["docker", "load", "-qi", str(path)], check=True, stdout=-3)
                    subprocess.run(["docker", "tag", name, theirs], check=True)
                    command = ["docker", "push", "-q", theirs]
                    rounds += [("docker", "docker", command), ("docker again", "docker", command)]
                path.unlink()
                for figure, _, command in rounds:
                    os.sync()
                    seconds, kibibytes, _busy = timed(command, environment, directory)
                    figures.setdefault(figure, []).append(seconds)
                    if figure == "composer":
                        peak = max(peak, kibibytes)
                if with_docker:
                    subprocess.run(["docker", "rmi", "-f", name, theirs], check=False, capture_output=True)
    for figure, seconds_of in figures.items():
        print(f"{figure:15} {statistics.median(seconds_of):.2f} s {[round(one, 2) for one in seconds_of]}")
    print(f"composer used {peak / 1024:.0f} MB at most")
    if with_docker:
        print(f"ratio: {statistics.median(figures['composer']) / statistics.median(figures['docker']):.2f}")


if __name__ == "__main__":
    main()
