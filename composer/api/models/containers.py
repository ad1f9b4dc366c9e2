"""What `POST /containers/create` and its neighbours take. Names, types and meanings are Docker's."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from composer.api.models.base import Body, Size

Texts = list[str]


class HealthCheck(Body):
    """Times are nanoseconds."""

    Test: Texts | None = None
    Interval: int = 0
    Timeout: int = 0
    Retries: int = 0
    StartPeriod: int = 0
    StartInterval: int = 0


class PortBinding(Body):
    HostIp: str = ""
    HostPort: str = ""


class Restarting(Body):
    Name: str = ""
    MaximumRetryCount: int = 0


class Logging(Body):
    Type: str = ""
    Config: dict[str, str] | None = None


class Ulimit(Body):
    Name: str
    Soft: int = 0
    Hard: int = 0


class Device(Body):
    PathOnHost: str
    PathInContainer: str = ""
    CgroupPermissions: str = ""


class DeviceRequest(Body):
    Driver: str = ""
    Count: int = 0
    DeviceIDs: Texts | None = None
    Capabilities: list[Texts] | None = None
    Options: dict[str, str] | None = None


class WeightDevice(Body):
    Path: str
    Weight: int = 0


class ThrottleDevice(Body):
    Path: str
    Rate: int = 0


class Binding(Body):
    Propagation: str = ""
    NonRecursive: bool = False
    CreateMountpoint: bool = False
    ReadOnlyNonRecursive: bool = False
    ReadOnlyForceRecursive: bool = False


class Driver(Body):
    Name: str = ""
    Options: dict[str, str] | None = None


class OfVolume(Body):
    NoCopy: bool = False
    Labels: dict[str, str] | None = None
    DriverConfig: Driver | None = None
    Subpath: str = ""


class OfTmpfs(Body):
    SizeBytes: int = 0
    Mode: int = 0
    Options: list[Texts] | None = None


class OfImage(Body):
    Subpath: str = ""


class Mount(Body):
    Type: str = ""
    Source: str = ""
    Target: str = ""
    ReadOnly: bool = False
    Consistency: str = ""
    BindOptions: Binding | None = None
    VolumeOptions: OfVolume | None = None
    TmpfsOptions: OfTmpfs | None = None
    ImageOptions: OfImage | None = None


class Resources(Body):
    """The limits that a container has, and that `update` changes. Memory in bytes, times in microseconds."""

    BlkioWeight: int = 0
    BlkioWeightDevice: list[WeightDevice] | None = None
    BlkioDeviceReadBps: list[ThrottleDevice] | None = None
    BlkioDeviceWriteBps: list[ThrottleDevice] | None = None
    BlkioDeviceReadIOps: list[ThrottleDevice] | None = None
    BlkioDeviceWriteIOps: list[ThrottleDevice] | None = None
    CgroupParent: str = ""
    CpuCount: int = 0
    CpuPercent: int = 0
    CpuPeriod: int = 0
    CpuQuota: int = 0
    CpuRealtimePeriod: int = 0
    CpuRealtimeRuntime: int = 0
    CpuShares: int = 0
    CpusetCpus: str = ""
    CpusetMems: str = ""
    DeviceCgroupRules: Texts | None = None
    DeviceRequests: list[DeviceRequest] | None = None
    Devices: list[Device] | None = None
    Memory: int = 0
    MemoryReservation: int = 0
    MemorySwap: int = 0
    MemorySwappiness: int | None = None
    NanoCpus: int = 0
    OomKillDisable: bool | None = None
    PidsLimit: int | None = None
    Ulimits: list[Ulimit] | None = None


class Host(Resources):
    """How a container meets this machine."""

    Annotations: dict[str, str] | None = None
    AutoRemove: bool = False
    Binds: Texts | None = None
    CapAdd: Texts | None = None
    CapDrop: Texts | None = None
    Cgroup: str = ""
    CgroupnsMode: str = ""
    ConsoleSize: Size | None = None
    ContainerIDFile: str = ""
    Dns: Texts | None = None
    DnsOptions: Texts | None = None
    DnsSearch: Texts | None = None
    ExtraHosts: Texts | None = None
    GroupAdd: Texts | None = None
    Init: bool | None = None
    IpcMode: str = ""
    Isolation: str = ""
    Links: Texts | None = None
    LogConfig: Logging | None = None
    MaskedPaths: Texts | None = None
    Mounts: list[Mount] | None = None
    NetworkMode: str = ""
    OomScoreAdj: int = 0
    PidMode: str = ""
    PortBindings: dict[str, list[PortBinding] | None] | None = None
    Privileged: bool = False
    PublishAllPorts: bool = False
    ReadonlyPaths: Texts | None = None
    ReadonlyRootfs: bool = False
    RestartPolicy: Restarting | None = None
    Runtime: str = ""
    SecurityOpt: Texts | None = None
    ShmSize: int = 0
    StorageOpt: dict[str, str] | None = None
    Sysctls: dict[str, str] | None = None
    Tmpfs: dict[str, str] | None = None
    UTSMode: str = ""
    UsernsMode: str = ""
    VolumeDriver: str = ""
    VolumesFrom: Texts | None = None


class IpamConfig(Body):
    IPv4Address: str = ""
    IPv6Address: str = ""
    LinkLocalIPs: Texts | None = None


class Endpoint(Body):
    """A container's place in a network."""

    IPAMConfig: IpamConfig | None = None
    Links: Texts | None = None
    Aliases: Texts | None = None
    MacAddress: str = ""
    DriverOpts: dict[str, str] | None = None
    GwPriority: int = 0
    NetworkID: str = ""


class Networking(Body):
    EndpointsConfig: dict[str, Endpoint | None] | None = None


class Config(Body):
    """What a container is of itself; as ``Config`` of a commit, what its image is to be."""

    Hostname: str = ""
    Domainname: str = ""
    User: str = ""
    AttachStdin: bool = False
    AttachStdout: bool = False
    AttachStderr: bool = False
    ExposedPorts: dict[str, dict[str, Any] | None] | None = None
    Tty: bool = False
    OpenStdin: bool = False
    StdinOnce: bool = False
    Env: Texts | None = None
    Cmd: Texts | str | None = None
    Healthcheck: HealthCheck | None = None
    ArgsEscaped: bool = False
    Image: str = ""
    Volumes: dict[str, dict[str, Any] | None] | None = None
    WorkingDir: str = ""
    Entrypoint: Texts | str | None = None
    NetworkDisabled: bool = False
    MacAddress: str = ""
    OnBuild: Texts | None = None
    Labels: dict[str, str] | None = None
    StopSignal: str = ""
    StopTimeout: int | None = None
    Shell: Texts | None = None


class Create(Config):
    """The body of `POST /containers/create`."""

    HostConfig: Host = Field(default_factory=Host)
    NetworkingConfig: Networking = Field(default_factory=Networking)


class Update(Resources):
    """The body of `POST /containers/{id}/update`."""

    RestartPolicy: Restarting | None = None
