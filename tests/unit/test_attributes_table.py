"""Every attribute of the schema, nested ones too, has a verdict on each backend; docs/attributes.md is made of them.

``python -m tests.unit.test_attributes_table`` writes the page.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import pytest

import composer
from composer import attributes
from composer.attributes import ENGINE, Row, Verdict
from composer.backends.docker import attributes as docker
from composer.backends.docker import translate as in_docker
from composer.backends.namespace import attributes as namespace
from composer.backends.namespace import translate as in_namespaces
from composer.schema.views.attribute_paths import KINDS, attribute_paths

PAGE = pathlib.Path(composer.__file__).parents[1] / "docs/attributes.md"
PATHS = attribute_paths()
COLUMNS: dict[str, Mapping[str, Verdict]] = {
    "built-in runtime": namespace.COLUMN,
    "Docker Engine": docker.COLUMN,
}

HEAD = """# Attributes, on each backend

"yes": the attribute is supported. "no": `up` fails before it creates anything, with file and line, the reason and a
hint. "warned of": the attribute is ignored with a warning that has file and line. No attribute is ignored without a
warning. "composer": composer handles the attribute itself, before the backend, or passes it on as a name, a mount, an
endpoint or a file. `*` stands for any key. Attributes inside of an unsupported attribute have no row. A `pre_start`
hook has the attributes of its service. This page is generated from one table (`composer/attributes.py`) and the
column of each backend; a test compares it with the schema.
"""
TITLES = {
    "service": "Services",
    "network": "Networks",
    "volume": "Volumes",
    "config": "Configs",
    "secret": "Secrets",
}


def page() -> str:
    return HEAD + "".join(
        _section(title, kind) + "".join(_section(f"`{one}`", f"{kind}.{one}") for one in _with_inside(kind))
        for kind, title in TITLES.items()
    )


def _section(title: str, above: str) -> str:
    rows = "".join(_row(above, path) for path in sorted(_below(above)))
    level = "##" if above in KINDS else "###"
    heads = f"| attribute | {' | '.join(COLUMNS)} |\n|{' --- |' * (len(COLUMNS) + 1)}\n"
    return f"\n{level} {title}\n\n{heads}{rows}"


def _row(above: str, path: str) -> str:
    texts = [found.text if (found := attributes.verdict(one, path)) else "" for one in COLUMNS.values()]
    return f"| `{path.removeprefix(f'{above}.')}` | {' | '.join(texts)} |\n"


def _below(above: str) -> set[str]:
    """Return the attributes directly in a kind, or all the leaves in an attribute."""
    if above in KINDS:
        return {path for path in PATHS.nodes if path.rpartition(".")[0] == above}
    return {path for path in PATHS.leaves if path.startswith(f"{above}.")}


def _with_inside(kind: str) -> list[str]:
    """Return the attributes of which there is more to say than one word for all that is inside."""
    found = []
    for path in sorted(_below(kind)):
        covered = [attributes.verdict(one, path) for one in COLUMNS.values()]
        is_covered = all(one is not None and one.whole for one in covered)
        if _below(path) and not is_covered and path != "service.pre_start":
            found.append(path.partition(".")[2])
    return found


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text() == page(), "python -m tests.unit.test_attributes_table writes it anew"


@pytest.mark.parametrize("backend", COLUMNS)
def test_every_attribute_of_the_schema_has_a_verdict(backend: str) -> None:
    assert list(attributes.faults(COLUMNS[backend], PATHS.leaves, PATHS.nodes)) == []


@pytest.mark.parametrize("backend", COLUMNS)
def test_every_attribute_of_an_entry_has_a_verdict_of_its_own(backend: str) -> None:
    """What has something inside is shown too, in the table of its kind."""
    without = {"network.ipam"}  # nothing but a name for what is inside
    shown = {path for kind in KINDS for path in _below(kind)} - without
    assert {path for path in shown if attributes.verdict(COLUMNS[backend], path) is None} == set()


def test_a_column_that_lacks_something_is_told_what() -> None:
    lacking = {path: one for path, one in namespace.COLUMN.items() if path != "service.healthcheck.retries"}
    (fault,) = attributes.faults(lacking, PATHS.leaves, PATHS.nodes)
    assert fault == "service.healthcheck.retries: no verdict for this attribute"


def test_a_column_that_invents_something_is_told_what() -> None:
    more = {**namespace.COLUMN, "service.brand_new": attributes.YES}
    assert list(attributes.faults(more, PATHS.leaves, PATHS.nodes)) == [
        "service.brand_new: unknown attribute"
    ]
    same = {**namespace.COLUMN, "service.image": attributes.BY_ENGINE}
    assert list(attributes.faults(same, PATHS.leaves, PATHS.nodes)) == [
        "service.image: same verdict as for all backends"
    ]


def test_a_new_attribute_of_the_schema_needs_a_verdict_wherever_it_is() -> None:
    """One inside of what is refused as a whole is refused with it."""
    column = namespace.COLUMN
    for path in ("service.brand_new", "service.healthcheck.brand_new", "service.build_new", "network.new"):
        assert attributes.verdict(column, path) is None
    found = attributes.verdict(column, "config.external.brand_new")
    assert found is not None and found.text.startswith("no: ")


def test_a_hook_has_what_its_service_has() -> None:
    for column in COLUMNS.values():
        assert attributes.verdict(column, "service.pre_start.user") == column["service.user"]
        assert attributes.verdict(column, "service.pre_start.brand_new") is None


@pytest.mark.parametrize("table", [in_docker.ATTRIBUTES, in_namespaces.ATTRIBUTES], ids=list(COLUMNS)[::-1])
def test_whatever_is_honoured_in_part_says_which_part(table: Mapping[str, Row[Any]]) -> None:
    assert {n for n, row in table.items() if row.probe is not None} == {
        n for n, row in table.items() if row.part
    }


@pytest.mark.parametrize("path", attributes.UNHEEDED, ids=".".join)
def test_what_nobody_heeds_says_so(path: tuple[str, ...]) -> None:
    assert ENGINE[f"service.deploy.{'.'.join(path)}"].text == f"warning: {attributes.UNHEEDED[path]}"


def test_what_is_refused_is_refused_with_its_reason() -> None:
    refused = {name: row.refusal for name, row in in_namespaces.ATTRIBUTES.items() if row.refusal}
    assert refused
    for name, (reason, hint) in refused.items():
        (found,) = in_namespaces.limitations({name: {"something": True}})
        assert (found.path, found.reason, found.hint, found.fatal) == ((name,), reason, hint, True)
        assert namespace.COLUMN[f"service.{name}"].text == f"no: {reason}"


def test_what_does_not_concern_a_container_is_what_docker_compose_says() -> None:
    """The list of mustRecreate, and two that are for tools."""
    theirs = {"build", "pull_policy", "scale", "deploy.replicas", "depends_on", "profiles"}
    assert theirs | {"develop", "attach"} == attributes.NOT_IN_CONTAINERS


if __name__ == "__main__":
    PAGE.write_text(page())
