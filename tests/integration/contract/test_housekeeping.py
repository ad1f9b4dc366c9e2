"""Pruning and disk usage, the same on every backend. What others keep on the same engine is let be."""

from __future__ import annotations

import pathlib

from composer.engine.running import copying
from composer.engine.wanted import LabelFilter, MountSpec, VolumeSpec
from tests.integration.contract.conftest import PROJECT, Place

ANONYMOUS = "com.docker.volume.anonymous"


def _ours(place: Place) -> LabelFilter:
    return LabelFilter(PROJECT, place.project)


def test_networks_that_nobody_uses_go(place: Place) -> None:
    used, unused = place.network("used"), place.network("unused")
    place.create(endpoints=(place.endpoint(used, "web"),))
    if place.backend.name != "docker":  # there a container that does not run is in no network
        assert list(place.backend.prune_networks([_ours(place)])) == [unused]
        assert place.backend.find_network(used) is not None
    else:
        assert unused in place.backend.prune_networks([_ours(place)])
    assert place.backend.find_network(unused) is None


def test_filters_are_kept_to(place: Place) -> None:
    name = place.network("kept")
    assert not place.backend.prune_networks([_ours(place), LabelFilter("other")])
    assert not place.backend.prune_networks([_ours(place), LabelFilter(PROJECT, excludes=True)])
    assert not place.backend.prune_networks([LabelFilter(PROJECT, f"{place.project}x")])
    assert list(place.backend.prune_networks([_ours(place), LabelFilter("other", excludes=True)])) == [name]


def test_named_volumes_go_only_when_asked(place: Place, tmp_path: pathlib.Path) -> None:
    used, named = place.volume("used"), place.volume("named")
    bare = f"{place.project}_anonymous"
    place.backend.create_volume(VolumeSpec(bare, place.labels(**{ANONYMOUS: ""}), {}))
    id = place.create(mounts=(MountSpec("volume", used, "/data"),))
    (tmp_path / "new").write_bytes(bytes(1000))
    copying.copy_in(place.backend, id, f"{tmp_path}/new", "/data/")
    assert list(place.backend.prune_volumes([_ours(place)])[0]) == [bare]
    assert list(place.backend.prune_volumes([_ours(place)], everything=True)[0]) == [named]
    place.backend.remove_container(id)
    gone, freed_bytes = place.backend.prune_volumes([_ours(place)], everything=True)
    assert (list(gone), freed_bytes) == ([used], 1000 if place.is_real else 0)


def test_the_disk_is_accounted_for(place: Place, tmp_path: pathlib.Path) -> None:
    volume = place.volume()
    mounts = (MountSpec("volume", volume, "/data"),)
    id = place.start(mounts=mounts)
    (tmp_path / "new").write_bytes(bytes(1000))
    copying.copy_in(place.backend, id, f"{tmp_path}/new", "/srv")
    if place.is_real:
        copying.copy_in(place.backend, id, f"{tmp_path}/new", "/data/")
    found = place.backend.disk_use()
    (own,) = [entry for entry in found.containers if entry.container.id == id]
    assert (own.size_bytes, own.volumes) == (1000, 1)
    (stored,) = [entry for entry in found.volumes if entry.name == volume]
    assert (stored.size_bytes, stored.links) == (1000 if place.is_real else 0, 1)
    assert found.layers_bytes >= 0
    users = {image.id: image.containers for image in found.images}
    assert users.get(place.backend.container(id).image_id, 1) >= 1
