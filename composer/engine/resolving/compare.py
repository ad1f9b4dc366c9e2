"""What differs between a container and what its service says now, field by field.

A container of ours carries its service as JSON in a label, so a difference has a name. Values that look secret
are replaced in that label by digests under a key of this machine (HMAC: a plain digest of a short password can
be searched). A container that carries no such label was made by another tool and is compared by its hash.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from composer.attributes import NOT_IN_CONTAINERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from composer.errors import Mark

    Tree = Mapping[str, Any]
    Path = tuple[str | int, ...]
    Marks = Callable[[Path], Mark | None]

_SECRET_WORDS = ("pass", "secret", "token", "key", "credential", "auth", "private", "salt", "cookie", "dsn")
_SEALED = "sealed:"
_SHOWN = 3
_WIDTH = 80


def keyed_digest(key: bytes, pieces: Iterable[bytes]) -> str:
    """Return a keyed digest (HMAC-SHA256, 32 hexadecimal digits).

    Without the key, values can neither be read from it nor guessed by trying candidates.
    """
    import hashlib
    import hmac

    digest = hmac.new(key, digestmod=hashlib.sha256)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()[:32]


def fields_label(tree: Tree, key: bytes) -> str:
    """Return the service for the label: canonical JSON, without what may change freely, secrets sealed."""
    return json.dumps(_fields(tree, key), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _fields(tree: Tree, key: bytes) -> dict[str, Any]:
    fields = {
        name: value
        for name, value in tree.items()
        if name not in NOT_IN_CONTAINERS and name != "label_file" and value not in (None, {}, [])
    }
    deploy = {
        k: v
        for k, v in (tree.get("deploy") or {}).items()
        if f"deploy.{k}" not in NOT_IN_CONTAINERS and v not in (None, {}, [])
    }
    fields.pop("deploy", None)
    if deploy:
        fields["deploy"] = deploy
    if fields.get("environment"):
        fields["environment"] = {k: _seal(k, v, key) for k, v in fields["environment"].items()}
    return _as_meant(fields)


def _as_meant(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields without what says the same written and not written; earlier versions wrote it."""
    changed = {}
    if isinstance(fields.get("volumes"), list):
        changed["volumes"] = [_mount_as_meant(mount) for mount in fields["volumes"]]
    if isinstance(fields.get("pre_start"), list):
        changed["pre_start"] = [
            {k: v for k, v in hook.items() if k != "image" or v != fields.get("image")}
            for hook in fields["pre_start"]
        ]
    return {**fields, **changed} if changed else fields


def _mount_as_meant(mount: dict[str, Any]) -> dict[str, Any]:
    bind = mount.get("bind")
    if not bind or bind.get("create_host_path") is not True:
        return mount
    return {**mount, "bind": {k: v for k, v in bind.items() if k != "create_host_path"}}


def _seal(name: str, value: Any, key: bytes) -> Any:
    if value is None or not _looks_secret(name, str(value)):
        return value
    return _SEALED + keyed_digest(key, [f"{name}={value}".encode()])


def _looks_secret(name: str, value: str) -> bool:
    lowered = name.lower()
    has_userinfo = "://" in value and "@" in value
    return has_userinfo or any(word in lowered for word in _SECRET_WORDS)


def differences(label: str, tree: Tree, key: bytes, marks: Marks, base: Path) -> list[str] | None:
    """Return what differs, in words; None when the label cannot be read (then nothing is known)."""
    try:
        had = json.loads(label)
    except ValueError:
        return None
    if not isinstance(had, dict):
        return None
    # through JSON, so that both sides have the same types
    wants = json.loads(fields_label(tree, key))
    return [_sentence(path, old, new, marks, base) for path, old, new in _walk(_as_meant(had), wants, ())]


_MISSING: Any = object()


def _walk(old: Any, new: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    if len(path) == 1:
        # a mapping that comes or goes as a whole is told entry by entry, as one that changes is
        old = {} if old is _MISSING and isinstance(new, dict) else old
        new = {} if new is _MISSING and isinstance(old, dict) else new
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _walk(old.get(name, _MISSING), new.get(name, _MISSING), (*path, name))
    elif _are_tables(old, new):
        for index in range(max(len(old), len(new))):
            had, wants = (side[index] if index < len(side) else _MISSING for side in (old, new))
            yield from _walk(had, wants, (*path, index))
    elif type(old) is not type(new) or old != new:
        yield path, old, new


def _are_tables(old: Any, new: Any) -> bool:
    """Tell lists of mappings, which are compared item by item, from plain lists, which are shown whole."""
    if not (isinstance(old, list) and isinstance(new, list)):
        return False
    return bool(old or new) and all(isinstance(item, dict) for item in (*old, *new))


def _sentence(path: Path, old: Any, new: Any, marks: Marks, base: Path) -> str:
    name = dotted(path)
    mark = marks((*base, *path)) if new is not _MISSING else None
    place = f" ({_place(mark)})" if mark and str(mark) else ""
    if _is_sealed(old) or _is_sealed(new):
        return f"{name}: changed{place}"
    if old is _MISSING:
        return f"{name}: added{'' if new is None else ' ' + _brief(new)}{place}"
    if new is _MISSING:
        return f"{name}: removed{'' if old is None else ', was ' + _brief(old)}"
    return f"{name}: {_brief(old)} → {_brief(new)}{place}"


def _place(mark: Mark) -> str:
    """Return a mark without brackets of its own: it is going to stand in brackets."""
    where = f"{mark.file}:{mark.line}:{mark.column}" if mark.line else mark.file
    return ", ".join(filter(None, (where, mark.why)))


def _is_sealed(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_SEALED)


def dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def summary(sentences: list[str]) -> str:
    """Join causes into one line, the first few in full."""
    if len(sentences) <= _SHOWN:
        return "; ".join(sentences)
    return "; ".join(sentences[:_SHOWN]) + f"; and {len(sentences) - _SHOWN} more"
