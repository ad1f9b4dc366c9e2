"""``make api-inspected``: what Docker Engine and `composer serve` say of the same containers, value by value.

The services are those of `tests.compared.inside`; docker compose creates them on both, so both hear the same requests.
A value that differs has its reason in inspected.yaml, or is told as unexplained: then the exit status is 1.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from tests.api_client import Client, served
from tests.compared.api.run import fits
from tests.compared.inside import stage
from tests.compared.places import BuiltIn, OnDocker

_REASONS = pathlib.Path(__file__).with_name("inspected.yaml")
_PROJECT = "inspected"
_ID = re.compile(r"\b[0-9a-f]{12,64}\b")
_OF_ONE = (
    *(
        "Id",
        "Created",
        "Image",
        "Path",
        "ResolvConfPath",
        "HostnamePath",
        "HostsPath",
        "LogPath",
        "Config.Image",
    ),
    *("GraphDriver", "NetworkSettings.Sand*", "*.MacAddress", "*.NetworkID", "*.EndpointID", "*.DNSNames"),
    "Config.Labels.com.docker.compose.image",
)
"""Where values differ from container to container."""


_SETS = (
    "Mounts",
    "Binds",
    "Env",
    "Ulimits",
    "MaskedPaths",
    "ReadonlyPaths",
    "CapAdd",
    "CapDrop",
    "Links",
    "Aliases",
    "ExtraHosts",
)
_ROOT = re.compile(r'"(/[^"]*)?/volumes/')
"""Where an engine has its volumes."""


class Value(NamedTuple):
    service: str
    place: str
    theirs: str
    ours: str


def values(document: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield each value of a document with its place, in words that do not depend on the machine."""
    if isinstance(document, dict) and document:
        for key, value in document.items():
            name = _ID.sub("ID", key)
            yield from values(value, f"{place}.{name}" if place else name)
    elif isinstance(document, list) and document:
        for number, entry in enumerate(document):
            # what is in no order is known by what it is: one more moves no others
            of_set = _ID.sub("ID", str(entry))
            if isinstance(entry, dict):
                of_set = entry.get("Destination") or entry.get("Target") or entry.get("Name") or str(number)
            yield from values(entry, f"{place}[{of_set if _is_a_set(place) else number}]")
    else:
        yield place, _ROOT.sub('"…/volumes/', _ID.sub("ID", json.dumps(document)))


def _is_a_set(place: str) -> bool:
    """Tell whether a list is in no order: Docker's comes from a map."""
    return place.rpartition(".")[2] in _SETS


def of_service(document: dict[str, Any]) -> dict[str, str]:
    return {
        place: text
        for place, text in values(document)
        if not any(fits(place, pattern) or fits(place, f"{pattern}.*") for pattern in _OF_ONE)
    }


def created(client: Client, folder: pathlib.Path, services: list[str]) -> dict[str, dict[str, Any]]:
    """Create the services by docker compose; return what is inspected of each, or why it was refused."""
    environment = {**os.environ, "DOCKER_HOST": client.host}
    words = ["docker", "compose", "-p", _PROJECT, "--project-directory", str(folder)]
    found: dict[str, dict[str, Any]] = {}
    try:
        for name in services:
            done = subprocess.run(
                [*words, "create", "--no-build", "--pull", "never", name],
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            if done.returncode:
                found[name] = {"refused": done.stderr.strip()[-300:]}
        filters = {"label": [f"com.docker.compose.project={_PROJECT}"]}
        for one in client.get("/containers/json", {"all": 1, "filters": filters}):
            found[one["Labels"]["com.docker.compose.service"]] = client.get(f"/containers/{one['Id']}/json")
    finally:
        subprocess.run([*words, "down", "-v", "-t", "0"], env=environment, capture_output=True, check=False)
    return found


def compare(theirs: dict[str, Any], ours: dict[str, Any]) -> list[Value]:
    found = []
    for service in sorted(theirs.keys() | ours.keys()):
        one, other = (of_service(side.get(service, {})) for side in (theirs, ours))
        for place in sorted(one.keys() | other.keys()):
            left, right = one.get(place, "-"), other.get(place, "-")
            if left != right:
                found.append(Value(service, place, left, right))
    return found


def main() -> int:
    os.environ["INSIDE_SECRET"] = "a secret\n"
    engine = Client(os.environ["DOCKER_HOST"].removeprefix("unix://"))
    reasons = yaml.safe_load(_REASONS.read_text()) or []
    project = stage.services()
    project.pop("x-base")
    with stage.alone(), tempfile.TemporaryDirectory(prefix="composer-inspected-") as directory:
        place = pathlib.Path(directory)
        os.environ["COMPOSER_ROOT"] = str(place / "state")
        folder = place / "project"
        sides = [kind(place / kind.__name__, _PROJECT) for kind in (OnDocker, BuiltIn)]
        for side in sides:
            stage.import_images(side, place)
        folder.mkdir()
        stage.write_files(folder)
        (folder / "compose.yaml").write_text(yaml.safe_dump(project, sort_keys=False))
        with stage.machine(folder), served(place, {"HOME": directory}) as server:
            names = list(project["services"])
            theirs, ours = (created(client, folder, names) for client in (engine, server.client()))
    found = compare(theirs, ours)
    return report(found, len(project["services"]), reasons)


def report(found: list[Value], number: int, reasons: list[dict[str, str]]) -> int:
    """Print the differences, by place; return the exit status."""
    places: dict[tuple[str, str], list[Value]] = {}
    for one in found:
        fitting = (
            row["reason"]
            for row in reasons
            if fits(one.service, row["service"]) and fits(one.place, row["place"])
        )
        places.setdefault((one.place, next(fitting, "")), []).append(one)
    for (place, reason), those in places.items():
        first = those[0]
        print(
            f"{'  ' if reason else '! '}{place} ({len(those)}: {', '.join(one.service for one in those[:4])})"
        )
        print(f"      {first.theirs} | {first.ours}  {reason}")
    bad = [place for place, reason in places if not reason]
    print(
        f"{number} services, {len(found)} values differ at {len(places)} places, {len(bad)} without a reason"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
