"""Damage of the build cache: `composer doctor` names it, `doctor --repair` drops it, and the next build is right."""

from __future__ import annotations

import pathlib
import shutil

import pytest

from tests.integration.namespace.building.conftest import Workshop, cached

pytestmark = pytest.mark.root

DOCKERFILE = "FROM base\nRUN echo right > /one\n"


def snapshot(shop: Workshop) -> pathlib.Path:
    [found] = [
        path for path in (shop.stack.state / "lib/build/snapshots").iterdir() if path.suffix != ".json"
    ]
    return found


def test_nothing_is_damaged(shop: Workshop) -> None:
    shop.build(DOCKERFILE)
    done = shop.stack.run("doctor", "--repair")
    assert "no record is damaged" in done.stdout


def test_files_that_were_changed(shop: Workshop) -> None:
    shop.build(DOCKERFILE)
    id = shop.id()
    shop.stack.run("image", "rm", "built")
    (snapshot(shop) / "one").write_text("wrong")
    done = shop.stack.run("doctor", "--repair")
    assert "RUN /bin/sh -c echo right > /one" in done.stdout
    assert "dropped from the build cache" in done.stdout
    assert not cached(shop.build(DOCKERFILE), "RUN echo")
    assert shop.text("/one") == "right\n"
    assert shop.id() != id  # made at another time


def test_files_that_were_changed_are_not_found_again_by_the_same_build(shop: Workshop) -> None:
    """With times that are given, the next build makes a layer of the same digest, whose damaged files must be gone."""
    same = ("--build-arg", "SOURCE_DATE_EPOCH=1700000000")
    shop.build(DOCKERFILE, *same)
    id = shop.id()
    shop.stack.run("image", "rm", "built")
    (snapshot(shop) / "one").write_text("wrong")
    assert "dropped from the build cache" in shop.stack.run("doctor", "--repair").stdout
    shop.build(DOCKERFILE, *same)
    assert shop.text("/one") == "right\n"
    assert shop.id() == id


def test_files_that_were_changed_below_an_image(shop: Workshop) -> None:
    shop.build(DOCKERFILE)
    (snapshot(shop).resolve() / "one").write_text("wrong")
    done = shop.stack.run("doctor", "--repair", check=False)
    assert done.returncode == 1
    assert f"image {shop.id()[7:19]}: layer" in done.stderr
    assert "dropped from the build cache" in done.stdout
    assert shop.stack.run("doctor").stdout.count("build cache") == 1


def test_files_that_are_gone(shop: Workshop) -> None:
    shop.build(DOCKERFILE)
    shop.stack.run("image", "rm", "built")
    shutil.rmtree(snapshot(shop).resolve())
    found = shop.stack.run("doctor").stdout
    assert "! build cache" in found
    assert "files are missing" in found
    assert "dropped from the build cache" in shop.stack.run("doctor", "--repair").stdout
    assert "✔ build cache" in shop.stack.run("doctor").stdout
    shop.build(DOCKERFILE)
    assert shop.text("/one") == "right\n"


def test_a_record_that_is_torn(shop: Workshop) -> None:
    shop.build(DOCKERFILE)
    [record] = (shop.stack.state / "lib/build/steps").iterdir()
    record.write_text('{"version": 1, "snap')
    assert "its record cannot be read" in shop.stack.run("doctor").stdout
    assert "dropped" in shop.stack.run("doctor", "--repair").stdout
    shop.build(DOCKERFILE)
    shop.stack.run("builder", "prune", "-af")
    assert list((shop.stack.state / "lib/build/snapshots").iterdir()) == []


def test_an_exchange_that_a_kill_cut_short(shop: Workshop) -> None:
    """Where the layer's place is a link to itself, the next build, a load and a linked copy get past it."""
    shop.write("a.txt", "a")
    dockerfile = "FROM scratch\nCOPY --link a.txt /a\n"
    shop.build(dockerfile)
    place = snapshot(shop).resolve()
    shop.stack.run("image", "save", "-o", "saved.tar", "built")
    shop.stack.run("image", "rm", "built")
    shop.stack.run("builder", "prune", "-af")
    shop.stack.run("image", "prune", "-f")
    for act in (["image", "load", "-i", "saved.tar"], ["image", "build", "-q", "-t", "built", "."]):
        place.symlink_to(place)
        shop.stack.run(*act)
        assert shop.image()[0]["a"].kind == "file"
        assert "no record is damaged" in shop.stack.run("doctor", "--repair").stdout
        shop.stack.run("image", "rm", "built")
        shop.stack.run("builder", "prune", "-af")
        shop.stack.run("image", "prune", "-f")
        assert not place.exists()
        place.unlink(missing_ok=True)


def test_builds_that_store_one_step_at_the_same_time(shop: Workshop) -> None:
    shop.write("Dockerfile", "FROM base\nCOPY a.txt /a\nRUN echo b > /b\n")
    for number in range(4):
        shop.write("a.txt", str(number))
        running = [shop.stack.popen("image", "build", "-q", "-t", f"built{one}", ".") for one in range(4)]
        for one in running:
            _, err = one.communicate(timeout=120)
            assert one.returncode == 0, err
        assert "no record is damaged" in shop.stack.run("doctor", "--repair").stdout
