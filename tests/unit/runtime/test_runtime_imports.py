"""What runs in the supervisor is imported from a zip, without site-packages: it may need nothing, and must be cheap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import composer

MODULES = (
    "network.netlink network.nftables network.firewall network.conntrack network.dns network.addresses "
    "container.seccomp base.capabilities"
).split()
# Each costs the supervisor's start, and every fork, more than all of ours together.
HEAVY = "typing dataclasses logging subprocess pathlib asyncio re json random ipaddress hashlib".split()


@pytest.mark.parametrize("name", MODULES)
def test_a_runtime_module_imports_alone_and_nothing_heavy(name):
    root = Path(composer.__file__).parent.parent
    code = (
        f"import sys; sys.path.insert(0, {str(root)!r}); before = set(sys.modules)\n"
        f"import composer.runtime.{name}\n"
        f"print(*sorted((set(sys.modules) - before) & set({HEAVY!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [], "")


def test_looking_at_a_project_loads_neither_images_nor_logs(tmp_path: Path) -> None:
    program = (
        "import sys; from composer.backends.namespace.backend import NamespaceBackend\n"
        "from composer.runtime.base.state import Paths\n"
        f"NamespaceBackend(Paths({str(tmp_path)!r}, {str(tmp_path)!r})).observe('shop')\n"
        "print(*(name for name in sys.modules if name.startswith('composer.')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.removeprefix("composer.") for name in done.stdout.split()}
    assert "backends.namespace.observing" in loaded
    assert not {name for name in loaded if name.startswith("runtime.images")}
    assert not {name for name in loaded if name.startswith("runtime.supervision")}
    assert not loaded & {f"runtime.objects.{name}" for name in ("log_reader", "journal", "bundle", "client")}
