"""Changes and rules → work, what containers lack, and when a batch is over: all of it pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

import composer.schema
from composer.engine.wanted import ExecSpec
from composer.watching.actions import ACTIONS
from composer.watching.batches import Batch
from composer.watching.ledger import Ledger
from composer.watching.rules import Rule
from composer.watching.work import Entry, Work, entries_of, work_of

HOOK = ExecSpec(("true",))


def of(rules: list[Rule], *paths: str, replaced: tuple[str, ...] = ()) -> Work:
    changes = {
        rule.path: {path: path in replaced for path in paths if path.startswith(rule.path)} for rule in rules
    }
    return work_of(changes, rules, lambda path: path == "/s")


def test_every_action_of_the_schema_is_a_row() -> None:
    schema = json.loads((Path(composer.schema.__file__).parent / "compose-spec.json").read_text())
    items = schema["$defs"]["development"]["properties"]["watch"]["items"]
    assert set(items["properties"]["action"]["enum"]) == set(ACTIONS)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("sync", Work(syncs={"web": {"/app/a": Entry("/s/a", "/s")}})),
        ("restart", Work(restarts=("web",))),
        ("rebuild", Work(rebuilds=("web",))),
        ("sync+restart", Work(syncs={"web": {"/app/a": Entry("/s/a", "/s")}}, restarts=("web",))),
    ],
)
def test_what_an_action_does(action: str, expected: Work) -> None:
    assert of([Rule("web", action, "/s", "/app")], "/s/a") == expected


def test_a_command_runs_once_for_many_files() -> None:
    rule = Rule("web", "sync+exec", "/s", "/app", hook=HOOK)
    found = of([rule], "/s/a", "/s/b")
    assert found.hooks == (rule,)
    assert sorted(found.syncs["web"]) == ["/app/a", "/app/b"]


def test_all_rules_that_match_count_each_service_once() -> None:
    rules = [
        Rule("web", "sync", "/s", "/app"),
        Rule("web", "rebuild", "/s/pkg"),
        Rule("web", "rebuild", "/s/pkg/lock"),
        Rule("job", "rebuild", "/s/pkg"),
        Rule("db", "restart", "/other"),
    ]
    found = of(rules, "/s/pkg/lock")
    assert found.rebuilds == ("web", "job")
    assert found.syncs == {"web": {"/app/pkg/lock": Entry("/s/pkg/lock", "/s")}}
    assert found.restarts == ()


def test_no_change_is_no_work() -> None:
    assert not of([Rule("web", "sync", "/s", "/app")], "/elsewhere")
    assert of([Rule("web", "restart", "/s")], "/s/a")


def test_what_took_another_kinds_place_is_told() -> None:
    found = of([Rule("web", "sync", "/s", "/app")], "/s/a", "/s/b", replaced=("/s/b",))
    assert {path: entry.replaces for path, entry in found.syncs["web"].items()} == {
        "/app/a": False,
        "/app/b": True,
    }


@pytest.mark.parametrize("is_directory", [True, False])
def test_the_target_itself_is_never_replaced(is_directory: bool) -> None:
    """A file that is watched became a directory, or the reverse: what else is in the target is not ours."""
    rule = Rule("web", "sync", "/s/conf", "/")
    (entry,) = entries_of(rule, {"/s/conf": True}, lambda _: is_directory).values()
    assert not entry.replaces and entry.is_target


# ---------------------------------------------------------------- the ledger


def entries(*names: str) -> dict[str, Entry]:
    return {f"/app/{name}": Entry(f"/s/{name}", "/s") for name in names}


def lacking(ledger: Ledger, id: str) -> list[str]:
    return sorted(ledger.lacking(id))


def test_who_was_there_lacks_what_changes_from_then_on() -> None:
    ledger = Ledger()
    ledger.begin("web", "1", 10)
    ledger.begin("web", "2", 10)
    ledger.begin("db", "3", 10)
    assert lacking(ledger, "1") == []
    ledger.note("web", entries("a"))
    assert (lacking(ledger, "1"), lacking(ledger, "2"), lacking(ledger, "3")) == (["/app/a"], ["/app/a"], [])
    ledger.done("1", ledger.lacking("1"))
    assert (lacking(ledger, "1"), lacking(ledger, "2")) == ([], ["/app/a"])


def test_what_failed_stays_until_it_is_done() -> None:
    ledger = Ledger()
    ledger.begin("web", "1", 10)
    ledger.note("web", entries("a"))
    ledger.note("web", entries("b"))
    assert lacking(ledger, "1") == ["/app/a", "/app/b"]


def test_what_changes_while_it_is_copied_is_copied_again() -> None:
    ledger = Ledger()
    ledger.begin("web", "1", 10)
    ledger.note("web", entries("a", "b"))
    copied = ledger.lacking("1")
    ledger.note("web", entries("a"))
    ledger.done("1", copied)
    assert lacking(ledger, "1") == ["/app/a"]


def test_who_comes_later_lacks_everything() -> None:
    ledger = Ledger()
    ledger.begin("web", "1", 10)
    ledger.note("web", entries("a"))
    ledger.done("1", ledger.lacking("1"))
    ledger.note("web", entries("b"))
    ledger.meet("web", "2", 20)
    assert lacking(ledger, "2") == ["/app/a", "/app/b"]
    ledger.meet("db", "3", 20)
    assert lacking(ledger, "3") == []


def test_a_restart_loses_only_what_is_volatile() -> None:
    ledger = Ledger()
    ledger.begin("web", "1", 10)
    ledger.note("web", {**entries("a"), "/run/x": Entry("/s/x", "/s"), "/runs/y": Entry("/s/y", "/s")})
    ledger.done("1", ledger.lacking("1"))
    ledger.meet("web", "1", 10, ["/run"])
    assert lacking(ledger, "1") == []
    ledger.meet("web", "1", 20, ["/run"])
    assert lacking(ledger, "1") == ["/run/x"]


def test_who_is_gone_is_forgotten() -> None:
    ledger = Ledger()
    ledger.begin("web", "1", 10)
    ledger.begin("web", "2", 10)
    ledger.keep(["2"])
    ledger.note("web", entries("a"))
    assert (lacking(ledger, "1"), lacking(ledger, "2")) == ([], ["/app/a"])
    ledger.done("1", entries("a"))


# ---------------------------------------------------------------- batches


def test_a_batch_is_over_when_nothing_comes_for_a_moment() -> None:
    batch = Batch(0.5, 5)
    assert batch.due_in_s(0) is None
    batch.add("a", 10.0)
    assert batch.due_in_s(10.0) == 0.5
    batch.add("b", 10.25)
    assert batch.due_in_s(10.5) == 0.25
    assert batch.due_in_s(10.75) == 0
    assert batch.take() == {"a", "b"}
    assert batch.due_in_s(11) is None


def test_what_changes_without_end_keeps_no_other_waiting() -> None:
    batch = Batch(0.5, 5)
    due: Mapping[float, float | None] = {}
    for tenth in range(60):
        batch.add("log", tenth / 10)
        due = {**due, tenth / 10: batch.due_in_s(tenth / 10)}
    assert due[4.0] == 0.5
    assert due[4.75 if 4.75 in due else 4.8] == pytest.approx(0.2)
    assert due[5.0] == 0
