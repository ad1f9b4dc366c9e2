"""An attached ``up`` that ends with one of its containers: what stops, what is still shown, what does not count."""

from __future__ import annotations

import json
import time

from tests.e2e.stack import Stack
from tests.e2e.test_following import following

PROJECT = """
name: NAME
services:
  first: {image: IMAGE, command: [sh, -c, "while [ ! -e /tmp/end ]; do sleep 0.1; done; exit 3"]}
  other:
    image: IMAGE
    command: [sh, -c, "trap 'cat /tmp/hooked; sleep 0.5; echo last words; exit 0' TERM; while :; do sleep 0.1; done"]
    pre_stop: [{command: [sh, -c, echo the hook ran > /tmp/hooked]}]
"""


def test_the_others_are_stopped_with_their_hooks_and_shown_to_the_end(empty: Stack) -> None:
    empty.write(PROJECT)
    with following(empty, "up", "--abort-on-container-exit") as up:
        up.wait_for("Attaching to first-1, other-1", 1)
        empty.run("run", "--rm", "--no-deps", "first", "sh", "-c", "exit 9", code=9)
        time.sleep(1)
        assert up.process.poll() is None, "a one-off container is none of its containers"
        empty.run("exec", "first", "touch", "/tmp/end")
        up.process.wait(60)
        up.wait_for("other-1  | last words", 1)
    assert up.process.returncode == 3
    assert up.count("other-1  | the hook ran") == 1
    assert up.count("Compose Stopping Aborting on container exit...") == 1
    assert set(empty.states().values()) == {"exited"}


def test_what_could_not_be_started_stops_the_rest(empty: Stack) -> None:
    empty.write(
        """
        name: NAME
        services:
          job: {image: IMAGE, command: ["false"]}
          web: {image: IMAGE, command: [sleep, "100"], init: true, stop_grace_period: 1s}
          late:
            image: IMAGE
            command: [sleep, "100"]
            depends_on: {job: {condition: service_completed_successfully}}
        """
    )
    failed = empty.run("up", "--abort-on-container-failure", code=1)
    assert " Container NAME-web-1 Stopped \n".replace("NAME", empty.name) in failed.stderr
    assert empty.states() == {"job-1": "exited", "web-1": "exited", "late-1": "created"}
    empty.run("up", code=1)
    assert empty.states()["web-1"] == "running", "without the option the rest goes on"


def test_events_have_the_labels_and_the_image_of_a_container(empty: Stack) -> None:
    empty.write(
        'name: NAME\nservices: {web: {image: IMAGE, command: ["true"], labels: {team: blue}}}\n',
    )
    empty.run("up")
    if empty.backend == "docker":
        empty.run("rm", "-sf")
    found = [
        json.loads(line)
        for line in empty.run("events", "--json", "--since", "1m", "--until", "0s").stdout.splitlines()
    ]
    about = {one["action"]: one["attributes"] for one in found if one["service"] == "web"}
    # the journal of the built-in runtime is as old as the project's supervisor, and goes with it; an engine keeps the
    # last 256 events, whoever caused them
    assert "die" in about
    for action, attributes in about.items():
        assert attributes.items() >= {"team": "blue", "name": f"{empty.name}-web-1"}.items(), action
        assert "image" in attributes, action
    assert about["die"]["exitCode"] == "0"
    assert about["die"]["execDuration"].isdigit()
