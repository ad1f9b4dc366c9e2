"""``composer config --resolve-image-digests``: measured once against Docker Compose 2.40 and the same registry."""

from __future__ import annotations

import io
import json
import pathlib
from collections.abc import Iterator

import pytest

from composer.cli.main import run
from tests.archives import archive, file
from tests.registries import Pushed, push, registry

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Pushed]]:
    with registry(tmp_path_factory.mktemp("registry")) as host:
        yield host, push(host, "app", "latest", [archive(file("a", b"x"))])


def config(directory: pathlib.Path, text: str, *arguments: str) -> tuple[int, str, str]:
    (directory / "compose.yaml").write_text(f"name: app\n{text}")
    out, err = io.StringIO(), io.StringIO()
    code = run(
        ["--project-directory", str(directory), "-f", str(directory / "compose.yaml"), "config", *arguments],
        {"HOME": str(directory), "COMPOSER_ROOT": str(directory / "state")},
        stdin=io.StringIO(),
        stdout=out,
        stderr=err,
    )
    return code, out.getvalue(), err.getvalue()


def test_resolve_gives_every_image_its_digest(tmp_path: pathlib.Path, pushed: tuple[str, Pushed]) -> None:
    host, image = pushed
    text = f"services: {{a: {{image: '{host}/app'}}, b: {{build: .}}, c: {{image: '{host}/app:v9@{image.digest}'}}}}\n"
    code, out, _ = config(tmp_path, text, "--resolve-image-digests", "--format", "json")
    services = json.loads(out)["services"]
    assert code == 0
    assert services["a"]["image"] == f"{host}/app:latest@{image.digest}"
    assert services["c"]["image"] == f"{host}/app@{image.digest}", "nobody is asked, and the tag says nothing"
    assert "image" not in services["b"] and "networks" in services["b"]


def test_lock_prints_an_override_of_images_alone(tmp_path: pathlib.Path, pushed: tuple[str, Pushed]) -> None:
    host, image = pushed
    text = f"services: {{a: {{image: '{host}/app', command: x}}, b: {{build: .}}}}\nx-more: 1\n"
    code, out, _ = config(tmp_path, text, "--lock-image-digests")
    assert (code, out) == (0, f"services:\n  a:\n    image: {host}/app:latest@{image.digest}\n  b: {{}}\n")
    code, out, _ = config(tmp_path, text, "--lock-image-digests", "--format", "json")
    nothing = {"command": None, "entrypoint": None}
    wanted = {"a": {**nothing, "image": f"{host}/app:latest@{image.digest}"}, "b": nothing}
    assert json.loads(out) == {"name": "", "services": wanted}


def test_an_image_that_is_not_there_fails_by_name(tmp_path: pathlib.Path, pushed: tuple[str, Pushed]) -> None:
    host, _ = pushed
    code, out, err = config(
        tmp_path, f"services: {{a: {{image: '{host}/none:1'}}}}\n", "--resolve-image-digests"
    )
    assert (code, out) == (1, "")
    assert f"cannot resolve '{host}/none:1'" in err
