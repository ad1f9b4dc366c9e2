"""The requests, in their order. Names in braces are what earlier answers said: ``{web}`` is an id.

A step is a method, a path with its query, a body, and what is kept of the answer. All objects begin with ``apicmp``.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Step(NamedTuple):
    method: str
    path: str
    body: Any = None
    keep: str = ""
    """Under this name the answer's ``Id`` (or ``ID``) is kept."""
    upgrade: str = ""
    note: str = ""
    """What tells it from another step with the same path, for the table of reasons."""
    pause_s: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}{f' [{self.note}]' if self.note else ''}"


IMAGE = "apicmp-image"


def _create(name: str, **body: Any) -> Step:
    body = {"Image": IMAGE, "Cmd": ["sleep", "1000"], **body}
    return Step("POST", f"/containers/create?name={name}", body, keep=name)


def _refused(note: str, **body: Any) -> Step:
    name = f"apicmp_bad_{note.replace(' ', '_')}"
    return Step("POST", f"/containers/create?name={name}", {"Image": IMAGE, "Cmd": ["true"], **body})


def _on(name: str, *rows: str) -> list[Step]:
    """Rows are ``METHOD what`` below a container that is kept under ``name``."""
    found = []
    for row in rows:
        method, _, rest = row.partition(" ")
        slash = "" if not rest or rest.startswith("?") else "/"
        found.append(Step(method, f"/containers/{{{name}}}{slash}{rest}"))
    return found


def _filters(path: str, *filters: str) -> list[Step]:
    return [Step("GET", f"{path}{'&' if '?' in path else '?'}filters={text}") for text in filters]


_SYSTEM = [
    Step("GET", "/_ping"),
    Step("HEAD", "/_ping"),
    Step("GET", "/version"),
    Step("GET", "/info"),
    Step("GET", "/nothing"),
    Step("GET", "/swarm"),
    Step("GET", "/nodes"),
    Step("GET", "/services"),
    Step("GET", "/tasks"),
    Step("GET", "/secrets"),
    Step("GET", "/configs"),
    Step("GET", "/secrets/none"),
    Step("POST", "/swarm/leave"),
    Step("GET", "/plugins"),
    Step("GET", "/plugins/none/json"),
    Step("GET", "/events?since=1&until=2"),
    Step("GET", '/events?since=1&until=2&filters={"type":["container"]}'),
    Step("GET", '/events?filters={"nothing":["x"]}&until=2'),
    Step("GET", "/events?since=nonsense&until=2"),
]
_IMAGES = [
    Step("GET", f"/images/{IMAGE}/json"),
    Step("GET", "/images/apicmp-none/json"),
    Step("GET", f"/images/{IMAGE}/history"),
    Step("GET", "/images/apicmp-none/history"),
    Step("GET", f'/images/json?filters={{"reference":["{IMAGE}"]}}'),
    Step("GET", f'/images/json?all=1&digests=1&shared-size=1&filters={{"reference":["{IMAGE}"]}}'),
    Step("GET", '/images/json?filters={"nothing":["x"]}'),
    Step("POST", f"/images/{IMAGE}/tag?repo=apicmp-other&tag=one"),
    Step("POST", f"/images/{IMAGE}/tag?repo=BAD&tag=one"),
    Step("POST", "/images/apicmp-none/tag?repo=apicmp-other&tag=two"),
    Step("DELETE", "/images/apicmp-other:one"),
    Step("DELETE", "/images/apicmp-other:one", note="again"),
    Step("GET", "/images/search?term=x"),
    Step("POST", "/images/create?fromImage=127.0.0.1:1/apicmp&tag=none"),
    Step("POST", "/images/apicmp-none/push"),
    Step("GET", "/distribution/127.0.0.1:1%2Fapicmp/json"),
]
_VOLUMES = [
    Step("POST", "/volumes/create", {"Name": "apicmp_volume", "Labels": {"apicmp": "1"}}),
    Step("POST", "/volumes/create", {"Name": "apicmp_volume"}, note="again"),
    Step(
        "POST",
        "/volumes/create",
        {"Name": "apicmp_tmpfs", "DriverOpts": {"type": "tmpfs", "device": "tmpfs"}},
    ),
    Step("POST", "/volumes/create", {"Name": "/bad"}, note="name"),
    Step("POST", "/volumes/create", {"Name": "apicmp_x", "Driver": "nothing"}, note="driver"),
    Step("POST", "/volumes/create", {"Name": 3}, note="type"),
    Step("POST", "/volumes/create", "text", note="no object"),
    Step("GET", '/volumes?filters={"name":["apicmp_volume"]}'),
    *_filters("/volumes", '{"label":["apicmp=1"]}', '{"name":["apicmp_none"]}', '{"nothing":["x"]}'),
    Step("GET", '/volumes?filters={"dangling":["perhaps"]}'),
    Step("GET", "/volumes/apicmp_volume"),
    Step("GET", "/volumes/apicmp_none"),
]
_NETWORKS = [
    Step("POST", "/networks/create", {"Name": "apicmp_net", "Labels": {"apicmp": "1"}}, keep="net"),
    Step("POST", "/networks/create", {"Name": "apicmp_net"}, note="again"),
    Step(
        "POST",
        "/networks/create",
        {"Name": "apicmp_fixed", "IPAM": {"Config": [{"Subnet": "10.213.7.0/24", "Gateway": "10.213.7.1"}]}},
        keep="fixed",
        note="subnet",
    ),
    Step("POST", "/networks/create", {"Name": "apicmp_bad", "Driver": "nothing"}, note="driver"),
    Step("POST", "/networks/create", {"Name": ""}, note="no name"),
    Step("POST", "/networks/create", {"Name": "bridge"}, note="bridge"),
    Step("POST", "/networks/create", {"Name": "host"}, note="host"),
    Step(
        "POST",
        "/networks/create",
        {"Name": "apicmp_bad", "IPAM": {"Config": [{"Subnet": "x"}]}},
        note="bad subnet",
    ),
    Step("POST", "/networks/create", {"Name": 7}, note="type"),
    Step("GET", '/networks?filters={"name":["apicmp_"]}'),
    Step("GET", '/networks?filters={"label":["apicmp"]}'),
    Step("GET", '/networks?filters={"nothing":["x"]}'),
    Step("GET", '/networks?filters={"type":["builtin"]}'),
    Step("GET", "/networks/{net}"),
    Step("GET", "/networks/apicmp_fixed"),
    Step("GET", "/networks/apicmp_none"),
    Step("GET", "/networks/bridge"),
    Step("GET", "/networks/host"),
    Step("GET", "/networks/none"),
    Step("DELETE", "/networks/bridge"),
    Step("DELETE", "/networks/apicmp_none"),
]
_MISSING = [
    *(
        Step(method, f"/containers/apicmp_none{what}")
        for method, what in (
            ("GET", "/json"),
            ("POST", "/start"),
            ("POST", "/stop"),
            ("POST", "/restart"),
            ("POST", "/kill"),
            ("POST", "/pause"),
            ("POST", "/unpause"),
            ("POST", "/wait"),
            ("POST", "/rename?name=apicmp_other"),
            ("POST", "/resize?h=1&w=1"),
            ("GET", "/logs?stdout=1"),
            ("GET", "/top"),
            ("GET", "/stats?stream=0"),
            ("GET", "/changes"),
            ("GET", "/export"),
            ("GET", "/archive?path=/"),
            ("HEAD", "/archive?path=/"),
            ("DELETE", ""),
        )
    ),
    Step("POST", "/containers/apicmp_none/update", {"Memory": 0}),
    Step("POST", "/containers/apicmp_none/exec", {"Cmd": ["true"]}),
    Step("POST", "/exec/none/start", {}),
    Step("GET", "/exec/none/json"),
    Step("POST", "/exec/none/resize?h=1&w=1"),
    Step("POST", "/commit?container=apicmp_none"),
]
_BAD = [
    Step("POST", "/containers/create", {"Image": "apicmp-none", "Cmd": ["true"]}, note="no image"),
    Step("POST", "/containers/create", {"Cmd": ["true"]}, note="image not named"),
    Step("POST", "/containers/create", {}, note="empty"),
    Step("POST", "/containers/create", "text", note="no object"),
    Step("POST", "/containers/create?name=b%40d", {"Image": IMAGE, "Cmd": ["true"]}, note="name"),
    _refused("type", Env="X=1"),
    _refused("memory", HostConfig={"Memory": 1000}),
    _refused("memory type", HostConfig={"Memory": "64m"}),
    _refused("swap", HostConfig={"MemorySwap": 100000000}),
    _refused("swap below", HostConfig={"Memory": 100000000, "MemorySwap": 90000000}),
    _refused("cpus", HostConfig={"NanoCpus": 900_000_000_000}),
    _refused("cpus and quota", HostConfig={"NanoCpus": 1_000_000_000, "CpuQuota": 50000}),
    _refused("restart", HostConfig={"RestartPolicy": {"Name": "sometimes"}}),
    _refused("restart count", HostConfig={"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}}),
    _refused("restart and remove", HostConfig={"AutoRemove": True, "RestartPolicy": {"Name": "always"}}),
    _refused("bind", HostConfig={"Binds": ["/tmp"]}),
    _refused("bind mode", HostConfig={"Binds": ["/tmp:/x:nothing"]}),
    _refused("volume name", HostConfig={"Binds": ["b@d:/x"]}),
    _refused("target", HostConfig={"Binds": ["/tmp:x"]}),
    _refused("target twice", HostConfig={"Binds": ["/tmp:/x", "/etc:/x"]}),
    _refused(
        "bind source", HostConfig={"Mounts": [{"Type": "bind", "Source": "/apicmp/none", "Target": "/x"}]}
    ),
    _refused("mount type", HostConfig={"Mounts": [{"Type": "nothing", "Target": "/x"}]}),
    _refused("no target", HostConfig={"Mounts": [{"Type": "tmpfs"}]}),
    _refused("port", HostConfig={"PortBindings": {"x/tcp": [{"HostPort": "1"}]}}),
    _refused("host port", HostConfig={"PortBindings": {"80/tcp": [{"HostPort": "x"}]}}),
    _refused("capability", HostConfig={"CapAdd": ["NOTHING"]}),
    _refused("health", Healthcheck={"Test": ["CMD", "true"], "Interval": 5}),
    _refused("stop signal", StopSignal="NOTHING"),
    _refused("working dir", WorkingDir="x"),
    _refused("variable", Env=["=x"]),
    _refused("host entry", HostConfig={"ExtraHosts": ["x"]}),
    _refused("driver", HostConfig={"LogConfig": {"Type": "nothing"}}),
    _refused("ipc", HostConfig={"IpcMode": "nothing"}),
    _refused("pid", HostConfig={"PidMode": "nothing"}),
    _refused("security", HostConfig={"SecurityOpt": ["nothing"]}),
    _refused("ulimit", HostConfig={"Ulimits": [{"Name": "nofile", "Soft": 20, "Hard": 10}]}),
    _refused("runtime", HostConfig={"Runtime": "nothing"}),
    _refused("sysctl", HostConfig={"Sysctls": {"kernel.nothing": "1"}}),
    _refused(
        "device", HostConfig={"Devices": [{"PathOnHost": "/dev/apicmp-none", "PathInContainer": "/dev/x"}]}
    ),
    _refused("platform", HostConfig={"CgroupnsMode": "nothing"}),
    Step(
        "POST", "/containers/create?platform=linux/s390x", {"Image": IMAGE, "Cmd": ["true"]}, note="platform"
    ),
]
_LEFT = [
    Step(
        "DELETE",
        f"{step.path.partition('?')[0].removesuffix('/create')}/{step.path.partition('name=')[2]}?force=1",
    )
    for step in _BAD
    if "name=apicmp_bad_" in step.path
]
_LIFE = [
    _create(
        "apicmp_web",
        Env=["A=1", "B=two words"],
        Labels={"apicmp": "yes"},
        ExposedPorts={"80/tcp": {}, "53/udp": {}},
        Healthcheck={"Test": ["CMD-SHELL", "true"], "Interval": 500_000_000, "Retries": 2},
        StopSignal="SIGKILL",
        HostConfig={
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]},
            "Binds": ["apicmp_volume:/data", "/tmp:/host:ro"],
            "Tmpfs": {"/scratch": "size=1m"},
            "Memory": 67108864,
            "NanoCpus": 500_000_000,
            "PidsLimit": 100,
            "CapAdd": ["NET_ADMIN"],
            "CapDrop": ["MKNOD"],
            "ExtraHosts": ["one:10.0.0.1"],
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
            "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
            "ShmSize": 1048576,
            "Init": False,
            "Dns": ["10.0.0.53"],
        },
    ),
    Step("POST", "/containers/create?name=apicmp_web", {"Image": IMAGE, "Cmd": ["true"]}, note="again"),
    *_on("apicmp_web", "GET json", "GET json?size=1", "POST kill", "POST pause", "POST unpause", "POST stop"),
    *_on(
        "apicmp_web",
        "GET top",
        "GET logs?stdout=1",
        "GET logs",
        "GET changes",
        "GET stats?stream=0&one-shot=1",
    ),
    *_on("apicmp_web", "POST resize?h=10&w=10", "POST restart?t=0", "GET json", "POST start"),
    Step("GET", "/containers/{apicmp_web}/json", note="running", pause_s=1.5),
    *_on("apicmp_web", "GET top", "GET top?ps_args=aux", "GET top?ps_args=-o%20pid", "DELETE "),
    Step("POST", "/containers/{apicmp_web}/exec", {"Cmd": ["echo", "hi"], "AttachStdout": True}, keep="exec"),
    Step("GET", "/exec/{exec}/json"),
    Step("POST", "/exec/{exec}/start", {"Detach": True}),
    Step("GET", "/exec/{exec}/json", note="ended", pause_s=0.5),
    Step("POST", "/exec/{exec}/start", {"Detach": True}, note="again"),
    Step("POST", "/containers/{apicmp_web}/exec", {"Cmd": []}, note="no command"),
    Step("POST", "/containers/{apicmp_web}/exec", {"Cmd": ["x"], "Tty": "yes"}, note="type"),
    Step(
        "POST", "/containers/{apicmp_web}/exec", {"Cmd": ["apicmp-nothing"]}, keep="noexec", note="no program"
    ),
    Step("POST", "/exec/{noexec}/start", {"Detach": True}, note="no program"),
    *_on("apicmp_web", "POST pause", "POST pause", "GET json", "POST start", "POST unpause"),
    Step("POST", "/containers/{apicmp_web}/update", {"Memory": 134217728, "MemorySwap": 268435456}),
    Step("POST", "/containers/{apicmp_web}/update", {"Memory": 1}, note="too little"),
    Step("POST", "/containers/{apicmp_web}/update", {"RestartPolicy": {"Name": "always"}}, note="policy"),
    *_on("apicmp_web", "POST rename?name=apicmp_renamed", "POST rename?name=apicmp_renamed", "POST rename"),
    *_on("apicmp_web", "POST rename?name=b%40d", "POST kill?signal=NOTHING", "POST wait?condition=nothing"),
    *_on("apicmp_web", "HEAD archive?path=/etc", "HEAD archive?path=/none", "GET archive?path=/none"),
    *_on("apicmp_web", "GET archive", "GET changes", "GET stats?stream=0&one-shot=1"),
    Step("GET", "/containers/{apicmp_web}/stats?stream=1&one-shot=1"),
    Step("GET", "/volumes/apicmp_volume", note="in use"),
    Step("DELETE", "/volumes/apicmp_volume", note="in use"),
    Step(
        "POST",
        "/networks/{net}/connect",
        {"Container": "{apicmp_web}", "EndpointConfig": {"Aliases": ["one"]}},
    ),
    Step("POST", "/networks/{net}/connect", {"Container": "{apicmp_web}"}, note="again"),
    Step("GET", "/networks/{net}", note="joined"),
    Step("GET", "/containers/{apicmp_web}/json", note="joined"),
    Step("DELETE", "/networks/{net}", note="joined"),
    Step("POST", "/networks/{net}/disconnect", {"Container": "{apicmp_web}"}),
    Step("POST", "/networks/{net}/disconnect", {"Container": "{apicmp_web}"}, note="again"),
    Step("POST", "/networks/{net}/connect", {"Container": "apicmp_none"}, note="no container"),
    Step("POST", "/networks/apicmp_none/connect", {"Container": "{apicmp_web}"}, note="no network"),
]
_LISTS = [
    Step("GET", '/containers/json?all=1&filters={"label":["apicmp=yes"]}'),
    Step("GET", '/containers/json?all=1&size=1&filters={"name":["apicmp_renamed"]}'),
    *_filters(
        "/containers/json?all=1",
        '{"id":["{apicmp_web}"]}',
        '{"status":["running"],"label":["apicmp"]}',
        '{"status":["nonsense"]}',
        '{"health":["healthy"],"label":["apicmp"]}',
        '{"exited":["0"],"label":["apicmp"]}',
        '{"exited":["x"]}',
        f'{{"ancestor":["{IMAGE}"],"label":["apicmp"]}}',
        '{"volume":["apicmp_volume"]}',
        '{"network":["apicmp_net"]}',
        '{"publish":["80"],"label":["apicmp"]}',
        '{"expose":["53/udp"],"label":["apicmp"]}',
        '{"nothing":["x"]}',
        '{"is-task":["perhaps"]}',
        "nonsense",
    ),
    Step("GET", "/containers/json?limit=x"),
]
_MORE = [
    _create("apicmp_net1", HostConfig={"NetworkMode": "apicmp_net"}),
    *_on("apicmp_net1", "GET json", "POST start", "GET json"),
    _create(
        "apicmp_fix",
        HostConfig={"NetworkMode": "apicmp_fixed"},
        NetworkingConfig={
            "EndpointsConfig": {
                "apicmp_fixed": {
                    "IPAMConfig": {"IPv4Address": "10.213.7.9"},
                    "Aliases": ["al"],
                    "MacAddress": "02:00:00:00:00:09",
                }
            }
        },
    ),
    *_on("apicmp_fix", "POST start", "GET json", "DELETE ?force=1"),
    _create(
        "apicmp_host",
        HostConfig={"NetworkMode": "host", "PidMode": "host", "IpcMode": "host", "UTSMode": "host"},
    ),
    *_on("apicmp_host", "POST start", "GET json", "DELETE ?force=1"),
    _create("apicmp_none1", HostConfig={"NetworkMode": "none", "ReadonlyRootfs": True, "Privileged": True}),
    *_on("apicmp_none1", "POST start", "GET json", "DELETE ?force=1"),
    _create("apicmp_join", HostConfig={"NetworkMode": "container:{apicmp_net1}"}),
    *_on("apicmp_join", "POST start", "GET json", "DELETE ?force=1"),
    _create("apicmp_tty", Cmd=["sh"], Tty=True, OpenStdin=True, StdinOnce=True, AttachStdin=True),
    *_on(
        "apicmp_tty",
        "POST start",
        "GET json",
        "POST resize?h=30&w=90",
        "POST resize?h=x&w=90",
        "DELETE ?force=1&v=1",
    ),
    _create("apicmp_short", Cmd=["sh", "-c", "echo out; echo err >&2; exit 3"]),
    *_on(
        "apicmp_short",
        "POST start",
        "POST wait",
        "GET json",
        "POST wait?condition=next-exit-bad",
        "POST stop",
    ),
    *_on(
        "apicmp_short", "GET logs?stdout=1&stderr=1", "GET logs?stdout=1&tail=x", "GET logs?stdout=1&since=x"
    ),
    *_on("apicmp_short", "POST kill", "POST attach?logs=1&stdout=1", "POST exec", "DELETE "),
    _create("apicmp_bin", Cmd=["apicmp-nothing"]),
    *_on("apicmp_bin", "POST start", "GET json", "DELETE "),
    Step(
        "POST",
        "/containers/create?name=apicmp_nonet",
        {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"NetworkMode": "apicmp_nonet"}},
        keep="apicmp_nonet",
        note="no network",
    ),
    Step("DELETE", "/containers/apicmp_nonet?force=1", note="no network"),
    Step(
        "POST",
        "/commit?container={apicmp_web}&repo=apicmp-committed&comment=why",
        {"Labels": {"c": "1"}},
        keep="committed",
    ),
    Step("GET", "/images/apicmp-committed/json", note="committed"),
    Step("DELETE", "/images/apicmp-committed", note="committed"),
    Step("POST", '/containers/prune?filters={"label":["apicmp=never"]}'),
    Step("POST", '/containers/prune?filters={"nothing":["x"]}'),
    Step("POST", '/networks/prune?filters={"label":["apicmp=never"]}'),
    Step("POST", '/volumes/prune?filters={"label":["apicmp=never"]}'),
    Step("POST", '/images/prune?filters={"label":["apicmp=never"]}'),
    Step("POST", "/build/prune?filters=nonsense"),
    *_on("apicmp_net1", "DELETE ?force=1"),
    *_on("apicmp_web", "POST stop?t=0", "GET json", "DELETE ?v=1", "GET json"),
    Step("DELETE", "/networks/{net}", note="left"),
    Step("DELETE", "/networks/{fixed}", note="left"),
    Step("DELETE", "/volumes/apicmp_volume", note="left"),
    Step("DELETE", "/volumes/apicmp_tmpfs"),
    Step("DELETE", "/volumes/apicmp_tmpfs", note="again"),
    Step("DELETE", "/volumes/apicmp_tmpfs?force=1", note="forced"),
    Step("GET", "/system/df"),
]

STEPS = [*_SYSTEM, *_IMAGES, *_VOLUMES, *_NETWORKS, *_MISSING, *_BAD, *_LEFT, *_LIFE, *_LISTS, *_MORE]
