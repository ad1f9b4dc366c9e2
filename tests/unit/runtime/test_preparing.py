"""Which mounts of a container may be made before its start: those that nobody else can change."""

from __future__ import annotations

from typing import Any

import pytest

from composer.runtime.container import container

BUNDLE = "/state/containers/abc"
OWN: list[dict[str, Any]] = [
    {"destination": "/proc", "type": "proc", "options": ["nosuid"]},
    {"destination": "/dev", "type": "tmpfs", "options": ["mode=755"]},
    {"destination": "/usr", "type": "overlay", "source": "overlay", "options": ["lowerdir=/usr"]},
    {"destination": "/etc/hosts", "type": "bind", "source": f"{BUNDLE}/hosts", "options": ["rbind"]},
    {"destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["ro"]},
]


@pytest.mark.parametrize(
    ("entry", "is_outside"),
    [
        ({"destination": "/scratch", "type": "tmpfs", "options": ["size=1m"]}, False),
        (
            {"destination": "/secret", "type": "bind", "source": f"{BUNDLE}/files/0", "options": ["rbind"]},
            False,
        ),
        ({"destination": "/data", "type": "bind", "source": "/state/volumes/d", "options": ["rbind"]}, True),
        ({"destination": "/src", "type": "bind", "source": "/home/me", "options": ["bind", "ro"]}, True),
        ({"destination": "/src", "type": "none", "source": f"{BUNDLE}x/files", "options": ["bind"]}, True),
        ({"destination": "/share", "type": "nfs", "source": "server:/share", "options": []}, True),
        ({"destination": "/closed", "type": "tmpfs", "options": ["ro"]}, True),
    ],
)
def test_what_others_can_change_is_left_to_the_start(entry: dict[str, Any], is_outside: bool) -> None:
    config = {"mounts": [*OWN[:-1], entry, OWN[-1]]}
    expected = len(OWN) - 1 if is_outside else len(OWN) + 1
    assert container.index_of_outside(config, BUNDLE) == expected
