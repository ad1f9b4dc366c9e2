"""Situations in which people lose time or data, each run for real. A scenario returns what happened.

``good`` is what its ``wanted`` says, decided from what was observed, by the same rule for everybody.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.compared.places import Place

_SERVICE = "image: IMAGE, stop_signal: SIGKILL"
SLEEP = f"{_SERVICE}, command: [sleep, '600']"


class Result(NamedTuple):
    good: bool
    text: str


class Scenario(NamedTuple):
    title: str
    wanted: str
    play: Callable[[Place], Result]


def network_changed(place: Place) -> Result:
    text = (
        f"services: {{web: {{{SLEEP}, networks: {{n: {{ipv4_address: 10.96.4.9}}}}}}, "
        f"seen: {{{SLEEP}, networks: [n]}}}}\n"
        "networks: {n: {labels: {v: 'VERSION'}, ipam: {config: [{subnet: 10.96.4.0/24}]}}}\n"
    )
    place.write(text.replace("VERSION", "1"))
    place.must_up()
    place.write(text.replace("VERSION", "2"))
    done = place.up("-y")
    found = place.inside("seen", "nslookup web 127.0.0.11 2>/dev/null | grep -c 10.96.4.9")
    address = place.inside("web", "ip -4 addr show | grep -c 10.96.4.9/24")
    good = done.code == 0 and found not in ("", "0") and address == "1"
    name = "the name resolves" if found not in ("", "0") else "the name `web` does not resolve"
    return Result(
        good, f"up ends with {done.code}; {name}; the fixed address is {'kept' if address == '1' else 'lost'}"
    )


def pre_stop(place: Place) -> Result:
    text = (
        f"services: {{web: {{{SLEEP}, environment: {{A: 'VERSION'}}, volumes: ['./out:/out'], "
        "pre_stop: [{command: [sh, -c, 'echo drained >> /out/said']}]}}\n"
    )
    place.write(text.replace("VERSION", "1"))
    place.must_up()
    place.write(text.replace("VERSION", "2"))
    place.up()
    ran = (place.folder / "out" / "said").exists()
    return Result(ran, "the hook ran" if ran else "the container was replaced and the hook did not run")


def health_chain(place: Place) -> Result:
    check = "healthcheck: {test: [CMD, 'true'], interval: 10s, start_period: 10s, start_interval: 100ms}"
    links = ", ".join(
        f"s{n}: {{{SLEEP}, {check}"
        + (f", depends_on: {{s{n - 1}: {{condition: service_healthy}}}}" if n else "")
        + "}"
        for n in range(5)
    )
    place.write(f"services: {{{links}}}\n")
    done = place.must_up("--wait")
    return Result(done.took_s < _CHAIN_S, f"{done.took_s:.1f} s")


_CHAIN_S = 2.5


def bad_replacement(place: Place) -> Result:
    text = f"services: {{web: {{{_SERVICE}, command: [COMMAND, '600']}}}}\n"
    place.write(text.replace("COMMAND", "sleep"))
    place.must_up()
    before = place.ids()
    place.write(text.replace("COMMAND", "/no/such/program"))
    flags = () if place.title == "docker compose" else ("--on-failure", "rollback")
    done = place.up(*flags)
    running = place.states().get("web-1") == "running"
    same = place.ids() == before
    said = "the old container runs on" if running and same else "nothing runs any more"
    if running and not same:
        said = "one with the old configuration runs"
    return Result(running and done.code != 0, f"up ends with {done.code}; {said}")


def two_failures(place: Place) -> Result:
    bad = f"{_SERVICE}, entrypoint: [/no/such/program]"
    place.write(
        f"services: {{a: {{{bad}}}, b: {{{bad}}}, c: {{{SLEEP}}}, d: {{{SLEEP}, depends_on: [c]}}}}\n"
    )
    done = place.up()
    named = [
        name for name in "ab" if re.search(rf"(?mi)^\s*error.*-{name}-1|-{name}-1 .*(?:fail|error)", done.err)
    ]
    states = place.states()
    running = sum(states.get(f"{name}-1") == "running" for name in "cd")
    return Result(
        len(named) == 2 and running == 2,
        f"{len(named)} of 2 failures named; {running} of the 2 other services run",
    )


def failed_replica(place: Place) -> Result:
    script = "if mkdir /s/first; then exit 0; else sleep 0.7; exit 3; fi"
    job = f'{_SERVICE}, scale: 2, command: [sh, -c, "{script}"], volumes: [s:/s]'
    place.write(
        f"services: {{job: {{{job}}}, "
        f"web: {{{SLEEP}, depends_on: {{job: {{condition: service_completed_successfully}}}}}}}}\n"
        "volumes: {s: {}}\n"
    )
    done = place.up()
    started = place.states().get("web-1") == "running"
    return Result(
        not started and done.code != 0,
        f"up ends with {done.code}; `web` was {'started all the same' if started else 'not started'}",
    )


def stale_health(place: Place) -> Result:
    check = "healthcheck: {test: [CMD, test, -e, /state/ok], interval: 300ms, retries: 1}"
    place.write(
        f"services: {{db: {{{SLEEP}, {check}, volumes: ['./state:/state']}}, "
        f"web: {{{SLEEP}, depends_on: {{db: {{condition: service_healthy}}}}}}}}\n"
    )
    place.up()
    place.run("stop", "-t", "0")
    (place.folder / "state" / "ok").write_text("")
    done = place.up()
    return Result(done.code == 0, f"the second up ends with {done.code}")


def config_changed(place: Place) -> Result:
    place.write(
        f"services: {{web: {{{_SERVICE}, command: [sh, -c, 'cat /page; sleep 600'], configs: [page]}}}}\n"
        "configs: {page: {file: ./page}}\n"
    )
    (place.folder / "page").write_text("old\n")
    place.must_up()
    before = place.ids()
    (place.folder / "page").write_text("new\n")
    place.up()
    new = place.ids() != before
    return Result(
        new, "the container is replaced" if new else "nothing happens: the program runs with the old content"
    )


def crashed_dependency(place: Place) -> Result:
    place.write(
        f"services: {{db: {{{_SERVICE}, command: [sh, -c, 'sleep 2; exit 1'], restart: always}}, "
        f"web: {{{SLEEP}, depends_on: {{db: {{condition: service_started, restart: true}}}}}}}}\n"
    )
    place.must_up()
    before = place.inside("web", "cat /proc/uptime; stat -c %Y /proc/1")
    time.sleep(4)
    after = place.inside("web", "cat /proc/uptime; stat -c %Y /proc/1")
    restarted = before.splitlines()[-1:] != after.splitlines()[-1:]
    return Result(restarted, f"`web` was {'restarted' if restarted else 'not restarted'}")


def dry_run(place: Place) -> Result:
    text = f"services: {{web: {{{SLEEP}, environment: {{A: 'VERSION'}}}}}}\n"
    place.write(text.replace("VERSION", "1"))
    place.must_up()
    before = place.ids()
    place.write(text.replace("VERSION", "2"))
    done = place.run("--dry-run", "up", "-d")
    kept = place.ids() == before
    names = "environment.A" in done.out + done.err
    return Result(
        kept and names,
        f"{'nothing is changed' if kept else 'the container is replaced'}; "
        f"{'it names the variable that differs' if names else 'it does not say why'}",
    )


def merged_logs(place: Place) -> Result:
    count = "while [ $$i -lt END ]; do i=$$((i+2)); echo $$i; sleep 0.4; done; sleep 600".replace
    first = f"{_SERVICE}, command: [sh, -c, 'i=0; {count('END', '10')}']"
    second = f"{_SERVICE}, command: [sh, -c, 'i=-1; sleep 0.2; {count('END', '9')}']"
    place.write(f"services: {{a: {{{first}}}, b: {{{second}}}}}\n")
    place.must_up()
    time.sleep(3.5)
    lines = [line for line in place.run("logs", "--no-color", "--timestamps").out.splitlines() if "|" in line]
    times = [match.group() for line in lines if (match := re.search(r"\d{4}-\d\d-\d\dT[\d:.]+", line))]
    turns = sum(one != next for one, next in zip(times, sorted(times), strict=True))
    ordered = len(times) >= 10 and turns == 0
    return Result(
        ordered, "in the order of their times" if ordered else f"{turns} of {len(times)} lines out of order"
    )


def orphan_network(place: Place) -> Result:
    place.write(
        f"services: {{web: {{{SLEEP}, networks: [old]}}}}\nnetworks: {{old: {{labels: {{left: '{place.name}'}}}}}}\n"
    )
    place.must_up()
    place.write(f"services: {{web: {{{SLEEP}}}}}\n")
    place.up("--remove-orphans")
    gone = place.name + "_old" not in _networks(place)
    return Result(gone, "it is removed" if gone else "it stays, with its address range")


def _networks(place: Place) -> str:
    if place.title == "docker compose":
        return place.start(["docker", "network", "ls"]).out
    return place.start([*place.command, "network", "ls"]).out


def hash_of_env_file(place: Place) -> Result:
    place.write(f"services: {{web: {{{SLEEP}, env_file: vars.env}}}}\n")
    place.write("A=1\n", "vars.env")
    place.must_up()
    printed = place.run("config", "--hash", "web").out.split()[-1:]
    labels = str(next(one["Labels"] for one in place.containers()))
    same = bool(printed) and printed[0] in labels
    return Result(same, "equal" if same else "they differ")


SCENARIOS = (
    Scenario(
        "A network changes: one label of it",
        "up succeeds, and containers keep their names and fixed addresses",
        network_changed,
    ),
    Scenario("`pre_stop`, when a container is replaced", "the hook runs", pre_stop),
    Scenario(
        "Five services that wait for each other's health",
        f"less than {_CHAIN_S} s (each checks every 0.1 s)",
        health_chain,
    ),
    Scenario(
        "The new version cannot start (composer: `up --on-failure rollback`)",
        "it fails, and something still serves",
        bad_replacement,
    ),
    Scenario("Two of four services fail", "both are named, and the other two run", two_failures),
    Scenario(
        "A service waits for a job of two replicas, of which the second fails",
        "it is not started",
        failed_replica,
    ),
    Scenario("Up again after the cause of a bad health is mended", "it succeeds", stale_health),
    Scenario("The file of a config changes", "what reads it is replaced", config_changed),
    Scenario(
        "A dependency crashes and is restarted (`restart: true`)",
        "what needs it is restarted",
        crashed_dependency,
    ),
    Scenario(
        "`--dry-run` when a variable changed", "nothing is changed, and it says which variable", dry_run
    ),
    Scenario("`logs` of two services that write in turn", "in the order of their times", merged_logs),
    Scenario("A network is no longer in the file, `up --remove-orphans`", "it is removed", orphan_network),
    Scenario("`config --hash` and the label, with `env_file`", "equal", hash_of_env_file),
)
