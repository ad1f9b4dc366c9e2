"""Records that are damaged: finding them, and mending them or setting them aside. No volume is lost by it.

A record is damaged when its file cannot be read, or lacks what every object of ours has. A new one is made of what
others say: the configuration of a container, its supervisor, the process that runs, the kernel's bridge. What nobody
can say is lost, and said. A container is set aside only when nothing of it runs.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import errors
from composer.runtime.base import files, records, state
from composer.runtime.base.status import ACTIVE
from composer.runtime.network import endpoints
from composer.runtime.objects import usage
from composer.runtime.objects.networks import Networks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.runtime.base.record_types import Meta, NetworkRecord, PoolRecord, State, VolumeRecord
    from composer.runtime.base.state import Paths
    from composer.runtime.build.cache.verifying import Damage

_CGROUP_GONE_S = 2.0
_CONTAINER_FILES = ("meta.json", "config.json", "state.json")


class Broken(NamedTuple):
    """A damaged record. ``kind`` is container, network or volume; ``id`` the name of the object's directory."""

    kind: str
    id: str
    file: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}': its file {self.file} is damaged"


def find(paths: Paths) -> list[Broken]:
    """Return what is damaged now. What is just being made or removed has another name, and is not looked at."""
    return [*_containers(paths), *_networks(paths), *_volumes(paths)]


def _containers(paths: Paths) -> Iterator[Broken]:
    for id in state.list_directory(paths.containers()):
        bundle = paths.container(id)
        meta = records.meta(bundle)
        name = meta["name"] if meta is not None else id[:12]
        for file in (*_CONTAINER_FILES, "health.json"):
            if _is_damaged(bundle, file) and os.path.isdir(bundle):
                yield Broken("container", id, file, name)


def _is_damaged(bundle: str, file: str) -> bool:
    path = f"{bundle}/{file}"
    if file == "config.json":
        return records.config(bundle) is None
    if file == "meta.json":
        return records.is_meta_damaged(bundle)
    if file == "health.json" and not os.path.exists(path):
        return False
    return files.read_json(path) is None


def _networks(paths: Paths) -> Iterator[Broken]:
    for id in state.list_directory(paths.networks()):
        directory = f"{paths.networks()}/{id}"
        if records.network(directory) is None and os.path.isdir(directory):
            yield Broken("network", id, "network.json", Networks(paths).name_of(id) or id[:12])


def _volumes(paths: Paths) -> Iterator[Broken]:
    for name in state.list_directory(paths.volumes()):
        directory = f"{paths.volumes()}/{name}"
        if records.volume(directory) is None and os.path.isdir(directory):
            yield Broken("volume", name, "volume.json", name)


def repair(paths: Paths) -> tuple[list[str], list[str]]:
    """Mend what can be, set aside what cannot; return what was done, and what was not, with the reason."""
    done, kept = [], []
    for damage in cache_damage(paths, reads_all=True):
        if not damage.step:
            kept.append(f"{damage}: remove the image, and build or pull it again")
        elif _drop_step(paths, damage):
            done.append(f"{damage}: it was dropped from the build cache")
        else:
            kept.append(f"{damage}: a build uses it")
    if done:
        from composer.runtime.images import Store

        # the files themselves are a layer of the store: the next build that makes the same would find them there
        Store(f"{paths.root}/images").sweep()
    for one in find(paths):
        try:
            done.append(f"{one.kind} '{one.name}': {_REPAIR[one.kind](paths, one)}")
        except (errors.ComposerError, OSError) as error:
            reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
            kept.append(f"{one}: {reason}")
    return done, kept


# ------------------------------------------------------------------ the build cache


def cache_damage(paths: Paths, *, reads_all: bool) -> list[Damage]:
    """Return what is damaged of the build cache and of images; with ``reads_all`` every digest is computed again."""
    from composer.runtime.build.cache import verifying
    from composer.runtime.build.cache.cache import Cache
    from composer.runtime.images.content import Content

    if not os.path.isdir(f"{paths.root}/images"):
        return []
    cache = Cache(f"{paths.root}/build")
    return list(verifying.verify(cache, Content(f"{paths.root}/images"), reads_all=reads_all))


def _drop_step(paths: Paths, damage: Damage) -> bool:
    from composer.runtime.build.cache import verifying
    from composer.runtime.build.cache.cache import Cache

    return verifying.drop(Cache(f"{paths.root}/build"), damage)


# ------------------------------------------------------------------ containers


def _repair_container(paths: Paths, one: Broken) -> str:
    bundle = paths.container(one.id)
    if not _is_damaged(bundle, one.file):
        return f"{one.file} was repaired together with another file"
    if one.file == "health.json":
        files.remove_file(f"{bundle}/health.json")
        return "the results of its health checks were discarded"
    if one.file == "meta.json":
        meta = records.meta_of_config(bundle)
        if meta is None:
            return _set_aside(paths, one)
        records.write_meta(bundle, meta)
        return "meta.json was rebuilt from its configuration; labels other than those of Compose are lost"
    meta = records.meta(bundle)
    if meta is not None and _ask_supervisor(paths, meta):
        return f"its supervisor rewrote {one.file}"
    if one.file == "config.json":
        return _set_aside(paths, one)
    records.write_state(bundle, _state_of_processes(paths, one.id))
    return "state.json was rebuilt from its running processes"


def _ask_supervisor(paths: Paths, meta: Meta) -> bool:
    """Let the supervisor write what it knows of a container, where there is one that knows it."""
    from composer.runtime.engine.core import Core

    core = Core(paths)
    if not core.is_watched(meta["project"]):
        return False
    client = core.client(meta["project"])
    try:
        client.ask({"op": "reload", "id": meta["id"]})
    except errors.BackendError:
        return False  # it was started after the damage, and does not know the container
    finally:
        client.close()
    return all(not _is_damaged(paths.container(meta["id"]), file) for file in ("config.json", "state.json"))


def _state_of_processes(paths: Paths, id: str) -> State:
    found = usage.processes_by_name(paths, id)
    first = next((pid for pid in found if _is_first(pid)), 0)
    if not first:
        if found:
            raise errors.Conflict(
                f"its processes are running ({', '.join(map(str, found))}): stop them first"
            )
        return {"status": "exited", "exit_code": None, "exit_unknown": True, "finished_ns": time.time_ns()}
    return {
        "status": "running",
        "pid": first,
        "start_ticks": files.start_time(first) or 0,
        "boot_id": files.boot_id(),
        "started_ns": time.time_ns(),
        "finished_ns": 0,
        "executed": True,
        **_network_state(paths, id),  # type: ignore[typeddict-item]
    }


def _network_state(paths: Paths, id: str) -> dict[str, Any]:
    """Return a running container's addresses, which it still has the leases of, and its ports of fixed numbers."""
    config = records.config(paths.container(id))
    network = records.extras(config)["network"] if config is not None else {}
    networks = endpoints.Networks(paths.networks())
    try:
        attachments = networks.plan(id, network.get("endpoints", ()))
    finally:
        networks.close()
    fixed = [port for port in network.get("ports", ()) if port["host_port"] == port["host_port_end"] != 0]
    keys = ("protocol", "container_port", "host_ip", "host_port")
    return {
        "endpoints": [one.record() for one in attachments],
        "ports": [{key: port[key] for key in keys} for port in fixed],  # type: ignore[literal-required]
    }


def _is_first(pid: int) -> bool:
    """Tell the first process of a pid namespace. proc_pid_status(5): NSpid"""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file if line.startswith("NSpid:")]
    except OSError:
        return False
    return bool(lines) and len(lines[0]) > 2 and lines[0][-1] == "1"


def _set_aside(paths: Paths, one: Broken) -> str:
    """Move a container's directory out of the way, with all that is in it, when nothing of it runs."""
    found = usage.processes_by_name(paths, one.id)
    current = records.state(paths.container(one.id)) or {}
    if current.get("status") in ACTIVE and _is_alive(current):
        found = [*found, int(current.get("pid") or 0)]
    if found:
        listed = ", ".join(map(str, sorted(set(found))))
        raise errors.Conflict(
            f"its processes are running ({listed}): stop them with kill, and run this command again"
        )
    _undo(paths, one.id, current)
    return f"its configuration is lost: it was moved to {_move(paths, one, paths.container(one.id))}"


def _undo(paths: Paths, id: str, current: State) -> None:
    """Take away what a container's start made outside of its directory."""
    from composer.runtime.container import cgroups

    networks = endpoints.Networks(paths.networks())
    try:
        attachments = [endpoints.Attachment(record) for record in current.get("endpoints", ())]
        ports = endpoints.Ports()
        ports.published = [port for port in current.get("ports", ()) if records.is_publication(port)]
        publications = ports.publications(attachments)
        if publications:
            networks.firewall.unpublish(publications)
        for attachment in attachments:
            networks.detach(id, attachment, with_link=True)
        networks.release_all(id, [{"network_id": one} for one in state.list_directory(paths.networks())])
    finally:
        networks.close()
    cgroups.remove_of([(id, records.cgroup_parent(paths.container(id)))], timeout_s=_CGROUP_GONE_S)


def _is_alive(current: State) -> bool:
    ticks = files.start_time(int(current.get("pid") or 0))
    return (
        current.get("boot_id") == files.boot_id()
        and ticks is not None
        and ticks == current.get("start_ticks")
    )


def _move(paths: Paths, one: Broken, source: str) -> str:
    place = state.make_directory(f"{paths.root}/broken")
    target = f"{place}/{one.kind}-{one.id[:64]}-{time.time_ns()}"
    os.rename(source, target)
    return target


# ------------------------------------------------------------------ networks and volumes


def _repair_network(paths: Paths, one: Broken) -> str:
    directory = f"{paths.networks()}/{one.id}"
    name = Networks(paths).name_of(one.id)
    pools = _pools_of(f"cmp{one.id[:10]}")
    if name is None:
        return f"no container is connected to it: it was moved to {_move(paths, one, directory)}"
    if not pools:
        raise errors.Conflict(
            "containers are connected to it, but its bridge no longer exists: take their project down, "
            "and run this command again"
        )
    made: NetworkRecord = {
        "id": one.id,
        "name": name,
        "labels": {},
        "project": records.NOBODY,
        "event": {},
        "driver": "bridge",
        "created_ns": time.time_ns(),
        "attributes": {},
        "bridge": f"cmp{one.id[:10]}",
        "internal": False,
        "pools": pools,
    }
    records.write_network(directory, made)
    return "network.json was rebuilt from its bridge; its labels and options are lost"


def _pools_of(bridge: str) -> list[PoolRecord]:
    """Return the subnets of a bridge that is there, by its addresses."""
    from composer.runtime.network import addresses, netlink

    with netlink.Netlink() as link:
        index = link.link_index(bridge)
        found = [one for one in link.addresses() if one.index == index] if index is not None else []
    pools: list[PoolRecord] = []
    for one in found:
        if not one.ip.startswith("fe80:"):
            subnet = str(addresses.parse_subnet(f"{one.ip}/{one.prefix}"))
            pools.append({"subnet": subnet, "gateway": one.ip, "range": subnet, "reserved": {}})
    return pools


def _repair_volume(paths: Paths, one: Broken) -> str:
    directory = f"{paths.volumes()}/{one.id}"
    record: VolumeRecord = {
        "name": one.id,
        "labels": {},
        "project": records.NOBODY,
        "event": {},
        "driver": "local",
        "created_ns": time.time_ns(),
        "options": {},
    }
    over = records.over(directory)
    if over:  # its data is not in _data: it was restored from a snapshot
        record["over"] = max(
            over, key=lambda found: os.stat(f"{directory}/over/{found['generation']}").st_mtime_ns
        )
    records.write_volume(directory, record)
    return "volume.json was recreated; its data is unchanged, its labels and options are lost"


_REPAIR = {"container": _repair_container, "network": _repair_network, "volume": _repair_volume}
