"""From what the probe prints to facts that can be compared: a name, and a value without what differs by nature.

Ids, random hardware addresses and the parts of an address that were drawn are replaced by words. A fact that is
in one place only counts as a difference too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping

Facts = dict[str, str]

_HOST_NAMESPACES = {
    kind: os.readlink(f"/proc/self/ns/{kind}")
    for kind in ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
}
_STATUS = (
    "Uid Gid Groups CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Seccomp_filters Cpus_allowed_list "
    "Mems_allowed_list SigIgn SigBlk"
).split()
_LONG_ID = re.compile(r"\b[0-9a-f]{64}\b")
_SHORT_ID = re.compile(r"\b[0-9a-f]{12}\b")
# Counters, caches and what differs from moment to moment.
_RESTLESS = re.compile(
    r"/(stats|nf_conntrack_count|.*_count|flush|random|uuid|ndisc_notify_seen|stable_secret)$"
)
_OVERLAY = (
    "lowerdir",
    "upperdir",
    "workdir",
    "index",
    "nfs_export",
    "xino",
    "metacopy",
    "redirect_dir",
    "uuid",
)


def facts_of(output: str) -> Facts:
    """Return what one run of the probe says."""
    parts: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in output.replace("\r", "").split("\n"):
        if line.startswith("@ "):
            lines = parts.setdefault(line[2:], [])
        elif line.strip():
            lines.append(line)
    found: Facts = {}
    for name, content in parts.items():
        for key, value in _READERS.get(name, _whole)(content):
            _add(found, _plain(f"{name} {key}".strip()), _plain(value))
    return found


def _add(found: Facts, key: str, value: str) -> None:
    """Two of a name are two facts: ids that are replaced may be the only difference between their names."""
    number = 2
    unique = key
    while unique in found:
        unique, number = f"{key} ({number})", number + 1
    found[unique] = value


def _plain(value: str) -> str:
    value = _LONG_ID.sub("ID", value)
    return _SHORT_ID.sub("ID", value)


Pairs = Iterable[tuple[str, str]]


def _whole(lines: list[str]) -> Pairs:
    yield "", " | ".join(line.strip() for line in lines)


def _colons(names: Iterable[str]) -> Callable[[list[str]], Pairs]:
    def read(lines: list[str]) -> Pairs:
        for line in lines:
            key, _, value = line.partition(":")
            if key in names:
                yield key, " ".join(value.split())

    return read


def _stdio(lines: list[str]) -> Pairs:
    """What a descriptor is; which pipe is by chance, and a FIFO with a name is one too."""
    for number, line in enumerate(lines):
        name = ("0", "1", "2", "terminal")[min(number, 3)]
        yield name, "a pipe" if line.startswith("pipe:") or line.endswith(".fifo") else line


def _equals(lines: list[str]) -> Pairs:
    for line in lines:
        key, separator, value = line.partition("=")
        if separator:
            yield key, value


def _limits(lines: list[str]) -> Pairs:
    for line in lines[1:]:
        yield line[:26].strip(), " ".join(line[26:].split())


def _words(lines: list[str]) -> Pairs:
    for line in lines:
        key, _, value = line.partition(" ")
        yield key, value


def _namespaces(lines: list[str]) -> Pairs:
    for line in lines:
        kind, _, name = line.partition(" ")
        yield kind, "the host's" if name == _HOST_NAMESPACES[kind] else "another"


def _mounts(lines: list[str]) -> Pairs:
    """One fact per mount point. The place of a source on the host is the backend's own business."""
    for line in lines:
        left, _, right = line.partition(" - ")
        fields, (kind, source, options) = left.split(), right.split(" ", 2)
        tags = sorted(re.sub(r":\d+", "", tag) for tag in fields[6:])
        yield fields[4], " ".join([_sorted(fields[5]), *tags, "-", kind, _super(kind, source, options)])


def _sorted(options: str) -> str:
    return ",".join(sorted(options.split(",")))


def _super(kind: str, source: str, options: str) -> str:
    hidden = (
        (*_OVERLAY, "ro", "rw") if kind == "overlay" else ()
    )  # without an upper layer it is read-only anyway
    kept = [one for one in options.split(",") if one.partition("=")[0] not in hidden]
    shown = source if kind in ("proc", "tmpfs", "devpts", "sysfs", "mqueue", "overlay") else ""
    return f"{shown} {','.join(sorted(kept))}".strip()


def _devices(lines: list[str]) -> Pairs:
    for line in lines:
        path, _, rest = line.partition(" ")
        yield path, rest.partition(f" '{path}'")[0] + rest.partition(f" '{path}'")[2]


def _root(lines: list[str]) -> Pairs:
    for line in lines:
        words = line.split(None, 8)
        if len(words) == 9:
            yield words[8], f"{words[0]} {words[2]}:{words[3]}"


def _files(lines: list[str]) -> Pairs:
    for line in lines:
        path, _, rest = line.partition(" ")
        kind = "content" if rest.startswith("= ") else "node"
        value = rest.removeprefix("= ")
        # the size of a directory is the file system's
        yield f"{kind} {path}", value.rpartition(" ")[0] if value.startswith("directory") else value


def _sysctls(lines: list[str]) -> Pairs:
    values: dict[str, list[str]] = {}
    for line in lines:
        path, _, value = line.partition(":")
        if not _RESTLESS.search(path) and not re.search(r"/(br-|cmp|veth|docker0)", path):
            values.setdefault(path.removeprefix("/proc/sys/"), []).append(" ".join(value.split()))
    for path, texts in values.items():
        yield path, " | ".join(dict.fromkeys(texts))


def _cgroup(lines: list[str]) -> Pairs:
    for line in lines:
        _, controllers, path = line.split(":", 2)
        yield controllers or "unified", path


def _cgroup_limits(lines: list[str]) -> Pairs:
    values: dict[str, list[str]] = {}
    for line in lines:
        path, _, value = line.partition(": ")
        values.setdefault(path, []).append(value)
    for path, texts in values.items():
        yield path, " | ".join(sorted(texts))


def _links(lines: list[str]) -> Pairs:
    name = ""
    for line in lines:
        if match := re.match(r"\d+: ([^:@]+)[^:]*: <([^>]*)> mtu (\d+) qdisc (\S+)(?:.*state (\w+))?", line):
            name = match[1]
            if not _OF_BACKENDS.match(name):
                yield name, f"{_sorted(match[2])} mtu {match[3]} {match[4]}"
        elif (match := re.match(r"\s+link/(\w+) (\S+)", line)) and not _OF_BACKENDS.match(name):
            yield f"{name} hardware", f"{match[1]} {_mac(match[2])}"


def _mac(text: str) -> str:
    """A chosen address stays; one that was drawn keeps its first bits, which say that it was."""
    return text if text.startswith(("02:42:ac:61", "02:99", "00:00")) else "drawn"


def _addresses(lines: list[str]) -> Pairs:
    name = ""
    found: dict[str, list[str]] = {}
    for line in lines:
        if match := re.match(r"\d+: ([^:@]+)", line):
            name = match[1]
        elif (match := re.match(r"\s+(inet6?) (\S+)(.*)", line)) and not _OF_BACKENDS.match(name):
            words = [w for w in match[3].split() if w not in ("tentative", "optimistic", "nodad", name)]
            words = [
                w if previous != "brd" else _network(w)
                for previous, w in zip(["", *words], words, strict=False)
            ]
            text = " ".join([_network(match[2]), *words])
            found.setdefault(f"{name} {match[1]}", []).append(text)
    for key, texts in found.items():
        yield key, " | ".join(sorted(texts))


# Addresses that the table of services asks for; every other was drawn.
_CHOSEN = re.compile(
    r"127\.|169\.254\.8|::1|10\.97\.\d\.(0|1|10|200|254|255)$|fd97:\d::(1|10)?$|10\.1\.1\.|fd00::|192\.0\.2\.|10\.255\."
)
# Interfaces that the backends themselves have on the machine: only who is in its network sees them.
_OF_BACKENDS = re.compile(r"(br-|cmp|veth|docker0)")


def _network(text: str) -> str:
    ip, slash, prefix = text.partition("/")
    if _CHOSEN.match(ip):
        return text
    return ("link-local" if ip.startswith("fe80:") else "drawn") + slash + prefix


def _routes(lines: list[str]) -> Pairs:
    found = []
    for line in lines:
        words = line.replace("lifetime", "").split()
        if any(map(_OF_BACKENDS.match, words)):
            continue
        kept = [_network(word) if re.match(r"[0-9a-f]+[.:][0-9a-f.:]+", word) else word for word in words]
        found.append(" ".join(kept))
    yield "", " | ".join(sorted(found))


def _etc(lines: list[str]) -> Pairs:
    yield "mode", lines[0] if lines else ""
    for number, line in enumerate(lines[1:]):
        words = [
            _network(w) if re.fullmatch(r"\d+\.\d+\.\d+\.\d+|[0-9a-f:]*::[0-9a-f:]*", w) else w
            for w in line.split()
        ]
        # the engine leaves remarks, about itself
        if not line.startswith("#"):
            yield (
                f"line {number}" if line.startswith("#") else words[0] + " " + " ".join(words[1:2]),
                " ".join(words),
            )


def _answers(lines: list[str]) -> Pairs:
    question, found = "", list[str]()
    for line in [*lines, "? "]:
        if line.startswith("? "):
            if question:
                yield question, " | ".join(sorted(found)) or "no answer"
            question, found = line[2:], []
        elif match := re.match(r"Address(?: \d+)?: (\S+)", line):
            found.append(_network(match[1]))
        elif "NXDOMAIN" in line:
            found.append("NXDOMAIN")


_READERS: Mapping[str, Callable[[list[str]], Pairs]] = {
    "status": _colons(_STATUS),
    "environment": _equals,
    "stdio": _stdio,
    "limits": _limits,
    "namespaces": _namespaces,
    "mounts": _mounts,
    "devices": _devices,
    "root": _root,
    "files": _files,
    "sysctls": _sysctls,
    "cgroup": _cgroup,
    "limits of the cgroup": _cgroup_limits,
    "links": _links,
    "addresses": _addresses,
    "routes": _routes,
    "names of others": _answers,
    "reached": _words,
    "etc hosts": _etc,
    "etc resolv.conf": _etc,
    "etc hostname": _etc,
}
