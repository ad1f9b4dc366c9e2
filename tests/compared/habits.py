"""What a user of Docker Compose does by habit, and what comes of it: situations as in `scenarios`."""

from __future__ import annotations

import os
import subprocess
import time

from tests.compared.places import Place
from tests.compared.scenarios import SLEEP, Result, Scenario
from tests.ports import free_port

_HAS_NETWORK = "ip -4 -o addr show | grep -vc ' lo '"


def _sharing(place: Place) -> None:
    place.write(
        f"services: {{mother: {{{SLEEP}}}, app: {{{SLEEP}, network_mode: 'service:mother', "
        "depends_on: {mother: {condition: service_started}}}}\n"
    )
    place.must_up()


def sharer_of_a_replaced_owner(place: Place) -> Result:
    _sharing(place)
    place.up("--force-recreate", "mother")
    place.up()
    has = place.inside("app", _HAS_NETWORK) not in ("", "0")
    return Result(has, "`app` has a network" if has else "`app` has no network")


def sharer_of_a_restarted_owner(place: Place) -> Result:
    _sharing(place)
    place.run("restart", "-t", "0", "mother")
    has = place.inside("app", _HAS_NETWORK) not in ("", "0")
    return Result(has, "`app` has a network" if has else "`app` has no network")


def wait_for_what_dies(place: Place) -> Result:
    place.write("services: {web: {image: IMAGE, command: [sh, -c, 'sleep 0.3; exit 3']}}\n")
    done = place.up("--wait")
    return Result(done.code != 0, f"up --wait ends with {done.code}")


def renamed_service(place: Place) -> Result:
    port = free_port()
    place.write(f"services: {{old: {{{SLEEP}, ports: ['127.0.0.1:{port}:80']}}}}\n")
    place.must_up()
    place.write(f"services: {{new: {{{SLEEP}, ports: ['127.0.0.1:{port}:80']}}}}\n")
    done = place.up("--remove-orphans")
    running = place.states() == {"new-1": "running"}
    return Result(
        done.code == 0 and running, f"up ends with {done.code}; `new` {'runs' if running else 'does not run'}"
    )


def address_after_a_stop(place: Place) -> Result:
    place.write(f"services: {{web: {{{SLEEP}}}, other: {{{SLEEP}, profiles: [more]}}}}\n")
    place.must_up()
    address = "ip -4 -o addr show eth0 | tr -s ' ' | cut -d' ' -f4"
    before = place.inside("web", address)
    place.run("stop", "-t", "0", "web")
    place.run("--profile", "more", "up", "-d", "other")
    place.run("start", "web")
    after = place.inside("web", address)
    kept = bool(before) and before == after
    return Result(kept, "the address is kept" if kept else "the address changes")


def environment_in_two_places(place: Place) -> Result:
    (place.folder / "below").mkdir()
    place.write(
        'services: {web: {image: IMAGE, labels: {here: "${HERE}", there: "${THERE}"}}}\n',
        "below/compose.yaml",
    )
    (place.folder / ".env").write_text("COMPOSE_FILE=below/compose.yaml\nHERE=1\n")
    (place.folder / "below" / ".env").write_text("THERE=2\n")
    text = place.run("config").out
    both = 'here: "1"' in text and 'there: "2"' in text
    return Result(both, "both count" if both else "one of them counts")


def start_with_dependencies(place: Place) -> Result:
    place.write(f"services: {{db: {{{SLEEP}}}, web: {{{SLEEP}, depends_on: [db]}}}}\n")
    place.must_up()
    place.run("stop", "-t", "0")
    place.run("start", "web")
    running = place.states().get("db-1") == "running"
    return Result(running, "`db` runs" if running else "`db` does not run")


def failing_pre_stop(place: Place) -> Result:
    place.write(f"services: {{web: {{{SLEEP}, pre_stop: [{{command: ['false']}}]}}}}\n")
    place.must_up()
    done = place.run("stop", "-t", "0")
    stopped = place.states().get("web-1") == "exited"
    return Result(
        done.code == 1 and stopped,
        f"stop ends with {done.code}; the container {'is stopped' if stopped else 'runs on'}",
    )


def bystander_of_a_network(place: Place) -> Result:
    text = (
        f"services: {{a: {{{SLEEP}}}, b: {{{SLEEP}}}}}\nnetworks: {{default: {{labels: {{v: 'VERSION'}}}}}}\n"
    )
    place.write(text.replace("VERSION", "1"))
    place.must_up()
    place.write(text.replace("VERSION", "2"))
    place.run("up", "-d", "-y", "a")
    running = place.states().get("b-1") == "running"
    return Result(running, "`b` runs" if running else "`b` is stopped")


def mistake_of_another_service(place: Place) -> Result:
    place.write(f"services: {{a: {{{SLEEP}}}, b: {{{SLEEP}, env_file: nowhere.env}}}}\n")
    done = place.up("a")
    return Result(done.code == 0, f"up a ends with {done.code}")


def value_that_no_engine_has(place: Place) -> Result:
    place.write(f"services: {{web: {{{SLEEP}, restart: sometimes, networks: [n]}}}}\nnetworks: {{n: {{}}}}\n")
    done = place.up()
    left = "Created" in done.err
    return Result(
        done.code != 0 and not left,
        f"up ends with {done.code}; {'a network is left' if left else 'nothing was created'}",
    )


def following_over_a_restart(place: Place) -> Result:
    place.write(
        "services: {web: {image: IMAGE, stop_signal: SIGKILL, command: [sh, -c, 'echo here; sleep 600']}}\n"
    )
    place.must_up()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
    with subprocess.Popen(
        [*place.command, "-p", place.name, "logs", "-f"],
        cwd=place.folder, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as follower:  # fmt: skip
        time.sleep(2)
        place.run("restart", "-t", "0", "web")
        time.sleep(2)
        goes_on = follower.poll() is None
        follower.kill()
        seen = (follower.stdout.read() if follower.stdout else "").count("here")
    return Result(goes_on and seen == 2, f"it {'goes on' if goes_on else 'ends'}; {seen} of 2 runs are shown")


def sparse_copy(place: Place) -> Result:
    place.write(f"services: {{web: {{{SLEEP}}}}}\n")
    place.must_up()
    place.inside(
        "web", "truncate -s 64M /tmp/disk || dd if=/dev/zero of=/tmp/disk bs=1 count=1 seek=67108863"
    )
    place.run("cp", "web:/tmp/disk", "disk")
    kib = (place.folder / "disk").stat().st_blocks // 2
    return Result(kib < 1024, f"64 MiB of holes take {kib} KiB")


HABITS = (
    Scenario(
        "The owner of a shared network is recreated alone, then `up`",
        "who shares it has a network",
        sharer_of_a_replaced_owner,
    ),
    Scenario(
        "The owner of a shared network is restarted (`depends_on` written out)",
        "who shares it has a network",
        sharer_of_a_restarted_owner,
    ),
    Scenario("`up --wait` of a service that exits with 3 after 0.3 s", "it fails", wait_for_what_dies),
    Scenario(
        "A service with a published port is renamed, `up --remove-orphans`", "it succeeds", renamed_service
    ),
    Scenario(
        "`stop web`, another service starts, `start web`",
        "the address of `web` is kept",
        address_after_a_stop,
    ),
    Scenario(
        "`.env` beside the command and beside the compose file", "both count", environment_in_two_places
    ),
    Scenario("`start web`, which depends on `db`", "`db` runs", start_with_dependencies),
    Scenario(
        "A `pre_stop` hook fails at `stop`", "exit code 1, and the container is stopped", failing_pre_stop
    ),
    Scenario("`up -d a` where the network of `a` and `b` has changed", "`b` runs", bystander_of_a_network),
    Scenario("`up a` where an env file of `b` is missing", "it succeeds", mistake_of_another_service),
    Scenario("`restart: sometimes`", "refused before anything is created", value_that_no_engine_has),
    Scenario("`logs -f` over a restart", "it goes on", following_over_a_restart),
    Scenario("A sparse file, `cp` out of a container", "it stays sparse", sparse_copy),
)
