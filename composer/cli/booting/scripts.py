"""What a machine runs when it boots: a unit of systemd, a script of OpenRC, or one of System V's init.

They are written, and linked where their init looks, by hand: so the same works in the tree of an image that does not
run.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import NamedTuple

from composer.errors import ComposerError, PermissionDenied

NAME = "composer-boot"

_UNIT = """\
[Unit]
Description=Start composer's containers
After=network-online.target local-fs.target nftables.service
Wants=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
{environment}ExecStart={command}
# What it starts outlives it, and is stopped by composer alone.
KillMode=process
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
"""

_OPENRC = """\
#!/sbin/openrc-run
description="Start composer's containers"

depend() {{
    need net localmount
    after firewall
}}

start() {{
    ebegin "Starting containers of composer"
    {environment}{command}
    eend $?
}}
"""

_SYSV = """\
#!/bin/sh
### BEGIN INIT INFO
# Provides:          composer-boot
# Required-Start:    $remote_fs $network
# Required-Stop:
# Default-Start:     2 3 4 5
# Default-Stop:
# Short-Description: Start composer's containers
### END INIT INFO
case "$1" in
start)
    {environment}exec {command}
    ;;
*)
    exit 0
    ;;
esac
"""


class Init(NamedTuple):
    """A kind of init: its file, and the links that enable it, below the root of the file system."""

    name: str
    file: str
    links: tuple[str, ...]
    text: str
    mode: int


SYSTEMD = Init(
    "systemd",
    f"etc/systemd/system/{NAME}.service",
    (f"etc/systemd/system/multi-user.target.wants/{NAME}.service",),
    _UNIT,
    0o644,
)
OPENRC = Init("OpenRC", f"etc/init.d/{NAME}", (f"etc/runlevels/default/{NAME}",), _OPENRC, 0o755)
SYSV = Init(
    "System V init",
    f"etc/init.d/{NAME}",
    tuple(f"etc/rc{level}.d/S99{NAME}" for level in (2, 3, 4, 5)),
    _SYSV,
    0o755,
)


def of(root: str) -> Init:
    """Return the kind of init of a machine, or of the tree of one. Raises ComposerError where there is none."""
    there = [f"{root}/{path}" for path in ("lib/systemd/systemd", "usr/lib/systemd/systemd")]
    is_here = root in ("", "/")
    if os.path.isdir("/run/systemd/system") if is_here else any(map(os.path.exists, there)):
        return SYSTEMD
    if os.path.exists(f"{root}/sbin/openrc-run"):
        return OPENRC
    if os.path.isdir(f"{root}/etc/init.d"):
        return SYSV
    raise ComposerError(
        "cannot find the init system of this machine: systemd, OpenRC and /etc/init.d are all missing",
        hint=f"configure it to run at boot: {shlex.join(command())}",
    )


def command() -> list[str]:
    """Return the command that runs at boot: this program, by its present path."""
    program = os.path.abspath(sys.argv[0])
    if os.path.basename(program) == "composer" and os.access(program, os.X_OK):
        return [program, "boot", "start"]
    return [sys.executable, "-m", "composer", "boot", "start"]


def enable(root: str, environment: dict[str, str]) -> Init:
    """Enable the start at boot."""
    init = of(root)
    run = command()
    if init is SYSTEMD:
        words = " ".join(_quoted(word) for word in run)
        variables = "".join(f"Environment={_quoted(f'{k}={v}')}\n" for k, v in environment.items())
    else:
        words = shlex.join(run)
        variables = "".join(f"{key}={shlex.quote(value)} " for key, value in environment.items())
        variables = f"env {variables}" if variables else ""
        if init is SYSV and variables:
            words, variables = f"{variables}{words}", ""
    text = init.text.format(command=words, environment=variables)
    try:
        _stay_inside(root, init)
        _write(f"{root}/{init.file}", text, init.mode)
        for link in init.links:
            _link(f"{root}/{link}", f"/{init.file}")
    except OSError as error:
        raise _refused(error, "enable") from None
    _tell(init, root)
    return init


def disable(root: str) -> Init | None:
    """Disable the start at boot. Return the init system that was enabled, or None."""
    found = [init for init in (SYSTEMD, OPENRC, SYSV) if os.path.lexists(f"{root}/{init.file}")]
    if not found:
        return None
    had = enabled(root) or found[0]
    try:
        for init in found:
            _stay_inside(root, init)
            for path in (*init.links, init.file):
                if os.path.lexists(f"{root}/{path}"):
                    os.unlink(f"{root}/{path}")
            _tell(init, root)
    except OSError as error:
        raise _refused(error, "disable") from None
    return had


def enabled(root: str) -> Init | None:
    """Return the init system that is enabled, or None."""
    for init in (SYSTEMD, OPENRC, SYSV):
        if os.path.exists(f"{root}/{init.file}") and any(os.path.lexists(f"{root}/{x}") for x in init.links):
            return init
    return None


def _stay_inside(root: str, init: Init) -> None:
    """Refuse the tree of an image whose links lead out of it, to this machine's own directories."""
    top = os.path.realpath(root or "/")
    for path in (init.file, *init.links):
        directory = os.path.dirname(f"{root}/{path}")
        if os.path.commonpath([top, os.path.realpath(directory)]) != top:
            raise ComposerError(f"cannot use '{root}': '{directory}' is a symbolic link that leads out of it")


def _write(path: str, text: str, mode: int) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    os.rename(temporary, path)


def _link(path: str, target: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        os.symlink(target, path)
    except FileExistsError:
        pass  # enabled before


def _tell(init: Init, root: str) -> None:
    """Tell a running init system to reload its configuration."""
    if init is SYSTEMD and root in ("", "/"):
        subprocess.run(["systemctl", "daemon-reload"], check=False, capture_output=True)


def _quoted(word: str) -> str:
    """Quote a word of a unit (systemd.syntax(7)): % is a specifier there, $ a variable."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _refused(error: OSError, verb: str) -> ComposerError:
    reason = (error.strerror or str(error)).lower()
    return PermissionDenied(
        f"cannot {verb} the start at boot: '{error.filename}': {reason}", hint="run this command as root"
    )
