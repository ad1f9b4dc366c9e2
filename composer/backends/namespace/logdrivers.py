"""``logging`` of a service: what of it the built-in runtime cannot do."""

from __future__ import annotations

import os
from typing import Any

from composer.engine.wanted import Limitation
from composer.runtime.objects import log_options


def limits(value: Any) -> list[Limitation]:
    """Say what of a service's ``logging`` cannot be done here."""
    driver = (value or {}).get("driver") or "json-file"
    if driver not in log_options.DRIVERS:
        reason = f"log driver '{driver}' is not supported by the built-in runtime"
        return [Limitation(("logging", "driver"), reason, hint=f"use {', '.join(log_options.DRIVERS)}")]
    options = (value or {}).get("options") or {}
    found = [
        Limitation(("logging", "options", key), "option is ignored by the built-in runtime", fatal=False)
        for key in options
        if key not in log_options.OPTIONS.get(driver, options)
    ]
    address = str(options.get("syslog-address") or f"unix://{log_options.DEVLOG}")
    path = log_options.JOURNAL if driver == "journald" else address.partition("://")[2]
    is_local = driver == "journald" or (driver == "syslog" and address.startswith("unix"))
    if is_local and not os.path.exists(path):
        reason = f"no log daemon is running: {path} does not exist"
        found.append(Limitation(("logging", "driver"), reason, hint="start it, or use json-file or local"))
    elif address.startswith("tcp+tls"):
        reason = "sending logs over TLS is not supported by the built-in runtime"
        found.append(
            Limitation(("logging", "options", "syslog-address"), reason, hint="use tcp:// or udp://")
        )
    return found
