"""What the comparison of containers takes for a fact, for the same, and for explained."""

from __future__ import annotations

import pathlib

import pytest

from tests.compared.inside import report, stage
from tests.compared.inside.facts import facts_of

_PROBED = """@ status
Name:\tsh
CapEff:\t00000000a80425fb
Seccomp:\t2
@ environment
HOSTNAME=0123456789ab
A=b=c
@ mounts
700 600 0:50 / / rw,relatime master:7 - overlay overlay rw,lowerdir=/a:/b,upperdir=/c,workdir=/d
701 700 0:51 / /tmp rw,nosuid shared:9 - tmpfs shm rw,size=64k
@ stdio
pipe:[123]
/somewhere/stdout.fifo
/dev/null
not a tty
@ etc hosts
644 0:0
127.0.0.1\tlocalhost
172.18.0.5\t0123456789ab
@ addresses
2: eth0@if9: <UP> mtu 1500
    inet 172.18.0.5/16 brd 172.18.255.255 scope global eth0
    inet 10.97.1.10/24 brd 10.97.1.255 scope global eth0
@ names of others
? web
Name:\tweb
Address: 172.18.0.5
? nobody
** server can't find nobody: NXDOMAIN
"""


def test_what_differs_by_nature_is_no_fact() -> None:
    other = _PROBED.replace("172.18.0.5", "172.23.7.9").replace("172.18.255", "172.23.255")
    other = other.replace("0123456789ab", "fedcba987654").replace("lowerdir=/a:/b", "lowerdir=/x")
    other = other.replace("pipe:[123]", "pipe:[456]").replace("shared:9", "shared:44")
    assert facts_of(other) == facts_of(_PROBED)


@pytest.mark.parametrize(
    ("old", "new", "fact"),
    [
        ("a80425fb", "00000000", "status CapEff"),
        ("A=b=c", "A=b", "environment A"),
        ("rw,nosuid shared", "rw shared", "mounts /tmp"),
        ("tmpfs shm", "tmpfs tmpfs", "mounts /tmp"),
        ("10.97.1.10/24", "10.97.1.200/24", "addresses eth0 inet"),
        ("Address: 172.18.0.5", "Address: 10.97.1.10", "names of others web"),
        ("644 0:0", "600 0:0", "etc hosts mode"),
        ("/dev/null", "/dev/console", "stdio 2"),
    ],
)
def test_what_was_asked_for_is_a_fact(old: str, new: str, fact: str) -> None:
    before, after = facts_of(_PROBED), facts_of(_PROBED.replace(old, new))
    assert {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} == {fact}


def test_a_difference_needs_a_reason_and_a_reason_a_difference(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = tmp_path / "reasons.yaml"
    reasons.write_text(
        "- {why: because, facts: ['mounts *'], services: [web]}\n- {why: by chance, facts: [x], varies: true}\n"
    )
    monkeypatch.setattr(report, "_REASONS", reasons)
    page = tmp_path / "page.md"
    page.write_text("# The page\n")
    theirs = {"web": {"mounts /": "a", "state": "running"}}
    same = {"web": {"mounts /": "b", "state": "running"}}
    assert report.write(same, theirs, page, complete=True) == 0
    assert "| because | `mounts /` | web | a | b |" in page.read_text()
    assert report.write({"web": {"mounts /": "b"}}, theirs, page, complete=True) == 1
    assert "web: state" in capsys.readouterr().out
    assert report.write(theirs, theirs, page, complete=True) == 1
    assert "nothing differs for this reason: because" in capsys.readouterr().err


def test_the_section_is_replaced_and_the_rest_of_the_page_stays(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# The page\n")
    report.put(page, "one\n")
    assert report.kept(page).strip().splitlines()[1] == "one"
    report.put(page, "two\n")
    assert page.read_text().startswith("# The page\n\n<!--")
    assert "two" in page.read_text()
    assert "one" not in page.read_text()


def test_every_reason_is_for_services_that_are_there() -> None:
    named = {name for reason in report.reasons() for name in reason.services if name != "*"}
    assert named <= stage.services()["services"].keys()
    assert len(stage.services()["services"]) >= 60
