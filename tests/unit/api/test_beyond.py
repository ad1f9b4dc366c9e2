"""What a client asks for and no attribute of a service says: it is in the configuration, or refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from composer.api.containers import beyond, copying, processors
from composer.api.containers.host import resources
from composer.api.http.call import Call, Query
from composer.api.http.problems import Problem
from composer.api.models import containers as models
from composer.api.models import execs
from composer.api.models.base import read
from composer.backends.namespace import translate
from composer.runtime.container import defaults
from composer.runtime.objects.inside import PathStat


def configuration(host: dict[str, Any], **body: Any) -> dict[str, Any]:
    asked = read(models.Create, {"Image": "x", "HostConfig": host, **body})
    return beyond.configured(defaults.configuration, asked)({})


def test_paths_are_those_of_the_client() -> None:
    usual = configuration({})["linux"]
    assert usual["maskedPaths"] == defaults.MASKED and usual["readonlyPaths"]
    own = configuration({"MaskedPaths": ["/proc/cmdline"]})["linux"]
    assert (own["maskedPaths"], own["readonlyPaths"]) == (["/proc/cmdline"], usual["readonlyPaths"])
    own = configuration({"ReadonlyPaths": ["/tmp"]})["linux"]
    assert (own["maskedPaths"], own["readonlyPaths"]) == (usual["maskedPaths"], ["/tmp"])
    own = configuration({"MaskedPaths": [], "ReadonlyPaths": []})["linux"]
    assert (own["maskedPaths"], own["readonlyPaths"]) == ([], [])


def test_memory_nodes() -> None:
    assert configuration({"CpusetMems": "0"})["linux"]["resources"]["cpu"] == {"mems": "0"}
    assert "cpu" not in configuration({})["linux"]["resources"]
    assert beyond.resources_of(read(models.Update, {"CpusetMems": "0-1"})) == {"cpu": {"mems": "0-1"}}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"CpusetMems": "4000"}, "Requested memory nodes are not available"),
        ({"CpusetMems": "x"}, "Invalid value x for cpuset mems"),
        ({"CpusetMems": "9" * 5000}, "for cpuset mems"),
        ({"CpusetCpus": "90000"}, "Requested CPUs are not available"),
        ({"CpusetCpus": "1-0"}, "Invalid value 1-0 for cpuset cpus"),
    ],
)
def test_what_this_machine_does_not_have_is_refused(body: dict[str, Any], words: str) -> None:
    processors.check(read(models.Update, {"CpusetCpus": "0", "CpusetMems": "0"}))
    with pytest.raises(Problem, match=words) as caught:
        processors.check(read(models.Update, body))
    assert caught.value.status == 400


def test_a_terminal_has_its_size_from_the_start_on() -> None:
    size = {"ConsoleSize": [20, 70]}
    assert configuration(size, Tty=True)["process"]["consoleSize"] == {"height": 20, "width": 70}
    assert "consoleSize" not in configuration(size)["process"]
    assert "consoleSize" not in configuration({"ConsoleSize": [0, 0]}, Tty=True)["process"]


@pytest.mark.parametrize("size", [[1], [1, 2, 3], [1, -2], [1, 65536]])
def test_a_size_is_two_small_numbers(size: list[int]) -> None:
    for model, document in (
        (models.Create, {"HostConfig": {"ConsoleSize": size}}),
        (execs.Create, {"ConsoleSize": size}),
        (execs.Start, {"ConsoleSize": size}),
    ):
        with pytest.raises(Problem, match="ConsoleSize") as caught:
            read(model, document)
        assert caught.value.status == 400


def test_a_limit_of_processes_that_was_lifted_is_shown_as_none() -> None:
    config: dict[str, Any] = {**defaults.configuration({}), "linux": {}}
    assert resources(config)["PidsLimit"] is None
    config["linux"]["resources"], _ = translate.update_of({"pids_limit": -1})
    assert config["linux"]["resources"] == {"pids": {"limit": -1}}
    assert resources(config)["PidsLimit"] == 0


@pytest.mark.parametrize(
    ("query", "user", "of_image", "to_user"),
    [
        ("copyUIDGID=1", "web", "", True),
        ("copyUIDGID=1", "0", "", False),
        ("copyUIDGID=1", "0", "0", True),
        ("copyUIDGID=0", "web", "", False),
        ("", "web", "", False),
    ],
)
def test_an_archive_becomes_the_user_s_where_that_is_asked_for(
    query: str, user: str, of_image: str, to_user: bool, tmp_path: Any
) -> None:
    meta = {"id": "c", "image_id": "i", "mounts": []}
    written: list[bool] = []
    engine = SimpleNamespace(
        reading=SimpleNamespace(stat_path=lambda id, path: PathStat("tmp", 0, 0o40755)),
        files=SimpleNamespace(write_path=lambda id, path, archive, *, to_user: written.append(to_user)),
    )
    core = SimpleNamespace(
        config=lambda id: {"root": {}, "process": {"user": {"name": user}}},
        store=SimpleNamespace(find=lambda id: SimpleNamespace(config={"User": of_image})),
    )
    paths = SimpleNamespace(container=lambda id: str(tmp_path))
    world = SimpleNamespace(engine=engine, core=core, paths=paths, container=lambda name: meta)
    asked = SimpleNamespace(
        world=world, parameters={"id": "c"}, query=Query(f"path=/tmp&{query}"), upload=lambda: iter([b""])
    )
    assert copying.write(cast("Call", asked)) == (200, None)
    assert written == [to_user]
