"""The dependency graph: order, cycles, closures; networkx as the oracle and for analysis."""

from __future__ import annotations

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.errors import CycleError, Mark
from composer.graph import Dependency, Graph, Node, Wait, dependencies, longest_chain, sharing


def tree(**services: dict[str, object]) -> dict[str, object]:
    return {"services": services}


def needs(*names: str) -> dict[str, object]:
    return {"depends_on": {name: {"condition": "service_started", "required": True} for name in names}}


def test_order_puts_dependencies_first_and_is_alphabetical_otherwise() -> None:
    graph = Graph(tree(web=needs("db", "cache"), db={}, cache={}, other={}))
    assert graph.order() == ("cache", "db", "other", "web")


def test_everything_that_implies_a_dependency_counts() -> None:
    service = {
        "depends_on": {"a": {"condition": "service_healthy", "required": False, "restart": True}},
        "links": ["b:alias"],
        "volumes_from": ["c:ro", "container:outside"],
        "network_mode": "service:d",
        "pid": "host",
        "ipc": "service:e",
    }
    assert dependencies(service) == (
        Dependency("a", "service_healthy", required=False, restart=True),
        *(Dependency(name, restart=True, implicit=True) for name in "bcde"),
    )
    assert sharing(service) == ("d", "e", "c")


def test_what_is_written_wins_over_what_is_implied() -> None:
    service = {"depends_on": {"a": {"condition": "service_healthy", "required": True}}, "links": ["a"]}
    assert dependencies(service) == (Dependency("a", "service_healthy"),)


def test_a_dependency_that_is_not_in_the_project_is_left_out() -> None:
    assert Graph(tree(web=needs("gone"))).order() == ("web",)


@pytest.mark.parametrize("start", ["a", "b", "c"])
def test_a_cycle_is_named_from_its_smallest_service(start: str) -> None:
    ring = {"a": needs("b"), "b": needs("c"), "c": needs("a")}
    ordered = {start: ring[start], **ring}
    graph = Graph({"services": ordered}, marks=lambda path: Mark("compose.yaml", 7, 3))
    with pytest.raises(CycleError) as caught:
        graph.order()
    assert str(caught.value) == "compose.yaml:7:3: dependency cycle detected: a → b → c → a"
    assert caught.value.path == ("services", "a", "depends_on", "b")


def test_resources_are_nodes() -> None:
    graph = Graph(
        {
            "services": {
                "web": {
                    "image": "nginx",
                    "networks": {"front": None},
                    "volumes": [
                        {"type": "volume", "source": "data", "target": "/data"},
                        {"type": "bind", "source": "/srv", "target": "/srv"},
                    ],
                    "secrets": [{"source": "pw"}],
                }
            },
            "networks": {"front": {}, "unused": {}},
        }
    )
    assert [str(node) for node in graph.needs(Node("service", "web"))] == [
        "image:nginx",
        "network:front",
        "secret:pw",
        "volume:data",
    ]
    assert graph.needed_by(Node("network", "front")) == (Node("service", "web"),)
    assert Node("network", "unused") in graph.nodes


def test_critical_path_follows_the_times() -> None:
    graph = Graph(tree(web=needs("db", "cache"), db={}, cache=needs("disk"), disk={}))
    assert graph.critical_path() == ("disk", "cache", "web")
    assert graph.critical_path({"db": 10}) == ("db", "web")


def test_reduction_leaves_out_what_follows() -> None:
    graph = Graph(tree(a={}, b=needs("a"), c=needs("a", "b")))
    edges = {(str(x), str(y)) for x, y in graph.reduction().edges}
    assert edges == {("service:a", "service:b"), ("service:b", "service:c")}


def test_what_is_used_is_not_reduced() -> None:
    volumes = [{"type": "volume", "source": "data", "target": "/d"}]
    graph = Graph(tree(db={"volumes": volumes}, web={**needs("db"), "volumes": volumes}))
    assert {(str(x), str(y)) for x, y in graph.reduction().edges} == {
        ("service:db", "service:web"),
        ("volume:data", "service:db"),
        ("volume:data", "service:web"),
    }


def test_a_build_makes_an_image_and_uses_secrets() -> None:
    graph = Graph({"name": "p", "services": {"a": {"build": {"context": ".", "secrets": [{"source": "s"}]}}}})
    assert [str(node) for node in graph.needs(Node("service", "a"))] == ["image:p-a", "secret:s"]


def test_of_equal_chains_the_one_with_more_links_is_longest() -> None:
    waits = [Wait("a", "c", 7), Wait("a", "b", 7), Wait("b", "c", 0)]
    assert longest_chain(waits, {"a": 0}, {"c": 0}) == ("a", "b", "c")
    assert longest_chain([*waits, Wait("x", "c", 8)], {"a": 0, "x": 0}, {"c": 0}) == ("x", "c")
    assert longest_chain(waits, {"a": 0, "y": 9}, {"c": 0, "y": 0}) == ("y",), "it began last"


def test_cycles_are_listed_whole_and_bounded() -> None:
    graph = Graph(tree(a=needs("b"), b=needs("a", "c"), c=needs("b"), d=needs("a")))
    assert graph.cycles() == [("a", "b"), ("b", "c")]
    names = [f"s{n}" for n in range(30)]
    dense = Graph({"services": {name: needs(*(o for o in names if o != name)) for name in names}})
    assert len(dense.cycles(limit=50)) == 50


names = st.sampled_from([f"s{n}" for n in range(8)])
wishes = st.dictionaries(names, st.sets(names, max_size=4), max_size=8)


@given(wishes)
def test_order_and_cycles_agree_with_networkx(wanted: dict[str, set[str]]) -> None:
    services = {name: needs(*sorted(others - {name})) for name, others in wanted.items()}
    graph = Graph({"services": services})
    oracle: networkx.DiGraph[str] = networkx.DiGraph()
    oracle.add_nodes_from(services)
    oracle.add_edges_from((o, n) for n, others in wanted.items() for o in others - {n} if o in services)
    if not networkx.is_directed_acyclic_graph(oracle):
        with pytest.raises(CycleError):
            graph.order()
        return
    place = {name: index for index, name in enumerate(graph.order())}
    assert all(place[first] < place[second] for first, second in oracle.edges)
    for name in services:
        assert graph.ancestors([name]) == networkx.ancestors(oracle, name)
        assert graph.dependents([name]) == networkx.descendants(oracle, name)
