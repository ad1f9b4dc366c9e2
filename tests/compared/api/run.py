"""``make api-compared``: play the script at Docker Engine and at ``composer serve``, and say what differs.

Each difference has its reason in reasons.yaml, or is told as unexplained: then the exit status is 1.
"""

from __future__ import annotations

import fnmatch
import json
import os
import pathlib
import sys
import tempfile
import time
from typing import Any, NamedTuple

import yaml

from tests.api_client import Answer, Client, served
from tests.compared.api import shapes
from tests.compared.api.script import IMAGE, STEPS, Step

_REASONS = pathlib.Path(__file__).with_name("reasons.yaml")


class Difference(NamedTuple):
    """Something that differs in the answers to a step. ``place`` is ``status``, ``message`` or a field."""

    step: str
    place: str
    theirs: str
    ours: str
    reason: str = ""


class Player:
    """Plays the script at one server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: dict[str, str] = {}

    def play(self, step: Step) -> Answer:
        if step.pause_s:
            time.sleep(step.pause_s)
        try:
            answer = self._ask(step)
        except OSError as error:
            raise AssertionError(f"no answer to {step.name}: {error}") from error
        if step.keep:
            document = _document(answer)
            found = document.get("Id") or document.get("ID") if isinstance(document, dict) else None
            self._kept[step.keep] = str(found or f"no-{step.keep}")
        return answer

    def _ask(self, step: Step) -> Answer:
        path, _, query = self._filled(step.path).partition("?")
        pairs = dict(text.partition("=")[::2] for text in query.split("&") if text)
        pairs = {name: value.replace("%40", "@").replace("%20", " ") for name, value in pairs.items()}
        body = step.body if step.body is None else json.loads(self._filled(json.dumps(step.body)))
        if body == "text":
            return self._client.ask(
                step.method, path, pairs, body=b'"text"', headers={"Content-Type": "application/json"}
            )
        return self._client.ask(step.method, path.replace("%2F", "/"), pairs, body=body)

    def _filled(self, text: str) -> str:
        for name, value in self._kept.items():
            text = text.replace(f"{{{name}}}", value)
        return text


def _document(answer: Answer) -> Any:
    """Return what a body says as far as it is JSON: a stream of documents is a list."""
    if "json" not in answer.headers.get("content-type", ""):
        return None
    try:
        return json.loads(answer.body)
    except ValueError:
        try:
            return answer.lines
        except (AssertionError, ValueError):
            return answer.body.decode(errors="replace")


def compare(theirs: Client, ours: Client, reasons: list[dict[str, str]]) -> list[Difference]:
    """Play all steps at one, then at the other: both use the machine's addresses. Return what differs."""
    answers = [[player.play(step) for step in STEPS] for player in (Player(theirs), Player(ours))]
    found: list[Difference] = []
    for step, one, other in zip(STEPS, *answers, strict=True):
        if one.status != other.status:
            texts = (f"{answer.status} {_message(answer)}" for answer in (one, other))
            found.append(Difference(step.name, "status", *texts))
            continue
        if one.status >= 400:
            continue  # statuses are equal, and the words are our own unless a client reads them
        kinds = [answer.headers.get("content-type", "").partition(";")[0] for answer in (one, other)]
        if kinds[0] != kinds[1]:
            found.append(Difference(step.name, "Content-Type", *kinds))
        for place, left, right in shapes.differences(_document(one), _document(other)):
            found.append(Difference(step.name, place, left, right))
    return [one._replace(reason=_reason(one, reasons)) for one in found]


def _message(answer: Answer) -> str:
    document = _document(answer)
    return str(document.get("message", ""))[:160] if isinstance(document, dict) else ""


def _reason(found: Difference, reasons: list[dict[str, str]]) -> str:
    for row in reasons:
        if fits(found.step, row["step"]) and fits(found.place, row["place"]):
            return row["reason"]
    return ""


def fits(text: str, pattern: str) -> bool:
    """Tell whether a text fits a pattern in which only the asterisk is special."""
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def main() -> int:
    engine = Client(os.environ["DOCKER_HOST"].removeprefix("unix://"))
    reasons = yaml.safe_load(_REASONS.read_text()) or []
    with tempfile.TemporaryDirectory(prefix="composer-api-") as directory:
        place = pathlib.Path(directory)
        with served(place, {"COMPOSER_ROOT": str(place / "state"), "HOME": directory}) as server:
            for client in (engine, server.client()):
                client.post("/images/load", {"quiet": 1}, _image())
            found = compare(engine, server.client(), reasons)
            for client in (engine, server.client()):
                client.ask("DELETE", f"/images/{IMAGE}", {"force": 1})
    for one in found:
        print(
            f"{'  ' if one.reason else '! '}{one.step}\n      {one.place}: {one.theirs} | {one.ours}  {one.reason}"
        )
    bad = [one for one in found if not one.reason]
    print(f"{len(STEPS)} requests, {len(found)} differences, {len(bad)} of them without a reason")
    return 1 if bad else 0


def _image() -> bytes:
    """Return an archive of an image with busybox alone."""
    from tests.compared.api.image import archive

    return archive(IMAGE)


if __name__ == "__main__":
    sys.exit(main())
