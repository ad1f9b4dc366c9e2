"""docs/api.md: its endpoints are what `routes` says; ``python -m tests.unit.api.test_api_page`` writes them."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator

import pytest

from composer.api import routes

ROOT = pathlib.Path(routes.__file__).parents[2]
PAGE = ROOT / "docs/api.md"
BEGIN, END = "<!-- endpoints: begin -->\n", "<!-- endpoints: end -->\n"

TESTS = {
    "containers": "integration/api/test_containers.py",
    "images.listing": "integration/api/test_images.py",
    "images.changing": "integration/api/test_images.py",
    "images.moving": "integration/api/test_transfers.py",
    "images.building": "integration/api/test_builds.py",
    "buildkit": "integration/api/test_image_clients.py",
    "images": "integration/api/test_builds.py",
    "others": "integration/api/test_others.py",
}
"""Where the endpoints of a room are tested."""


def file_of(route: routes.Route) -> str:
    module = route.endpoint.partition(":")[0]
    return next(file for room, file in TESTS.items() if module == room or module.startswith(f"{room}."))


def tables() -> Iterator[str]:
    answered = [route for route in routes.TABLE if not route.refusal]
    refused = [route for route in routes.TABLE if route.refusal]
    yield f"Answered: {len(answered)} endpoints.\n\n| endpoint | tests |\n| --- | --- |\n"
    for route in answered:
        yield f"| `{route.method} {_path(route)}` | `tests/{file_of(route)}` |\n"
    yield f"\nRefused: {len(refused)} endpoints.\n\n| endpoint | status | answer |\n| --- | --- | --- |\n"
    for route in refused:
        yield f"| `{route.method} {_path(route)}` | {route.refused_with} | {route.refusal} |\n"


def _path(route: routes.Route) -> str:
    return route.path.replace(":path", "")


def written(page: str) -> str:
    """Return the page with tables that are true."""
    head, _, rest = page.partition(BEGIN)
    tail = rest.partition(END)[2]
    return f"{head}{BEGIN}\n{''.join(tables())}\n{END}{tail}"


def test_the_page_has_the_table() -> None:
    page = PAGE.read_text()
    assert BEGIN in page and END in page
    assert page == written(page), "run make pages"


@pytest.mark.parametrize(
    "route", [r for r in routes.TABLE if not r.refusal], ids=lambda r: f"{r.method} {r.path}"
)
def test_an_endpoint_that_is_answered_is_asked_in_its_tests(route: routes.Route) -> None:
    """A test asks for a path of this form, in one of the files of its room; what buildx speaks, buildx asks for."""
    if route.path in ("/grpc", "/session"):
        return
    directory = (ROOT / "tests" / file_of(route)).parent
    text = "".join(file.read_text() for file in sorted(directory.glob("test_*.py")))
    parts = [re.escape(part) for part in re.split(r"\{[^}]*\}", route.path)]
    assert re.search(r"[^\"' ]+".join(parts) + r"[\"'? \[,}]", text), f"nothing asks for {route.path}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
