"""A supervisor lives as long as its containers, and so may be one that an earlier version of this program started."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from composer import errors
from composer.backends.namespace import backend
from composer.runtime.base import state, syscalls
from composer.runtime.container import container, defaults
from composer.runtime.objects import attaching, kernel_state


class _Client:
    """Answers as an earlier supervisor does."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def ask_for(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
        self.requests.append(request)
        if "id" not in request:
            raise errors.NotFound("id")
        return {"ok": True, "tty": False} if request["op"] == "attach" else {"ok": True}, []

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.ask_for(request)[0]


def test_it_knows_the_namespaces_of_a_configuration() -> None:
    # It fails with every kind that it does not know: `up` of a running stack, `run`.
    config = defaults.configuration({})
    kinds = {entry["type"] for entry in config["linux"]["namespaces"]}
    assert kinds == {"mount", "pid", "ipc", "uts", "network", "cgroup"}
    if syscalls.has_time_namespaces():
        assert container.namespace_flags(config) & syscalls.CLONE_NEWTIME


def test_it_lets_go_of_the_input_of_a_container_that_it_starts() -> None:
    # Else the container never sees the end of its input.
    client = _Client()
    attaching.start_with_input(client, {"op": "start", "id": "x"})  # type: ignore[arg-type]
    assert client.requests[-1] == {"op": "attach", "id": "x", "once": True}


def test_that_it_mends_nothing_is_said_with_the_way_on(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = backend.NamespaceBackend(state.paths_of({"COMPOSER_ROOT": str(tmp_path)}))
    monkeypatch.setattr(one._core, "client", lambda owner: _Client())
    monkeypatch.setattr(kernel_state, "projects_in", lambda paths, id: ["shop"])
    with pytest.raises(
        errors.Unsupported, match="project 'shop' was started by an earlier version"
    ) as caught:
        one.mend_network("0")
    assert caught.value.hint == "run composer -p shop down, then composer up"
