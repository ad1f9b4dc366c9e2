"""The registry of operations: each has everything that is asked of one, and is carried out as its row says."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from composer.backends.memory import MemoryBackend
from composer.engine.operations import containers, images, providers, registry, resources, row, waiting
from composer.engine.operations.containers import (
    ConnectNetwork,
    CreateContainer,
    DisconnectNetwork,
    KillContainer,
    MovePorts,
    RemoveContainer,
    RenameContainer,
    RunHook,
    StartContainer,
    StopContainer,
)
from composer.engine.operations.images import BuildImage, PullImage, PushImage, RemoveImage, TagImage
from composer.engine.operations.providers import PrepareModel, RemoveProvided, StartProvider, StopProvided
from composer.engine.operations.registry import (
    Operation,
    action_of,
    brief_of,
    facts_of,
    perform,
    progress_of,
    resource_of,
    subject_of,
    text_of,
)
from composer.engine.operations.resources import (
    CreateNetwork,
    CreateVolume,
    MendNetwork,
    RemoveNetwork,
    RemoveVolume,
)
from composer.engine.operations.row import ContainerRef
from composer.engine.operations.waiting import WaitService
from composer.engine.plan import PlanBuilder
from composer.engine.providers.models import Model
from composer.engine.providers.protocol import Provider
from composer.engine.saved import check, saved_document
from composer.engine.wanted import BuildSpec, ContainerSpec, EndpointSpec, NetworkSpec, VolumeSpec
from composer.errors import Conflict, ProviderFailed

MODULES = (containers, images, providers, resources, waiting)
EFFECTS = {
    row.MAKES,
    row.REMOVES,
    row.RENAMES,
    row.CHANGES,
    row.MENDS,
    row.BRINGS,
    row.BUILDS,
    row.STARTS,
    row.STOPS,
    row.WAITS,
}
KEY = b"k" * 32
WEB = ContainerRef("app-web-1", "web", 1, "i" * 64)
SPEC = ContainerSpec("app-web-1", "app", "web", 1, "nginx", {}, attributes={})

PROVIDED: Any = ("web", Provider("no-such-program"), "app", {}, "why")

SAMPLES: tuple[Operation, ...] = (
    StartProvider(*PROVIDED),
    RemoveProvided(*PROVIDED),
    StopProvided(*PROVIDED),
    PrepareModel("llm", Model("llm", "ai/x"), {}, "why"),
    CreateNetwork(NetworkSpec("n", {}, {}), "why"),
    RemoveNetwork("n", "id", "why"),
    MendNetwork("n", "id", "why"),
    ConnectNetwork(WEB, EndpointSpec("n", (), {}), "why"),
    DisconnectNetwork(WEB, "n", "why"),
    CreateVolume(VolumeSpec("v", {}, {}), "why"),
    RemoveVolume("v", "why"),
    PullImage("nginx", "why"),
    BuildImage(BuildSpec("nginx", "web", {}), "why"),
    PushImage("nginx", "why"),
    RemoveImage("nginx", "why"),
    CreateContainer(WEB, SPEC, "why"),
    RunHook(WEB, SPEC, "why"),
    StartContainer(WEB, "why"),
    StopContainer(WEB, "why"),
    KillContainer(WEB, "SIGTERM", "why"),
    RemoveContainer(WEB, "why"),
    RenameContainer(WEB, "old", "why"),
    MovePorts(WEB, WEB._replace(name="old"), "why"),
    TagImage("nginx", "sha256:" + "a" * 64, "why"),
    WaitService("web", (WEB,), "service_healthy", "why"),
)


def types() -> Iterator[type]:
    """Yield every type of operation that is written: a tuple with a cause."""
    for module in MODULES:
        for _, found in inspect.getmembers(module, inspect.isclass):
            if found.__module__ == module.__name__ and "cause" in getattr(found, "_fields", ()):
                yield found


def test_every_operation_has_its_row_and_is_one_of_a_plan() -> None:
    written = set(types())
    assert written == registry.ROWS.keys()
    assert written == set(get_args(registry.Operation))
    assert written == {type(sample) for sample in SAMPLES}


def test_no_two_modules_have_a_row_for_one_operation() -> None:
    assert sum(len(module.ROWS) for module in MODULES) == len(registry.ROWS)


def test_no_two_operations_share_their_words() -> None:
    actions = [one.action for one in registry.ROWS.values()]
    assert len(set(actions)) == len(actions)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_a_row_says_everything(sample: Any) -> None:
    found = registry.ROWS[type(sample)]
    assert found.effect in EFFECTS
    assert " " in text_of(sample)
    assert subject_of(sample) in text_of(sample)
    assert brief_of(sample)
    assert all(progress_of(sample))
    assert resource_of(sample).name
    is_about_a_service = {"container", "service"} & set(type(sample)._fields)
    assert facts_of(sample).get("service") == ("web" if is_about_a_service else None)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_the_document_of_a_plan_has_every_operation(sample: Any) -> None:
    builder = PlanBuilder()
    builder.add(sample)
    (written,) = builder.build().to_json()
    assert f"{written['action']} {written['kind']}" in (action_of(sample), "wait service")
    assert (written["name"], written["text"], written["cause"]) == (
        resource_of(sample).name,
        text_of(sample),
        "why",
    )


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_a_saved_plan_is_of_this_operation_only(sample: Any) -> None:
    """Whatever differs in an operation, shown or not, is another plan."""
    builder = PlanBuilder()
    builder.add(sample)
    saved = saved_document(builder.build(), "app", "up", inputs={}, options={}, key=KEY)["operations"]
    check(saved, builder.build(), KEY)
    for name, value in sample._asdict().items():
        if not isinstance(value, str | bool):
            continue
        other = PlanBuilder()
        other.add(sample._replace(**{name: (not value) if isinstance(value, bool) else f"{value}x"}))
        with pytest.raises(Conflict):
            check(saved, other.build(), KEY)


class Asked:
    """A backend that notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def method(*arguments: Any, **options: Any) -> Any:
            self.asked.append(name)
            return 0 if name == "wait_container" else None

        return method


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_all_but_waiting_asks_the_backend_for_something(sample: Any) -> None:
    backend: Any = Asked()
    if type(sample) in providers.ROWS:
        with pytest.raises(ProviderFailed, match=r"no-such-program|Docker Model"):
            perform(backend, sample, print)
        assert backend.asked == []
        return
    if isinstance(sample, WaitService):
        with pytest.raises(AssertionError, match="coordinator"):
            perform(backend, sample, print)
        return
    perform(backend, sample, print)
    assert backend.asked
    assert all(hasattr(MemoryBackend, name) for name in backend.asked)
