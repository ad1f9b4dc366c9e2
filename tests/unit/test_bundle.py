"""The bundle of modules: it is used, it is never stale, and whatever is wrong with it costs nothing but its time."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import composer
from composer import bundle

PACKAGE = pathlib.Path(composer.__file__).parent
PROGRAM = """
import sys
sys.argv = ["composer", "version"]
from composer.__main__ import main
import os
end = os._exit
def tell(code):
    loader = type(sys.modules["composer.cli.main"].__loader__).__name__
    is_there = os.path.isfile(sys.modules["composer.errors"].__spec__.origin)
    print(loader, sys.modules["composer.cli.main"].__file__, is_there)
    sys.stdout.flush()
    end(code)
os._exit = tell
main()
"""


class Copy:
    """A copy of the package, and what its commands say of where their modules are from."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        shutil.copytree(PACKAGE, root / "composer", ignore=shutil.ignore_patterns("__pycache__"))

    @property
    def bundle(self) -> pathlib.Path:
        return self.root / "composer" / "__pycache__" / f"modules.{sys.implementation.cache_tag}.bundle"

    def run(self) -> tuple[str, str]:
        """Return what `version` says, and the class of the loader."""
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=self.root,
            env={**environment, "PYTHONPATH": str(self.root)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        *said, loader = result.stdout.splitlines()
        assert loader.split()[1:] == [str(self.root / "composer" / "cli" / "main.py"), "True"]
        assert "Traceback" not in result.stderr
        return "\n".join(said), loader.split()[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    copy = Copy(tmp_path_factory.mktemp("copy"))
    assert copy.run()[1] == "SourceFileLoader"
    assert copy.bundle.exists()
    return copy


def test_the_second_command_has_its_modules_from_it(made: Copy) -> None:
    before = made.run()
    assert before[1] == "_Loader"
    inode = made.bundle.stat().st_ino
    assert made.run() == before
    assert made.bundle.stat().st_ino == inode, "written again without need"


def test_a_changed_source_counts(made: Copy) -> None:
    made.run()
    main = made.root / "composer" / "cli" / "main.py"
    text = main.read_text()
    main.write_text(text.replace("_CLOSED_PIPE = 141\n", '_CLOSED_PIPE = 141\nprint("changed")\n'))
    try:
        said, loader = made.run()
        assert said.startswith("changed")
        assert loader == "SourceFileLoader"
        assert made.run() == (said, "_Loader")
    finally:
        main.write_text(text)
    assert not made.run()[0].startswith("changed")


@pytest.mark.parametrize(
    "damage", ["empty", "cut", "garbage", "code", "other interpreter", "a directory", "table"]
)
def test_one_that_is_damaged_is_as_none(made: Copy, damage: str) -> None:
    made.run()
    made.run()
    whole = made.bundle.read_bytes()
    if damage == "a directory":
        made.bundle.unlink()
        made.bundle.mkdir()
    else:
        made.bundle.write_bytes(
            {
                "empty": b"",
                "cut": whole[:1000],
                "garbage": whole[:16] + os.urandom(len(whole) - 16),
                "code": whole[: len(whole) // 10] + bytes(len(whole) - len(whole) // 10),
                "other interpreter": b"\0\0" + whole[2:],
                "table": whole[:100] + bytes([whole[100] ^ 1]) + whole[101:],
            }[damage]
        )
    try:
        assert made.run()[1] == "SourceFileLoader"
    finally:
        if made.bundle.is_dir():
            made.bundle.rmdir()
    made.run()
    assert made.run()[1] == "_Loader"


def test_many_commands_at_once_leave_one_that_is_whole(made: Copy) -> None:
    made.bundle.unlink()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(made.root)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM], cwd=made.root, env=environment, stdout=subprocess.DEVNULL
        )
        for _ in range(6)
    ]
    assert [process.wait(60) for process in running] == [0] * 6
    assert made.run()[1] == "_Loader"
    assert not list(made.bundle.parent.glob("*.bundle.*"))


def test_what_others_added_meanwhile_stays(made: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    made.run()
    path = str(made.bundle)
    os.unlink(path)
    first, second = (bundle.Bundle(str(made.root), path) for _ in range(2))
    for one, name in ((first, "composer.errors"), (second, "composer.bundle")):
        assert name in sys.modules
        one.find_spec(name)  # it is not there, for either
        one.renew()
    known = bundle.Bundle(str(made.root), path)
    assert all(known.find_spec(name) is not None for name in ("composer.errors", "composer.bundle"))


def test_what_a_killed_process_of_the_same_number_left_is_no_hindrance(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "modules.bundle"
    (tmp_path / f"modules.bundle.{os.getpid()}").write_text("half")
    bundle._write(str(path), {"composer.a": (False, 1, 2, b"code")})
    assert [entry.name for entry in tmp_path.iterdir()] == ["modules.bundle"]


def test_nothing_is_written_where_no_bytecode_is(made: Copy) -> None:
    made.bundle.unlink()
    environment = {**os.environ, "PYTHONPATH": str(made.root), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=made.root, env=environment, check=True, timeout=60)
    assert not made.bundle.exists()
    made.run()
