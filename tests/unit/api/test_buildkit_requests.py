"""What BuildKit's clients ask for, as a request; what Dockerfiles need of them; how steps are shown and checks told."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from composer.api.buildkit import checks, exports, needs
from composer.api.buildkit.options import Options, hosts_of
from composer.api.buildkit.showing import Showing
from composer.errors import BuildFailed
from composer.runtime.build.requests import News, Vertex


def test_options_become_a_request() -> None:
    found = Options(
        {
            "filename": "below/Dockerfile",
            "target": "last",
            "build-arg:A": "1",
            "build-arg:SOURCE_DATE_EPOCH": "1700000000",
            "label:l": "m",
            "add-hosts": "one=192.0.2.1,two=192.0.2.2",
            "force-network-mode": "none",
            "image-resolve-mode": "pull",
            "no-cache": "first,second",
            "platform": "linux/amd64,linux/arm64",
            "shm-size": "1024",
            "ulimit": "nofile=1:2,nproc=3",
            "cache-imports": json.dumps([{"Type": "registry", "Attrs": {"ref": "a/b"}}]),
            "context:files": "local:files",
            "context:image": "docker-image://alpine",
            "vcs:revision": "x",
            "attest:provenance": "mode=min,inline-only=true",
        }
    )
    fields = found.fields
    assert found.filename == "below/Dockerfile" and found.local_contexts == {"files": "files"}
    assert fields["args"] == {"A": "1", "SOURCE_DATE_EPOCH": "1700000000"} and fields["labels"] == {"l": "m"}
    assert fields["extra_hosts"] == [("one", "192.0.2.1"), ("two", "192.0.2.2")]
    assert fields["limits"] == {"nofile": (1, 2), "nproc": (3, 3)} and fields["shm_bytes"] == 1024
    assert fields["network"] == "none" and fields["pull"] and fields["no_cache_stages"] == ["first", "second"]
    assert fields["cache_from"] == ["type=registry,ref=a/b"] and fields["source_date_epoch"] == 1700000000
    assert fields["contexts"] == {"image": "docker-image://alpine"} and "no_cache" not in fields
    assert Options({"no-cache": ""}).fields["no_cache"] is True


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("nothing", "x", "'nothing'"),
        ("unknown:x", "y", "'unknown:x'"),
        ("force-network-mode", "mine", "mine"),
        ("add-hosts", "a=b", "IP address"),
        ("shm-size", "1g", "shm-size"),
        ("ulimit", "nofile=x", "nofile=x"),
        ("cache-imports", "{", "cache-imports"),
        ("image-resolve-mode", "x", "image-resolve-mode"),
        ("context:a", "input:b", "'a'"),
        ("context:a", "oci-layout://x", "'a'"),
        ("attest:sbom", "", "sbom"),
        ("attest:provenance", "mode=max", "provenance"),
        ("cgroup-parent", "x", "cgroup-parent"),
        ("hostname", "x", "hostname"),
    ],
)
def test_options_that_are_not_supported_are_named(name: str, value: str, said: str) -> None:
    with pytest.raises(BuildFailed, match=said):
        Options({name: value})


def test_registries_are_those_of_the_images() -> None:
    assert hosts_of(["alpine", "me/app", "ghcr.io/a/b:1", "NOT ONE", "localhost:5000/x"]) == [
        "docker.io",
        "ghcr.io",
        "localhost:5000",
    ]


def test_a_dockerfile_says_what_it_needs() -> None:
    text = (
        b"ARG BASE=one/base\nFROM $BASE AS first\n"
        b"RUN --mount=type=secret,id=a --mount=type=ssh true\n"
        b"RUN --mount=type=secret,target=/run/b --mount=type=ssh,id=key true\n"
        b"FROM scratch\nCOPY --from=first /x /x\nCOPY --from=two/files /y /y\n"
        b"RUN --mount=from=three/tools,target=/t true\n"
        b"FROM never/used AS other\nRUN --mount=type=secret,id=never true\n"
    )
    found = needs.of(text, target="1", args={"BASE": "four/base"}, contexts={})
    assert set(found.images) == {"four/base", "two/files", "three/tools"}
    assert set(found.secrets) == {"a", "b"} and set(found.agents) == {"default", "key"}
    assert needs.of(b"NOTHING", target="", args={}, contexts={}) == needs.Needs()


def test_outputs_are_those_that_there_are() -> None:
    wanted = [
        {"Type": "moby", "Attrs": {"name": "a,b:2", "push": "true"}},
        {"Type": "local", "Attrs": {}},
        {"Type": "tar", "Attrs": {}},
    ]
    image, tree, archive = exports.planned(wanted, "/scratch")
    assert image.names == ("a:latest", "b:2") and image.is_pushed and image.output.is_stored
    assert (tree.output.type, tree.output.target) == ("local", "/scratch/output-1")
    assert (archive.number, archive.output.target) == (2, "/scratch/output-2")
    for kind, attributes in (("nothing", {}), ("image", {"annotation.x": "y"}), ("oci", {"tar": "false"})):
        with pytest.raises(BuildFailed):
            exports.planned([{"Type": kind, "Attrs": attributes}], "/scratch")


def test_steps_are_vertices_with_logs() -> None:
    showing = Showing("ref")
    step, last = Vertex(1, "RUN x"), Vertex(2, "exporting to image")
    for news in (
        News(step, "begun"),
        News(step, "line", "said"),
        News(step, "failed", "why"),
        News(last, "begun"),
        News(last, "line", "writing"),
        News(Vertex(3, ""), "warning", "look"),
    ):
        showing.tell(news)
    showing.end()
    (update,) = showing.updates()
    vertices = update["vertices"]
    assert [one["name"] for one in vertices] == ["RUN x", "RUN x", "exporting to image"]
    assert vertices[1]["error"] == "why" and vertices[1]["completed"] and "completed" not in vertices[0]
    assert update["logs"][0]["msg"] == b"said\n" and update["logs"][0]["vertex"] == vertices[0]["digest"]
    assert update["statuses"][0]["ID"] == "writing" and update["warnings"][0]["short"] == b"look"


def test_a_build_that_nobody_looks_at_keeps_little_and_waits_for_nobody() -> None:
    showing = Showing("ref")
    for number in range(5000):
        showing.tell(News(Vertex(1, "RUN x"), "line", str(number)))
    showing.end()
    assert len(next(showing.updates())["logs"]) == 1000


def test_who_looks_slowly_holds_the_build_up_and_misses_nothing() -> None:
    showing = Showing("ref")
    updates = showing.updates()
    showing.tell(News(Vertex(1, "RUN x"), "begun"))
    assert "vertices" in next(updates)
    count = 25_000

    def build() -> None:
        for number in range(count):
            showing.tell(News(Vertex(1, "RUN x"), "line", str(number)))
        showing.end()

    thread = threading.Thread(target=build)
    thread.start()
    found = [line["msg"] for update in updates for line in update.get("logs", ())]
    thread.join(30)
    assert found == [f"{number}\n".encode() for number in range(count)]


def test_checks_have_their_rule_and_their_line() -> None:
    found: dict[str, Any] = json.loads(
        checks.documents(["sub/Dockerfile:3: FromAsCasing: 'as' is small"], "Dockerfile", b"FROM x")[
            "result.json"
        ]
    )
    (warning,) = found["warnings"]
    assert warning["ruleName"] == "FromAsCasing" and warning["url"].endswith("/from-as-casing/")
    assert warning["location"]["ranges"][0]["start"] == {"line": 3} and warning["detail"] == "'as' is small"
    assert checks.documents([], "Dockerfile", b"")["result.statuscode"] == b"0"
