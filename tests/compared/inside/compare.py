"""Start the same services on composer's own runtime and on Docker Engine, look at them from within, and compare.

    python -m tests.compared.inside.compare [--only WORD] [--to FILE] [--keep DIRECTORY]

Writes the differences, each with its reason from reasons.yaml, into docs/compared.md. A difference without a reason,
and a reason without a difference, are printed and make it end with 1. Needs root, an engine at COMPOSER_TEST_DOCKER
or DOCKER_HOST, and busybox.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import socket
import sys
import tempfile
import time
from typing import Any

import yaml

from tests.compared.inside import report, stage
from tests.compared.inside.facts import Facts, facts_of
from tests.compared.places import BuiltIn, OnDocker, Place

ROOT = pathlib.Path(__file__).parents[3]
_PROJECT = "inside"
_PROBED_S = 30.0
_NO_INIT = "no docker-init"
_ENDED = ("exited", "dead", "created")
# Where exec has a part of its own in what the attribute does: each takes a command on each side.
_EXECUTED = frozenset(
    "plain cap_add cap_drop_all privileged user_name user_group_add group_add no_new_privileges seccomp_unconfined "
    "ulimits oom_score_adj init stop_of_init working_dir environment tty terminal cgroup_private image_says device_cdi "
    "network_host pid_service uts_host logging_none".split()
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="only services whose name matches this")
    parser.add_argument("--to", default=str(ROOT / "docs" / "compared.md"))
    parser.add_argument("--keep", default="", help="write each side's facts into this directory")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ["INSIDE_SECRET"] = "a secret\n"
    if os.environ.get("COMPOSER_TEST_DOCKER"):
        os.environ["DOCKER_HOST"] = os.environ["COMPOSER_TEST_DOCKER"]
    with stage.alone(), tempfile.TemporaryDirectory(prefix="composer-inside-") as directory:
        os.environ["COMPOSER_ROOT"] = f"{directory}/state"
        ours, theirs = (_side(kind, pathlib.Path(directory), options.only) for kind in (BuiltIn, OnDocker))
    for name in [name for name, facts in theirs.items() if facts.get("up") == _NO_INIT]:
        print(f"{name}: not compared: the engine comes without docker-init", file=sys.stderr)
        del ours[name], theirs[name]
    if options.keep:
        for name, facts in (("ours", ours), ("theirs", theirs)):
            _keep(pathlib.Path(options.keep) / name, facts)
    return report.write(ours, theirs, pathlib.Path(options.to), complete=not options.only)


def _side(kind: type[Place], directory: pathlib.Path, only: str) -> dict[str, Facts]:
    """Return the facts of every service on one backend."""
    place = kind(directory / "project" / _PROJECT, _PROJECT)
    began_s = time.monotonic()
    stage.import_images(place, directory)
    stage.write_files(place.folder)
    project = _chosen(stage.services(), only)
    with stage.machine(place.folder):
        try:
            refused = _refused(place, project)
            for name in refused:
                del project["services"][name]
            place.write(yaml.safe_dump(project, sort_keys=False))
            done = place.run("up", "-d")
            _tell(place, began_s, "up")
            facts = _observe(place, project)
            _tell(place, began_s, "seen")
            _add_failures(facts, done.err)
        finally:
            place.close()
    for name, text in refused.items():
        facts[name] = {"up": f"refused: {text}"}
    _tell(place, began_s, f"down, {len(facts)} services")
    return facts


def _tell(place: Place, began_s: float, what: str) -> None:
    print(f"{place.title}: {what} after {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)


def _chosen(project: dict[str, Any], only: str) -> dict[str, Any]:
    project.pop("x-base")
    kept = {n: s for n, s in project["services"].items() if re.search(only, n) or n in ("target", "filler")}
    return {**project, "services": kept}


def _refused(place: Place, project: dict[str, Any]) -> dict[str, str]:
    """Return the services that this backend will not run at all, each with what it says."""
    place.write(yaml.safe_dump(project, sort_keys=False))
    done = place.run("plan")
    found = re.findall(r"services\.(\w+)\.(\S+: .*)", done.err) if done.code == 1 else []
    if done.code == 1 and not found:
        raise SystemExit(f"{place.title}: {done.err}")
    return dict(found)


def _observe(place: Place, project: dict[str, Any]) -> dict[str, Facts]:
    outputs = _outputs(place, project)
    reached = {name: _reach(service.get("x-reach", ())) for name, service in project["services"].items()}
    containers = {str(one["Service"]): one for one in place.containers()}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        running = [n for n, one in containers.items() if one["State"] == "running" and n in _EXECUTED]
        executed = dict(zip(running, pool.map(lambda name: _inside(place, name), running), strict=True))
    facts: dict[str, Facts] = {}
    for name in project["services"]:
        one = containers.get(name)
        if one is None:
            facts[name] = {"state": "not created"}
            continue
        facts[name] = {"state": str(one["State"]), "health": str(one.get("Health") or "none")}
        if one["State"] in _ENDED:
            facts[name]["exit code"] = str(one["ExitCode"])
        facts[name].update(facts_of(outputs.get(name, "")))
        facts[name].update({f"exec: {key}": value for key, value in executed.get(name, {}).items()})
        facts[name].update(reached[name])
    _add_stops(place, project, facts)
    return facts


def _outputs(place: Place, project: dict[str, Any]) -> dict[str, str]:
    """Return what the probes print, once all of them have."""
    deadline_s = time.monotonic() + _PROBED_S
    while True:
        found: dict[str, list[str]] = {}
        for line in place.run("logs", "--no-color").out.split("\n"):
            name, separator, text = line.partition(" | ")
            if separator:
                found.setdefault(name.strip().rpartition("-")[0], []).append(text)
        waiting = [
            one["Service"]
            for one in place.containers()
            if one["State"] == "running"
            and found.get(str(one["Service"]))
            and "@ end" not in str(found[one["Service"]])
        ]
        if not waiting or time.monotonic() > deadline_s:
            if waiting:
                print(f"{place.title}: no end of {', '.join(waiting)}", file=sys.stderr)
            return {name: "\n".join(lines) for name, lines in found.items()}
        time.sleep(0.5)


def _inside(place: Place, service: str) -> Facts:
    done = place.run("exec", "-T", service, "/probe", "once")
    return facts_of(done.out) if done.code == 0 else {"failed": f"{done.code}"}


def _reach(addresses: list[str]) -> Facts:
    found = {}
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=3) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answer = connection.recv(100)
            found[f"reached at {address}"] = "yes" if answer.startswith(b"HTTP") else "not a word"
        except OSError as error:
            found[f"reached at {address}"] = f"no: {error.strerror or error}"
    return found


def _add_stops(place: Place, project: dict[str, Any], facts: dict[str, Facts]) -> None:
    names = [name for name, service in project["services"].items() if service.get("x-stop") and name in facts]
    if not names:
        return
    place.run("stop", *names)
    for one in place.containers():
        if one["Service"] in names:
            facts[str(one["Service"])]["exit code after stop"] = str(one["ExitCode"])


def _add_failures(facts: dict[str, Facts], text: str) -> None:
    """Note which services up says have failed."""
    for name in facts:
        failed = re.search(rf"(?m)^\s*error.*\b{_PROJECT}-{name}-1\b.*", text)
        if failed:
            facts[name]["up"] = (
                _NO_INIT if "docker-init, required by 'init: true', not found" in failed[0] else "failed"
            )


def _keep(directory: pathlib.Path, facts: dict[str, Facts]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, found in facts.items():
        (directory / f"{name}.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(main())
