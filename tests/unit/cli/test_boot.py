"""What is written for each kind of init, and in which order containers come back."""

from __future__ import annotations

import os
import pathlib
import stat
import subprocess

import pytest

from composer.cli.booting import scripts, starting
from composer.cli.booting.scripts import OPENRC, SYSTEMD, SYSV, Init
from composer.engine.labels import DEPENDS_ON, SERVICE
from composer.errors import ComposerError, PermissionDenied
from composer.runtime.objects.booting import Returning


def _root(directory: pathlib.Path, init: Init) -> str:
    """Make the tree of a machine with a kind of init."""
    for path, kind in (("usr/lib/systemd/systemd", SYSTEMD), ("sbin/openrc-run", OPENRC)):
        if init is kind:
            (directory / path).parent.mkdir(parents=True)
            (directory / path).touch()
    (directory / "etc/init.d").mkdir(parents=True)
    return str(directory)


@pytest.mark.parametrize("init", [SYSTEMD, OPENRC, SYSV], ids=lambda init: init.name)
def test_enabled_and_disabled_again_leaves_nothing(tmp_path: pathlib.Path, init: Init) -> None:
    root = _root(tmp_path, init)
    before = sorted(path for path in tmp_path.rglob("*") if not path.is_dir())
    assert scripts.enabled(root) is None
    for _ in range(2):
        assert scripts.enable(root, {"COMPOSER_ROOT": "/srv/a b%n"}) is init
        assert scripts.enabled(root) is init
    text = (tmp_path / init.file).read_text()
    assert "boot start" in text.replace('"', "")
    assert stat.S_IMODE(os.stat(tmp_path / init.file).st_mode) == init.mode
    for link in init.links:
        assert os.readlink(tmp_path / link) == f"/{init.file}"
    assert scripts.disable(root) is init
    assert sorted(path for path in tmp_path.rglob("*") if not path.is_dir()) == before
    assert scripts.disable(root) is None


@pytest.mark.parametrize("init", [OPENRC, SYSV], ids=lambda init: init.name)
def test_scripts_are_shell_and_pass_the_state_directory(tmp_path: pathlib.Path, init: Init) -> None:
    root = _root(tmp_path, init)
    scripts.enable(root, {"COMPOSER_ROOT": "/srv/it's $HOME"})
    subprocess.run(["sh", "-n", str(tmp_path / init.file)], check=True)
    assert """env COMPOSER_ROOT='/srv/it'"'"'s $HOME' """ in (tmp_path / init.file).read_text()


def test_a_script_of_system_v_runs_what_it_says(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _root(tmp_path, SYSV)
    program = tmp_path / "composer"
    program.write_text(f'#!/bin/sh\necho "$COMPOSER_ROOT: $*" > {tmp_path}/said\n')
    program.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(program)])
    scripts.enable(root, {"COMPOSER_ROOT": "/srv/a b"})
    subprocess.run([str(tmp_path / SYSV.file), "start"], check=True)
    assert (tmp_path / "said").read_text() == "/srv/a b: boot start\n"


def test_a_unit_of_systemd_quotes_what_it_would_read_otherwise(tmp_path: pathlib.Path) -> None:
    scripts.enable(_root(tmp_path, SYSTEMD), {"COMPOSER_ROOT": '/srv/a "b" 100% $c'})
    text = (tmp_path / SYSTEMD.file).read_text()
    assert 'Environment="COMPOSER_ROOT=/srv/a \\"b\\" 100%% $$c"' in text
    assert "KillMode=process" in text, "what it started outlives it"


def test_where_nothing_is_known_the_command_is_said(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ComposerError) as raised:
        scripts.of(str(tmp_path))
    assert "boot start" in (raised.value.hint or "")


def test_who_may_not_is_told_what_was_refused(tmp_path: pathlib.Path) -> None:
    root = _root(tmp_path, SYSV)
    (tmp_path / SYSV.file).mkdir(parents=True)
    with pytest.raises(PermissionDenied, match="cannot enable the start at boot"):
        scripts.enable(root, {})


def _one(service: str, needs: str = "", owners: tuple[str, ...] = ()) -> Returning:
    labels = {SERVICE: service, DEPENDS_ON: needs}
    return Returning(f"id-{service}", f"shop-{service}-1", "shop", "always", labels, owners, runs=False)


def test_each_comes_behind_what_it_depends_on() -> None:
    containers = [
        _one("app", "db:service_healthy:false,cache:service_started:true"),
        _one("cache", "zero:service_started:false"),
        _one("zero"),
        _one("db", "job:service_completed_successfully:false"),
        _one("side", owners=("id-app",)),
        _one("alone"),
    ]
    order = [one.id.removeprefix("id-") for one in starting.in_order(containers)]
    assert sorted(order) == ["alone", "app", "cache", "db", "side", "zero"]
    for first, later in (("zero", "cache"), ("cache", "app"), ("db", "app"), ("app", "side")):
        assert order.index(first) < order.index(later)


def test_records_that_need_each_other_are_brought_back_all_the_same() -> None:
    both = [_one("a", "b:service_started:false"), _one("b", "a:service_started:false")]
    assert {one.name for one in starting.in_order(both)} == {"shop-a-1", "shop-b-1"}


@pytest.mark.parametrize("place", ["etc", "etc/systemd", "etc/systemd/system/multi-user.target.wants"])
def test_a_link_of_an_image_does_not_lead_to_this_machine(tmp_path: pathlib.Path, place: str) -> None:
    image, outside = tmp_path / "image", tmp_path / "outside"
    (image / "usr/lib/systemd").mkdir(parents=True)
    (image / "usr/lib/systemd/systemd").touch()
    unit = outside / pathlib.Path(SYSTEMD.file).relative_to(place) if place in SYSTEMD.file else outside / "x"
    unit.parent.mkdir(parents=True)
    unit.touch()  # this machine's own, which must not be removed either
    (image / place).parent.mkdir(parents=True, exist_ok=True)
    (image / place).symlink_to(outside)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ComposerError, match="leads out of it"):
        scripts.enable(str(image), {})
    if place in SYSTEMD.file:
        with pytest.raises(ComposerError, match="leads out of it"):
            scripts.disable(str(image))
    assert sorted(tmp_path.rglob("*")) == before
