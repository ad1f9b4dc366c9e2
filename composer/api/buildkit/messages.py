"""The messages that BuildKit's clients send and want, by the numbers of their fields.

Services: moby.buildkit.v1.Control, moby.buildkit.v1.frontend.LLBBridge, moby.filesync.v1, moby.buildkit.secrets.v1,
moby.sshforward.v1, moby.upload.v1, grpc.health.v1; files travel as fsutil's packets.
"""

from __future__ import annotations

from composer.api.buildkit.protobuf import DATA, FLAG, NUMBER, TEXT, Message, by_name, inner, many

EMPTY = Message()
TIME = Message(seconds=(1, NUMBER), nanos=(2, NUMBER))
BYTES = Message(data=(1, DATA))
STATUS = Message(code=(1, NUMBER), message=(2, TEXT))
HEALTH = Message(status=(1, NUMBER))

# ------------------------------------------------------------------ workers and capabilities

PLATFORM = Message(Architecture=(1, TEXT), OS=(2, TEXT), Variant=(3, TEXT))
VERSION = Message(package=(1, TEXT), version=(2, TEXT), revision=(3, TEXT))
WORKER = Message(
    ID=(1, TEXT),
    Labels=(2, by_name(TEXT)),
    platforms=(3, many(inner(PLATFORM))),
    BuildkitVersion=(5, inner(VERSION)),
)
WORKERS = Message(record=(1, many(inner(WORKER))))
INFO = Message(buildkitVersion=(1, inner(VERSION)))
CAPABILITY = Message(ID=(1, TEXT), Enabled=(2, FLAG))
PONG = Message(
    FrontendAPICaps=(1, many(inner(CAPABILITY))),
    LLBCaps=(2, many(inner(CAPABILITY))),
    Workers=(3, many(inner(WORKER))),
)

# ------------------------------------------------------------------ builds

OPTIONS = Message(Type=(1, TEXT), Attrs=(2, by_name(TEXT)))
CACHE = Message(
    ImportRefsDeprecated=(2, many(TEXT)), Exports=(4, many(inner(OPTIONS))), Imports=(5, many(inner(OPTIONS)))
)
SOLVE = Message(
    Ref=(1, TEXT),
    Definition=(2, DATA),
    ExporterDeprecated=(3, TEXT),
    ExporterAttrsDeprecated=(4, by_name(TEXT)),
    Session=(5, TEXT),
    Frontend=(6, TEXT),
    FrontendAttrs=(7, by_name(TEXT)),
    Cache=(8, inner(CACHE)),
    Entitlements=(9, many(TEXT)),
    FrontendInputs=(10, by_name(DATA)),
    Exporters=(13, many(inner(OPTIONS))),
)
SOLVED = Message(ExporterResponse=(1, by_name(TEXT)))
REF = Message(Ref=(1, TEXT))
REFERENCE = Message(id=(1, TEXT), definition=(2, DATA))
RESULT = Message(
    refDeprecated=(1, TEXT),
    ref=(3, inner(REFERENCE)),
    metadata=(10, by_name(DATA)),
)
BRIDGE_SOLVE = Message(
    Definition=(1, DATA),
    Frontend=(2, TEXT),
    FrontendOpt=(3, by_name(TEXT)),
    CacheImports=(12, many(inner(OPTIONS))),
    FrontendInputs=(13, by_name(DATA)),
    Evaluate=(14, FLAG),
)
BRIDGE_SOLVED = Message(ref=(1, TEXT), result=(3, inner(RESULT)))
RETURN = Message(result=(1, inner(RESULT)), error=(2, inner(STATUS)))

# ------------------------------------------------------------------ progress

VERTEX = Message(
    digest=(1, TEXT),
    inputs=(2, many(TEXT)),
    name=(3, TEXT),
    cached=(4, FLAG),
    started=(5, inner(TIME)),
    completed=(6, inner(TIME)),
    error=(7, TEXT),
)
VERTEX_STATUS = Message(
    ID=(1, TEXT),
    vertex=(2, TEXT),
    name=(3, TEXT),
    current=(4, NUMBER),
    total=(5, NUMBER),
    timestamp=(6, inner(TIME)),
    started=(7, inner(TIME)),
    completed=(8, inner(TIME)),
)
LOG = Message(vertex=(1, TEXT), timestamp=(2, inner(TIME)), stream=(3, NUMBER), msg=(4, DATA))
WARNING = Message(vertex=(1, TEXT), level=(2, NUMBER), short=(3, DATA), detail=(4, many(DATA)), url=(5, TEXT))
PROGRESS = Message(
    vertices=(1, many(inner(VERTEX))),
    statuses=(2, many(inner(VERTEX_STATUS))),
    logs=(3, many(inner(LOG))),
    warnings=(4, many(inner(WARNING))),
)

# ------------------------------------------------------------------ the cache and what was built

PRUNE = Message(
    filter=(1, many(TEXT)),
    all=(2, FLAG),
    keepDuration=(3, NUMBER),
    reservedSpace=(4, NUMBER),
    maxUsedSpace=(5, NUMBER),
    minFreeSpace=(6, NUMBER),
)
USAGE_QUERY = Message(filter=(1, many(TEXT)))
USAGE = Message(
    ID=(1, TEXT),
    Mutable=(2, FLAG),
    InUse=(3, FLAG),
    Size=(4, NUMBER),
    CreatedAt=(6, inner(TIME)),
    LastUsedAt=(7, inner(TIME)),
    UsageCount=(8, NUMBER),
    Description=(9, TEXT),
    RecordType=(10, TEXT),
    Shared=(11, FLAG),
)
USAGES = Message(record=(1, many(inner(USAGE))))
HISTORY_QUERY = Message(
    ActiveOnly=(1, FLAG), Ref=(2, TEXT), EarlyExit=(3, FLAG), Filter=(4, many(TEXT)), Limit=(5, NUMBER)
)
HISTORY_RECORD = Message(
    Ref=(1, TEXT),
    Frontend=(2, TEXT),
    FrontendAttrs=(3, by_name(TEXT)),
    Exporters=(4, many(inner(OPTIONS))),
    error=(5, inner(STATUS)),
    CreatedAt=(6, inner(TIME)),
    CompletedAt=(7, inner(TIME)),
    ExporterResponse=(9, by_name(TEXT)),
)
HISTORY_EVENT = Message(type=(1, NUMBER), record=(2, inner(HISTORY_RECORD)))

# ------------------------------------------------------------------ what clients lend

STAT = Message(
    path=(1, TEXT),
    mode=(2, NUMBER),
    uid=(3, NUMBER),
    gid=(4, NUMBER),
    size=(5, NUMBER),
    modTime=(6, NUMBER),
    linkname=(7, TEXT),
    devmajor=(8, NUMBER),
    devminor=(9, NUMBER),
    xattrs=(10, by_name(DATA)),
)
PACKET = Message(type=(1, NUMBER), stat=(2, inner(STAT)), ID=(3, NUMBER), data=(4, DATA))
SECRET_QUERY = Message(ID=(1, TEXT))
SECRET = Message(data=(1, DATA))
AGENT_QUERY = Message(ID=(1, TEXT))
HOST = Message(Host=(1, TEXT))
LOGIN = Message(Username=(1, TEXT), Secret=(2, TEXT))
