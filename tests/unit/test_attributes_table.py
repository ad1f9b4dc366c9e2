"""docs/attributes.md is what the backends' tables say; ``python -m tests.unit.test_attributes_table`` writes it."""

from __future__ import annotations

import json
import pathlib

from composer.backends.docker import translate as docker
from composer.backends.namespace import translate as namespace

ROOT = pathlib.Path(docker.__file__).parents[3]
PAGE = ROOT / "docs/attributes.md"
SCHEMA = ROOT / "composer/schema/compose-spec.json"

IN_PART = {
    "build": "no: composer image import or load, under the service's image name",
    "cgroup": "yes: host, private",
    "cpu_count": "warned of: only containers of Windows have it",
    "cpu_percent": "warned of: only containers of Windows have it",
    "cgroup_parent": "yes",
    "deploy": "yes, but no mode other than replicated; devices as in gpus",
    "devices": "yes; by name where a specification in /etc/cdi or /var/run/cdi describes them",
    "gpus": "those that a specification in /etc/cdi or /var/run/cdi describes",
    "ipc": "yes: private, shareable, host, none, service:NAME, container:NAME",
    "isolation": "only default",
    "logging": "json-file, local, none; max-size and max-file",
    "pid": "yes: host, service:NAME, container:NAME",
    "platform": "only that of the machine",
    "runtime": "only runc, which stands for the built-in one",
    "security_opt": "yes; apparmor and label only where they have no effect",
    "userns_mode": "only host, which is so anyway",
    "uts": "yes: host",
}
"""What the built-in runtime does of an attribute that is honoured for some values only."""

HEAD = """# Attributes of a service, on each backend

"yes" is honoured; "no" stops `up` with the file and line, the reason and the remedy, before anything is
created; nothing is ignored in silence. "engine" is not the backend's: the engine or the loader does it, or it
arrives as a name, a mount, an endpoint or a file. This page is made from the backends' tables (`translate.py` of
each), which a test compares with the schema.

| attribute | built-in runtime | Docker Engine |
| --- | --- | --- |
"""


def _attributes() -> list[str]:
    return sorted(json.loads(SCHEMA.read_text())["$defs"]["service"]["properties"])


def _namespace(name: str) -> str:
    if name in namespace.REFUSED:
        return f"no: {namespace.REFUSED[name][0]}"
    return "engine" if name in namespace.ELSEWHERE else IN_PART.get(name, "yes")


def _docker(name: str) -> str:
    if name in docker.REFUSED:
        return f"no: {docker.REFUSED[name][0]}"
    if name in docker.ELSEWHERE:
        return "engine"
    return "yes, where its API is new enough" if name in docker.PROBES else "yes"


def page() -> str:
    return HEAD + "".join(f"| `{name}` | {_namespace(name)} | {_docker(name)} |\n" for name in _attributes())


def test_the_page_is_what_the_tables_say() -> None:
    assert PAGE.read_text() == page()


def test_the_built_in_runtime_knows_every_attribute_of_the_schema_once() -> None:
    tables = (namespace.ATTRIBUTES.keys(), namespace.REFUSED.keys(), namespace.ELSEWHERE)
    assert set(_attributes()) | {"extends"} == set().union(*tables)
    assert sum(map(len, tables)) == len(set().union(*tables))


def test_whatever_is_honoured_in_part_says_which_part() -> None:
    checked = {name for name, (_, probe) in namespace.ATTRIBUTES.items() if probe is not None}
    assert checked == IN_PART.keys()


def test_what_is_refused_is_refused_with_its_reason() -> None:
    for name, (reason, hint) in namespace.REFUSED.items():
        (found,) = namespace.limitations({name: {"something": True}})
        assert (found.path, found.reason, found.hint, found.fatal) == ((name,), reason, hint, True)


if __name__ == "__main__":
    PAGE.write_text(page())
