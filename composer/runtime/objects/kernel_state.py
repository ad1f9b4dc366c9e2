"""What the kernel has lost of networks that containers run in: for `plan`, `up` and `doctor`, which only look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.runtime.base import files, records, state
from composer.runtime.network import endpoints, integrity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


class _Running(NamedTuple):
    name: str
    project: str
    attachments: list[endpoints.Attachment]
    ports: endpoints.Ports


def network_faults(paths: state.Paths, wanted: Collection[str] | None = None) -> dict[str, tuple[str, ...]]:
    """Return what is missing, by the network's id; of the ``wanted`` networks, or of all that are used."""
    running = list(_running(paths))
    used = {one.network_id for container in running for one in container.attachments}
    known = {}
    for id in used if wanted is None else used & set(wanted):
        record = records.network(f"{paths.networks()}/{id}")
        if record is not None:
            known[id] = record
    if not known:
        return {}
    kernel = integrity.Kernel()
    found = {id: integrity.faults_of_network(record, kernel) for id, record in known.items()}
    for container in running:
        for one in container.attachments:
            if one.network_id in known:
                alone = {one.network_id: known[one.network_id]}
                found[one.network_id] += integrity.faults_of_container(container.name, [one], alone, kernel)
        for id, publications in _by_network(container).items():
            if id in known:
                found[id] += integrity.faults_of_ports(publications, kernel)
    return {id: tuple(dict.fromkeys(faults)) for id, faults in found.items() if faults}


def projects_in(paths: state.Paths, network_id: str) -> list[str]:
    """Return the projects that have a running container in a network."""
    return sorted(
        {
            container.project
            for container in _running(paths)
            if any(one.network_id == network_id for one in container.attachments)
        }
    )


def _by_network(container: _Running) -> dict[str, list[Any]]:
    """Return the publications of a container under the network that they lead through."""
    links = {one.link: one.network_id for one in container.attachments}
    found: dict[str, list[Any]] = {}
    for one in container.ports.publications(container.attachments):
        found.setdefault(links[one.bridge], []).append(one)
    return found


def _running(paths: state.Paths) -> Iterator[_Running]:
    boot = files.boot_id()
    for id in state.list_directory(paths.containers()):
        current = records.state(paths.container(id)) or {}
        if not _is_running(current, boot) or not current.get("endpoints"):
            continue
        meta = records.meta(paths.container(id))
        if meta is None:
            continue  # it is just being removed
        ports = endpoints.Ports()
        ports.published = [port for port in current.get("ports", ()) if records.is_publication(port)]
        attachments = [endpoints.Attachment(record) for record in current["endpoints"]]
        yield _Running(meta["name"], meta["project"], attachments, ports)


def _is_running(current: Mapping[str, Any], boot: str) -> bool:
    if current.get("status") not in ("running", "paused") or current.get("boot_id") != boot:
        return False
    return files.start_time(int(current.get("pid") or 0)) == current.get("start_ticks")
