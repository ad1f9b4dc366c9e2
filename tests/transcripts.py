"""Transcripts of the docker command: command lines with what they print, recorded at Docker Engine and played at ours.

    python -m tests.transcripts [NAME…]      records those of tests/integration/api/transcripts anew, at DOCKER_HOST

A line ``$ COMMAND`` is run by the shell. What follows is the recording: ``| `` is standard output, ``! `` standard
error, ``? N`` an exit status other than 0. ``# `` is a comment. Where ours differs, ``~ REASON`` follows, and what
ours prints in lines that begin with ``~``. Ids, times, addresses and ports are replaced by words.
The image ``box`` is busybox; the image and everything that is named ``tr…`` is removed at the end.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping

from composer.patterns import pattern
from tests.api_client import Client
from tests.compared.api.image import archive

PLACE = pathlib.Path(__file__).parent / "integration/api/transcripts"
IMAGE = "box"
_TIMEOUT_S = 60
_WORDS: tuple[tuple[str, str], ...] = (
    (r"\b[0-9a-f]{64}\b", "ID"),
    (r"\b[0-9a-f]{12}\b", "ID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?(Z|[+-]\d\d:?\d\d))?( UTC)?", "TIME"),
    (r"\b(Less than a|About an?|\d+) (second|minute|hour|day|week|month|year)s?\b", "TIME"),
    (r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b", "MAC"),
    (r"\b(172|192\.168|10)(\.\d{1,3}){2,3}\b(/\d+)?", "ADDRESS"),
    (r"(?<=:)(3276[89]|327[7-9]\d|32[89]\d\d|3[3-9]\d{3}|[45]\d{4}|6[0-5]\d{3})\b", "PORT"),
    (r"/\S+/volumes/", "VOLUMES/"),
    (r"  +", "  "),
)


_OF_A_RACE = "io: read/write on closed pipe"
"""What the docker command logs of itself when an answer comes before it has sent its archive."""


def normal(text: str) -> str:
    """Return an output with words for what no two runs have in common; columns are two spaces apart."""
    for expression, word in _WORDS:
        text = pattern(expression).sub(word, text)
    return text


def read(name: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the comments and commands of a transcript with the lines that are recorded for each."""
    lines: list[str] = []
    head = ""
    for line in (PLACE / f"{name}.txt").read_text().splitlines():
        if line.startswith(("$ ", "# ")) or not line:
            if head:
                yield head, lines
            head, lines = line or " ", []
        else:
            lines.append(line)
    if head:
        yield head, lines


def ours(recorded: list[str]) -> list[str]:
    """Return what is expected of ours: as recorded, or as the difference says."""
    if not any(line.startswith("~ ") for line in recorded):
        return recorded
    return [line[1:] for line in recorded if line.startswith("~") and not line.startswith("~ ")]


def names() -> list[str]:
    return sorted(path.stem for path in PLACE.glob("*.txt"))


def run(command: str, directory: pathlib.Path, environment: Mapping[str, str]) -> list[str]:
    """Run a command line; return what is recorded of it."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    pairs = (("|", done.stdout), ("!", done.stderr))
    here = os.fsencode(directory)
    found = [
        f"{sign} {line}".rstrip() for sign, data in pairs for line in _lines(data.replace(here, b"PLACE"))
    ]
    return found + ([f"? {done.returncode}"] if done.returncode else [])


def _lines(data: bytes) -> list[str]:
    lines = normal(data.decode(errors="replace")).splitlines()
    return [line for line in lines if _OF_A_RACE not in line]


def environment(host: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE")}
    return {**kept, "DOCKER_HOST": host, "DOCKER_CLI_HINTS": "false", "TZ": "UTC", "LC_ALL": "C.UTF-8"}


def play(name: str, directory: pathlib.Path, host: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Play a transcript; yield each command with the lines that were recorded and those that came."""
    variables = environment(host)
    for head, recorded in read(name):
        came = run(head[2:], directory, variables) if head.startswith("$ ") else []
        yield head, recorded, came


def record(name: str, host: str) -> None:
    """Write a transcript anew; what is said of differences stays."""
    with tempfile.TemporaryDirectory() as directory:
        played = list(play(name, pathlib.Path(directory), host))
    text = ""
    for head, recorded, came in played:
        kept = [line for line in recorded if line.startswith("~")]
        text += "".join(f"{line}\n" for line in (head.rstrip(), *came, *kept))
    (PLACE / f"{name}.txt").write_text(text)


def clear(client: Client) -> None:
    """Remove what the transcripts name."""
    filters = {"name": ["^/?tr"]}
    for container in client.get("/containers/json", {"all": 1, "filters": filters}):
        client.ask("DELETE", f"/containers/{container['Id']}", {"force": 1, "v": 1})
    for network in client.get("/networks", {"filters": {"name": ["^tr"]}}):
        client.ask("DELETE", f"/networks/{network['Id']}")
    for volume in client.get("/volumes", {"filters": {"name": ["^tr"]}})["Volumes"] or []:
        client.ask("DELETE", f"/volumes/{volume['Name']}")
    for image in (IMAGE, "trimage", "trcopy"):
        client.ask("DELETE", f"/images/{image}", {"force": 1})


def main(chosen: list[str]) -> None:
    client = Client(os.environ["DOCKER_HOST"].removeprefix("unix://"))
    for name in chosen or names():
        client.post("/images/load", {"quiet": 1}, archive(IMAGE))
        try:
            record(name, client.host)
        finally:
            clear(client)


if __name__ == "__main__":
    main(sys.argv[1:])
