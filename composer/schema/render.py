"""The model as text: JSON and YAML with the keys in the order in which Compose prints them.

The tree is in that order already (`shape`); what differs between the two formats is here: YAML groups the top
level by kind and leaves out what Go's YAML encoder calls zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.patterns import pattern
from composer.schema.golang import go_float, go_json_float
from composer.schema.tree import WORKLOADS
from composer.schema.yaml_scalars import is_simple_key, scalar, sorted_keys

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from composer.schema.tree import Path

_YAML_ORDER = ("name", "services", "networks", "volumes", "secrets", "configs", "models", "jobs")


# ------------------------------------------------------------------ JSON


def to_json(tree: Any, indent: int | None = 2) -> str:
    """Return a tree as encoding/json prints it. ``indent`` None gives the compact form that hashes are made of."""
    out: list[str] = []
    _json(tree, out, "" if indent is None else "\n", "" if indent is None else " " * indent)
    return "".join(out)


def escape_dollars(tree: Any) -> Any:
    """Return a tree with every ``$`` doubled, so that what is printed means the same when it is loaded again."""
    if isinstance(tree, dict):
        return {key.replace("$", "$$"): escape_dollars(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [escape_dollars(value) for value in tree]
    return tree.replace("$", "$$") if isinstance(tree, str) else tree


def project_json(tree: Mapping[str, Any]) -> str:
    """Return a project's tree as ``config --format json`` prints it.

    Compose 2.40 leaves ``models`` out of the JSON (not of the YAML); whoever compares the two finds them equal.
    """
    return to_json({key: value for key, value in printed(tree).items() if key != "models"})


def printed(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a project's tree as version 5.5 of Compose prints it.

    Without ``create_host_path: true``, which goes without saying there, and without ``pull_refresh_after``, which is
    unknown there. The tree has both, for the hashes of other versions are made with them.
    """
    changed = {
        section: {name: _printed_service(service) for name, service in tree[section].items()}
        for section in WORKLOADS
        if tree.get(section)
    }
    return {**tree, **changed}


def _printed_service(service: Mapping[str, Any]) -> Mapping[str, Any]:
    if "pull_refresh_after" in service:
        service = {key: value for key, value in service.items() if key != "pull_refresh_after"}
    if not any((mount.get("bind") or {}).get("create_host_path") for mount in service.get("volumes") or ()):
        return service
    return {**service, "volumes": [_printed_mount(mount) for mount in service["volumes"]]}


def _printed_mount(mount: Mapping[str, Any]) -> Mapping[str, Any]:
    bind = mount.get("bind")
    if not bind or not bind.get("create_host_path"):
        return mount
    return {**mount, "bind": {key: value for key, value in bind.items() if key != "create_host_path"}}


def _json(value: Any, out: list[str], line: str, step: str) -> None:
    if isinstance(value, dict):
        if not value:
            out.append("{}")
            return
        below = line + step
        separator = "{"
        for key, item in value.items():
            out += (separator, below, json_string(key), ": " if line else ":")
            _json(item, out, below, step)
            separator = ","
        out += (line, "}")
    elif isinstance(value, list):
        if not value:
            out.append("[]")
            return
        below = line + step
        separator = "["
        for item in value:
            out += (separator, below)
            _json(item, out, below, step)
            separator = ","
        out += (line, "]")
    else:
        out.append(_json_scalar(value))


def _json_scalar(value: Any) -> str:
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return json_string(value)
    return go_json_float(value) if isinstance(value, float) else str(value)


_ESCAPED = pattern('[\\x00-\\x1f"\\\\<>&\u2028\u2029\ud800-\udfff]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def json_string(text: str) -> str:
    """Return a text as encoding/json quotes it, ``<``, ``>`` and ``&`` escaped for HTML."""
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    if "\ud800" <= char <= "\udfff":
        return "\\ufffd"
    return _SHORT.get(char) or f"\\u{ord(char):04x}"


# ------------------------------------------------------------------ YAML


def to_yaml(tree: Mapping[str, Any], extensions: Mapping[Path, Mapping[str, Any]] | None = None) -> str:
    """Return a project's tree as YAML, with the ``x-…`` children that JSON leaves out."""
    tree = printed(tree)
    ordered = {key: tree[key] for key in _YAML_ORDER if key in tree}
    ordered.update({key: tree[key] for key in sorted_keys(tree) if key not in ordered})
    for path, extra in (extensions or {}).items():
        ordered = _extended(ordered, path, extra)
    out: list[str] = []
    _yaml_map(ordered, out, 0, ())
    return "".join(out)


def _extended(tree: Any, path: Path, extra: Mapping[str, Any]) -> Any:
    """Return the tree with keys added at the end of a mapping; unchanged when that was left out."""
    if not path:
        keys = sorted_keys(extra)
        return (
            {**tree, **escape_dollars({key: extra[key] for key in keys})} if isinstance(tree, dict) else tree
        )
    part = path[0]
    if isinstance(tree, dict) and part in tree:
        return {**tree, part: _extended(tree[part], path[1:], extra)}
    if isinstance(tree, list) and isinstance(part, int) and part < len(tree):
        return [_extended(one, path[1:], extra) if index == part else one for index, one in enumerate(tree)]
    return tree


def yaml_text(value: Any) -> str:
    """Return any tree as YAML, in its own order."""
    out: list[str] = []
    if isinstance(value, dict) and value:
        _yaml_map(_written(value, ("x-",)), out, 0, ("x-",))
    elif isinstance(value, list) and value:
        _yaml_list(value, out, 0, ("x-",))
    else:
        out.append(_yaml_scalar(value, 0) + "\n")
    return "".join(out)


def _is_zero(key: str, value: Any, path: tuple[str, ...]) -> bool:
    """Tell whether Go's YAML encoder would leave a field out that its JSON encoder prints."""
    if value is None and key in ("command", "entrypoint"):
        return path[0] in ("services", "jobs") and (
            len(path) == 2 or path[-1] in ("exec", "post_start", "pre_stop", "pre_start")
        )
    if path[2:] == ("deploy",) and key in ("resources", "placement") and value == {}:
        return path[0] == "services"
    if key == "ipam" and value == {}:
        return len(path) == 2 and path[0] == "networks"
    return key == "exec" and path[2:] == ("develop", "watch") and value == {"command": None}


def _yaml_map(
    tree: Mapping[str, Any], out: list[str], depth: int, path: tuple[str, ...], first: str = ""
) -> None:
    pad = "  " * depth
    for key, value in tree.items():
        name = key.lower() if path[2:3] == ("blkio_config",) else key
        if is_simple_key(name):
            out.append(f"{first or pad}{_yaml_scalar(name, depth, key=True)}:")
        else:
            out.append(f"{first or pad}? {_yaml_scalar(name, depth + 1)}\n{pad}:")
        first = ""
        _yaml_value(value, out, depth, (*path, key))


def _written(tree: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return a mapping without the fields that YAML leaves out."""
    if path[-2:-1] == ("ulimits",) and path[0] in ("services", "jobs"):
        return {"soft": 0, "hard": 0, **tree}
    return {key: tree[key] for key in sorted_keys(tree) if not _is_zero(key, tree[key], path)}


def _yaml_value(value: Any, out: list[str], depth: int, path: tuple[str, ...]) -> None:
    if isinstance(value, dict):
        value = _written(value, path)
        if value:
            out.append("\n")
            _yaml_map(value, out, depth + 1, path)
        else:
            out.append(" {}\n")
    elif isinstance(value, list):
        if value:
            out.append("\n")
            _yaml_list(value, out, depth + 1, path)
        else:
            out.append(" []\n")
    else:
        out.append(f" {_yaml_scalar(value, depth + 1)}\n")


def _yaml_list(items: list[Any], out: list[str], depth: int, path: tuple[str, ...], first: str = "") -> None:
    pad = "  " * depth
    for item in items:
        dash, first = f"{first or pad}- ", ""
        if isinstance(item, dict):
            item = _written(item, path)
        if isinstance(item, dict) and item:
            _yaml_map(item, out, depth + 1, path, dash)
        elif isinstance(item, list) and item:
            _yaml_list(item, out, depth + 1, path, dash)
        else:
            empty = "{}" if isinstance(item, dict) else "[]" if isinstance(item, list) else None
            out.append(f"{dash}{empty or _yaml_scalar(item, depth + 1)}\n")


def _yaml_scalar(value: Any, depth: int, *, key: bool = False) -> str:
    if isinstance(value, str):
        return scalar(value, depth, key=key)
    if isinstance(value, float):
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(value)) or go_float(value)
    return _json_scalar(value)
