"""Records that an earlier release wrote are read as today's; what a later one wrote is refused by name.

``tests/data/records/1`` is the state of a project as the last release without a version in its records left it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import get_type_hints

import pytest

from composer.backends.namespace.observing import NamespaceObserver
from composer.engine.observed import ContainerState
from composer.errors import Unsupported
from composer.runtime.base import record_types, records
from composer.runtime.base.state import Paths
from composer.runtime.engine.core import Core
from composer.runtime.network import addresses, endpoints
from composer.runtime.objects import specs
from composer.runtime.objects.networks import Networks
from composer.runtime.objects.volumes import Volumes

FIRST = Path(__file__).parents[2] / "data" / "records" / "1"
WEB = "f7dfa028c138d678eb5d1708bc97776be5c30fc9f5cc0c47621271f6c93e5018"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    shutil.copytree(FIRST, tmp_path / "lib", symlinks=True)
    return Paths(str(tmp_path / "lib"), str(tmp_path / "run"))


def required(record: type) -> set[str]:
    """Return the fields that a record of this type always has."""
    return set(record.__required_keys__)  # type: ignore[attr-defined]


def test_every_record_of_the_first_version_has_todays_fields(paths: Paths) -> None:
    bundles = [paths.container(path.name) for path in (Path(paths.root) / "containers").iterdir()]
    networks, volumes = list(Networks(paths).all()), list(Volumes(paths).all())
    assert (len(bundles), len(networks), len(volumes)) == (2, 2, 2)
    for bundle in bundles:
        meta, state, config = records.meta(bundle), records.state(bundle), records.config(bundle)
        assert meta is not None and state is not None and config is not None
        assert required(record_types.Meta) <= meta.keys()
        assert state.keys() <= get_type_hints(record_types.State).keys()
        assert records.extras(config).keys() <= get_type_hints(record_types.Extras).keys()
    for network in networks:
        assert required(record_types.NetworkRecord) <= network.keys()
    for volume in volumes:
        assert required(record_types.VolumeRecord) <= volume.keys()


def test_owner_and_event_are_what_the_labels_said(paths: Paths) -> None:
    meta = records.meta(paths.container(WEB))
    assert meta is not None
    assert meta["project"] == "shop"
    assert meta["event"] == {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "web",
        "com.docker.compose.container-number": "1",
    }
    owners = {network["name"]: (network["project"], network["event"]) for network in Networks(paths).all()}
    own = ("shop", {"com.docker.compose.project": "shop"})
    assert owners == {"shop_back": own, "shop_default": own}
    volumes = {volume["project"] for volume in Volumes(paths).all()}
    assert volumes == {"shop", records.NOBODY}, "the anonymous one has no label of a project"


def test_it_is_observed_as_it_was(paths: Paths) -> None:
    found = NamespaceObserver(paths).observe("shop")
    assert [container.name for container in found.containers] == ["shop-web-1", "shop-done-1"]
    web, done = found.containers
    assert done.state is ContainerState.EXITED and done.exit_code == 0
    assert web.exit_unknown, "its process is of another boot"
    assert {mount.target: mount.type for mount in web.mounts} == {
        "/data": "volume",
        "/anonymous": "volume",
        "/t": "tmpfs",
    }
    assert sorted(network.name for network in found.networks) == ["shop_back", "shop_default"]
    assert [(volume.name, volume.labels["keep"]) for volume in found.volumes] == [("shop_data", "yes")]


def test_ports_and_addresses_have_one_vocabulary_from_then_on(paths: Paths) -> None:
    config, state = records.config(paths.container(WEB)), records.state(paths.container(WEB))
    assert config is not None and state is not None
    wanted = records.extras(config)["network"]["ports"]
    assert {frozenset(port) for port in wanted} == {frozenset(get_type_hints(record_types.PortRequest))}
    assert {frozenset(port) for port in state["ports"]} == {
        frozenset(get_type_hints(record_types.PublishedPort))
    }
    assert all(map(records.is_publication, state["ports"]))
    for record in state["endpoints"]:
        assert endpoints.Attachment(record).record() == record
        held = addresses.Leases(f"{paths.networks()}/{record['network_id']}/leases").held()
        assert {ip for ip, _ in record["addresses"]} <= held.keys()


def test_what_is_written_has_the_version(paths: Paths, tmp_path: Path) -> None:
    bundle = paths.container(WEB)
    meta, state, config = records.meta(bundle), records.state(bundle), records.config(bundle)
    assert meta is not None and state is not None and config is not None
    network, volume = next(Networks(paths).all()), next(Volumes(paths).all())
    records.write_meta(bundle, meta)
    records.write_state(bundle, state)
    records.write_config(bundle, config)
    records.write_network(str(tmp_path), network)
    records.write_volume(str(tmp_path), volume)
    written = [*(Path(bundle) / name for name in ("meta.json", "state.json"))]
    written += [tmp_path / "network.json", tmp_path / "volume.json"]
    assert {json.loads(path.read_text())["version"] for path in written} == {records.VERSION}
    assert json.loads((Path(bundle) / "config.json").read_text())["composer"]["version"] == records.VERSION
    again = records.meta(bundle)
    assert again is not None and {**again, "version": 0} == {**meta, "version": 0}


def make_later(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": records.VERSION + 1}))


def test_a_later_version_is_shown_and_refused_by_name(paths: Paths) -> None:
    make_later(Path(paths.container(WEB)) / "meta.json")
    (network,) = [one for one in Networks(paths).all() if one["name"] == "shop_back"]
    make_later(Path(paths.networks()) / network["id"] / "network.json")
    make_later(Path(paths.volumes()) / "shop_data" / "volume.json")
    assert len(NamespaceObserver(paths).observe("shop").containers) == 2
    with pytest.raises(
        Unsupported, match=r"container 'shop-web-1': its record .* later version .*version 3, supported: 2"
    ):
        Core(paths).meta(WEB)
    with pytest.raises(Unsupported, match="volume 'shop_data': its record was written by a later version"):
        Volumes(paths).remove("shop_data")
    with pytest.raises(Unsupported, match="network 'shop_back': its record was written by a later version"):
        Networks(paths).create(specs.Network("shop_back"))
