"""The query of a build as the builder's request; what it has no room for is refused by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import values
from composer.api.http.problems import Problem
from composer.api.images import finding
from composer.runtime.build.requests import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.api.http.call import Call

_NETWORKS = {"": "", "default": "", "bridge": "", "host": "host", "none": "none"}
_NO_SESSION = (
    "a build by BuildKit does not begin here: clients open /session and /grpc, or set DOCKER_BUILDKIT=0"
)


def request_of(call: Call, environment: Mapping[str, str]) -> Request:
    """Return what the builder is asked. Raises Problem."""
    query = call.query
    _refuse(call)
    platform = finding.normal(query.text("platform")) if query.text("platform") else ""
    return Request(
        query.text("remote") or "-",
        dockerfile=query.text("dockerfile"),
        names=[_name(text) for text in query.texts("t") if text],
        target=query.text("target"),
        args=_texts(call, "buildargs", "build args"),
        labels=_texts(call, "labels", "labels"),
        network=_network(query.text("networkmode")),
        extra_hosts=_hosts(call),
        shm_bytes=query.number("shmsize") or None,
        limits=_limits(call),
        resources=_resources(call),
        no_cache=query.flag("nocache"),
        pull=query.flag("pull"),
        platforms=[platform] if platform else [],
        cache_from=_list(call, "cachefrom"),
        environment=environment,
        tells_all=not query.flag("q"),
    )


def _refuse(call: Call) -> None:
    query = call.query
    if query.text("version") == "2" or query.text("remote") == "client-session":
        raise Problem(400, _NO_SESSION)
    if query.flag("squash"):
        raise Problem(400, "squash is only supported with experimental mode")
    if query.text("isolation") not in ("", "default"):
        raise Problem(
            400, f"isolation '{query.text('isolation')}' is not supported: it is for Windows containers"
        )
    for name in ("outputs", "securityopt", "cgroupparent"):
        if query.text(name) not in ("", "null", "[]"):
            raise Problem(400, f"{name} is not supported by this builder: remove it")


def _name(text: str) -> str:
    parsed = finding.reference(text)
    if parsed.digest:
        raise Problem(400, "build tag cannot contain a digest")
    return parsed.familiar()


def _document(call: Call, name: str, what: str) -> Any:
    try:
        return call.query.document(name)
    except Problem:
        raise Problem(400, f"error reading {what}: {name} is not JSON") from None


def _texts(call: Call, name: str, what: str) -> dict[str, str]:
    found = _document(call, name, what) or {}
    if not isinstance(found, dict):
        raise Problem(400, f"error reading {what}: {name} must be an object")
    wrong = next((key for key, value in found.items() if not isinstance(value, (str, type(None)))), None)
    if wrong is not None:
        raise Problem(400, f"error reading {what}: {name}.{wrong} must be a string")
    # null is an argument of which the client's environment says nothing
    return {key: value for key, value in found.items() if value is not None}


def _list(call: Call, name: str) -> list[str]:
    found = _document(call, name, name) or []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise Problem(400, f"error reading {name}: a list of strings is expected")
    return found


def _network(text: str) -> str:
    if text not in _NETWORKS:
        raise Problem(400, f"networkmode '{text}' is not supported in a build: use default, host or none")
    return _NETWORKS[text]


def _hosts(call: Call) -> list[tuple[str, str]]:
    texts = [one for value in call.query.texts("extrahosts") for one in value.split(",") if one]
    try:
        pairs = values.host_pairs(texts)
    except ValueError as error:
        raise Problem(400, f"invalid extrahosts: {error}") from None
    for name, address in pairs:
        problem = values.host_problem(name, address)
        if problem is not None:
            raise Problem(400, f"invalid extrahosts: {problem}")
    return list(pairs)


def _limits(call: Call) -> dict[str, tuple[int, int]]:
    found = _document(call, "ulimits", "ulimit settings") or []
    if not isinstance(found, list):
        raise Problem(400, "error reading ulimit settings: a list is expected")
    limits = {}
    for one in found:
        fields = {str(key).lower(): value for key, value in one.items()} if isinstance(one, dict) else {}
        name, soft, hard = (fields.get(key) for key in ("name", "soft", "hard"))
        if not isinstance(name, str) or type(soft) is not int or type(hard) is not int:
            raise Problem(400, "error reading ulimit settings: Name, Soft and Hard are expected")
        limits[name] = (soft, hard)
    return limits


def _resources(call: Call) -> dict[str, dict[str, Any]]:
    query = call.query
    memory = {"limit": query.number("memory"), "swap": query.number("memswap")}
    cpu = {
        "shares": query.number("cpushares"),
        "quota": query.number("cpuquota"),
        "period": query.number("cpuperiod"),
        "cpus": query.text("cpusetcpus"),
        "mems": query.text("cpusetmems"),
    }
    made: dict[str, dict[str, Any]] = {
        "memory": {key: value for key, value in memory.items() if value},
        "cpu": {key: value for key, value in cpu.items() if value},
    }
    return {group: found for group, found in made.items() if found}
