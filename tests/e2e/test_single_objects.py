"""Networks, volumes and images of no project by the docker CLI's flags, and the system, on both backends.

What removes everything unused is always given a label: the engine of the tests is not theirs alone.
"""

from __future__ import annotations

import json

from tests.e2e.test_single_containers import LABEL, Place, place
from tests.e2e.test_single_flags import inspect, make
from tests.integration.contract.conftest import IMAGE

__all__ = ["place"]


def test_a_network_with_all_its_flags(place: Place) -> None:
    net = f"{place.mark}-net"
    place(
        "network", "create", "--subnet", "10.215.0.0/16", "--subnet", "fd00:215::/64", "--ipv6",
        "--gateway", "10.215.0.5", "--gateway", "fd00:215::5", "--ip-range", "10.215.4.0/24",
        "--aux-address", "printer=10.215.4.1", "--label", f"{LABEL}={place.mark}", "--attachable", net,
    )  # fmt: skip
    try:
        (shown,) = json.loads(place("network", "inspect", net))
        four = next(one for one in shown["IPAM"]["Config"] if ":" not in one["Subnet"])
        assert four == {
            "Subnet": "10.215.0.0/16",
            "IPRange": "10.215.4.0/24",
            "Gateway": "10.215.0.5",
            "AuxiliaryAddresses": {"printer": "10.215.4.1"},
        }
        assert (shown["Attachable"], shown["EnableIPv6"], shown["Scope"]) == (True, True, "local")
        mine = ("--filter", f"label={LABEL}={place.mark}", "--format", "{{.Name}} {{.IPv6}} {{.Scope}}")
        assert place("network", "ls", *mine) == f"{net} true local\n"
        assert place("network", "ls", "--filter", f"name={net}", "--filter", "dangling=true", "-q")
        name = make(place, "a")
        place(
            "network", "connect", "--ip", "10.215.4.9", "--ip6", "fd00:215::9", "--alias", "al",
            "--gw-priority", "5", net, name,
        )  # fmt: skip
        joined = json.loads(place("container", "inspect", name))[0]["NetworkSettings"]["Networks"][net]
        assert (joined["IPAddress"], joined["GlobalIPv6Address"]) == ("10.215.4.9", "fd00:215::9")
        (shown,) = json.loads(place("network", "inspect", net))
        assert [one["Name"] for one in shown["Containers"].values()] == [name]
        assert place("network", "ls", "--filter", f"name={net}", "--filter", "dangling=true", "-q") == ""
        place("network", "disconnect", "-f", net, "nobody")
        place("network", "disconnect", net, "nobody", code=1)
        place("network", "disconnect", net, name)
        assert net not in place("container", "inspect", name)
    finally:
        for name in place.names():
            place("container", "rm", "-f", name)
        place("network", "rm", net)


def test_addresses_that_fit_no_subnet_are_refused(place: Place) -> None:
    for flags in (
        ["--gateway", "10.1.0.1"],
        ["--subnet", "10.1.0.0/24", "--gateway", "10.2.0.1"],
        ["--subnet", "10.1.0.0/24", "--ip-range", "10.2.0.0/28"],
        ["--subnet", "10.1.0.0/24", "--aux-address", "10.1.0.7"],
        ["--subnet", "10.1.0.0/24", "--subnet", "10.1.0.0/25"],
        ["--subnet", "high"],
        ["--driver", "nosuch"],
    ):
        place("network", "create", *flags, f"{place.mark}-no", code=1)
    assert place("network", "ls", "-q", "--filter", f"name={place.mark}-no") == ""


def test_filters_of_networks_and_volumes(place: Place) -> None:
    volume = place("volume", "create", "--label", f"{LABEL}={place.mark}", f"{place.mark}-v").strip()
    try:
        assert place("volume", "ls", "-q", "--filter", f"label={LABEL}={place.mark}") == f"{volume}\n"
        free = ("volume", "ls", "-q", "--filter", f"name={place.mark}", "--filter", "dangling=true")
        assert place(*free) == f"{volume}\n"
        make(place, "u", "-v", f"{volume}:/data")
        assert place(*free) == ""
        assert place("volume", "ls", "-q", "--filter", f"name={volume}", "--filter", "driver=other") == ""
        for command in ("volume", "network"):
            for wrong in ("odd=1", "name", "dangling=maybe"):
                place(command, "ls", "--filter", wrong, code=1)
        place("volume", "update", volume, code=1)
    finally:
        for name in place.names():
            place("container", "rm", "-f", name)
        place("volume", "rm", volume)


def test_events_of_all_kinds_and_their_filters(place: Place) -> None:
    make(place, "kept")  # the built-in runtime forgets events with the last container
    name = make(place, "e")
    place("container", "rm", "-f", name)
    told = ("system", "events", "--since", "10m", "--until", "0s", "--filter", f"label={LABEL}={place.mark}")
    line = "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}"
    actions = place(*told, "--format", line).splitlines()
    for action in ("create", "start", "destroy"):
        assert f"container {action} {name}" in actions
    started = place(*told, "--filter", "event=start", "--filter", f"container={name}", "--format", line)
    assert started == f"container start {name}\n"
    assert place(*told, "--filter", "type=volume") == ""
    shown = json.loads(
        place(*told, "--filter", "event=start", "--filter", f"container={name}", "--format", "json")
    )
    assert shown["Actor"]["Attributes"]["image"] == IMAGE
    assert shown["timeNano"] // 10**9 == shown["time"]
    assert " container start " in place(*told, "--filter", "event=start")
    place("system", "events", "--filter", "odd=1", "--until", "0s", code=1)


def test_facts_of_the_backend(place: Place) -> None:
    before = json.loads(place("system", "info", "-f", "json"))
    make(place, "i")
    assert (before["OSType"], before["Backend"]) == ("linux", place.backend)
    text = place("system", "info")
    assert f"CPUs: {before['NCPU']}" in text
    if place.backend == "namespace":  # on the engine others come and go
        after = json.loads(place("system", "info", "-f", "json"))
        assert (before["ContainersRunning"], after["ContainersRunning"]) == (0, 1)
        assert after["Images"] == 1


def test_a_prune_of_everything_that_has_a_label(place: Place) -> None:
    mine = f"label={LABEL}={place.mark}"
    net = f"{place.mark}-net"
    place.run("--name", f"{place.mark}-off", IMAGE, "true")
    on = make(place, "on")
    place("network", "create", "--label", f"{LABEL}={place.mark}", net)
    image = place("container", "commit", "-c", f"LABEL {LABEL}={place.mark}", on).strip()
    place("system", "prune", "-f", "--volumes", "--filter", "until=1h", code=1)
    place("system", "prune", "-f", "--filter", mine, "--filter", "until=1h")
    assert place("network", "ls", "-q", "--filter", f"name={net}"), "it is younger"
    told = place("system", "prune", "-f", "--volumes", "--filter", mine)
    assert place.names() == [on]
    assert place("network", "ls", "-q", "--filter", f"name={net}") == ""
    assert image in told and net in told
    place("image", "inspect", image, code=1)
    assert "Total reclaimed space: " in told
    assert inspect(place, on, "{{.State.Status}}") == "running"


def test_an_image_prune_takes_what_filters_choose(place: Place) -> None:
    name = make(place, "p")
    image = place("container", "commit", "-c", f"LABEL {LABEL}={place.mark}", name).strip()
    place("image", "prune", "-f", "--filter", f"label={LABEL}=other")
    place("image", "prune", "-f", "--filter", f"label={LABEL}={place.mark}", "--filter", "until=1h")
    place("image", "inspect", image)
    assert image in place("image", "prune", "-f", "--filter", f"label={LABEL}={place.mark}")
    place("image", "inspect", image, code=1)
