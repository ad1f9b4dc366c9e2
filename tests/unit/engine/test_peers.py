"""Stacks of every version of docker compose are known again, and what is made for them is in their form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from composer.engine import labels
from composer.engine.resolving import hashing, peers
from composer.schema.load import LoadOptions, load
from composer.schema.model import Project
from tests.unit.engine.stage import Stage

FORMS = """
name: forms
services:
  web:
    image: nginx
    command: [serve]
    environment: {B: "2"}
    restart: always
    tty: true
    ports: ["80"]
    volumes:
      - /a:/short
      - {type: bind, source: /a, target: /plain}
      - {type: bind, source: /a, target: /long, bind: {propagation: rslave, recursive: enabled}}
      - {type: bind, source: /a, target: /true, bind: {create_host_path: true}}
      - {type: bind, source: /a, target: /false, bind: {create_host_path: false}}
    labels: {a: b}
    networks: [back]
    healthcheck: {test: "true"}
networks:
  back: {ipam: {driver: default, options: {a: b}}}
"""
_PLAIN = "3ccf3eea42e544f24f53a6361bc58d53ae88a7e5272860218ef1a35faff9bc0e"
_WITH_OPTIONS = "2f72504293f18d9e9d4b10bbe617451c38161ec7462659dfb1040e4012e0c609"
_IF_FALSE = "490fa2410a0fdc2ba7a46d1e320694e4411fcd5b17ffd7e29f6d94a4652a5393"
RECORDED = {
    "2.40.3": ("0cdc18954616eb6b563cbe06e14d631ee8db7a6e968674351760af32f50de68b", _PLAIN),
    "5.0.0": ("a135c837af6b4ff070951c0e8aaff8dc6403644ad6a919a2ba3ac11b800c8b33", _PLAIN),
    "5.0.2": (_IF_FALSE, _PLAIN),
    "5.2.0": (_IF_FALSE, _WITH_OPTIONS),
    "5.5.0": (_IF_FALSE, _WITH_OPTIONS),
    "5.6.0": (_IF_FALSE, _WITH_OPTIONS),
}
"""Of that file, by docker compose 2.40.3, 5.5.0 and 5.6.0, and by the compose-go of 5.0.0, 5.0.2 and 5.2.0."""


@pytest.fixture
def forms(tmp_path: Path) -> Project:
    (tmp_path / "compose.yaml").write_text(FORMS)
    return load(LoadOptions(working_dir=str(tmp_path), environment={}))


@pytest.mark.parametrize("version", RECORDED)
def test_a_hash_is_the_one_that_the_version_wrote(forms: Project, version: str) -> None:
    number = hashing.version_of(version)
    assert number
    form = hashing.form_of(number)
    assert form
    service, network = RECORDED[version]
    assert hashing.service_hash(forms.tree["services"]["web"], form) == service
    assert hashing.network_hash(forms.tree["networks"]["back"], form) == network


@pytest.mark.parametrize(
    ("version", "form"),
    [
        ("2.0.0", "2.40"), ("v2.40.3-desktop.1", "2.40"), ("2.40.3+ds1-0ubuntu1", "2.40"), ("5.0.0", "5.0"),
        ("5.0.1", "5.0"), ("5.0.2", "5.1"), ("5.1.4", "5.1"), ("v5.2.0", "5.5"), ("5.5.0-rc.1", "5.5"),
        ("5.7.1", "5.6"), ("12.0.0", "5.6"), ("1.29.2", None), ("0.1.0", None),
    ],
)  # fmt: skip
def test_versions_have_forms(version: str, form: str | None) -> None:
    number = hashing.version_of(version)
    assert number
    found = hashing.form_of(number)
    assert (found and found.name) == form


@pytest.mark.parametrize("text", ["", "dev", "v5", "5.5"])
def test_what_is_no_version_has_no_form(text: str) -> None:
    assert hashing.version_of(text) is None


# ------------------------------------------------------------------ what another version made

BIND = "services: {web: {image: i, volumes: [HOW]}}"
SHORT = BIND.replace("HOW", "/etc:/d")
NOT_MADE = BIND.replace("HOW", "{type: bind, source: /etc, target: /d, bind: {create_host_path: false}}")


def made_by(stage: Stage, version: str, text: str) -> None:
    """Let the containers of a stack be those of a docker compose: its labels, and none of ours."""
    stage.up(text)
    number = hashing.version_of(version)
    form = number and hashing.form_of(number)
    tree = stage.project(text).tree["services"]
    for container in stage.backend.by_id.values():
        own: dict[str, Any] = {
            k: v for k, v in container.seen.labels.items() if not k.startswith("composer.")
        }
        own[labels.VERSION] = version
        own[labels.CONFIG_HASH] = hashing.service_hash(tree[own[labels.SERVICE]], form or hashing.DEFAULT)
        container.seen = container.seen._replace(labels=own)


def label(stage: Stage, name: str, key: str = labels.CONFIG_HASH) -> str:
    return stage.backend.container(name).labels[key]


@pytest.mark.parametrize("version", ["2.40.3", "5.0.0", "5.0.2", "5.5.0", "5.7.1", "dev"])
@pytest.mark.parametrize("text", [SHORT, NOT_MADE], ids=["short", "not-made"])
def test_a_stack_of_any_version_needs_nothing(stage: Stage, version: str, text: str) -> None:
    made_by(stage, version, text)
    assert str(stage.plan(text)) == ""


@pytest.mark.parametrize("version", ["2.40.3", "5.0.2", "5.5.0"])
@pytest.mark.parametrize(("before", "now"), [(SHORT, NOT_MADE), (NOT_MADE, SHORT)])
def test_a_hash_that_another_version_would_write_hides_no_change(
    stage: Stage, version: str, before: str, now: str
) -> None:
    """What 2.40 prints of a mount that makes no directory is what 5.5 prints of one that does."""
    made_by(stage, version, before)
    assert str(stage.plan(now)) != ""


def test_the_hash_of_ours_hides_no_change_either(stage: Stage) -> None:
    stage.up(NOT_MADE)
    container = stage.backend.by_id[stage.backend.container("app-web-1").id]
    own = dict(container.seen.labels)
    del own[labels.FORM]  # as composer wrote it before it knew of forms: the hash of 2.40, and the fields
    own[labels.CONFIG_HASH] = hashing.service_hash(
        stage.project(NOT_MADE).tree["services"]["web"], hashing.V2
    )
    container.seen = container.seen._replace(labels=own)
    assert str(stage.plan(NOT_MADE)) == ""
    assert "create_host_path" in str(stage.plan(SHORT))


@pytest.mark.parametrize("version", ["2.40.3", "5.5.0"])
def test_the_content_of_an_env_file_counts(stage: Stage, version: str) -> None:
    text = "services: {web: {image: i, env_file: [v.env]}}"
    stage.write("v.env", "A=1\n")
    made_by(stage, version, text)
    assert str(stage.plan(text)) == ""
    stage.write("v.env", "A=2\n")
    assert str(stage.plan(text)) != ""
    stage.up(text)
    stage.write("v.env", "A=3\n")
    assert 'environment.A: "2" → "3"' in str(stage.plan(text))


# ------------------------------------------------------------------ what is made for another version


@pytest.mark.parametrize("version", ["2.40.3", "5.0.0", "5.5.0"])
def test_new_containers_beside_those_of_a_version_are_in_its_form(
    stage: Stage, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_by(stage, version, SHORT)
    monkeypatch.setattr(stage.backend, "compose_version", lambda: pytest.fail("it is known from the stack"))
    more = SHORT.replace("}}", "}, two: {image: i, volumes: ['/etc:/d']}}")
    stage.up(more)
    number = hashing.version_of(version)
    form = number and hashing.form_of(number)
    assert form
    assert label(stage, "app-two-1", labels.FORM) == form.name
    assert label(stage, "app-two-1") == hashing.service_hash(
        stage.project(more).tree["services"]["two"], form
    )


@pytest.mark.parametrize(
    ("installed", "form"), [("2.40.3-3", "2.40"), ("v5.5.0", "5.5"), ("", "5.5"), ("dev", "5.5")]
)
def test_what_is_installed_decides_where_the_stack_says_nothing(
    stage: Stage, installed: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(stage.backend, "compose_version", lambda: asked.append(1) or installed)
    two = SHORT.replace("}}", "}, two: {image: i}}")
    stage.up(two)
    assert label(stage, "app-web-1", labels.FORM) == label(stage, "app-two-1", labels.FORM) == form
    assert label(stage, "app-web-1") == hashing.service_hash(
        stage.project(two).tree["services"]["web"], hashing.named(form) or hashing.DEFAULT
    )
    assert len(asked) == 1


def test_nobody_is_asked_where_nothing_is_created(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.up(SHORT)
    monkeypatch.setattr(stage.backend, "compose_version", lambda: pytest.fail("nothing is created"))
    assert str(stage.plan(SHORT)) == ""
    stage.up(SHORT)


def test_the_newest_version_of_a_stack_counts(stage: Stage) -> None:
    made_by(stage, "2.40.3", SHORT)
    found = stage.backend.observe("app").containers
    newer = [c._replace(labels={**c.labels, labels.VERSION: "5.5.0"}) for c in found]
    assert peers.form_for([*newer, *found], lambda: "").name == "5.5"


def test_a_network_is_known_again(stage: Stage) -> None:
    text = "services: {web: {image: i}}\nnetworks: {default: {ipam: {options: {a: OPTION}}}}"
    stage.up(text)
    assert str(stage.plan(text)) == ""
    assert str(stage.plan(text.replace("OPTION", "other"))) != ""


def test_the_fields_of_older_containers_say_what_they_meant(stage: Stage) -> None:
    """Of a container that shares a namespace the hash differs, and no field may seem to: see `compare`."""
    stage.up("services: {web: {image: i, volumes: ['/etc:/d'], pre_start: [{command: [a]}]}}")
    fields = json.loads(label(stage, "app-web-1", labels.FIELDS))
    assert fields["volumes"][0]["bind"] == {}
    assert "image" not in fields["pre_start"][0]


def test_later_attributes_are_hashed_last_and_only_by_later_versions(tmp_path: Path) -> None:
    text = "services: {web: {image: i, MORE tty: true}}"

    def hashes(more: str) -> list[str]:
        (tmp_path / "compose.yaml").write_text(text.replace("MORE", more))
        tree = load(LoadOptions(working_dir=str(tmp_path), environment={}, name="x")).tree["services"]["web"]
        return [hashing.service_hash(tree, form) for form in hashing.FORMS]

    without, refreshed = hashes(""), hashes("pull_refresh_after: 1d,")
    assert [a == b for a, b in zip(without, refreshed, strict=True)] == [True, True, True, True, False]
    assert refreshed[-1] == "ea4c06c1252d5a7fd09a3e75edd1e2ed08b45d26a45a28385e7737b3a614634b", "by 5.6.0"
