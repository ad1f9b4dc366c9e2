"""Services and jobs: what becomes containers.

Spec: https://github.com/compose-spec/compose-spec/blob/main/05-services.md
"""

from __future__ import annotations

from composer.schema.views.base import (
    Duration,
    Labels,
    Options,
    SizeText,
    Texts,
    Variables,
    View,
    Words,
)
from composer.schema.views.building import Build, FileMount
from composer.schema.views.connecting import (
    Dependency,
    Endpoint,
    EnvFile,
    Healthcheck,
    Logging,
    ModelUse,
    Mount,
    Port,
)
from composer.schema.views.deploying import Deploy, Develop, Hook
from composer.schema.views.limits import BlockIO, CredentialSpec, Device, DeviceRequest, Ulimit


class PreStart(Hook):
    """A container that runs before a service starts, from ``image`` or the image of the service."""

    image: str | None = None
    per_replica: bool = False


class Extension(View):
    """The service that this one extends, if ``extends`` has not been resolved."""

    file: str | None = None
    service: str = ""


class Provider(View):
    """An external program that provides the service. Each option may have several values."""

    type: str = ""
    options: dict[str, tuple[str, ...]] = {}


class Workload(View):
    """What services and jobs share.

    Processors: ``cpus`` in processors, ``cpu_period``, ``cpu_quota`` and ``cpu_rt_*`` in microseconds, ``cpu_shares``
    a weight, ``cpu_percent`` from 0 to 100. Memory: texts of bytes; ``mem_swappiness`` a text from 0 to 100,
    ``memswap_limit`` counts memory and swap together, ``oom_score_adj`` is from -1000 to 1000.
    """

    profiles: Texts = ()
    annotations: Labels = {}
    build: Build | None = None
    blkio_config: BlockIO | None = None
    cap_add: Texts = ()
    cap_drop: Texts = ()
    cgroup_parent: str | None = None
    cgroup: str | None = None
    cpu_count: int = 0
    cpu_percent: float = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_rt_period: int = 0
    cpu_rt_runtime: int = 0
    cpus: float = 0
    cpuset: str | None = None
    cpu_shares: int = 0
    command: Words = None
    configs: tuple[FileMount, ...] = ()
    credential_spec: CredentialSpec | None = None
    depends_on: dict[str, Dependency] = {}
    device_cgroup_rules: Texts = ()
    devices: tuple[Device, ...] = ()
    dns: Texts = ()
    dns_opt: Texts = ()
    dns_search: Texts = ()
    domainname: str | None = None
    entrypoint: Words = None
    environment: Variables = {}
    env_file: tuple[EnvFile, ...] = ()
    expose: Texts = ()
    extends: Extension | None = None
    extra_hosts: Texts = ()
    group_add: Texts = ()
    gpus: tuple[DeviceRequest, ...] = ()
    hostname: str | None = None
    healthcheck: Healthcheck | None = None
    image: str | None = None
    init: bool | None = None
    ipc: str | None = None
    isolation: str | None = None
    labels: Labels = {}
    label_file: Texts = ()
    logging: Logging | None = None
    mem_limit: SizeText | None = None
    mem_reservation: SizeText | None = None
    memswap_limit: SizeText | None = None
    mem_swappiness: str | None = None
    mac_address: str | None = None
    models: dict[str, ModelUse | None] = {}
    network_mode: str | None = None
    networks: dict[str, Endpoint | None] = {}
    oom_kill_disable: bool = False
    oom_score_adj: int = 0
    pid: str | None = None
    pids_limit: int = 0
    platform: str | None = None
    ports: tuple[Port, ...] = ()
    privileged: bool = False
    pull_policy: str | None = None
    pull_refresh_after: str | None = None
    read_only: bool = False
    runtime: str | None = None
    secrets: tuple[FileMount, ...] = ()
    security_opt: Texts = ()
    shm_size: SizeText | None = None
    stdin_open: bool = False
    stop_grace_period: Duration | None = None
    stop_signal: str | None = None
    storage_opt: Options = {}
    sysctls: Labels = {}
    tmpfs: Texts = ()
    tty: bool = False
    ulimits: dict[str, int | Ulimit] = {}
    umask: int | None = None
    use_api_socket: bool = False
    user: str | None = None
    userns_mode: str | None = None
    uts: str | None = None
    volumes: tuple[Mount, ...] = ()
    volumes_from: Texts = ()
    working_dir: str | None = None


class Service(Workload):
    """A service. ``scale`` and ``deploy.replicas`` are the number of its containers; None is one."""

    attach: bool | None = None
    container_name: str | None = None
    deploy: Deploy | None = None
    develop: Develop | None = None
    external_links: Texts = ()
    links: Texts = ()
    post_start: tuple[Hook, ...] = ()
    pre_start: tuple[PreStart, ...] = ()
    pre_stop: tuple[Hook, ...] = ()
    provider: Provider | None = None
    restart: str | None = None
    scale: int | None = None


class Schedule(View):
    """When a job runs: ``cron`` in ``timezone``, and what happens to runs that overlap or were missed."""

    cron: str = ""
    timezone: str | None = None
    concurrency: str | None = None
    missed_fires: str | None = None


class Triggers(View):
    """The triggers of a job."""

    manual: bool | None = None
    schedule: tuple[Schedule, ...] = ()


class Job(Workload):
    """A job: like a service, but it runs when something triggers it."""

    triggers: Triggers = Triggers()
