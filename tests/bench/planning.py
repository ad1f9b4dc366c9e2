"""How long `reconcile` takes, and how much memory, for 10, 100 and 1,000 services with three containers each.

Each size in a process of its own, beside the whole cold ``composer plan`` of the same project: with everything up
to date, with everything changed, and from nothing. ``python -m tests.bench.planning``
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = (10, 100, 1000)
REPLICAS = 3


def project(count: int, version: str) -> str:
    """Return ``count`` services in layers of ten that depend on the layer before, three replicas each."""
    services = {}
    for n in range(count):
        before = [f"s{m}" for m in range(max(0, n // 10 * 10 - 10), n // 10 * 10)][:3]
        services[f"s{n}"] = {
            "image": "app",
            "scale": REPLICAS,
            "environment": {"VERSION": version, "N": str(n)},
            "volumes": [f"v{n % 50}:/data"],
            "networks": [f"n{n % 7}"],
            "depends_on": {name: {"condition": "service_started"} for name in before},
        }
    return json.dumps(
        {
            "services": services,
            "volumes": {f"v{n}": {} for n in range(min(50, count))},
            "networks": {f"n{n}": {} for n in range(min(7, count))},
        }
    )


def measure(count: int) -> dict[str, float]:
    """Return seconds and MB, in this process."""
    from composer.backends.memory import MemoryBackend
    from composer.engine import actions
    from composer.engine.engine import Engine
    from composer.engine.observe import observe
    from composer.engine.options import Options
    from composer.engine.planning.reconcile import reconcile
    from composer.schema.load import LoadOptions, load

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "compose.yaml"
        path.write_text(project(count, "1"))
        options = LoadOptions(working_dir=directory, name="app")
        before = load(options)
        path.write_text(project(count, "2"))
        after = load(options)
    backend = MemoryBackend()
    engine = Engine(backend, key=b"k" * 32)
    empty = observe(backend, before, engine.key)
    found = {"services": float(count)}
    base_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, wanted, world in (("from nothing", before, empty),):
        found[name] = _time(lambda wanted=wanted, world=world: reconcile(wanted, world, Options()))
    actions.up(engine, before, Options())
    world = observe(backend, before, engine.key)
    found["up to date"] = _time(lambda: reconcile(before, world, Options()))
    found["all changed"] = _time(lambda: reconcile(after, world, Options()))
    found["MB more"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - base_mb
    return found


def _time(call: object) -> float:
    assert callable(call)
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def cold_plan(count: int) -> float:
    """Return the seconds of a whole ``composer plan`` of the project from nothing, on the built-in runtime."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "compose.yaml").write_text(project(count, "1"))
        environment = {**os.environ, "COMPOSER_ROOT": f"{directory}/root", "HOME": directory}
        command = [
            sys.executable,
            "-m",
            "composer",
            "--backend",
            "namespace",
            "--project-directory",
            directory,
        ]
        start = time.perf_counter()
        subprocess.run([*command, "plan"], env=environment, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
        return
    print(
        "| services × 3 | from nothing | up to date | all changed | memory more | whole cold `composer plan` |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for count in SIZES:
        ran = subprocess.run(
            [sys.executable, "-m", "tests.bench.planning", str(count)],
            check=True,
            capture_output=True,
            text=True,
        )
        row = json.loads(ran.stdout)
        times = " | ".join(
            f"{row[key] * 1000:.0f} ms" for key in ("from nothing", "up to date", "all changed")
        )
        print(f"| {count} | {times} | {row['MB more']:.0f} MB | {cold_plan(count):.2f} s |")


if __name__ == "__main__":
    main()
