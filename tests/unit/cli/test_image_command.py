"""``composer image``: which images a name lists, and which configuration an import gets from its options."""

from __future__ import annotations

import pytest

from composer.cli.changes import apply_changes
from composer.cli.commands.image import _instructions
from composer.cli.single.images import is_named
from composer.engine.observed import Capability
from tests.unit.cli.console import Console


@pytest.mark.parametrize(
    ("reference", "name", "named"),
    [
        ("notes-app:latest", "notes-app", True),
        ("notes-app:2", "notes-app", True),
        ("notes-app:2", "notes-app:2", True),
        ("notes-app:2", "notes-app:1", False),
        ("notes-app:latest", "notes", False),
        ("redis:7", "docker.io/library/redis", True),
        ("localhost:5000/a:1", "localhost:5000/a", True),
    ],
)
def test_a_name_lists_all_its_tags(reference: str, name: str, named: bool) -> None:
    assert is_named(reference, name) is named


def test_options_of_an_import_are_words_of_an_image_configuration() -> None:
    options: dict[str, str | tuple[str, ...] | None] = {
        "cmd": '["run", "it"]',
        "entrypoint": None,
        "env": ("A=two words", "B="),
        "expose": ("80", "53/udp"),
        "label": ("k=v w",),
        "user": "app:app",
        "volume": ("/my data",),
        "workdir": "/srv",
        "stop_signal": "SIGINT",
    }
    assert apply_changes({}, _instructions(options)) == {
        "Cmd": ["run", "it"],
        "Env": ["A=two words", "B="],
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Labels": {"k": "v w"},
        "User": "app:app",
        "Volumes": {"/my data": {}},
        "WorkingDir": "/srv",
        "StopSignal": "SIGINT",
    }


@pytest.mark.parametrize("arguments", [("save", "-o", "x.tar", "a"), ("prune",)])
def test_a_backend_that_keeps_no_images_says_so(console: Console, arguments: tuple[str, ...]) -> None:
    assert Capability.KEEPS_IMAGES not in console.backend.capabilities
    assert "has no image store of its own" in console("image", *arguments).err


def test_images_go_only_after_a_word_of_assent(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    console.backend.capabilities = frozenset(Capability)
    asked: list[bool] = []

    def prune(*, unused: bool = False) -> tuple[list[str], int]:
        asked.append(unused)
        return ["sha256:1"], 7

    monkeypatch.setattr(console.backend, "prune_images", prune, raising=False)
    for name in ("save_images", "resolve_image"):
        monkeypatch.setattr(console.backend, name, prune, raising=False)
    assert console("image", "prune", "-a").code == 1, "nobody can answer"
    assert console("image", "prune", stdin="n\n", terminal=True).out == ""
    assert asked == []
    assert "7B" in console("image", "prune", "-af").out
    assert "7B" in console("image", "prune", stdin="y\n", terminal=True).out
    assert asked == [True, False]


@pytest.mark.parametrize(
    "arguments",
    [
        ("image", "build", "--label", "=x", "."),
        ("image", "build", "--build-arg", "=x", "."),
        ("container", "run", "--label", "=x", "a"),
        ("container", "run", "-e", "=x", "a"),
        ("volume", "create", "--label", "=x"),
        ("network", "create", "--label", "", "n"),
    ],
)
def test_a_pair_has_a_key(console: Console, arguments: tuple[str, ...]) -> None:
    refused = console(*arguments)
    assert refused.code != 0
    assert "empty key" in refused.err
