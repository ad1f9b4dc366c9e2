"""The typed view of a canonical tree: frozen pydantic models, built when somebody asks for one.

For containers to create and for the Python API; hashing, comparing and rendering use the tree. Attributes have
Compose's names. Durations are Go's texts (``1m30s``, see `composer.units`), sizes decimal texts in bytes. What the
file did not say is None or empty; the two stay apart where Compose keeps them apart (``command``). The tree leaves
out zeros and empty texts, even of attributes that the schema requires, so no field is required here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from composer.schema.tree import plain

if TYPE_CHECKING:
    from collections.abc import Mapping


class _View(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", defer_build=True, populate_by_name=True, protected_namespaces=()
    )


class Port(_View):
    """A published or exposed port. ``published`` is text: a port, a range, or None for one that the engine picks."""

    target: int = 0
    published: str | None = None
    host_ip: str | None = None
    protocol: str = "tcp"
    mode: str = "ingress"
    name: str | None = None
    app_protocol: str | None = None


class Mount(_View):
    """An entry of ``volumes``. ``bind``, ``volume``, ``tmpfs`` and ``image`` hold the options of that type."""

    type: str = ""
    target: str = ""
    source: str | None = None
    read_only: bool = False
    consistency: str | None = None
    bind: dict[str, Any] = {}
    volume: dict[str, Any] = {}
    tmpfs: dict[str, Any] = {}
    image: dict[str, Any] = {}


class FileMount(_View):
    """A config or secret in a container. ``mode`` is octal text, such as ``0440``."""

    source: str = ""
    target: str | None = None
    uid: str | None = None
    gid: str | None = None
    mode: str | None = None


class Dependency(_View):
    """Why a service waits: ``service_started``, ``service_healthy`` or ``service_completed_successfully``."""

    condition: str = "service_started"
    restart: bool = False
    required: bool = False


class Endpoint(_View):
    """How a service joins a network."""

    aliases: tuple[str, ...] = ()
    driver_opts: dict[str, str] = {}
    gw_priority: int = 0
    interface_name: str | None = None
    ipv4_address: str | None = None
    ipv6_address: str | None = None
    link_local_ips: tuple[str, ...] = ()
    mac_address: str | None = None
    priority: int = 0


class Healthcheck(_View):
    """``test`` begins with NONE, CMD or CMD-SHELL; the times are durations."""

    test: tuple[str, ...] = ()
    interval: str | None = None
    timeout: str | None = None
    retries: int | None = None
    start_period: str | None = None
    start_interval: str | None = None
    disable: bool = False


class Build(_View):
    """How an image is built. ``context`` is an absolute path or a URL; ``ulimits`` are numbers or soft and hard."""

    context: str | None = None
    dockerfile: str | None = None
    dockerfile_inline: str | None = None
    target: str | None = None
    args: dict[str, str | None] = {}
    ssh: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    pull: bool = False
    additional_contexts: dict[str, str] = {}
    entitlements: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    isolation: str | None = None
    network: str | None = None
    platforms: tuple[str, ...] = ()
    privileged: bool = False
    provenance: str | None = None
    sbom: str | None = None
    secrets: tuple[FileMount, ...] = ()
    shm_size: str | None = None
    tags: tuple[str, ...] = ()
    ulimits: dict[str, int | dict[str, int]] = {}


class Deploy(_View):
    """Replicas, limits and how updates happen."""

    mode: str | None = None
    replicas: int | None = None
    labels: dict[str, str] = {}
    update_config: dict[str, Any] = {}
    rollback_config: dict[str, Any] = {}
    resources: dict[str, Any] = {}
    restart_policy: dict[str, Any] = {}
    placement: dict[str, Any] = {}
    endpoint_mode: str | None = None


class Hook(_View):
    """A command around a container's life."""

    command: tuple[str, ...] | None = None
    image: str | None = None
    user: str | None = None
    privileged: bool = False
    working_dir: str | None = None
    environment: dict[str, str | None] = {}
    per_replica: bool = False


class _Workload(_View):
    """What services and jobs share. ``command`` and ``entrypoint``: None leaves the image's, () clears it."""

    annotations: dict[str, str] = {}
    blkio_config: dict[str, Any] = {}
    build: Build | None = None
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    cgroup: str | None = None
    cgroup_parent: str | None = None
    command: tuple[str, ...] | None = None
    configs: tuple[FileMount, ...] = ()
    cpu_count: int = 0
    cpu_percent: float = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_rt_period: int = 0
    cpu_rt_runtime: int = 0
    cpu_shares: int = 0
    cpus: float = 0
    cpuset: str | None = None
    credential_spec: dict[str, str] = {}
    depends_on: dict[str, Dependency] = {}
    device_cgroup_rules: tuple[str, ...] = ()
    devices: tuple[dict[str, str], ...] = ()
    dns: tuple[str, ...] = ()
    dns_opt: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    domainname: str | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: dict[str, str | None] = {}
    expose: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    gpus: tuple[dict[str, Any], ...] = ()
    group_add: tuple[str, ...] = ()
    healthcheck: Healthcheck | None = None
    hostname: str | None = None
    image: str | None = None
    init: bool | None = None
    ipc: str | None = None
    isolation: str | None = None
    labels: dict[str, str] = {}
    logging: dict[str, Any] = {}
    mac_address: str | None = None
    mem_limit: str | None = None
    mem_reservation: str | None = None
    mem_swappiness: str | None = None
    memswap_limit: str | None = None
    models: dict[str, dict[str, str] | None] = {}
    network_mode: str | None = None
    networks: dict[str, Endpoint | None] = {}
    oom_kill_disable: bool = False
    oom_score_adj: int = 0
    pid: str | None = None
    pids_limit: int = 0
    platform: str | None = None
    ports: tuple[Port, ...] = ()
    privileged: bool = False
    profiles: tuple[str, ...] = ()
    pull_policy: str | None = None
    read_only: bool = False
    runtime: str | None = None
    secrets: tuple[FileMount, ...] = ()
    security_opt: tuple[str, ...] = ()
    shm_size: str | None = None
    stdin_open: bool = False
    stop_grace_period: str | None = None
    stop_signal: str | None = None
    storage_opt: dict[str, str] = {}
    sysctls: dict[str, str] = {}
    tmpfs: tuple[str, ...] = ()
    tty: bool = False
    ulimits: dict[str, int | dict[str, int]] = {}
    umask: str | None = None
    use_api_socket: bool = False
    user: str | None = None
    userns_mode: str | None = None
    uts: str | None = None
    volumes: tuple[Mount, ...] = ()
    volumes_from: tuple[str, ...] = ()
    working_dir: str | None = None


class Service(_Workload):
    """A service."""

    attach: bool | None = None
    container_name: str | None = None
    deploy: Deploy | None = None
    develop: dict[str, Any] = {}
    external_links: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    post_start: tuple[Hook, ...] = ()
    pre_start: tuple[Hook, ...] = ()
    pre_stop: tuple[Hook, ...] = ()
    provider: dict[str, Any] = {}
    restart: str | None = None
    scale: int | None = None


class Schedule(_View):
    """When a job runs: ``cron`` in ``timezone``, and what happens to runs that overlap or were missed."""

    cron: str = ""
    timezone: str | None = None
    concurrency: str | None = None
    missed_fires: str | None = None


class Triggers(_View):
    """What starts a job."""

    manual: bool | None = None
    schedule: tuple[Schedule, ...] = ()


class Job(_Workload):
    """A job: like a service, but it runs when something triggers it."""

    triggers: Triggers = Triggers()


class Network(_View):
    """A network. ``name`` is the real one."""

    name: str = ""
    driver: str | None = None
    driver_opts: dict[str, str] = {}
    ipam: dict[str, Any] = {}
    external: bool = False
    internal: bool = False
    attachable: bool = False
    labels: dict[str, str] = {}
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None


class Volume(_View):
    """A named volume. ``name`` is the real one."""

    name: str = ""
    driver: str | None = None
    driver_opts: dict[str, str] = {}
    external: bool = False
    labels: dict[str, str] = {}


class Config(_View):
    """A config: of a host file, with content, or from a variable."""

    name: str = ""
    file: str | None = None
    environment: str | None = None
    content: str | None = None
    external: bool = False
    labels: dict[str, str] = {}
    template_driver: str | None = None


class Secret(Config):
    """A secret: of a host file or from a variable."""

    driver: str | None = None
    driver_opts: dict[str, str] = {}


class Model(_View):
    """An AI model that services use."""

    model: str = ""
    name: str | None = None
    context_size: int = Field(default=0)
    runtime_flags: tuple[str, ...] = ()


_KINDS: dict[str, type[_View]] = {
    "jobs": Job,
    "services": Service,
    "networks": Network,
    "volumes": Volume,
    "configs": Config,
    "secrets": Secret,
    "models": Model,
}


def build(section: str, tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the typed view of a section, by name."""
    kind = _KINDS[section]
    return {name: kind.model_validate(plain(value)) for name, value in tree.items()}
