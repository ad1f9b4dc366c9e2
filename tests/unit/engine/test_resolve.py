"""From a canonical service to what a backend is asked to create."""

from __future__ import annotations

import pytest

from composer.engine.resolving import resolve
from composer.engine.wanted import ContainerSpec, EndpointSpec, FileSpec, MountSpec
from composer.errors import ConfigError
from tests.unit.engine.stage import Stage


def spec(stage: Stage, text: str, service: str = "web", number: int = 1, **environment: str) -> ContainerSpec:
    return resolve.container_spec(
        stage.project(text, profiles=(), **environment), service, number, labels={"own": "label"}, firsts={}
    )


def test_what_is_resolved_is_no_attribute_any_more(stage: Stage) -> None:
    found = spec(
        stage,
        """
        services:
          web:
            image: nginx
            labels: {mine: "1", own: overruled}
            build: .
            restart: always
            environment: {A: b}
            depends_on: [db]
            ports: ["80:80"]
          db: {image: db}
        """,
    )
    assert (found.name, found.image, found.number, found.service) == ("app-web-1", "nginx", 1, "web")
    assert found.labels == {"mine": "1", "own": "label"}
    assert found.attributes.keys() == {"restart", "environment", "ports"}


def test_mounts_have_real_names_and_absolute_paths(stage: Stage) -> None:
    found = spec(
        stage,
        """
        services:
          web:
            image: i
            volumes:
              - data:/data:ro
              - ./src:/src
              - /anonymous
              - {type: tmpfs, target: /fast, tmpfs: {size: 1m}}
            tmpfs: ["/run:size=64m,mode=1770,noexec", /tmp]
        volumes: {data: {name: real}}
        """,
    )
    assert found.mounts[0] == MountSpec("volume", "real", "/data", True, {})
    assert found.mounts[1] == MountSpec(
        "bind", str(stage.directory / "src"), "/src", False, found.mounts[1].options
    )
    assert found.mounts[2] == MountSpec("volume", None, "/anonymous", False, {})
    assert found.mounts[3].type == "tmpfs"
    assert found.mounts[4] == MountSpec(
        "tmpfs", None, "/run", False, {"size": "64m", "mode": 0o1770, "options": ("noexec",)}
    )
    assert found.mounts[5] == MountSpec("tmpfs", None, "/tmp")


def test_carried_volumes_take_the_place_of_anonymous_ones(stage: Stage) -> None:
    project = stage.project("services: {web: {image: i, volumes: [/a]}}")
    found = resolve.container_spec(
        project, "web", 1, labels={}, firsts={}, carried={"/a": "one", "/of-the-image": "two"}
    )
    assert found.mounts == (
        MountSpec("volume", "one", "/a", anonymous=True),
        MountSpec("volume", "two", "/of-the-image", anonymous=True),
    )


def test_endpoints_are_in_order_and_complete(stage: Stage) -> None:
    found = spec(
        stage,
        """
        services:
          web:
            image: i
            networks:
              back: {aliases: [api, web]}
              front: {priority: 10, ipv4_address: 10.0.0.5}
            links: ["db:database", cache]
            external_links: [other, "far:near"]
          db: {image: i, networks: [back]}
          cache: {image: i, networks: [back]}
        networks:
          back: {}
          front: {ipam: {config: [{subnet: 10.0.0.0/24}]}}
        """,
        number=2,
    )
    links = [
        "app-db-1:database",
        "app-db-1:app-db-1",
        "app-cache-1:cache",
        "app-cache-1:app-cache-1",
        "other:other",
        "far:near",
    ]
    front, back = found.endpoints
    assert front.network == "app_front"
    assert front.attributes == {"priority": 10, "ipv4_address": "10.0.0.5", "links": links}
    assert back == EndpointSpec("app_back", ("app-web-2", "web", "api"), {"links": links})


def test_shared_namespaces_name_the_first_container(stage: Stage) -> None:
    found = spec(
        stage,
        """
        services:
          web:
            image: i
            network_mode: service:vpn
            pid: service:vpn
            ipc: host
            volumes_from: ["vpn:ro", "container:outside:rw"]
          vpn: {image: i, container_name: tunnel}
        """,
    )
    assert (found.network_mode, found.endpoints) == ("container:tunnel", ())
    assert (found.attributes["pid"], found.attributes["ipc"]) == ("container:tunnel", "host")
    assert found.attributes["volumes_from"] == ["tunnel:ro", "outside:rw"]


def test_configs_and_secrets_become_files(stage: Stage) -> None:
    stage.write("pw", "secret")
    found = spec(
        stage,
        """
        services:
          web:
            image: i
            configs:
              - page
              - {source: page, target: /srv/index.html, mode: 0440, uid: "33"}
            secrets:
              - pw
              - {source: token, target: nested/token}
        configs: {page: {content: "hello $$ {x}"}}
        secrets: {pw: {file: ./pw}, token: {environment: TOKEN}}
        """,
        TOKEN="t0ken",
    )
    assert found.files == (
        FileSpec("config", "page", "/page", content=b"hello $ {x}"),
        FileSpec("config", "page", "/srv/index.html", content=b"hello $ {x}", uid="33", mode=0o440),
        FileSpec("secret", "pw", "/run/secrets/pw", source=str(stage.directory / "pw")),
        FileSpec("secret", "token", "/run/secrets/nested/token", content=b"t0ken"),
    )


def test_dollars_are_single_where_containers_see_them(stage: Stage) -> None:
    found = spec(stage, "services: {web: {image: i, command: [echo, '$$HOME'], environment: {A: '$$x'}}}")
    assert found.attributes["command"] == ["echo", "$HOME"]
    assert found.attributes["environment"] == {"A": "$x"}


def test_an_external_secret_cannot_be_had(stage: Stage) -> None:
    with pytest.raises(ConfigError, match="unsupported external secret 'pw'"):
        spec(stage, "services: {web: {image: i, secrets: [pw]}}\nsecrets: {pw: {external: true}}")


def test_hooks(stage: Stage) -> None:
    tree = stage.project("""
        services:
          web:
            image: i
            post_start:
              - {command: [a, b], user: root, privileged: true, working_dir: /x, environment: {A: "1"}}
              - {command: one word}
    """).tree["services"]["web"]
    first, second = resolve.hooks(tree, "post_start")
    assert (list(first.command), first.user, first.privileged, first.working_dir) == (
        ["a", "b"],
        "root",
        True,
        "/x",
    )
    assert first.environment == ("A=1",)
    assert list(second.command) == ["one", "word"]
    assert resolve.hooks(tree, "pre_stop") == ()


@pytest.mark.parametrize(
    ("attributes", "scale", "count"),
    [("", {}, 1), (", scale: 3", {}, 3), (", deploy: {replicas: 2}", {}, 2), (", scale: 3", {"web": 0}, 0)],
)
def test_replicas(stage: Stage, attributes: str, scale: dict[str, int], count: int) -> None:
    tree = stage.project(f"services: {{web: {{image: i{attributes}}}}}").tree["services"]["web"]
    assert resolve.replicas("web", tree, scale) == count


def test_a_network_may_go_without_the_name_of_the_service(stage: Stage) -> None:
    found = spec(
        stage,
        "services: {web: {image: i, networks: {a: {use_service_name_alias: false, aliases: [x]}, "
        "b: {use_service_name_alias: true}}}}\nnetworks: {a: , b: }",
    )
    aliases = {endpoint.network: endpoint.aliases for endpoint in found.endpoints}
    assert aliases == {"app_a": ("app-web-1", "x"), "app_b": ("app-web-1", "web")}
    assert not any(endpoint.attributes for endpoint in found.endpoints)
