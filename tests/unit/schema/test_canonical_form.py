"""The canonical form is a fixed point: what is printed can be loaded again and is the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from composer.engine.resolving.hashing import network_hash, service_hash, volume_hash
from composer.schema.canonical import canonical
from composer.schema.load import LoadOptions, load
from composer.schema.problems import Problems
from composer.schema.render import escape_dollars, printed, project_json, to_json, to_yaml
from composer.schema.tree import plain
from tests.oracle import compare
from tests.unit.schema.project import project

CASES = Path(__file__).parents[2] / "cases"
ACCEPTED = sorted(path.parent.name for path in CASES.glob("*/want.json"))

# What Compose prints, and so do we, cannot always be read: its JSON names blkio's fields as Go does, a limit of 0
# is {}, an empty list of a host's addresses is an empty list of hosts, an empty build context is none (and none is
# the project's directory), a port 0 or a device without source has none, "$" is doubled in keys too though keys are
# never interpolated, and an optional dependency on a disabled service stays when the service has gone.
NOT_READABLE = {
    "attr-blkio",
    "attr-device-permissions",
    "attr-memory-int",
    "attr-port-long-zero",
    "attr-ulimits",
    "blkio-weight-wraps",
    "blkio-zero",
    "build-context-empty",
    "device-empty-target",
    "env-file-empty-key",
    "env-file-last-line-bare",
    "env-file-last-line-words",
    "ext-keys-in-lists",
    "files-ports",
    "hosts-order-and-commas",
    "interp-keys-literal",
    "network-names-any",
    "no-normalize-namespaces",
    "port-number-and-text",
    "profiles-dep-disabled-opt",
}


@pytest.mark.parametrize("case", [case for case in ACCEPTED if case not in NOT_READABLE])
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_what_is_printed_loads_to_the_same(case: str, form: str, tmp_path: Path) -> None:
    extra = compare.arguments(CASES / case)
    options = LoadOptions(
        files=compare.compose_files(CASES / case),
        environment={"HOME": "/root", **extra.get("environment", {})},
        working_dir=str(CASES / case),
        home="/root",
        profiles=tuple(extra.get("profiles", ())),
        env_files=tuple(str(CASES / case / one) for one in extra.get("env_files", ())),
    )
    first = load(options)
    tree = escape_dollars(first.tree)
    text = to_json(tree) if form == "json" else to_yaml(tree, first.extensions)
    (tmp_path / "again.yaml").write_text(text)
    again = load(
        options._replace(
            files=(str(tmp_path / "again.yaml"),), directory=first.directory, profiles=first.profiles
        )
    )
    assert plain(printed(again.tree)) == plain(printed(first.tree))


def test_canonical_is_idempotent() -> None:
    for case in ACCEPTED:
        files = compare.compose_files(CASES / case)
        extra = compare.arguments(CASES / case)
        if extra:
            continue
        tree = load(
            LoadOptions(files=files, working_dir=str(CASES / case), home="/root", environment={})
        ).tree
        problems = Problems()
        once = canonical(tree, problems)
        assert plain(canonical(once, problems)) == plain(once)
        assert not problems.errors


words = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Cn")), max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    environment=st.dictionaries(
        st.text(alphabet="ABC_", min_size=1, max_size=3), st.one_of(words, st.none()), max_size=4
    ),
    command=st.lists(words, max_size=4),
    label=words.filter(lambda text: text.strip()),
)
def test_any_text_survives_printing(tmp_path: Path, environment: Any, command: Any, label: Any) -> None:
    written = {
        "services": {
            "a": {"image": "i", "environment": environment, "command": command, "labels": {"k": label}}
        }
    }
    first = project(tmp_path, json.dumps(escape_dollars(written), ensure_ascii=False))
    service = first.tree["services"]["a"]
    assert (service.get("environment") or {}) == environment
    assert (service["command"], service["labels"]) == (command, {"k": label})
    for text in (project_json(escape_dollars(first.tree)), to_yaml(escape_dollars(first.tree))):
        (tmp_path / "compose.yaml").write_text(text)
        assert plain(project(tmp_path).tree) == plain(first.tree)


def test_hashes_are_those_of_docker_compose(tmp_path: Path) -> None:
    """The figures are what docker compose 2.40.3 prints for ``config --hash`` and writes on networks and volumes."""
    text = "name: p\nservices: {a: {image: nginx, environment: {A: <&>}, deploy: {replicas: 2}, ports: ['80:80']}}\n"
    service = project(tmp_path, text).tree["services"]["a"]
    assert service_hash(service) == HASH
    assert service_hash({**service, "scale": 3, "depends_on": {}, "profiles": ["x"], "build": {}}) == HASH
    assert service_hash({**service, "image": "httpd"}) != HASH
    assert volume_hash({"name": "v"}) == volume_hash({"name": "v", "driver": "local"})
    assert network_hash({"name": "n", "ipam": {}}) != network_hash({"name": "m", "ipam": {}})


HASH = "d582046e267381e7ee21d1cbdd477042ba9bd4a0af1c05232c48c3a53ef46b61"


def test_json_is_gos() -> None:
    assert to_json({"a": "<&>\u2028\x01é", "b": [1, 1.5, 1e21, True, None], "c": {}}, None) == (
        '{"a":"\\u003c\\u0026\\u003e\\u2028\\u0001é","b":[1,1.5,1e+21,true,null],"c":{}}'
    )


def test_loading_imports_nothing_heavy(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "compose.yaml").write_text("services: {a: {image: i, ports: ['80:80'], volumes: ['./x:/x']}}")
    program = (
        "import sys; from composer.schema.load import *; p = load(LoadOptions()); p.select(['a'])\n"
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('jsonschema', 'pydantic', 'networkx', 'docker', 'dataclasses', 'inspect', 'asyncio', 'difflib')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
