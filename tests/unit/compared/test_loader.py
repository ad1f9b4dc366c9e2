"""The comparison of loaders: what has no reason fails, what has one is counted, hashes are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from composer.engine.resolving import hashing
from tests.compared.loader import compare, reasons
from tests.compared.loader.compare import Loader, Verdict
from tests.oracle import compare as oracle

V2, V5 = (2, 40, 3), (5, 5, 0)


@pytest.fixture
def case(tmp_path: Path) -> Path:
    (tmp_path / "compose.yaml").write_text("services: {a: {image: i, volumes: ['/a:/b']}}")
    return tmp_path


def model(case: Path, **changed: Any) -> Any:
    found, error = oracle.ours(case)
    assert not error
    found["services"]["a"].update(changed)
    return found


def found(case: Path, verdict: Verdict, version: tuple[int, ...] = V5) -> list[tuple[str, bool]]:
    """Return the differences, without the name of the case, and whether each has a reason."""
    return [
        (one.text.removeprefix(f"{case.name}: "), one.reason is not None)
        for one in compare.differences(Loader("other", version, {case: verdict}))
    ]


def ours(case: Path, version: tuple[int, int, int] = V5) -> dict[str, str]:
    form = hashing.form_of(version)
    assert form
    return oracle.hashes(case, form)


def test_what_is_equal_is_no_difference(case: Path) -> None:
    assert found(case, Verdict(model(case), hashes=ours(case))) == []


def test_another_value_needs_a_reason(case: Path) -> None:
    assert found(case, Verdict(model(case, image="j"))) == [
        ('.services.a.image: is "i", should be "j"', False)
    ]


def test_another_hash_needs_a_reason(case: Path) -> None:
    ((text, has_reason),) = found(case, Verdict(model(case), hashes={"a": "0" * 64}))
    assert text.startswith("hash of a: ") and not has_reason


def test_a_form_explains_a_model_and_no_hash(case: Path) -> None:
    """2.40 prints ``create_host_path: true``; its hash is known all the same."""
    printed = model(case)
    printed["services"]["a"]["volumes"][0]["bind"] = {"create_host_path": True}
    kept = found(case, Verdict(printed, hashes=ours(case, V2)), V2)
    assert kept == [(".services.a.volumes[0].bind.create_host_path: missing, should be true", True)]
    wrong = found(case, Verdict(printed, hashes=ours(case, V5)), V2)
    assert [has_reason for _, has_reason in wrong] == [True, False]


def test_a_verdict_needs_a_reason(case: Path) -> None:
    assert found(case, Verdict(None, "no")) == [("accepted, should be refused: no", False)]
    (case / "compose.yaml").write_text("services: {a: {image: 1}}")
    ((text, has_reason),) = found(case, Verdict({"services": {}}))
    assert text.startswith("refused: ") and not has_reason
    assert found(case, Verdict(None, "no")) == []


@pytest.mark.parametrize(
    ("file", "version", "counts"),
    [
        ("decided.txt", V2, True),
        ("decided.txt", V5, False),
        ("decided-5.txt", V5, True),
        ("decided-5.txt", V2, False),
    ],
)
def test_a_case_may_say_why(case: Path, file: str, version: tuple[int, ...], counts: bool) -> None:
    (case / file).write_text("because")
    assert [has for _, has in found(case, Verdict(None, "no"), version)] == [counts]


def test_a_case_explains_no_difference_from_compose_go(case: Path) -> None:
    for file in ("decided.txt", "decided-5.txt"):
        (case / file).write_text("because")
    assert [has for _, has in found(case, Verdict(None, "no"), compare.COMPOSE_GO)] == [False]


def test_the_order_of_attributes_is_that_of_hashes() -> None:
    service = {"tty": True, "image": "i", "entrypoint": None, "command": None, "pull_refresh_after": "1d"}
    assert compare.frozen_hash(service) == compare.frozen_hash(dict(reversed(service.items())))
    with pytest.raises(AssertionError, match="unknown to composer"):
        compare.frozen_hash({**service, "new": 1})


def test_figures_count_files(case: Path) -> None:
    differing = compare.differences(Loader("other", V2, {case: Verdict(model(case, image="j", user="u"))}))
    text = compare.table([Loader("other", V2, {case: Verdict(None)})], differing)
    assert "| other | 1 | 0 | 0 | 1 |" in text


def test_reasons_are_of_versions() -> None:
    text = "c: .services.a.volumes[0].bind.create_host_path: missing, should be true"
    assert reasons.reason_for(text, V2) and reasons.reason_for(text, (5, 0, 0)) is None
    assert all(one.since < one.before and one.why for one in reasons.REASONS)
