"""Rules of merging that the recorded cases do not name one by one, and its algebra."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.schema.merge import SPECIAL, UNIQUE, merge, unique
from composer.schema.problems import Problems
from composer.schema.source import parse
from composer.schema.tree import Map, plain


def tree(value: Any) -> Map:
    import json

    problems = Problems()
    (document,) = parse(json.dumps(value), "f.yaml", problems)
    assert not problems.errors
    assert isinstance(document.tree, Map)
    return document.tree


def merged(*values: Any) -> Any:
    problems = Problems()
    result = tree(values[0])
    for value in values[1:]:
        result = unique(merge(result, tree(value), problems))
    assert not problems.errors
    return plain(result)


def service(*values: Any) -> Any:
    return merged(*({"services": {"a": value}} for value in values))["services"]["a"]


@pytest.mark.parametrize(
    ("base", "over", "result"),
    [
        ({"labels": {"a": 1}}, {"labels": ["b=2", "a=3"]}, {"labels": ["a=3", "b=2"]}),
        ({"command": "x"}, {"command": None}, {"command": None}),
        ({"image": "x"}, {"image": None}, {"image": "x"}),
        ({"dns": "a"}, {"dns": ["b", "a"]}, {"dns": ["a", "b"]}),
        ({"depends_on": ["x"]}, {"depends_on": {"x": {"restart": True}}},
         {"depends_on": {"x": {"condition": "service_started", "required": True, "restart": True}}}),
        ({"networks": ["n"]}, {"networks": {"n": {"aliases": ["q"]}}}, {"networks": {"n": {"aliases": ["q"]}}}),
        ({"build": "x"}, {"build": {"target": "t"}}, {"build": {"context": "x", "target": "t"}}),
        ({"volumes": ["aa:/x:ro", "bb:/y"]}, {"volumes": ["cc:/x"]}, {"volumes": ["cc:/x", "bb:/y"]}),
        ({"ports": ["80:80"]}, {"ports": ["80:80", "81:80"]}, {"ports": ["80:80", "81:80"]}),
        ({"logging": {"driver": "a", "options": {"x": 1}}}, {"logging": {"driver": "b"}}, {"logging": {"driver": "b"}}),
        ({"extra_hosts": {"h": "1"}}, {"extra_hosts": ["h=2", "h=1"]}, {"extra_hosts": ["h=1", "h=2"]}),
        ({"x-a": [1]}, {"x-a": [1]}, {"x-a": [1, 1]}),
    ],
)  # fmt: skip
def test_rule(base: Any, over: Any, result: Any) -> None:
    assert service(base, over) == result


@pytest.mark.parametrize(
    ("base", "over"),
    [({"deploy": {}}, {"deploy": []}), ({"ports": []}, {"ports": {}}), ({"build": {}}, {"build": []})],
)
def test_a_change_of_kind_is_an_error_at_the_override(base: Any, over: Any) -> None:
    problems = Problems()
    result = merge(tree({"services": {"a": base}}), tree({"services": {"a": over}}), problems)
    assert plain(result) == {"services": {"a": base}}
    (error,) = problems.errors
    assert "cannot merge 'services.a." in error.message and error.at is not None


def test_nothing_is_changed_in_place() -> None:
    base, over = (
        tree({"services": {"a": {"labels": ["x=1"]}}}),
        tree({"services": {"a": {"labels": ["x=2"]}}}),
    )
    before = plain(base), plain(over)
    unique(merge(base, over, Problems()))
    assert (plain(base), plain(over)) == before


def test_every_rule_has_a_path_that_the_schema_knows() -> None:
    from composer.schema.validate import schema

    defs = schema()["$defs"]
    places = {"deploy": "deployment", "networks": "service_networks", "volumes": "volume_mount"}
    patterns = {*SPECIAL, *UNIQUE}
    of_jobs = {pattern[1:] for pattern in patterns if pattern[0] == "jobs"}
    assert of_jobs == {pattern[1:] for pattern in patterns if pattern[0] == "services"}
    for pattern in (pattern for pattern in patterns if pattern[0] != "jobs"):
        names = [name for name in pattern[2:] if name != "*"]
        section = {"services": "service", "networks": "network", "volumes": "volume"}[pattern[0]]
        assert names[0] in defs[section]["properties"], pattern
        if len(names) > 1 and names[0] in ("build", "healthcheck", "deploy"):
            assert names[1] in defs[places.get(names[0], names[0])]["properties"], pattern


scalars = st.one_of(st.text(alphabet="ab", max_size=2), st.integers(0, 3))
trees = st.recursive(
    scalars, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)
extensions = st.dictionaries(
    st.sampled_from(["x-a", "x-b"]), st.dictionaries(st.sampled_from("abc"), trees, max_size=3)
)
pairs = st.lists(st.builds("{}={}".format, st.sampled_from("ABC"), st.integers(0, 5)), max_size=4)
services = st.fixed_dictionaries(
    {},
    optional={
        "environment": pairs,
        "labels": pairs,
        "command": scalars,
        "cap_add": st.lists(st.sampled_from("XYZ"), max_size=3),
        "ports": st.lists(st.sampled_from(["80", "81:80", "82:80/udp"]), max_size=3),
        "volumes": st.lists(st.sampled_from(["aa:/x", "bb:/x:ro", "cc:/y"]), max_size=3),
        "dns": st.lists(st.sampled_from("pq"), max_size=2),
        "depends_on": st.lists(st.sampled_from("bcd"), max_size=2, unique=True),
        "restart": scalars,
    },
)


@given(services, services, services)
def test_merging_is_associative(first: Any, second: Any, third: Any) -> None:
    wrap = [{"services": {"a": one}} for one in (first, second, third)]
    left = merged(merged(wrap[0], wrap[1]), wrap[2])
    right = merged(wrap[0], merged(wrap[1], wrap[2]))
    assert left == right


@given(services)
def test_merging_the_same_again_changes_nothing(one: Any) -> None:
    twice = service(one, one)
    assert service(twice, one) == twice == service(one, twice)


@given(extensions)
def test_an_empty_file_changes_nothing(values: Any) -> None:
    assert merged(values, {}) == values == merged({}, values)
